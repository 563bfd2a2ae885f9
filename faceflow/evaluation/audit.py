"""For whom a network fails: tested faces grouped by columns of their labels, each group scored separately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceflow.data.sources import FaceTable
from faceflow.errors import ConfigError, DataError, suggest
from faceflow.evaluation.intervals import Bootstrap
from faceflow.evaluation.pooled import PooledTest
from faceflow.evaluation.scoring import SplitScorer
from faceflow.metrics.au_scores import Evaluation, Prediction
from faceflow.metrics.audited import ALONE, Audit, check_groups
from faceflow.metrics.group_scores import ColumnScores, score_groups


@dataclass(frozen=True, kw_only=True)
class GroupAudit:
    """Scores of the groups of every column; if subjects are not known, each face counts as one."""

    asked: Audit
    columns: Sequence[ColumnScores]
    subjects_known: bool


def check_audit(audit: Audit, tables: Sequence[FaceTable]) -> None:
    """Check that the columns of an audit exist and hold groups.

    Raises:
        ConfigError: no table has the column, all its cells are empty, or it has too many values to be groups.
    """
    for column in audit.columns:
        found = [table.attributes[column] for table in tables if column in table.attributes]
        if not found:
            known = {name for table in tables for name in table.further} - ALONE
            raise ConfigError(
                f"audit: expected columns of the labels, got '{column}', which no table has; "
                f"{suggest(column, known) if known else 'add it'}"
            )
        check_groups(column, np.concatenate(found))


def attributes_of(tables: Sequence[FaceTable], columns: Sequence[str]) -> dict[str, NDArray[np.str_]]:
    """Column -> text of each row of some tables, (N,); "" if a table lacks the column."""
    return {
        column: np.concatenate([table.attributes.get(column, np.full(len(table), "")) for table in tables])
        for column in columns
    }


def audit_test(
    audit: Audit,
    scorer: SplitScorer,
    tables: Sequence[FaceTable],
    rows: NDArray[np.intp],
    prediction: Prediction,
    evaluations: Mapping[str, Evaluation],
    bootstrap: Bootstrap | None,
) -> GroupAudit:
    """Score the groups of all tested faces together.

    Args:
        audit: requested audit.
        scorer: of the tables.
        tables: all rows.
        rows: row numbers that were predicted, (M,).
        prediction: of these rows, (M, A).
        evaluations: by name of the set, from `scorer.score`.
        bootstrap: of the subjects; None for no intervals.
    """
    scored = scorer.pooled
    merged, seen = scorer.merged(scored, rows, prediction)
    found = score_groups(
        attributes_of(tables, audit.columns),
        np.concatenate([table.subjects for table in tables]),
        merged,
        aus=scored.truth.aus,
        occurrence=scored.truth.occurrence,
        intensity=scored.truth.intensity,
        observed=scored.truth.observed & seen,
        thresholds=evaluations[scored.name].columns["threshold_val"],
        least_subjects=audit.least_subjects,
        resamples=0 if bootstrap is None else bootstrap.resamples,
        seed=0 if bootstrap is None else bootstrap.seed,
    )
    return GroupAudit(asked=audit, columns=found, subjects_known=all(table.has_subjects for table in tables))


def audit_folds(audit: Audit, pooled: PooledTest, tables: Sequence[FaceTable], bootstrap: Bootstrap) -> GroupAudit:
    """Score the groups of the test faces of all folds together, each at the thresholds of its fold.

    Args:
        audit: requested audit.
        pooled: predictions of all folds.
        tables: test faces of the folds, in the order of the predictions.
        bootstrap: of the subjects.

    Raises:
        DataError: the predictions are of other faces.
    """
    subjects = np.concatenate([table.subjects for table in tables])
    if subjects.tolist() != pooled.subjects.tolist():
        raise DataError(
            "audit: expected predictions for the test faces of each fold, got predictions for other faces; train the "
            "folds again with overwrite=true"
        )
    found = score_groups(
        attributes_of(tables, audit.columns),
        subjects,
        Prediction(probability=pooled.probability, intensity=pooled.intensity),
        aus=pooled.aus,
        occurrence=pooled.occurs,
        intensity=pooled.graded,
        observed=np.isfinite(pooled.occurs) & np.isfinite(pooled.probability),
        thresholds=pooled.thresholds,
        least_subjects=audit.least_subjects,
        resamples=bootstrap.resamples,
        seed=bootstrap.seed,
    )
    return GroupAudit(asked=audit, columns=found, subjects_known=all(table.has_subjects for table in tables))
