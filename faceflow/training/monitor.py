"""The metric that chooses the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from faceflow.errors import ConfigError, DataError, suggest
from faceflow.evaluation.scoring import SplitScorer
from faceflow.metrics.metric import column_named, columns

_OVER_AUS = ("micro_f1_val", "valid_aus", "valid_aus_icc")  # not defined per AU


def default_monitor(levels: int) -> str:
    """Metric that chooses the checkpoint if a config sets none."""
    return "val/f1_val" if levels == 1 else "val/icc"


def check_monitor_name(monitor: object) -> None:
    """Check that a metric could be monitored, independent of the data.

    Raises:
        ConfigError: there is no metric of that name.
    """
    names = [*(column.name for column in columns()), *_OVER_AUS]
    split, *parts = str(monitor).split("/")  # a data set can be in between, an AU at the end
    if split != "val" or not set(parts) & set(names):
        raise ConfigError(
            f"monitor: expected a validation metric, got '{monitor}'; "
            f"{suggest(str(monitor), [f'val/{name}' for name in names])}"
        )


def check_monitor(monitor: str, scorer: SplitScorer, *, callbacks: Mapping[str, Any]) -> None:
    """Check before training that the monitored metric exists and is defined on the validation labels.

    Raises:
        ConfigError: there is no metric of that name, or a callback has the wrong mode for it.
        DataError: the metric is undefined on the validation labels for any prediction.
    """
    shape = (scorer.total, len(scorer.spec.aus), scorer.spec.levels)
    guess, rows = scorer.decode(np.random.default_rng(0).random(shape)), np.arange(scorer.total)
    known = scorer.named("val", scorer.score(rows, guess, scorer.tune(rows, guess)))
    if monitor not in known:
        raise ConfigError(f"monitor: expected a validation metric, got '{monitor}'; {suggest(monitor, known)}")
    column = column_named(monitor.rpartition("/")[2])
    mode = "min" if column is not None and column.metric.lower_is_better else "max"
    for name, node in callbacks.items():
        if node and node.get("monitor") == monitor and node.get("mode", mode) != mode:
            raise ConfigError(f"callbacks.{name}.mode: expected {mode} for monitor={monitor}, got {node['mode']}")
    if not np.isfinite(known[monitor]):
        wanted = "both classes" if column is None else column.metric.defined_on
        raise DataError(
            f"validation labels: expected {wanted} of at least one AU for monitor={monitor}, got none; take more "
            "subjects with split.val, or others with split.seed"
        )
