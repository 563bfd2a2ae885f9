"""All tests of a part: a row per run and test, and differences between methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd

from faceflow.errors import DataError
from studies.resampling import Array, Resamples
from studies.run_scores import RunScores

MEAN = "mean"  # of several test sets
RAW = "raw"  # reference of centred scores

Cells = Mapping[tuple[int, str], Mapping[str, Array]]  # seed and test -> resampled scores by metric


def results_frame(runs: Sequence[RunScores]) -> pd.DataFrame:
    """A row per run and test with every number."""
    return pd.DataFrame(
        [{"method": each.method, "seed": each.seed, "test": each.test, **each.numbers} for each in runs]
    )


def with_means(results: pd.DataFrame) -> pd.DataFrame:
    """Add the mean over tests for every run, if there are several."""
    if results["test"].nunique() == 1:
        return results
    means = results.drop(columns="test").groupby(["method", "seed"], as_index=False, sort=False).mean()
    return pd.concat([results, means.assign(test=MEAN)], ignore_index=True)


def differences(runs: Sequence[RunScores], references: Sequence[str]) -> pd.DataFrame:
    """Differences of F1@val and AP, with intervals, by method, test, reference and metric; see `resampling`.

    The reference is a method, whose run with the same seed completes each pair, or "raw": the change that centring
    makes to the scores of each run.

    Raises:
        DataError: runs of one seed were tested on different faces.
    """
    _check_pairs(runs)
    who: dict[str, set[str]] = {}
    for each in runs:
        who.setdefault(each.test, set()).update(map(str, each.scored.subjects))
    resamples = Resamples(sorted({each.seed for each in runs}), who)
    raw: dict[str, dict[tuple[int, str], Mapping[str, Array]]] = {}
    centred: dict[str, dict[tuple[int, str], Mapping[str, Array]]] = {}
    for each in runs:
        cell = each.seed, each.test
        raw.setdefault(each.method, {})[cell] = resamples.scores(each.test, each.scored)
        if each.centred is not None:
            centred.setdefault(each.method, {})[cell] = resamples.scores(each.test, each.centred)
    rows = []
    for method, ours in raw.items():
        for reference in references:
            if reference in raw and reference != method:
                rows += _compared(resamples, ours, raw[reference], method=method, reference=reference)
        if len(centred.get(method, {})) == len(ours):
            rows += _compared(resamples, centred[method], ours, method=method, reference=RAW)
    columns = ["method", "test", "reference", "metric", "mean", "std", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def _compared(
    resamples: Resamples, ours: Cells, theirs: Cells, *, method: str, reference: str
) -> list[dict[str, object]]:
    """Rows of a method: one per test and metric, plus the mean over tests, if there are several."""
    tests = list(dict.fromkeys(test for _, test in ours))
    sets = {test: [test] for test in tests} | ({MEAN: tests} if len(tests) > 1 else {})
    rows = []
    for name, members in sets.items():
        for metric in ("f1_val", "ap"):
            pair = (
                {(seed, test): values[metric] for (seed, test), values in cells.items() if test in members}
                for cells in (ours, theirs)
            )
            found = asdict(resamples.difference(*pair))
            rows.append({"method": method, "test": name, "reference": reference, "metric": metric, **found})
    return rows


def _check_pairs(runs: Sequence[RunScores]) -> None:
    first: dict[tuple[int, str], RunScores] = {}
    for each in runs:
        other = first.setdefault((each.seed, each.test), each)
        ours, theirs = each.scored, other.scored
        alike = ours.aus == theirs.aus and np.array_equal(ours.faces, theirs.faces)
        if not (alike and np.array_equal(ours.truth, theirs.truth)):
            raise DataError(
                f"{each.method}, seed {each.seed}: expected a test on the faces of {other.method}, got other faces or "
                "labels; use a separate --output for each version of the data"
            )
