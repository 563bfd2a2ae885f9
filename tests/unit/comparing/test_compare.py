"""Comparisons of runs: results, written files and refused inputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from faceflow.comparing.compare import CompareResult, compare
from faceflow.comparing.differences import MEAN
from faceflow.errors import FaceFlowError
from faceflow.metrics.occurrence import decision_metrics
from tests.helpers.compared import AUS, PROTOCOL, predictions, write_run

SETTINGS: dict[str, Any] = {
    "metrics": ["f1_val", "ap", "icc"],
    "level": 0.05,
    "shared_aus": False,
    "any_protocol": False,
    "threshold": 0.5,
    "audit": None,
    "audit_least_subjects": 1,
    "bootstrap": {"resamples": 200, "seed": 0},
    "pictures": False,
    "overwrite": False,
}


def compared(folder: Path, *runs: Path, **settings: Any) -> CompareResult:
    return compare(SETTINGS | {"runs": [str(run) for run in runs], "output": str(folder / "out")} | settings)


def refusal(folder: Path, *runs: Path, **settings: Any) -> str:
    """The line of a comparison that is refused; nothing may be left behind."""
    with pytest.raises(FaceFlowError) as caught:
        compared(folder, *runs, **settings)
    assert not (folder / "out").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(folder), "")


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return write_run(tmp_path / "first", predictions(1))


def test_a_run_does_not_differ_from_itself(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", predictions(1, intensity=True))
    rows = compared(tmp_path, run, run, metrics=["f1_val", "f1_0.5", "ap", "auroc", "icc"]).comparison.rows
    assert len(rows) == 5 * (len(AUS) + 1)
    for column in ("difference", "low", "high"):
        assert rows[column].tolist() == [0] * len(rows)
    assert set(rows["verdict"]) == {"tie"}
    assert set(rows["run"]) == {"run (2)"}


def test_scores_are_those_at_the_thresholds_of_each_run_and_files_hold_them(
    tmp_path: Path, first: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = predictions(2, noise=0.05)
    second = write_run(tmp_path / "second", frame.sample(frac=1, random_state=0), threshold=0.3)
    done = compared(tmp_path, first, second, pictures=True)
    assert {path.name for path in done.folder.iterdir()} == {f"comparison.{end}" for end in ("csv", "md", "tex", "png")}
    rows = pd.read_csv(done.folder / "comparison.csv")
    f1 = rows[rows["metric"] == "f1_val"].set_index("au")
    probability, truth = (frame[[f"{au}{end}" for au in AUS]].to_numpy() for end in ("_prob", "_occurs"))
    expected = decision_metrics(probability, truth, np.ones(truth.shape, np.bool_), 0.3)["f1"]
    assert f1.loc[[*AUS], "score"].tolist() == pytest.approx(expected.tolist())
    assert f1.loc[MEAN, "difference"] == pytest.approx(f1.loc[[*AUS], "difference"].mean())
    rate = truth.mean(axis=0)
    assert f1.loc[[*AUS], "base_rate"].tolist() == pytest.approx(rate.tolist())
    assert f1.loc[[*AUS], "f1_always"].tolist() == pytest.approx((2 * rate / (1 + rate)).tolist())
    assert f1.loc[[*AUS], "f1_prior"].tolist() == pytest.approx(rate.tolist())
    assert f1.loc[MEAN, "verdict"] == "win"
    shown = capsys.readouterr().out
    assert "F1@val: second against first" in shown
    assert "ICC is not compared: 'first' has no intensities." in shown
    latex = (done.folder / "comparison.tex").read_text("utf-8")
    assert r"\textbf{+" in latex
    rows_of_f1 = [line for line in latex.split("tabular")[1].splitlines() if line.endswith(r"\\")]
    assert {line.count(" & ") for line in rows_of_f1} == {8}  # 9 columns, without the verdict that bold shows
    assert "| mean |" in (done.folder / "comparison.md").read_text("utf-8")


def test_the_other_way_round_a_win_is_a_loss(tmp_path: Path, first: Path) -> None:
    second = write_run(tmp_path / "second", predictions(2, noise=0.05))
    there = compared(tmp_path, first, second).comparison.rows
    back = compared(tmp_path, second, first, output=str(tmp_path / "back")).comparison.rows
    assert back["difference"].tolist() == pytest.approx((-there["difference"]).tolist())
    assert back["p"].tolist() == there["p"].tolist()
    turned = {"win": "loss", "loss": "win", "tie": "tie"}
    assert back["verdict"].tolist() == there["verdict"].map(turned).tolist()


def test_p_values_are_corrected_over_the_aus_of_all_runs(tmp_path: Path, first: Path) -> None:
    others = [write_run(tmp_path / f"run{seed}", predictions(seed, noise=0.2)) for seed in (2, 3)]
    rows = compared(tmp_path, first, *others, metrics=["f1_val"]).comparison.rows
    assert rows["run"].unique().tolist() == ["run2", "run3"]
    for family in (rows[rows["au"] == MEAN], rows[rows["au"] != MEAN]):
        ordered = family.sort_values("p")
        factors = np.arange(len(ordered), 0, -1)
        expected = np.minimum(np.maximum.accumulate(ordered["p"].to_numpy() * factors), 1)
        assert ordered["p_holm"].tolist() == pytest.approx(expected.tolist())


def test_intensities_and_errors_are_compared(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / name, predictions(1, noise=noise, intensity=True))
        for name, noise in (("worse", 0.5), ("better", 0.02))
    ]
    rows = compared(tmp_path, *runs, metrics=["icc", "eer"]).comparison.rows.set_index(["metric", "au"])
    assert rows.loc[("icc", MEAN), "verdict"] == "win"
    assert rows.loc[("eer", MEAN), "difference"] < 0
    assert rows.loc[("eer", MEAN), "verdict"] == "win"


def test_a_csv_of_another_tool_is_read_in_its_own_order_and_names(tmp_path: Path, first: Path) -> None:
    frame = predictions(1).drop(columns="dataset").iloc[::-1]
    frame["subject"] = frame["subject"].str.removeprefix("faces/")
    frame.columns = frame.columns.str.replace("AU1_", "AU01_")
    frame.to_csv(tmp_path / "tool.csv", index=False)
    rows = compared(tmp_path, first, tmp_path / "tool.csv", threshold=0.4).comparison.rows
    assert set(rows["difference"]) == {0}
    assert set(rows["run"]) == {"tool.csv"}


def test_a_run_of_faceflow_0_1_which_called_subjects_persons_is_compared(tmp_path: Path) -> None:
    rule = "test 25% of the {}, one {} each, seed 0"
    now = write_run(tmp_path / "now", predictions(1), split=rule.format("subjects", "subject"))
    frame = predictions(1).rename(columns={"subject": "person"})
    before = write_run(tmp_path / "before", frame, split=rule.format("persons", "person"))
    assert set(compared(tmp_path, now, before).comparison.rows["difference"]) == {0}


def folds(folder: Path, frame: pd.DataFrame, *, gone: bool = False) -> Path:
    """Two folds of four subjects each, the second at another threshold."""
    folder.mkdir()
    (folder / "config.yaml").touch()
    half = len(frame) // 2
    for number, part in enumerate((frame[:half], frame[half:])):
        if not (gone and number):
            write_run(folder / f"fold{number}", part, threshold=0.3 + 0.2 * number)
    (folder / "metrics.json").write_text(json.dumps({"protocol": PROTOCOL, "folds": {"fold0": {}, "fold1": {}}}))
    return folder


def test_folds_are_pooled_at_their_own_thresholds(tmp_path: Path, first: Path) -> None:
    frame = predictions(5)
    rows = compared(tmp_path, first, folds(tmp_path / "folds", frame)).comparison.rows
    assert set(rows["metric"]) == {"f1_val"}  # rankings of several networks cannot be pooled
    cuts = np.repeat([0.3, 0.5], len(frame) // 2)
    called, truth = frame["AU6_prob"] >= cuts, frame["AU6_occurs"] == 1
    expected = 2 * (called & truth).sum() / (called.sum() + truth.sum())
    assert rows.set_index("au").loc["AU6", "score"] == pytest.approx(expected)


def edited(change: Callable[[pd.DataFrame], object]) -> pd.DataFrame:
    frame = predictions(2)
    given = change(frame)
    return given if isinstance(given, pd.DataFrame) else frame


def cell(row: int, column: str, value: Any) -> Callable[[pd.DataFrame], object]:
    return lambda frame: frame.astype({column: object}).assign(
        **{column: [value if n == row else old for n, old in enumerate(frame[column])]}
    )


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda frame: frame[frame["subject"] != "faces/s3"],
            "/second: expected the same test faces as '/first', got 84 in common: 12 faces are only in '/first' "
            "(s3/0.jpg, s3/1.jpg, s3/2.jpg, ...), of 1 more subjects (faces/s3); test both on the same faces with "
            "faceflow-test, and compare those tests",
        ),
        (
            lambda frame: frame.assign(subject=["faces/s0" if p == "faces/s1" else p for p in frame["subject"]]),
            "/second: expected the subjects of '/first', got faces of one subject ('faces/s0' in '/second') that "
            "belong to several in '/first' (faces/s0, faces/s1); give both the same subjects",
        ),
        (
            lambda frame: frame.drop(columns="subject"),
            "/second/predictions.csv: expected a column 'subject', got dataset, filename, AU1_prob, AU1_occurs, "
            "AU6_prob, AU6_occurs, ...; name the columns filename, subject, and for each AU AU1_prob and AU1_occurs "
            "(faceflow-test writes such a table)",
        ),
        (
            lambda frame: frame.assign(subject="faces/" + frame["filename"]),
            "/second/predictions.csv: subject: expected subjects, got a different one for each face, as from labels "
            "without subjects; set data.columns.subject to the column of the subjects in the labels, and test again",
        ),
        (
            cell(4, "subject", None),
            "/second/predictions.csv:6: subject: expected a subject (intervals are over subjects), got an empty cell; "
            "fill it in",
        ),
        (
            cell(4, "AU6_prob", None),
            "/second/predictions.csv:6: AU6_prob: expected a number from 0 to 1, got an empty cell or NaN; leave that "
            "face out of all tables, or predict it",
        ),
        (
            cell(2, "AU6_prob", 63.5),
            "/second/predictions.csv:4: AU6_prob: expected a number from 0 to 1, got '63.5'; leave that face out of "
            "all tables, or predict it",
        ),
        (
            cell(0, "AU12_occurs", 3),
            "/second/predictions.csv:2: AU12_occurs: expected 0, 1 or an empty cell, got '3'; correct it",
        ),
        (
            lambda frame: frame.assign(AU1_occurs=1 - frame["AU1_occurs"]),
            "/second: expected the labels of '/first', got 96 different ones, such as AU1_occurs of s0/0.jpg: 1 in the "
            "first, 0 here; test both with the same labels and occurrence_min",
        ),
        (
            lambda frame: frame.drop(columns=["AU1_prob", "AU1_occurs"]),
            "/second: expected the AUs of '/first', got predictions without AU1; shared_aus=true compares the 2 that "
            "all have",
        ),
        (
            lambda frame: frame.rename(columns={f"AU{n}_{end}": f"{end}{n}" for n in (1, 6, 12)
                                                for end in ("prob", "occurs")}),
            "/second/predictions.csv: expected a column 'AU1_prob', got dataset, filename, subject, prob1, occurs1, "
            "prob6, ...; name the columns filename, subject, and for each AU AU1_prob and AU1_occurs (faceflow-test "
            "writes such a table)",
        ),
        (
            lambda frame: pd.concat([frame, frame[:1]]),
            "/second: expected one row per face, got 'faces/s0/0.jpg' twice; remove one, or add a column dataset",
        ),
        (
            lambda frame: frame[:0],
            "/second/predictions.csv: expected a row per face, got none; test the network on some faces",
        ),
    ],
)  # fmt: skip
def test_incomparable_runs_are_refused_and_the_difference_is_named(
    tmp_path: Path, first: Path, change: Callable[[pd.DataFrame], object], line: str
) -> None:
    assert refusal(tmp_path, first, write_run(tmp_path / "second", edited(change))) == line


def test_another_protocol_or_other_pictures_are_refused_unless_asked_for(tmp_path: Path, first: Path) -> None:
    split = write_run(tmp_path / "split", predictions(2), split="3 folds, seed 0")
    assert refusal(tmp_path, first, split) == (
        "/split: expected the protocol of '/first', got one that differs in the split: '3 folds, seed 0' instead of "
        f"'{PROTOCOL['split']}'; train both with one protocol, or compare them anyway with any_protocol=true"
    )
    pixels = write_run(tmp_path / "pixels", predictions(2), content="other")
    assert refusal(tmp_path, first, pixels).startswith(
        "/pixels: expected the test images of '/first', got files with the same names but other pixels, or tables "
    )
    assert set(compared(tmp_path, first, split, pixels, any_protocol=True).comparison.runs) == {"split", "pixels"}


def test_shared_aus_are_compared_where_that_is_asked_for(tmp_path: Path, first: Path) -> None:
    second = write_run(tmp_path / "second", predictions(2).drop(columns=["AU1_prob", "AU1_occurs"]))
    rows = compared(tmp_path, first, second, shared_aus=True).comparison.rows
    assert rows["au"].unique().tolist() == ["AU6", "AU12", MEAN]
    frame = predictions(2).rename(columns=lambda name: name.replace("AU12_", "AU25_").replace("AU6_", "AU26_"))
    frame = frame.rename(columns=lambda name: name.replace("AU1_", "AU4_"))
    none = write_run(tmp_path / "none", frame)
    (tmp_path / "out").rename(tmp_path / "earlier")
    assert "expected AUs in common, got AU1, AU6, AU12" in refusal(tmp_path, first, none, shared_aus=True)


def test_one_subject_is_refused_and_few_are_told_what_they_cannot_show(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = [write_run(tmp_path / f"alone{seed}", predictions(seed, subjects=1)) for seed in (1, 2)]
    assert "expected at least 2 test subjects, got 1; intervals" in refusal(tmp_path, *alone)
    few = [write_run(tmp_path / f"few{seed}", predictions(seed, subjects=4)) for seed in (1, 2)]
    compared(tmp_path, *few)
    line = "With {}, the corrected p of {} cannot be below {}, so it cannot be a win or a loss: {}."
    said = line.format("4 subjects", "any score", 0.125, "test on more subjects")
    assert said in capsys.readouterr().out
    more = [write_run(tmp_path / f"more{seed}", predictions(seed)) for seed in (1, 2)]
    compared(tmp_path, *more, overwrite=True, level=0.01)
    said = line.format("so few bootstrap.resamples", "a single AU", 0.0149, "raise bootstrap.resamples")
    assert said in capsys.readouterr().out


def test_an_unfinished_run_is_refused(tmp_path: Path, first: Path) -> None:
    assert refusal(tmp_path, first, tmp_path / "nowhere").startswith("runs: expected folders of faceflow-train or ")
    assert "got none; run: faceflow-compare RUN_A RUN_B" in refusal(tmp_path)
    assert "got 1; run: faceflow-compare RUN_A RUN_B" in refusal(tmp_path, first)
    assert refusal(tmp_path, first, tmp_path).endswith("without metrics.json; did you mean '/first'?")
    (tmp_path / "best.ckpt").touch()
    assert "got a network ('/best.ckpt'); test it first" in refusal(tmp_path, first, tmp_path / "best.ckpt")
    untested = write_run(tmp_path / "untested", predictions(2))
    (untested / "predictions.csv").unlink()
    assert "expected a run with a test, got one without predictions.csv" in refusal(tmp_path, first, untested)
    (untested / "metrics.json").write_text("{")
    assert "expected the record of a finished run, got a damaged file" in refusal(tmp_path, first, untested)
    assert "got 1; train the missing folds again" in refusal(
        tmp_path, first, folds(tmp_path / "f", predictions(2), gone=True)
    )
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    assert "got a file that cannot be read as one" in refusal(tmp_path, first, tmp_path / "binary.csv")


def test_settings_out_of_range_are_refused(tmp_path: Path, first: Path) -> None:
    for settings, line in (
        ({"level": 5}, "level: expected a number between 0 and 1, got 5"),
        ({"metrics": ["f1"]}, "metrics: expected scores of AUs, got 'f1'; known: "),
        ({"metrics": []}, "metrics: expected a list of scores such as [f1_val,ap], got []"),
        ({"metrics": ["icc"]}, "metrics: expected one that all runs have, got none: ICC is not compared: "),
        ({"threshold": 50}, "threshold: expected a number from 0 to 1, got 50"),
        ({"bootstrap": {"resamples": 10, "seed": 0}}, "bootstrap.resamples: expected "),
        ({"shared_aus": "yes"}, "shared_aus: expected true or false, got 'yes'"),
    ):
        assert refusal(tmp_path, first, first, **settings).startswith(line)


def test_an_earlier_comparison_is_kept_unless_overwritten(tmp_path: Path, first: Path) -> None:
    compared(tmp_path, first, first, pictures=True)
    before = (tmp_path / "out/comparison.csv").read_bytes()
    with pytest.raises(FaceFlowError, match=r"^output: expected a folder without a comparison, got '.*out'; choose "):
        compared(tmp_path, first, first)
    assert (tmp_path / "out/comparison.csv").read_bytes() == before
    compared(tmp_path, first, first, overwrite=True)
    assert not (tmp_path / "out/comparison.png").exists()  # it would be of the earlier one
