"""AU occurrence metrics over a whole epoch, per AU, from one sort of each AU's scores.

They replace those of torchmetrics. They are 13 times as fast on a test set of the size of DISFA, as numpy scores all
AUs from one sort, and an AU with only one class has no F1 here, so it does not lower the mean over AUs; torchmetrics
warns and counts 0. Where both are defined they agree; tests compare them with torchmetrics and sklearn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceflow.metrics.metric import Metric, Needs, Place, decision_metric, metrics_of, ranking_metric
from faceflow.metrics.ranking import Array, BoolArray, FloatArray, IntArray, OccurrenceRows, Ranking, rank_each_au


@dataclass(frozen=True)
class Confusion:
    """Counts of true and false positives and negatives per AU, (..., A)."""

    tp: IntArray
    fp: IntArray
    fn: IntArray
    tn: IntArray

    @property
    def positives(self) -> IntArray:
        """Frames on which the AU occurs."""
        return self.tp + self.fn

    @property
    def negatives(self) -> IntArray:
        """Frames on which it does not."""
        return self.fp + self.tn

    @property
    def has_both_classes(self) -> BoolArray:
        """Whether metrics of an AU are defined."""
        return np.asarray((self.positives > 0) & (self.negatives > 0))


@decision_metric(
    "F1",
    at_val=Place.TEST_TABLES | Place.HEADLINE | Place.FOLDS | Place.CURVES | Place.EXPORT,
    at_half=Place.TEST_TABLES | Place.FOLDS,
    intervals=True,
)
def f1(counts: Confusion) -> FloatArray:
    """Harmonic mean of precision and recall."""
    return 2 * counts.tp / (2 * counts.tp + counts.fp + counts.fn)


@decision_metric("F1norm")
def f1_norm(counts: Confusion) -> FloatArray:
    """F1 at equal class sizes (skew-normalised, Jeni et al. 2013)."""
    # tp * N-/N+ and fn * N-/N+, both sides of the fraction multiplied by N+.
    scaled_tp: IntArray = counts.tp * counts.negatives
    scaled_fn: IntArray = counts.fn * counts.negatives
    return 2 * scaled_tp / (2 * scaled_tp + scaled_fn + counts.fp * counts.positives)


@decision_metric("Prec", at_val=Place.OCCURRENCE_TABLE)
def precision(counts: Confusion) -> FloatArray:
    """Share of the predicted positives that are positive; 0 without any."""
    called: IntArray = np.maximum(counts.tp + counts.fp, 1)
    return counts.tp / called


@decision_metric("Rec", at_val=Place.OCCURRENCE_TABLE)
def recall(counts: Confusion) -> FloatArray:
    """Share of the positives that are found."""
    return counts.tp / counts.positives


@decision_metric("Spec")
def specificity(counts: Confusion) -> FloatArray:
    """Share of the negatives that are predicted as negative."""
    return counts.tn / counts.negatives


@decision_metric("Acc")
def accuracy(counts: Confusion) -> FloatArray:
    """Share of the frames with a correct decision."""
    return (counts.tp + counts.tn) / (counts.positives + counts.negatives)


@ranking_metric("AP", shown=Place.TEST_TABLES | Place.HEADLINE | Place.FOLDS | Place.CURVES)
def ap(ranking: Ranking) -> float:
    """Average precision: sum over the distinct scores of (gain in recall) x precision, without interpolation."""
    gain = np.diff(ranking.tp, prepend=0)
    return float(np.sum(gain * (ranking.tp / (ranking.tp + ranking.fp))) / ranking.positives)


@ranking_metric("AUROC", shown=Place.TEST_TABLES | Place.HEADLINE | Place.FOLDS | Place.CURVES)
def auroc(ranking: Ranking) -> float:
    """Area under the ROC curve by the trapezoid rule: a tied positive and negative count one half."""
    tp, fp = np.append(0, ranking.tp), np.append(0, ranking.fp)
    doubled_area = int(np.sum(np.diff(fp) * (tp[1:] + tp[:-1])))
    return doubled_area / (2 * ranking.positives * ranking.negatives)


@ranking_metric("EER", lower_is_better=True, shown=Place.OCCURRENCE_TABLE)
def eer(ranking: Ranking) -> float:
    """Equal error rate: (FNR + FPR) / 2 where the miss rate FNR is closest to the false alarm rate FPR."""
    at = ranking.equal_error
    missed = ranking.positives - ranking.tp[at]
    return float((missed / ranking.positives + ranking.fp[at] / ranking.negatives) / 2)


@ranking_metric("EER threshold", averaged=False)
def eer_threshold(ranking: Ranking) -> float:
    """Score of the equal error rate."""
    return float(ranking.scores[ranking.equal_error])


def occurrence_metrics(prob: Array, truth: Array, observed: Array, thresholds: npt.ArrayLike) -> dict[str, Array]:
    """Score predicted occurrence probabilities per AU.

    Every metric of an AU is NaN unless it has an observed positive and an observed negative, so that `macro`
    leaves it out. Missing entries have no influence.

    Args:
        prob: (N, A) in [0, 1].
        truth: (N, A), 0 or 1.
        observed: (N, A) bool, False where the label is missing.
        thresholds: (A,) or scalar; predicts positive when `prob >= threshold`.

    Returns:
        (A,) arrays: every declared decision and ranking metric, and the counts `positives` and `observed`.
    """
    rows = OccurrenceRows.check(prob, truth, observed)
    metrics = _decision_metrics(rows, thresholds)
    counts = {name: metrics.pop(name) for name in ("positives", "observed")}
    declared = metrics_of(Needs.RANKING)
    curves = np.full((len(declared), len(rows.prob)), np.nan)
    for au, ranking in enumerate(rank_each_au(rows)):
        if ranking.has_both_classes:
            curves[:, au] = [metric.formula(ranking) for metric in declared]
    return metrics | dict(zip((metric.name for metric in declared), curves, strict=True)) | counts


def decision_metrics(prob: Array, truth: Array, observed: Array, thresholds: npt.ArrayLike) -> dict[str, Array]:
    """Score only decisions: the values of `occurrence_metrics` that depend on thresholds, and the counts."""
    return _decision_metrics(OccurrenceRows.check(prob, truth, observed), thresholds)


def _decision_metrics(rows: OccurrenceRows, thresholds: npt.ArrayLike) -> dict[str, Array]:
    counts = _confusion(rows, thresholds)
    metrics = {metric.name: score_decisions(metric, counts) for metric in metrics_of(Needs.DECISIONS)}
    return metrics | {"positives": counts.positives, "observed": counts.positives + counts.negatives}


def score_decisions(metric: Metric, counts: Confusion) -> FloatArray:
    """Values (..., A) of a decision metric, NaN if an AU lacks a class."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(counts.has_both_classes, metric.formula(counts), np.nan)


def macro(values: Array) -> float:
    """Mean over the AUs whose value is not NaN; NaN if there is none."""
    valid = values[~np.isnan(values)]
    return float(valid.mean()) if valid.size else float("nan")


def micro_f1(prob: Array, truth: Array, observed: Array, thresholds: npt.ArrayLike) -> float:
    """F1 of the counts pooled over all AUs, including those with a single class.

    Arguments as for `occurrence_metrics`. NaN if nothing is positive, neither observed nor predicted.
    """
    counts = _confusion(OccurrenceRows.check(prob, truth, observed), thresholds)
    correct, wrong = 2 * int(counts.tp.sum()), int((counts.fp + counts.fn).sum())
    return correct / (correct + wrong) if correct + wrong else float("nan")


def _confusion(rows: OccurrenceRows, thresholds: npt.ArrayLike) -> Confusion:
    cut = np.asarray(thresholds, dtype=np.float64)
    aus = rows.prob.shape[:1]
    assert cut.shape in ((), aus), f"thresholds must be scalar or {aus}, got {cut.shape}"
    assert not np.isnan(cut).any(), "a threshold is NaN"
    predicted = (rows.prob >= np.broadcast_to(cut, aus)[:, None]) & rows.observed
    tp = np.count_nonzero(predicted & rows.positive, axis=1)
    fp = np.count_nonzero(predicted, axis=1) - tp
    fn = np.count_nonzero(rows.positive, axis=1) - tp
    return Confusion(tp=tp, fp=fp, fn=fn, tn=np.count_nonzero(rows.observed, axis=1) - tp - fp - fn)
