from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studies.parts import all_parts
from studies.picture import draw_differences
from studies.results import differences, results_frame, with_means
from studies.run_scores import RunScores
from studies.tables import Choice, report

from faceflow.errors import DataError
from tests.helpers.study import CONDITIONS, evaluation, random_scores, scores_of_run

METHODS = ("supervised", "miro", "fixmatch")


def runs(tests: tuple[str, ...]) -> list[RunScores]:
    """Two seeds of three methods, each with different scores on the same faces, and centred scores of FixMatch."""
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


def test_a_report_has_scores_differences_centred_scores_and_settings() -> None:
    cells = [
        dataclasses.replace(
            each,
            numbers={
                **{"f1_val": 0.1 * number, "ap": 0.5, "seconds": 8, "pseudo_precision": np.nan},
                **({} if each.centred is None else {"centred_ap": 0.75, "centred_f1_val": 0.25}),
            },
            protocol={"train": "3 subjects", "test": "2 subjects"},
        )
        for number, each in enumerate(runs(("studio",)))
    ]
    found = pd.DataFrame(
        [
            ("fixmatch", "studio", "supervised", "f1_val", 0.2, 0.01, -0.1, 0.5),
            ("fixmatch", "studio", "raw", "ap", 0.25, 0.02, 0.125, 0.375),
        ],
        columns=["method", "test", "reference", "metric", "mean", "std", "low", "high"],
    )
    choices = {
        method: Choice(candidate=1, tried=[[0.3, 0.25], [0.4, 0.5], [0.1, 0.125]])
        for method in ("supervised", "fixmatch")
    }
    few = all_parts(Path("faces"), Path("study"))[0]
    text = report(few, CONDITIONS, choices=choices, run_scores=cells, results=results_frame(cells), compared=found)
    lines = text.splitlines()
    assert "- Train, seed 0: 3 subjects" in lines
    assert any("3 candidates of every method" in line and "seeds 0 to 1 was chosen" in line for line in lines)
    assert "| fixmatch | studio | 0.350 ± 0.212 | 0.500 ± 0.000 |  | +0.200 ± 0.010 [-0.100, +0.500] |  | 8 |" in lines
    assert (
        "| fixmatch | studio | 0.500 ± 0.000 | 0.750 ± 0.000 | +0.250 ± 0.020 [+0.125, +0.375] "
        "| 0.350 ± 0.212 | 0.250 ± 0.000 |  |"
    ) in lines
    chosen = " ".join(few.methods["supervised"][1])
    assert f"| supervised | `{chosen}` | 0.400 0.500 | yes |" in lines


def test_a_picture_is_drawn_where_there_is_something_to_compare(tmp_path: Path) -> None:
    compared = differences(runs(("webcam", "ir")), ("supervised",))
    draw_differences(compared, tmp_path / "shift.png", title="a title")
    assert (tmp_path / "shift.png").read_bytes().startswith(b"\x89PNG")
    draw_differences(compared[compared["reference"] == "raw"], tmp_path / "none.png", title="a title")
    assert not (tmp_path / "none.png").exists()
