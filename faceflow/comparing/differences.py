"""Scores of runs against the first run, AU by AU: differences, intervals, corrected p values and a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from faceflow.comparing.predictions import Predictions
from faceflow.errors import ConfigError, suggest
from faceflow.metrics.guesses import FloatArray, always_f1, prior_f1
from faceflow.metrics.intensity import ratio
from faceflow.metrics.metric import AT_HALF, Column, Needs, columns
from faceflow.metrics.paired_test import PairedScores, PairedTest, holm
from faceflow.metrics.thresholds import DEFAULT_THRESHOLD
from faceflow.progress import progress_bar

MEAN = "mean"  # in the place of an AU
WIN, TIE, LOSS = "win", "tie", "loss"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Runs compared with the first of them.

    Attributes:
        rows: one per run, metric and AU, and one for the mean over AUs; see `differences`.
        metrics: that all runs have.
        notes: what is not compared, and why.
        reference: name of the first run.
        runs: names of the others.
        images: number of faces.
        subjects: number of subjects.
        least_p: smallest possible p value, before correction.
        every_swap: whether the number of subjects limits it, not the number of swaps tried.
        level: significance level of a win or a loss.
    """

    rows: pd.DataFrame
    metrics: tuple[Column, ...]
    notes: tuple[str, ...]
    reference: str
    runs: tuple[str, ...]
    images: int
    subjects: int
    least_p: float
    every_swap: bool
    level: float


def asked_metrics(names: object) -> tuple[Column, ...]:
    """Metrics by the names of their columns.

    Raises:
        ConfigError: this is not a list of metrics that can be compared.
    """
    known = {column.name: column for column in columns() if _comparable(column)}
    listed = [names] if isinstance(names, str) else names
    if not isinstance(listed, list | tuple) or not listed:
        raise ConfigError(f"metrics: expected a list of scores such as [f1_val,ap], got {names!r}; name one or more")
    for name in listed:
        if name not in known:
            raise ConfigError(f"metrics: expected scores of AUs, got {name!r}; {suggest(str(name), known)}")
    return tuple(known[name] for name in dict.fromkeys(listed))


def differences(
    runs: Sequence[Predictions], metrics: Sequence[Column], *, level: float, resamples: int, seed: int
) -> Comparison:
    """Compare runs with the first, on the same faces.

    Rows hold: run, reference, metric, au; base_rate of the AU, and F1 of always predicting it (`f1_always`) and of
    guessing it at the base rate (`f1_prior`); score_reference, score, difference = score - score_reference with the
    bounds low and high of its 95 % interval; p; p_holm, corrected over the AUs of all runs for that metric (for the
    mean: over the runs); and the verdict on the run at `level`: win, tie or loss, empty if there is no score.

    Args:
        runs: from `on_same_faces`.
        metrics: from `asked_metrics`.
        level: of p_holm.
        resamples: of the subjects, and swaps of them.
        seed: of the draws.

    Raises:
        ConfigError: none of the metrics can be computed for all runs.
    """
    reference, others = runs[0], runs[1:]
    lacking = {column.name: reason for column in metrics if (reason := _lacks(column, runs))}
    kept = tuple(column for column in metrics if column.name not in lacking)
    notes = tuple(
        f"{column.header} is not compared: {lacking[column.name]}." for column in metrics if column.name in lacking
    )
    if not kept:
        raise ConfigError(
            f"metrics: expected one that all runs have, got none: {' '.join(notes).rstrip('.')}; choose another"
        )
    rankings = any(column.metric.needs is Needs.RANKING for column in kept)
    steps = len(others) * len(reference.aus) if rankings else 0
    with progress_bar("Comparing", steps, unit="AUs") as bar:
        test = PairedTest(reference.faces["subject"], resamples=resamples, seed=seed, advance=bar.advance)
        found = [_compare(test, reference, run, kept) for run in others]
    rates = _base_rates(reference)
    parts = [
        _frame(column, reference, run, scores[column.name], rates)
        for column in kept
        for run, scores in zip(others, found, strict=True)
    ]
    rows = pd.concat(parts, ignore_index=True)
    means = rows["au"] == MEAN
    for family in (means, ~means):
        for column in kept:
            chosen = family & (rows["metric"] == column.name)
            rows.loc[chosen, "p_holm"] = holm(rows.loc[chosen, "p"].to_numpy())
    lower = {column.name: column.metric.lower_is_better for column in kept}
    found_rows = zip(rows["difference"], rows["p_holm"], rows["metric"], strict=True)
    rows["verdict"] = [_verdict(float(by), float(p), level, lower=lower[str(metric)]) for by, p, metric in found_rows]
    return Comparison(
        rows=rows,
        metrics=kept,
        notes=notes,
        reference=reference.name,
        runs=tuple(run.name for run in others),
        images=len(reference.faces),
        subjects=test.count,
        least_p=test.least_p,
        every_swap=test.every_swap,
        level=level,
    )


def _comparable(column: Column) -> bool:
    """Whether a mean over AUs and resamples of subjects are meaningful for it."""
    return column.metric.averaged and (column.metric.needs is not Needs.INTENSITY or column.metric.intervals)


def _lacks(column: Column, runs: Sequence[Predictions]) -> str:
    """Reason why a metric cannot be computed for all runs; "" if it can."""
    if column.metric.needs is Needs.RANKING and (several := [run for run in runs if run.networks > 1]):
        return f"'{several[0].name}' has several folds, whose networks score on different scales"
    if column.metric.needs is Needs.INTENSITY:
        if without := [run for run in runs if not np.isfinite(run.intensity).any()]:
            return f"'{without[0].name}' has no intensities"
        if not np.isfinite(runs[0].graded).any():
            return "there are no intensity labels"
    return ""


def _compare(
    test: PairedTest, reference: Predictions, run: Predictions, metrics: Sequence[Column]
) -> Mapping[str, PairedScores]:
    pair, truth = (reference, run), reference.occurs
    observed = np.isfinite(truth) & np.isfinite(reference.probability) & np.isfinite(run.probability)
    found: dict[str, PairedScores] = {}
    for column in metrics:
        if column.metric.needs is Needs.DECISIONS:
            half = column.threshold == AT_HALF
            cuts = [np.full_like(each.thresholds, DEFAULT_THRESHOLD) if half else each.thresholds for each in pair]
            first, second = (each.probability >= cut for each, cut in zip(pair, cuts, strict=True))
            known = observed & np.isfinite(cuts[0]) & np.isfinite(cuts[1])
            found[column.name] = test.decisions(column.metric, first, second, truth, known)
        elif column.metric.needs is Needs.INTENSITY:
            graded = np.isfinite(reference.graded) & np.isfinite(reference.intensity) & np.isfinite(run.intensity)
            found[column.name] = test.intensities(
                column.metric, reference.intensity, run.intensity, reference.graded, graded
            )
    if ranked := [column.metric for column in metrics if column.metric.needs is Needs.RANKING]:
        found |= test.rankings(ranked, reference.probability, run.probability, truth, observed)
    return found


def _base_rates(run: Predictions) -> FloatArray:
    """Share of the labelled faces that show each AU."""
    labelled = np.isfinite(run.occurs).sum(axis=0)
    return ratio(np.nansum(run.occurs, axis=0), labelled)


def _frame(
    column: Column,
    reference: Predictions,
    run: Predictions,
    scores: PairedScores,
    rates: FloatArray,
) -> pd.DataFrame:
    """Rows of one metric of one run; the mean covers the AUs with a score."""
    valid = np.isfinite(scores.difference.value)
    per_au = {"base_rate": rates, "f1_always": always_f1(rates), "f1_prior": prior_f1(rates)}
    per_au |= {"score_reference": scores.first, "score": scores.second}
    values = {name: [*each, each[valid].mean() if valid.any() else np.nan] for name, each in per_au.items()}
    mean, each = scores.mean, scores.difference
    return pd.DataFrame(
        {
            "run": run.name,
            "reference": reference.name,
            "metric": column.name,
            "au": [*reference.aus, MEAN],
            **values,
            "difference": [*each.value, float(mean.value)],
            "low": [*each.low, float(mean.low)],
            "high": [*each.high, float(mean.high)],
            "p": [*scores.p, scores.mean_p],
        }
    )


def _verdict(difference: float, p: float, level: float, *, lower: bool) -> str:
    if not np.isfinite(difference):
        return ""
    if p > level or difference == 0:
        return TIE
    return WIN if (difference > 0) != lower else LOSS
