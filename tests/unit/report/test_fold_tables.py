from __future__ import annotations

import numpy as np
import pytest

from faceflow.console import print_tables
from faceflow.metrics.aggregate import Aggregate
from faceflow.report.fold_tables import FoldScores, folds_table


def fold(name: str, aus: int, auroc: list[float], icc: list[float]) -> FoldScores:
    per_au = {"auroc": dict(zip("ab", auroc, strict=True)), "icc": dict(zip("ab", icc, strict=True))}
    scores = {metric: float(np.nanmean([*values.values()])) for metric, values in per_au.items()}
    return FoldScores(name=name, images=9, subjects=3, aus=aus, scores=scores, per_au=per_au)


def shown(folds: list[FoldScores], capsys: pytest.CaptureFixture[str]) -> str:
    overall = {name: Aggregate(values=tuple(one.scores[name] for one in folds)) for name in ("auroc", "icc")}
    print_tables(folds_table(folds, overall, title="Test by fold", unit="fold", caption="split: by subject"))
    return " ".join(capsys.readouterr().out.split())


def test_counts_of_aus_behind_a_mean_are_reported_where_they_differ(capsys: pytest.CaptureFixture[str]) -> None:
    alike = fold("fold1", 2, [0.5, 1.0], [0.25, 0.75])
    assert shown([alike], capsys).endswith("split: by subject")
    other = fold("fold2", 2, [0.5, 1.0], [0.25, np.nan])
    text = shown([alike, other], capsys)
    assert text.endswith("split: by subject AUs in the mean, where the number differs from the row: ICC fold2 1")
    assert "fold2 9 3 2 0.750 0.250" in text
    assert shown([alike, *[other] * 7], capsys).endswith("differs from the row: ICC in 7 of 8 rows")
