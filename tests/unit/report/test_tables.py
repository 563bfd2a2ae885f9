from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from faceflow.console import number, print_tables
from faceflow.errors import DataError
from faceflow.evaluation.data_summary import summarize
from faceflow.metrics.au_scores import Evaluation, Prediction, evaluate
from faceflow.report.figure_page import rounded
from faceflow.report.tables import SplitSummary, data_tables, results_table
from tests.helpers.networks import label_table

GRADED = "occurrence = intensity >= 2 on a 0-5 scale"


def summary(
    split: str, dataset: str, valid: dict[str, int], positives: dict[str, int], **other: object
) -> SplitSummary:
    fields = {"images": 840, "subjects": 28, "subjects_known": True, "labels": GRADED, "duplicates": 3, "skipped": 2}
    return SplitSummary(split=split, dataset=dataset, valid=valid, positives=positives, **fields | other)  # type: ignore[arg-type]


def cells(text: str, start: str) -> list[str]:
    """Cells of the only line that starts with a text; columns are two spaces apart or more."""
    (line,) = [line for line in text.splitlines() if line.startswith(start + " ")]
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def by_header(text: str, start: str) -> dict[str, str]:
    """Cells of a line behind the description, by header; a metric that is new has a column more."""
    values = cells(text, start)[2:]
    return dict(zip(cells(text, "AU")[-len(values) :], values, strict=True))


def occurrence_evaluation(intensity: bool = False) -> Evaluation:
    """AU1: two of four positive, the second is missed at 0.5; AU12: one label, positive; AU4: no label."""
    probability = np.array([[0.9, 0.8, 0.1], [0.2, 0.8, 0.1], [0.1, 0.8, 0.1], [0.6, 0.8, 0.1]])
    occurrence = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]], bool)
    observed = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0]], bool)
    grades = np.array([[3.0, 2.0, np.nan], [2.0, np.nan, np.nan], [0.0, np.nan, np.nan], [0.0, np.nan, np.nan]])
    predicted = np.array([[3.0, 2.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    return evaluate(
        Prediction(probability=probability, intensity=predicted if intensity else None),
        aus=("AU1", "AU12_L", "AU4"),
        occurrence=occurrence,
        intensity=grades,
        observed=observed,
        thresholds=np.array([0.2, np.nan, np.nan]),
    )


def test_results_hold_hand_computed_metrics_of_each_au(capsys: pytest.CaptureFixture[str]) -> None:
    print_tables(
        results_table(occurrence_evaluation(), title="webcam, test", protocol={"split": "by subject", "labels": "0/1"})
    )
    text = capsys.readouterr().out
    assert text.splitlines()[0].strip() == "webcam, test"
    assert cells(text, "AU")[:6] == ["AU", "description", "pos/labels", "thr", "always", "prior"]
    # At 0.2: two hits, one false alarm, no miss. At 0.5: one hit, one false alarm, one miss.
    # Ranking + - + -: AP = 1/2 (1 + 2/3); 3 of 4 pairs in order; at 0.6 FNR = FPR = 1/2.
    scores = {"F1@val": "0.800", "F1@0.5": "0.500", "Prec@val": "0.667", "Rec@val": "1.000"}
    scores |= {"AP": "0.833", "AUROC": "0.750", "EER": "0.500"}
    scores |= {"always": "0.667", "prior": "0.500"}
    assert by_header(text, "AU1").items() >= {"pos/labels": "2/4", "thr": "0.20", **scores}.items()
    assert by_header(text, "mean").items() >= scores.items()
    for au, name, labels in (("AU12_L", "lip corner puller, left", "1/1"), ("AU4", "brow lowerer", "0/0")):
        assert cells(text, au)[:3] == [au, name, labels]
        assert set(cells(text, au)[3:]) == {"-"}
    assert cells(text, "mean")[:2] == ["mean", "of 1 of 3 AUs"]
    assert text.splitlines()[-1].strip() == "split: by subject; labels: 0/1"


def test_rows_of_a_baseline_stand_below_those_of_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    baseline = evaluate(
        Prediction(probability=np.array([[0.8, 0.4], [0.7, 0.4], [0.6, 0.4], [0.1, 0.4]]), intensity=None),
        aus=("AU1", "AU12_L"),
        occurrence=np.array([[1, 1], [1, 0], [0, 0], [0, 0]], bool),
        intensity=np.full((4, 2), np.nan),
        observed=np.ones((4, 2), bool),
        thresholds=np.array([0.65, 0.3]),
    )
    print_tables(results_table(occurrence_evaluation(), title="t", protocol={}, beside={"built_in": baseline}))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    starts = [line.split()[0] for line in lines[3:] if line.strip()]
    assert starts == [
        "AU1",
        "built_in",
        "AU12_L",
        "built_in",
        "AU4",
        "mean",
        "built_in,",
        "mean",
        "built_in,",
        "always,",
    ]
    header = [cell.strip() for cell in lines[1].split("  ") if cell.strip()]
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines[3:-1] if line.strip()]
    place = header.index("F1@val") - len(header)
    # Of AU1 both positives are above 0.65 and nothing else. Of AU12_L all four are above 0.3: precision 1/4, F1 0.4.
    assert [row[place] for row in rows] == ["0.800", "1.000", "-", "0.400", "-", "0.800", "0.700", "0.800", "1.000"]
    assert [row[1] for row in rows if row[0] == "built_in"] == ["0.65", "0.30"]
    assert rows[-3][0] == "built_in, of 2 of 2 AUs"
    assert (rows[-2][1], rows[-1][0]) == ("of the 1 AUs that both have", "built_in, of the 1 AUs that both have")


def test_means_of_a_baseline_with_the_same_aus_stand_there_once(capsys: pytest.CaptureFixture[str]) -> None:
    same = occurrence_evaluation()
    print_tables(results_table(same, title="t", protocol={}, beside={"model.onnx": same}))
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if " of 1 of 3 AUs" in line]
    assert [line[0] for line in lines] == ["mean", "model.onnx,"]
    assert lines[0][8:] == lines[1][6:]  # without F1 of the two that guess


def test_intensity_metrics_take_the_place_of_precision_and_recall(capsys: pytest.CaptureFixture[str]) -> None:
    print_tables(results_table(occurrence_evaluation(intensity=True), title="t", protocol={}))
    text = capsys.readouterr().out
    assert {"ICC", "PCC", "MSE", "MAE"} <= set(cells(text, "AU"))
    assert not {"Prec@val", "Rec@val", "EER"} & set(cells(text, "AU"))
    # Truth 3 2 0 0 and prediction 3 1 0 2: variances 27/4 and 5, covariance 3.5 (sums of squares about the means).
    scores = {"ICC": "0.596", "PCC": "0.602", "MSE": "1.250", "MAE": "0.750"}
    assert by_header(text, "AU1").items() >= scores.items()
    scores = {"ICC": "-", "PCC": "-", "MSE": "0.000", "MAE": "0.000"}
    assert by_header(text, "AU12_L").items() >= scores.items()


def test_caption_tells_of_means_over_other_counts_of_aus(capsys: pytest.CaptureFixture[str]) -> None:
    print_tables(results_table(occurrence_evaluation(intensity=True), title="t", protocol={"split": "none"}))
    text = " ".join(capsys.readouterr().out.split())
    assert text.endswith("split: none AUs in the mean, where not 1: MSE 2, MAE 2")


def test_caption_counts_the_aus_of_icc(capsys: pytest.CaptureFixture[str]) -> None:
    evaluation = occurrence_evaluation(intensity=True)
    evaluation.columns["icc"][0] = np.nan  # type: ignore[index]
    print_tables(results_table(evaluation, title="t", protocol={}))
    assert "where not 1: ICC 0, MSE 2, MAE 2" in " ".join(capsys.readouterr().out.split())


def test_values_that_round_to_zero_have_no_sign() -> None:
    assert [number(np.float64(value)) for value in (-0.0004, 0.0, -0.0006, np.nan)] == ["0.000", "0.000", "-0.001", "-"]
    assert [rounded(np.float64(value)) for value in (-0.004, -0.006, np.nan)] == ["0.00", "-0.01", "-"]


def test_sources_show_counts_and_mark_unknown_subjects(capsys: pytest.CaptureFixture[str]) -> None:
    tables = data_tables(
        [
            summary("train", "studio [a]", {"AU1": 10}, {"AU1": 5}),
            summary("val", "web", {"AU1": 10}, {"AU1": 5}, images=77, subjects=77, subjects_known=False, labels="0/1"),
        ],
        ["AU1"],
    )
    print_tables(tables[0])
    text = capsys.readouterr().out
    assert cells(text, "train") == ["train", "studio [a]", "840", "28", "2", "3", GRADED]
    assert cells(text, "val") == ["val", "web", "77", "?", "2", "3", "0/1"]
    assert "? = no subject column" in text


def test_labels_are_pooled_over_data_sets_and_empty_ones_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    tables = data_tables(
        [
            summary("train", "a", {"AU1": 100, "AU4": 50}, {"AU1": 30, "AU4": 0}),
            summary("train", "b", {"AU1": 300}, {"AU1": 20}),
            summary("test", "a", {"AU1": 100000, "AU4": 40}, {"AU1": 1, "AU4": 40}),
        ],
        ["AU1", "AU4", "AU45"],
    )
    print_tables(tables[1])
    text = capsys.readouterr().out
    assert cells(text, "AU1") == ["AU1", "inner brow raiser", "400", "12.5 %", "100000", "<0.1 %"]
    assert cells(text, "AU4") == ["AU4", "brow lowerer", "50", "! 0.0 %", "40", "100.0 %"]
    assert cells(text, "AU45") == ["AU45", "blink", "! 0", "-", "! 0", "-"]
    assert "! = no labels, or no positive ones" in text


def test_unlabelled_faces_are_listed_but_their_labels_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    tables = data_tables(
        [
            summary("train", "a", {"AU1": 100}, {"AU1": 30}),
            summary("unlabeled", "web", {"AU1": 0}, {"AU1": 0}, subjects_known=False, labels="none"),
        ],
        ["AU1"],
    )
    print_tables(tables[0])
    assert cells(capsys.readouterr().out, "unlabeled") == ["unlabeled", "web", "840", "?", "2", "3", "none"]
    print_tables(tables[1])
    text = capsys.readouterr().out
    assert cells(text, "AU1") == ["AU1", "inner brow raiser", "100", "30.0 %"]
    assert "unlabeled" not in text
    assert "!" not in text


def test_labels_that_training_does_not_see_are_called_hidden() -> None:
    def labels(columns: tuple[str, ...], split: str) -> str:
        scores = {au: [0.0, 5.0] for au in columns} or {"AU1": [0.0]}
        table = dataclasses.replace(label_table("faces", scores), columns=columns, split=split)
        count = len(columns)
        table = dataclasses.replace(table, scores=table.scores[:, :count], scales=table.scales[:count])
        (row,) = summarize({"unlabeled": [table]}, ["AU1"])
        assert (row.split, row.images) == ("unlabeled", len(table))
        return row.labels

    assert labels(("AU1",), "unlabeled") == f"hidden: {GRADED}"
    assert labels((), "unlabeled") == "none"
    assert labels(("AU1",), "train") == GRADED  # a labelled face that joins the unlabelled ones


def test_nothing_is_explained_that_does_not_appear(capsys: pytest.CaptureFixture[str]) -> None:
    print_tables(*data_tables([summary("train", "a", {"AU1": 4}, {"AU1": 1})], ["AU1"]))
    text = capsys.readouterr().out
    assert "!" not in text
    assert "?" not in text


def test_piped_output_has_no_colour_codes_and_cuts_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    name = "a-data-set-with-a-rather-long-name-" * 3
    print_tables(*data_tables([summary("train", name, {}, {})], ["AU1"]))
    text = capsys.readouterr().out
    assert cells(text, "train")[1] == name
    assert GRADED in text
    assert "\x1b" not in text


def test_saved_text_equals_what_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "results.txt"
    print_tables(
        results_table(occurrence_evaluation(), title="one", protocol={}),
        results_table(occurrence_evaluation(intensity=True), title="two", protocol={"labels": "[0/1]"}),
        saved_to=path,
    )
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert path.read_text(encoding="utf-8").splitlines() == printed
    assert list(path.parent.iterdir()) == [path]


def test_unwritable_text_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a writable file"):
        print_tables(results_table(occurrence_evaluation(), title="t", protocol={}), saved_to=tmp_path)
    assert list(tmp_path.iterdir()) == []
