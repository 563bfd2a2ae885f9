"""Calibrated probabilities of a validation and of a test, see `faceflow.calibration`."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
from numpy.typing import NDArray

from faceflow.aus import joined
from faceflow.calibration import NONE, PROTOCOL, Calibration, logit
from faceflow.conformal import COVERAGE
from faceflow.encoding import TOLERANCE
from faceflow.errors import ConfigError
from faceflow.evaluation.finding import Finding
from faceflow.evaluation.scoring import SplitScorer
from faceflow.evaluation.testing import TestScores
from faceflow.evaluation.unsure import fit_conformal
from faceflow.metrics.au_scores import Prediction
from faceflow.metrics.calibration import LEAST_SUBJECTS, fit_map
from faceflow.models.checkpoint import Payload
from faceflow.report.calibration import CalibrationChange, calibration_frame, calibration_table

log = logging.getLogger(__name__)


def check_probabilities(scorer: SplitScorer) -> None:
    """Warn if validation has too few subjects to confirm a calibration.

    Raises:
        ConfigError: validation uses the tested faces, or has too few subjects for an unsure band.
    """
    method, coverage = scorer.probabilities.calibration, scorer.probabilities.coverage
    given = {PROTOCOL: None if method == NONE else method, COVERAGE: coverage}
    asked = {key: value for key, value in given.items() if value is not None}
    if scorer.threshold is not None and asked:
        key, value = next(iter(asked.items()))
        raise ConfigError(
            f"{key}: expected {'none' if key == PROTOCOL else 'null'} with a legacy protocol, which validates on the "
            f"tested faces, got {value}; leave it out, or use a protocol with validation subjects"
        )
    count = len(np.unique(scorer.subjects[scorer.known]))
    if coverage is not None and count < LEAST_SUBJECTS:
        raise ConfigError(
            f"{COVERAGE}: expected at least {LEAST_SUBJECTS} known validation subjects, got {count}; raise split.val, "
            "name the column of subjects, or leave it out"
        )
    if method != NONE and count < LEAST_SUBJECTS:
        log.warning(
            "%s: validation has only %d known subjects, too few to hold some out; the calibration is not checked, "
            "and may make probabilities of other subjects worse; raise split.val",
            *(PROTOCOL, count),
        )


def tune_payload(payload: Payload, scorer: SplitScorer, rows: NDArray[np.intp], prediction: Prediction) -> None:
    """Fit centring, calibration and unsure bands to a validation, and store them in the payload of a checkpoint.

    Thresholds are mapped like the probabilities, so calibration changes no decision.

    Args:
        payload: is changed; its thresholds are tuned on `prediction`.
        scorer: of the validation.
        rows: row numbers that were predicted, (M,).
        prediction: of these rows, (M, A).
    """
    payload.centring, found = scorer.centring(rows, prediction), fit_calibration(scorer, rows, prediction)
    payload.calibration = found
    if found is not None:
        prediction = _calibrated(prediction, found, scorer)
        payload.thresholds = found.thresholds(payload.thresholds)
        payload.protocol[PROTOCOL] = found.protocol
        if payload.centring is not None and (usual := scorer.centring(rows, prediction)) is not None:
            payload.centring = dataclasses.replace(found.centring(payload.centring), intensity=usual.intensity)
    payload.conformal = fit_conformal(scorer, rows, prediction)
    if payload.conformal is not None:
        payload.protocol[COVERAGE] = payload.conformal.protocol


def _calibrated(prediction: Prediction, calibration: Calibration, scorer: SplitScorer) -> Prediction:
    aus, levels = scorer.spec.aus, prediction.levels
    intensity = prediction.intensity
    if levels is not None:
        intensity = scorer.decode(calibration.of_levels(logit(levels), aus)).intensity
    return Prediction(probability=calibration.apply(prediction.probability, aus), intensity=intensity)


def calibration_finding(scores: TestScores, payload: Payload) -> Finding | None:
    """How calibration changed the probabilities of a test, by data set; None without calibration."""
    calibration = payload.calibration
    if calibration is None:
        return None
    pooled, after = scores.scorer.pooled.truth, scores.prediction.probability
    before = calibration.undo(after, pooled.aus)
    changes = {
        scored.name: CalibrationChange.measure(
            pooled.aus,
            before[scored.rows],
            after[scored.rows],
            pooled.occurrence[scored.rows],
            pooled.observed[scored.rows],
        )
        for scored in scores.scorer.sets
    }
    said = calibration.protocol
    return Finding(
        tables=[calibration_table(change, title=name, protocol=said) for name, change in changes.items()],
        file="calibration.csv",
        frame=calibration_frame(changes),
        entry=PROTOCOL,
        content={name: change.means for name, change in changes.items()},
    )


def fit_calibration(scorer: SplitScorer, rows: NDArray[np.intp], prediction: Prediction) -> Calibration | None:
    """Fit a map per joined AU to the labels of a validation; arguments as for `tune_payload`.

    None if no calibration is requested.
    """
    if scorer.probabilities.calibration == NONE:
        return None
    scored = scorer.tuned[0]  # by joined AU
    merged, seen = scorer.merged(scored, rows, prediction)
    subjects, known = scorer.subjects[scored.rows], scorer.known[scored.rows] & seen[:, 0]
    count = len(np.unique(subjects[known]))
    chosen = count >= LEAST_SUBJECTS
    if not chosen:
        subjects = np.zeros_like(subjects)
    logits, labelled = logit(merged.probability), scored.truth.observed & seen
    maps = {
        au: fit_map(
            logits[labelled[:, column], column],
            scored.truth.occurrence[labelled[:, column], column],
            subjects[labelled[:, column]],
            method=scorer.probabilities.calibration,
        )
        for column, au in enumerate(scored.groups)
    }
    every = {au: maps[joined(au)] for au in (*maps, *scorer.spec.aus)}
    levels = _level_maps(scorer, merged, subjects, seen)
    return Calibration(
        method=scorer.probabilities.calibration,
        subjects=count,
        chosen=chosen,
        slope={au: found.slope for au, found in every.items()},
        offset={au: found.offset for au, found in every.items()},
        levels={au: levels[joined(au)] for au in (*levels, *scorer.spec.aus)} if levels else {},
        notes={au: found.note for au, found in maps.items() if found.note},
    )


def _level_maps(
    scorer: SplitScorer, merged: Prediction, subjects: NDArray[np.intp], seen: NDArray[np.bool_]
) -> dict[str, list[list[float]]]:
    """Slope and offset of every level by joined AU, from faces with a labelled intensity; empty without levels."""
    scored, maps = scorer.tuned[0], {}
    if merged.levels is None:
        return {}
    logits, intensity = logit(merged.levels), scored.truth.intensity
    graded = scored.truth.observed & seen & np.isfinite(intensity)
    for column, au in enumerate(scored.groups):
        rows = graded[:, column]
        found = [
            fit_map(
                logits[rows, column, level],
                intensity[rows, column] >= cut - TOLERANCE,
                subjects[rows],
                method=scorer.probabilities.calibration,
            )
            for level, cut in enumerate(scorer.spec.cutpoints)
        ]
        maps[au] = [[each.slope, each.offset] for each in found]
    return maps
