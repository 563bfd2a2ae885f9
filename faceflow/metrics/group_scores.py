"""Scores of groups of faces, such as those of one sex or one camera, and the gaps between groups.

All groups are scored on the same resamples of all subjects, so that the interval of a gap is correct whether or not
groups share subjects, as with and without glasses.

The calibration error (ECE) has no gap: it is a mean of absolute values, so it grows by chance if a group has few faces.
Resampling adds the same amount again, so its interval is moved back by that amount. Compare groups by the signed error
of the rate instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceflow.metrics.au_scores import Prediction
from faceflow.metrics.bootstrap import (
    Estimate,
    Formula,
    Interval,
    SubjectBootstrap,
    interval,
    mean_over_aus,
    sums_of_decisions,
    sums_of_intensities,
)
from faceflow.metrics.calibration import calibration_error_of_sums, calibration_terms
from faceflow.metrics.intensity import icc, ratio
from faceflow.metrics.occurrence import f1
from faceflow.metrics.ranking import Array, BoolArray, FloatArray

BASE_RATE, F1, ICC, FALSE_ALARMS = "base_rate", "f1_val", "icc", "false_alarm_rate"
RATE_ERROR, ECE = "rate_error", "ece"
HEADERS = {
    BASE_RATE: "base rate",
    F1: "F1@val",
    ICC: "ICC",
    FALSE_ALARMS: "false alarms",
    RATE_ERROR: "rate error",
    ECE: "ECE",
}


@dataclass(frozen=True, kw_only=True)
class GroupScores:
    """Scores of one group by name, see `HEADERS`; means are over the AUs that have one in every group of the column."""

    name: str
    subjects: int
    faces: int
    estimates: Mapping[str, Estimate]


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Mean of the group with the highest score minus that of the group with the lowest, with its 95 % interval."""

    highest: str
    lowest: str
    interval: Interval


@dataclass(frozen=True, kw_only=True)
class ColumnScores:
    """Groups of one column, those with the lowest F1 first.

    Attributes:
        column: name of the column.
        aus: the A AUs.
        groups: groups that are reported.
        small: number of subjects of each group that is not reported because it has too few.
        unknown: number of faces without an entry.
        gaps: gap by score, never for ECE, and only if at least two groups have the score.
        averaged: number of AUs in the means, by score.
    """

    column: str
    aus: tuple[str, ...]
    groups: Sequence[GroupScores]
    small: Mapping[str, int]
    unknown: int
    gaps: Mapping[str, Gap]
    averaged: Mapping[str, tuple[str, ...]]

    @property
    def gap(self) -> float:
        """Gap in F1; 0 if there is none."""
        return float(self.gaps[F1].interval.value) if F1 in self.gaps else 0.0


def base_rate(positives: Array, labelled: Array) -> FloatArray:
    """Share of the labelled frames on which an AU occurs, (..., A); NaN without labels."""
    return ratio(positives, labelled)


def false_alarm_rate(fp: Array, tn: Array) -> FloatArray:
    """Share of the frames without an AU that are predicted to show it, (..., A); NaN without such frames."""
    return ratio(fp, fp + tn)


def rate_error(probability: Array, positives: Array, labelled: Array) -> FloatArray:
    """Mean probability minus base rate, (..., A), from sums over labelled frames; NaN without labels."""
    return ratio(probability - positives, labelled)


def score_groups(
    columns: Mapping[str, npt.NDArray[np.str_]],
    subjects: npt.NDArray[np.str_],
    prediction: Prediction,
    *,
    aus: Sequence[str],
    occurrence: Array,
    intensity: Array,
    observed: BoolArray,
    thresholds: Array,
    least_subjects: int,
    resamples: int,
    seed: int,
) -> list[ColumnScores]:
    """Score the groups of every column, columns with the largest gap in F1 first.

    Args:
        columns: group of each frame by column, (N,); "" if unknown.
        subjects: subject on each frame, (N,).
        prediction: probabilities (N, A), and intensities for ordinal networks.
        aus: A names.
        occurrence: labels, (N, A).
        intensity: labels in FACS units, (N, A), NaN where unknown.
        observed: which labels and predictions exist, (N, A).
        thresholds: validation thresholds, (A,) or (N, A), NaN if there is none.
        least_subjects: least number of subjects of a group that is reported.
        resamples: number of resamples of the subjects; 0 for no intervals.
        seed: seed of the draws.
    """
    bootstrap = SubjectBootstrap(subjects, resamples=resamples, seed=seed)
    probability, cuts = prediction.probability, np.broadcast_to(thresholds, observed.shape)
    predicted = np.full_like(probability, np.nan) if prediction.intensity is None else prediction.intensity
    graded = observed & np.isfinite(intensity) & np.isfinite(predicted)

    def draws(rows: npt.NDArray[np.intp]) -> dict[str, tuple[FloatArray, FloatArray]]:
        seen, truth, likely = observed[rows], occurrence[rows] == 1, probability[rows]
        judged, called = seen & np.isfinite(cuts[rows]), likely >= cuts[rows]
        asked: dict[str, tuple[Iterable[Array], Formula]] = {
            BASE_RATE: ([seen & truth, seen], lambda sums: base_rate(sums[..., 0, :], sums[..., 1, :])),
            F1: sums_of_decisions(f1, called, truth, judged),
        }
        if graded.any():
            asked[ICC] = sums_of_intensities(icc, predicted[rows], intensity[rows], graded[rows])
        wrong, right = judged & ~truth & called, judged & ~truth & ~called
        asked[FALSE_ALARMS] = [wrong, right], lambda sums: false_alarm_rate(sums[..., 0, :], sums[..., 1, :])
        asked[RATE_ERROR] = (
            [np.where(seen, likely, 0.0), seen & truth, seen],
            lambda sums: rate_error(sums[..., 0, :], sums[..., 1, :], sums[..., 2, :]),
        )
        asked[ECE] = calibration_terms(likely, truth, seen), calibration_error_of_sums
        return dict(zip(asked, bootstrap.draws(list(asked.values()), rows), strict=True))

    found = []
    for column, names in columns.items():
        members = {str(name): np.flatnonzero(names == name) for name in np.unique(names[names != ""])}
        counts = {name: len(np.unique(subjects[rows])) for name, rows in members.items()}
        kept = {name: rows for name, rows in members.items() if counts[name] >= least_subjects}
        drawn = {name: draws(rows) for name, rows in kept.items()}
        scores = [score for score in HEADERS if any(score in each for each in drawn.values())]
        common = {score: np.all([np.isfinite(each[score][0]) for each in drawn.values()], axis=0) for score in scores}
        groups = [
            GroupScores(
                name=name,
                subjects=counts[name],
                faces=len(kept[name]),
                estimates={score: _estimate(*each[score], common[score], centred=score == ECE) for score in scores},
            )
            for name, each in drawn.items()
        ]
        gaps = {score: gap for score in scores if (gap := _gap(groups, score, drawn, common[score])) is not None}
        found.append(
            ColumnScores(
                column=column,
                aus=tuple(aus),
                groups=sorted(groups, key=lambda group: _last_if_undefined(group.estimates[F1].mean.value)),
                small={name: count for name, count in counts.items() if name not in kept},
                unknown=int((names == "").sum()),
                gaps=gaps,
                averaged={score: tuple(np.array(aus, object)[common[score]]) for score in scores},
            )
        )
    return sorted(found, key=lambda each: -each.gap)


def _estimate(values: FloatArray, draws: FloatArray, common: BoolArray, *, centred: bool) -> Estimate:
    """Value and bounds per AU and of the mean; `centred` moves the draws so that their mean is the value."""
    if centred:
        known = np.isfinite(draws)
        draws = draws + values - ratio(np.where(known, draws, 0.0).sum(axis=0), known.sum(axis=0))
    mean = interval(mean_over_aus(values[common]), mean_over_aus(draws[:, common]))
    return Estimate(per_au=interval(values, draws), mean=mean)


def _gap(
    groups: Sequence[GroupScores],
    score: str,
    drawn: Mapping[str, Mapping[str, tuple[FloatArray, FloatArray]]],
    common: BoolArray,
) -> Gap | None:
    """Gap between the means of two groups; in each resample, over the AUs that both groups have in it."""
    if score == ECE or len(groups) < 2 or not common.any():
        return None
    means = [float(group.estimates[score].mean.value) for group in groups]
    highest, lowest = groups[int(np.argmax(means))].name, groups[int(np.argmin(means))].name
    values, draws = (
        drawn[highest][score][part][..., common] - drawn[lowest][score][part][..., common] for part in (0, 1)
    )
    return Gap(highest=highest, lowest=lowest, interval=interval(mean_over_aus(values), mean_over_aus(draws)))


def _last_if_undefined(value: FloatArray) -> float:
    return float(value) if np.isfinite(value) else np.inf
