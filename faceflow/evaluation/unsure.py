"""Bands of unsure decisions, fitted to a validation, see `faceflow.conformal`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceflow.conformal import COVERAGE, Conformal
from faceflow.encoding import FACS_MAX
from faceflow.evaluation.finding import Finding
from faceflow.evaluation.scoring import SplitScorer
from faceflow.evaluation.testing import TestScores
from faceflow.metrics.au_scores import Prediction
from faceflow.metrics.calibration import LEAST_SUBJECTS
from faceflow.metrics.conformal import covering_cut
from faceflow.models.checkpoint import Payload
from faceflow.report.unsure import HeldCoverage, held_frame, held_table


def fit_conformal(scorer: SplitScorer, rows: NDArray[np.intp], prediction: Prediction) -> Conformal | None:
    """Fit a band per AU, for joined AUs and labelled sides, on validation subjects.

    None if no coverage is requested.

    Args:
        scorer: of the validation.
        rows: row numbers that were predicted, (M,).
        prediction: of these rows, (M, A), calibrated as for users.
    """
    coverage = scorer.probabilities.coverage
    if coverage is None:
        return None
    low: dict[str, float] = {}
    high: dict[str, float] = {}
    radius: dict[str, float] = {}
    notes: dict[str, str] = {}
    for scored in scorer.tuned:
        merged, seen = scorer.merged(scored, rows, prediction)
        subjects, known = scorer.subjects[scored.rows], scorer.known[scored.rows][:, None] & seen
        labelled = scored.truth.observed & known & np.isfinite(merged.probability)
        for column, au in enumerate(scored.groups):
            p, occurs = merged.probability[:, column], scored.truth.occurrence[:, column]
            active, absent = labelled[:, column] & occurs, labelled[:, column] & ~occurs
            counts = [len(np.unique(subjects[faces])) for faces in (active, absent)]
            if min(counts) < LEAST_SUBJECTS:
                rare = "show" if counts[0] < counts[1] else "lack"
                notes[au] = f"fewer than {LEAST_SUBJECTS} validation subjects {rare} it"
                continue
            low[au] = max(0.0, -covering_cut(-p[active], subjects[active], coverage))
            high[au] = min(1.0, covering_cut(p[absent], subjects[absent], coverage))
            if merged.intensity is None:
                continue
            error = np.abs(merged.intensity[:, column] - scored.truth.intensity[:, column])
            graded = labelled[:, column] & np.isfinite(error)
            if len(np.unique(subjects[graded])) >= LEAST_SUBJECTS:
                radius[au] = min(FACS_MAX, covering_cut(error[graded], subjects[graded], coverage))
    count = len(np.unique(scorer.subjects[scorer.known]))
    return Conformal(coverage=coverage, subjects=count, low=low, high=high, radius=radius, notes=notes)


def coverage_finding(scores: TestScores, payload: Payload) -> Finding | None:
    """Coverage that the bands of a checkpoint reached in a test, by data set; None without bands."""
    band = payload.conformal
    if band is None:
        return None
    prediction, truth = scores.prediction, scores.scorer.pooled.truth
    held = {}
    for scored in scores.scorer.sets:
        rows, intensity = scored.rows, prediction.intensity
        held[scored.name] = HeldCoverage.measure(
            band,
            payload.thresholds,
            Prediction(
                probability=prediction.probability[rows], intensity=None if intensity is None else intensity[rows]
            ),
            aus=truth.aus,
            occurrence=truth.occurrence[rows],
            intensity=truth.intensity[rows],
            observed=truth.observed[rows],
        )
    return Finding(
        tables=[held_table(each, title=name, protocol=band.protocol) for name, each in held.items()],
        file="unsure.csv",
        frame=held_frame(held),
        entry=COVERAGE,
        content={name: each.means for name, each in held.items()},
    )
