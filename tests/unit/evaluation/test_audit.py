"""Requirements of an audit, refused settings, and groups that match the tested faces."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from faceflow.data.sources import FaceTable
from faceflow.errors import ConfigError, DataError
from faceflow.evaluation.audit import GroupAudit, attributes_of, audit_folds, audit_test, check_audit
from faceflow.evaluation.intervals import Bootstrap, with_intervals
from faceflow.evaluation.pooled import PooledTest
from faceflow.evaluation.scoring import SplitScorer
from faceflow.metrics.au_scores import Prediction
from faceflow.metrics.audited import Audit, asked_audit
from faceflow.metrics.group_scores import ECE, F1, FALSE_ALARMS, ICC
from tests.helpers.networks import label_table, network_spec

SPEC = network_spec(aus=("AU1",), levels=5)
LABELS = [5.0, 0, 3, 0, 4, 0, 5, 0]
PROBABILITY = np.array([0.9, 0.2, 0.8, 0.1, 0.6, 0.7, 0.3, 0.2])[:, None]
PREDICTION = Prediction(probability=PROBABILITY, intensity=5 * PROBABILITY)
GLASSES = ["no"] * 4 + ["yes"] * 4
ONE = Audit(columns=("glasses",), least_subjects=1)


def table(name: str = "faces", labels: Sequence[float] = LABELS, **attributes: Sequence[str]) -> FaceTable:
    made = label_table(name, {"AU1": labels})
    return dataclasses.replace(
        made,
        subjects=np.array([f"{name}/{row // 2}" for row in range(len(labels))]),
        attributes={column: np.array(texts) for column, texts in attributes.items()},
        further=("filename", "subject", *attributes, "skin"),
    )


def audited(tables: Sequence[FaceTable], bootstrap: Bootstrap | None = None, audit: Audit = ONE) -> GroupAudit:
    scorer, rows = SplitScorer(tables, SPEC), np.arange(len(PROBABILITY))
    evaluations = scorer.score(rows, PREDICTION, {"AU1": 0.5})
    return audit_test(audit, scorer, tables, rows, PREDICTION, evaluations, bootstrap)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["sex", "skin"], ("sex", "skin")),
        ("sex", ("sex",)),
        (["sex", "skin", "sex"], ("sex", "skin")),
    ],
)
def test_columns_are_named_in_a_list_or_alone(columns: object, expected: tuple[str, ...]) -> None:
    assert asked_audit(columns, 5) == Audit(columns=expected, least_subjects=5)


def test_nothing_is_audited_by_default() -> None:
    assert asked_audit(None, None) is None


@pytest.mark.parametrize(
    ("columns", "least", "message"),
    [
        ([], 5, r"^audit: expected columns of the labels such as \[sex,glasses\], got \[\]; name them$"),
        ({"sex": 1}, 5, r"^audit: expected columns of the labels such as .*, got \{'sex': 1\}"),
        ([1], 5, r"^audit: expected columns of the labels such as .*, got \[1\]"),
        ([""], 5, r"^audit: expected columns of the labels"),
        (True, 5, r"^audit: expected columns of the labels such as .*, got True"),
        (
            ["sex", "AU01_r"],
            5,
            "^audit: expected columns of groups such as sex, got 'AU01_r', which is the label of an AU",
        ),
        (
            "filename",
            5,
            "^audit: expected columns of groups such as sex, got 'filename', which makes a group of each",
        ),
        (["subject"], 5, "^audit: .* got 'subject', which makes a group of each"),
        (["sex"], 0, "^audit_least_subjects: expected a whole number >= 1, got 0$"),
        (["sex"], 2.5, "^audit_least_subjects: expected a whole number >= 1, got 2.5$"),
    ],
)
def test_an_invalid_group_column_is_refused(columns: object, least: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        asked_audit(columns, least)


def test_a_slip_is_named_with_what_was_meant() -> None:
    with pytest.raises(ConfigError) as caught:
        check_audit(Audit(columns=("glases",), least_subjects=1), [table(glasses=GLASSES)])
    assert str(caught.value) == (
        "audit: expected columns of the labels, got 'glases', which no table has; did you mean 'glasses'?"
    )


def test_a_column_that_is_nowhere_is_told_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="got 'camera', which no table has; known: glasses, skin$"):
        check_audit(Audit(columns=("camera",), least_subjects=1), [table(glasses=GLASSES)])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([""] * 8, "^audit: expected entries in the column 'age', got only empty cells; leave it out$"),
        (
            [f"{number}.5" for number in range(50)],
            "^audit: expected at most 20 groups in a column, got 50 values in 'age', such as '0.5' and '1.5'; put them",
        ),
    ],
)
def test_a_column_without_groups_is_refused(texts: list[str], message: str) -> None:
    audit = Audit(columns=("age",), least_subjects=1)
    with pytest.raises(ConfigError, match=message):
        check_audit(audit, [table(labels=[0.0] * len(texts), age=texts)])


def test_twenty_groups_are_not_too_many_and_empty_cells_are_none() -> None:
    texts = ["", *map(str, range(20))]
    check_audit(Audit(columns=("age",), least_subjects=1), [table(labels=[0.0] * 21, age=texts)])


def test_tables_without_a_column_have_no_entry() -> None:
    tables = [table("one", [0.0, 5], sex=["f", "male"]), table("two", [0.0])]
    check_audit(Audit(columns=("sex",), least_subjects=1), tables)
    assert attributes_of(tables, ["sex"])["sex"].tolist() == ["f", "male", ""]


def test_groups_have_the_scores_of_a_test_of_their_faces_alone() -> None:
    found = audited([table(glasses=GLASSES)])
    assert found.subjects_known
    (column,) = found.columns
    for group in column.groups:
        rows = np.flatnonzero(np.array(GLASSES) == group.name)
        alone = SplitScorer([table().select(rows, None)], SPEC)
        part = Prediction(probability=PROBABILITY[rows], intensity=5 * PROBABILITY[rows])
        (expected,) = alone.score(np.arange(len(rows)), part, {"AU1": 0.5}).values()
        assert float(group.estimates[F1].mean.value) == pytest.approx(expected.summary["f1_val"])
        assert float(group.estimates[ICC].mean.value) == pytest.approx(expected.summary["icc"])
        assert float(group.estimates[FALSE_ALARMS].mean.value) == pytest.approx(
            1 - expected.columns["specificity_val"][0]
        )


def test_a_group_of_everybody_has_the_interval_of_the_test() -> None:
    faces, bootstrap = table(glasses=["no"] * 8), Bootstrap(resamples=50, seed=3)
    (group,) = audited([faces], bootstrap).columns[0].groups
    scorer, rows = SplitScorer([faces], SPEC), np.arange(8)
    raw = scorer.score(rows, PREDICTION, {"AU1": 0.5})
    summary = with_intervals(raw, scorer, [faces], rows, PREDICTION, bootstrap)["faces"].summary
    for score in (F1, ICC):
        mean = group.estimates[score].mean
        bounds = [summary[f"{score}_low"], summary[f"{score}_high"]]
        assert [float(mean.low), float(mean.high)] == pytest.approx(bounds)


def test_groups_reach_over_data_sets() -> None:
    tables = [
        table("one", LABELS[:4], glasses=GLASSES[:4]),
        table("two", LABELS[4:], glasses=["no", "no", "yes", "yes"]),
    ]
    (column,) = audited(tables).columns
    assert {group.name: (group.subjects, group.faces) for group in column.groups} == {"no": (3, 6), "yes": (1, 2)}


def test_faces_without_subjects_count_each_and_it_is_reported() -> None:
    bare = label_table("bare", {"AU1": LABELS})
    faces = dataclasses.replace(bare, has_subjects=False, attributes={"glasses": np.array(GLASSES)})
    found = audited([faces])
    assert not found.subjects_known
    assert [group.subjects for group in found.columns[0].groups] == [4, 4]


def pooled(subjects: Sequence[str], thresholds: Sequence[float]) -> PooledTest:
    labels = np.array(LABELS)[:, None]
    return PooledTest(
        subjects=np.array(subjects),
        aus=("AU1",),
        probability=PROBABILITY,
        occurs=(labels >= 2).astype(float),
        thresholds=np.array(thresholds)[:, None],
        intensity=5 * PROBABILITY,
        graded=labels,
    )


def by_group(audit: GroupAudit, score: str) -> Mapping[str, float]:
    return {group.name: float(group.estimates[score].mean.value) for group in audit.columns[0].groups}


def test_faces_of_folds_are_judged_at_the_thresholds_of_their_fold() -> None:
    faces = table(glasses=GLASSES)
    parts = [faces.select(np.arange(4), "test"), faces.select(np.arange(4, 8), "test")]
    found = audit_folds(
        ONE, pooled(faces.subjects.tolist(), [0.85] * 4 + [0.5] * 4), parts, Bootstrap(resamples=9, seed=0)
    )
    assert by_group(found, F1) == pytest.approx({"no": 2 / 3, "yes": 0.5})  # at 0.85 the second hit is missed
    assert by_group(found, ECE) == pytest.approx(by_group(audited([faces]), ECE))


def test_predictions_of_other_faces_than_the_folds_have_are_refused() -> None:
    faces = table(glasses=GLASSES)
    subjects = [*faces.subjects.tolist()[2:], "x", "x"]
    with pytest.raises(
        DataError, match="^audit: expected predictions for the test faces of each fold, got predictions for"
    ):
        audit_folds(ONE, pooled(subjects, [0.5] * 8), [faces], Bootstrap(resamples=9, seed=0))
