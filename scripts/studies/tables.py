"""Results of a part as Markdown: protocol, scores, differences, centred scores, settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from studies.parts import Part
from studies.resampling import COUNT
from studies.results import RAW, with_means
from studies.run_scores import CENTRED, RunScores
from studies.runs import BATCH, EPOCHS, POOL_PER_LABELLED, Conditions

HEADERS = {
    "f1_val": "F1@val",
    "f1_0.5": "F1@0.5",
    "ap": "AP",
    "auroc": "AUROC",
    "subject_share": "subject share",
    "pseudo_precision": "pseudo-label precision",
    "pseudo_recall": "pseudo-label recall",
}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The chosen candidate setting of a method, and the validation AP of all, (candidates, seeds)."""

    candidate: int
    tried: Sequence[Sequence[float]]

    @property
    def scores(self) -> list[str]:
        """Validation AP of each candidate, formatted."""
        return [" ".join(f"{score:.3f}" for score in scores) for scores in self.tried]


def report(
    part: Part,
    conditions: Conditions,
    *,
    choices: Mapping[str, Choice],
    run_scores: Sequence[RunScores],
    results: pd.DataFrame,
    compared: pd.DataFrame,
) -> str:
    """The whole report.

    Args:
        part: part of the study.
        conditions: settings shared by the runs.
        choices: chosen candidates by method.
        run_scores: all tests.
        results: numbers of the tests, from `results_frame`.
        compared: from `differences`.
    """
    blocks = [
        [f"## {part.name}: {part.question}"],
        list(_protocol(conditions, choices, run_scores, results)),
        list(_scores(part, with_means(results), compared)),
        list(_centred(with_means(results), compared)),
        list(_settings(part, choices)),
    ]
    return "\n\n".join("\n".join(lines) for lines in blocks if lines) + "\n"


def _protocol(
    conditions: Conditions, choices: Mapping[str, Choice], run_scores: Sequence[RunScores], results: pd.DataFrame
) -> Iterator[str]:
    seeds = sorted(results["seed"].unique())
    first = [each for each in run_scores if each.seed == seeds[0]]
    weights = f", weights of {conditions.weights.name}" if conditions.weights else ""
    yield f"- Model: {conditions.model}, {conditions.size} px{weights}"
    yield (
        f"- Training: {conditions.steps} updates for every method, each on {BATCH} labelled faces and, for methods "
        f"that use them, {BATCH * POOL_PER_LABELLED} unlabelled faces; {EPOCHS} validations; the checkpoint with the "
        "best AP is tested"
    )
    if conditions.overrides:
        yield f"- Additional settings of every training run: `{' '.join(conditions.overrides)}`"
    for key in ("split", "train", "val", "unlabeled", "labels"):
        if said := next((each.protocol[key] for each in first if key in each.protocol), ""):
            yield f"- {key.capitalize()}, seed {seeds[0]}: {said}"
    for each in first:
        if each.method == first[0].method:
            yield f"- Test {each.test}, seed {seeds[0]}: {each.protocol['test']}"
    tried = next(iter(choices.values())).tried
    tuned = "seed 0" if len(tried[0]) == 1 else f"seeds 0 to {len(tried[0]) - 1}"
    yield (
        f"- Settings: {len(tried)} candidates of every method; the one with the best AP on the validation subjects of "
        f"{tuned} was chosen, and only chosen candidates were tested"
    )
    yield (
        f"- Scores: mean ± standard deviation over seeds {', '.join(map(str, seeds))}, each with its own draw of "
        "subjects; F1@val uses thresholds from the validation subjects. Subject share: the share of the variance of "
        "logits on test faces that is between subjects. Pseudo-labels: for all faces of the unlabelled stream, "
        "including labelled ones, in the epoch of the tested checkpoint, compared with labels hidden from training"
    )
    yield f"- Differences: paired by seed, with 95 % intervals of {COUNT} resamples of seeds and of test subjects"


def _scores(part: Part, results: pd.DataFrame, compared: pd.DataFrame) -> Iterator[str]:
    shown = {name: header for name, header in HEADERS.items() if name in results}
    references = [name for name in part.references if name in set(compared["reference"])]
    pairs = [(metric, name) for name in references for metric in ("f1_val", "ap")]
    gains = [f"{HEADERS[metric]} - {name}" for metric, name in pairs]
    yield from _head(["method", "test", *shown.values(), *gains, "s"])
    for method, test, rows in _by_test(results):
        cells = [_spread(rows[name]) for name in shown]
        cells += [_difference(compared, method, test, name, metric) for metric, name in pairs]
        yield _row([method, test, *cells, f"{rows['seconds'].mean():.0f}"])


def _centred(results: pd.DataFrame, compared: pd.DataFrame) -> Iterator[str]:
    """Raw against centred scores of the methods that have both; empty if none has."""
    centred = set(compared.loc[compared["reference"] == RAW, "method"])
    if not centred:
        return
    yield "Centred by subject: each test subject's median score was subtracted, without labels."
    yield ""
    columns = [f"{HEADERS[metric]}{kind}" for metric in ("ap", "f1_val") for kind in ("", " centred", ", change")]
    yield from _head(["method", "test", *columns])
    for method, test, rows in _by_test(results[results["method"].isin(centred)]):
        cells = []
        for metric in ("ap", "f1_val"):
            cells += [_spread(rows[metric]), _spread(rows[f"{CENTRED}_{metric}"])]
            cells.append(_difference(compared, method, test, RAW, metric))
        yield _row([method, test, *cells])


def _settings(part: Part, choices: Mapping[str, Choice]) -> Iterator[str]:
    yield from _head(["method", "candidate settings", "validation AP", "chosen"])
    for method, choice in choices.items():
        for number, (settings, scores) in enumerate(zip(part.methods[method], choice.scores, strict=True)):
            chosen = "yes" if number == choice.candidate else ""
            yield _row([method, f"`{' '.join(settings)}`", scores, chosen])


def _by_test(results: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Rows of all seeds, method by method."""
    for method, runs in results.groupby("method", sort=False):
        for test, rows in runs.groupby("test", sort=False):
            yield str(method), str(test), rows


def _difference(compared: pd.DataFrame, method: str, test: str, reference: str, metric: str) -> str:
    same = (compared["method"] == method) & (compared["test"] == test)
    rows = compared[same & (compared["reference"] == reference) & (compared["metric"] == metric)]
    if rows.empty:
        return ""
    row = rows.iloc[0]
    return f"{_spread_of(row['mean'], row['std'], '+')} [{row['low']:+z.3f}, {row['high']:+z.3f}]"


def _spread(values: pd.Series[float]) -> str:
    return _spread_of(values.mean(), values.std(), "") if values.notna().any() else ""


def _spread_of(mean: float, std: float, sign: str) -> str:
    return f"{mean:{sign}z.3f}" + (f" ± {std:.3f}" if np.isfinite(std) else "")


def _head(headers: Sequence[str]) -> Iterator[str]:
    yield _row(headers)
    yield "|" + "---|" * len(headers)


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
