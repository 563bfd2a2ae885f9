"""AU occurrence metrics over a whole epoch, per AU, from one sort of each AU's scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceflow.metrics.ranking import Array, BoolArray, IntArray, OccurrenceRows, Ranking, rank_each_au


def occurrence_metrics(prob: Array, truth: Array, observed: Array, thresholds: npt.ArrayLike) -> dict[str, Array]:
    """Score predicted occurrence probabilities per AU.

    An AU without an observed positive and an observed negative gets NaN in every metric, so that `macro`
    leaves it out. Precision without a predicted positive is 0. Missing entries have no influence.

    Args:
        prob: (N, A) in [0, 1].
        truth: (N, A), 0 or 1.
        observed: (N, A) bool, False where the label is missing.
        thresholds: (A,) or scalar; predicts positive when `prob >= threshold`.

    Returns:
        (A,) arrays: `f1`, `f1_norm` (skew-normalised F1, Jeni et al. 2013), `precision`, `recall`,
        `specificity`, `accuracy`, `ap` (step-wise average precision), `auroc` (ties count one half), `eer`
        and `eer_threshold` (see `equal_error_rate`), and the counts `positives` and `observed`.
    """
    rows = OccurrenceRows.check(prob, truth, observed)
    metrics = _decision_metrics(rows, thresholds)
    curves = np.full((4, len(rows.prob)), np.nan)
    for au, ranking in enumerate(rank_each_au(rows)):
        if ranking.has_both_classes:
            curves[:, au] = average_precision(ranking), auroc(ranking), *equal_error_rate(ranking)
    counts = {name: metrics.pop(name) for name in ("positives", "observed")}
    return metrics | dict(zip(("ap", "auroc", "eer", "eer_threshold"), curves, strict=True)) | counts


def decision_metrics(prob: Array, truth: Array, observed: Array, thresholds: npt.ArrayLike) -> dict[str, Array]:
    """Score decisions alone: those of `occurrence_metrics` that depend on the thresholds, and the counts."""
    return _decision_metrics(OccurrenceRows.check(prob, truth, observed), thresholds)


def _decision_metrics(rows: OccurrenceRows, thresholds: npt.ArrayLike) -> dict[str, Array]:
    counts = _confusion(rows, thresholds)
    tp, fp, fn, tn = counts.tp, counts.fp, counts.fn, counts.tn
    positives, negatives = tp + fn, fp + tn
    both = (positives > 0) & (negatives > 0)
    # tp * N-/N+ and fn * N-/N+, both sides of the fraction multiplied by N+.
    scaled_tp, scaled_fn = tp * negatives, fn * negatives
    return {
        "f1": _ratio(2 * tp, 2 * tp + fp + fn, both),
        "f1_norm": _ratio(2 * scaled_tp, 2 * scaled_tp + scaled_fn + fp * positives, both),
        "precision": _ratio(tp, np.maximum(tp + fp, 1), both),
        "recall": _ratio(tp, positives, both),
        "specificity": _ratio(tn, negatives, both),
        "accuracy": _ratio(tp + tn, positives + negatives, both),
        "positives": positives,
        "observed": positives + negatives,
    }


def macro(values: Array) -> float:
    """Mean over the AUs whose value is not NaN; NaN if there is none."""
    valid = values[~np.isnan(values)]
    return float(valid.mean()) if valid.size else float("nan")


def micro_f1(prob: Array, truth: Array, observed: Array, thresholds: npt.ArrayLike) -> float:
    """F1 of the counts pooled over all AUs, those with a single class included.

    Arguments as for `occurrence_metrics`. NaN if nothing is positive, neither observed nor predicted.
    """
    counts = _confusion(OccurrenceRows.check(prob, truth, observed), thresholds)
    correct, wrong = 2 * int(counts.tp.sum()), int((counts.fp + counts.fn).sum())
    return correct / (correct + wrong) if correct + wrong else float("nan")


def average_precision(ranking: Ranking) -> float:
    """Sum over the distinct scores of (gain in recall) x precision, without interpolation."""
    gain = np.diff(ranking.tp, prepend=0)
    return float(np.sum(gain * (ranking.tp / (ranking.tp + ranking.fp))) / ranking.positives)


def auroc(ranking: Ranking) -> float:
    """Area under the ROC curve by the trapezoid rule: a tied positive and negative count one half."""
    tp, fp = np.append(0, ranking.tp), np.append(0, ranking.fp)
    doubled_area = int(np.sum(np.diff(fp) * (tp[1:] + tp[:-1])))
    return doubled_area / (2 * ranking.positives * ranking.negatives)


def equal_error_rate(ranking: Ranking) -> tuple[float, float]:
    """Find the distinct score where the miss rate FNR is closest to the false alarm rate FPR.

    Returns:
        (FNR + FPR) / 2 at that score, and the score. FNR - FPR falls strictly with the threshold, so at most
        two scores tie in |FNR - FPR|, one on each side of equality; the higher one is taken.
    """
    positives, negatives = ranking.positives, ranking.negatives
    missed = positives - ranking.tp
    # |FNR - FPR| times both class sizes stays an integer, so ties are exact.
    best = int(np.argmin(np.abs(missed * negatives - ranking.fp * positives)))
    rate = (missed[best] / positives + ranking.fp[best] / negatives) / 2
    return float(rate), float(ranking.scores[best])


@dataclass(frozen=True)
class _Confusion:
    """Counts per AU, each (A,)."""

    tp: IntArray
    fp: IntArray
    fn: IntArray
    tn: IntArray


def _confusion(rows: OccurrenceRows, thresholds: npt.ArrayLike) -> _Confusion:
    cut = np.asarray(thresholds, dtype=np.float64)
    aus = rows.prob.shape[:1]
    assert cut.shape in ((), aus), f"thresholds must be scalar or {aus}, got {cut.shape}"
    assert not np.isnan(cut).any(), "a threshold is NaN"
    predicted = (rows.prob >= np.broadcast_to(cut, aus)[:, None]) & rows.observed
    tp = np.count_nonzero(predicted & rows.positive, axis=1)
    fp = np.count_nonzero(predicted, axis=1) - tp
    fn = np.count_nonzero(rows.positive, axis=1) - tp
    return _Confusion(tp=tp, fp=fp, fn=fn, tn=np.count_nonzero(rows.observed, axis=1) - tp - fp - fn)


def _ratio(numerator: IntArray, denominator: IntArray, defined: BoolArray) -> Array:
    out = np.full(defined.shape, np.nan)
    np.divide(numerator, denominator, out=out, where=defined)
    return out
