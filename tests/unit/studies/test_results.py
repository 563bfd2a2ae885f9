from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studies.picture import draw_differences
from studies.results import differences, results_frame, with_means
from studies.run_scores import RunScores

from faceflow.errors import DataError
from tests.helpers.study import evaluation, random_scores, scores_of_run

METHODS = ("supervised", "miro", "fixmatch")


def runs(tests: tuple[str, ...]) -> list[RunScores]:
    """Two seeds of three methods, each with scores of its own on the same faces; centred ones of FixMatch."""
    found = []
    for seed in (0, 1):
        for test in tests:
            faces = random_scores(np.random.default_rng(seed), [f"{test}{number}" for number in range(4)])
            for number, method in enumerate(METHODS):
                rng = np.random.default_rng([seed, number])
                ours = dataclasses.replace(faces, probability=rng.random(faces.truth.shape))
                centred = dataclasses.replace(ours, probability=rng.random(faces.truth.shape))
                found.append(
                    scores_of_run(
                        ours, method=method, seed=seed, test=test, centred=centred if method == "fixmatch" else None
                    )
                )
    return found


def row(found: pd.DataFrame, **where: str) -> pd.Series:
    (index,) = found.index[np.all([found[name] == value for name, value in where.items()], axis=0)]
    return found.loc[index]


def test_methods_are_compared_seed_by_seed_per_test_and_on_average() -> None:
    cells = runs(("webcam", "ir"))
    found = differences(cells, ("supervised", "miro"))
    ap = {(each.method, each.seed, each.test): evaluation(each.scored).summary["ap"] for each in cells}
    gains = {
        test: [ap["fixmatch", seed, test] - ap["miro", seed, test] for seed in (0, 1)] for test in ("webcam", "ir")
    }
    gains["mean"] = np.mean([*gains.values()], axis=0).tolist()
    for test, by_seed in gains.items():
        line = row(found, method="fixmatch", reference="miro", metric="ap", test=test)
        assert (line["mean"], line["std"]) == pytest.approx((np.mean(by_seed), np.std(by_seed, ddof=1)))
        assert line["low"] < line["mean"] < line["high"]
    assert {*zip(found["method"], found["reference"], strict=True)} == {
        *[("miro", "supervised"), ("fixmatch", "supervised")],
        *[("fixmatch", "miro"), ("supervised", "miro"), ("fixmatch", "raw")],
    }


def test_centred_scores_are_compared_with_the_raw_ones_of_the_same_run() -> None:
    cells = runs(("studio",))
    line = row(differences(cells, ("supervised",)), method="fixmatch", reference="raw", metric="f1_val")
    changes = [
        evaluation(each.centred).summary["f1_val"] - evaluation(each.scored).summary["f1_val"]
        for each in cells
        if each.centred is not None
    ]
    assert (line["test"], line["mean"]) == ("studio", pytest.approx(np.mean(changes)))


def test_runs_on_different_faces_are_no_pair() -> None:
    one, other = (random_scores(np.random.default_rng(0), names) for names in ("ab", "ac"))
    cells = [scores_of_run(one, method="supervised", seed=2), scores_of_run(other, method="fixmatch", seed=2)]
    with pytest.raises(DataError, match="seed 2: expected a test on the faces of supervised, got"):
        differences(cells, ("supervised",))


def test_means_over_tests_stand_below_the_tests() -> None:
    cells = [dataclasses.replace(each, numbers={"ap": float(n)}) for n, each in enumerate(runs(("webcam", "ir")))]
    results = with_means(results_frame(cells))
    means = results[results["test"] == "mean"]
    assert means["ap"].tolist() == [1.5, 2.5, 3.5, 7.5, 8.5, 9.5]  # of 0 and 3, 1 and 4, 2 and 5, ...
    assert results["test"].tolist()[-6:] == ["mean"] * 6
    one = results_frame(cells[:1])
    assert with_means(one).equals(one)


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    draw_differences(differences(runs(("webcam", "ir")), ("supervised",)), tmp_path / "shift.png", title="a title")
    assert (tmp_path / "shift.png").read_bytes().startswith(b"\x89PNG")
