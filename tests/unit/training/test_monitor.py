from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from faceflow.errors import ConfigError, DataError
from faceflow.evaluation.scoring import SplitScorer
from faceflow.training.monitor import check_monitor, check_monitor_name, default_monitor
from tests.helpers.networks import label_table, network_spec


def check(monitor: str, *, levels: int = 1, labels: list[float] | None = None, **callbacks: Any) -> None:
    table = label_table("faces", {"AU1": labels or [0, 5, 3], "AU12": [0.0, 0, 0]})
    check_monitor(monitor, SplitScorer([table], network_spec(levels=levels)), callbacks=callbacks)


def test_occurrence_is_chosen_by_f1_and_intensity_by_icc() -> None:
    assert (default_monitor(1), default_monitor(5)) == ("val/f1_val", "val/icc")
    check(default_monitor(1))
    check(default_monitor(5), levels=5)


def test_a_metric_that_is_not_logged_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"monitor: expected a validation metric, got 'val/f1'; did you mean"):
        check("val/f1")
    with pytest.raises(ConfigError, match="got 'val/icc'"):
        check("val/icc")  # of a network without intensities


def test_a_callback_must_take_the_better_value_for_the_best() -> None:
    check("val/f1_val", best={"monitor": "val/f1_val", "mode": "max"}, other={"monitor": "val/eer", "mode": "max"})
    check("val/eer", best={"monitor": "val/eer", "mode": "min"}, off=None)
    with pytest.raises(ConfigError, match=r"callbacks.best.mode: expected min for monitor=val/eer, got max"):
        check("val/eer", best={"monitor": "val/eer", "mode": "max"})


def test_labels_on_which_it_is_undefined_are_refused() -> None:
    with pytest.raises(DataError, match="expected both classes of at least one AU for monitor=val/f1_val, got none"):
        check("val/f1_val", labels=[0, 0, 1])
    with pytest.raises(DataError, match="expected several intensities of at least one AU for monitor=val/icc"):
        check("val/icc", levels=5, labels=[3, 3, 3])


@pytest.mark.parametrize("levels", [1, 5])
def test_every_metric_that_is_logged_has_a_name_that_passes(levels: int) -> None:
    tables = [label_table(name, {"AU1": [0, 5, 3], "AU12": [0.0, 4, 0]}) for name in ("one", "two")]
    scorer = SplitScorer(tables, network_spec(levels=levels))
    guess, rows = scorer.decode(np.random.default_rng(0).random((scorer.total, 2, levels))), np.arange(scorer.total)
    for name in scorer.named("val", scorer.score(rows, guess, scorer.tune(rows, guess))):
        check_monitor_name(name)


@pytest.mark.parametrize("monitor", ["val/foo", "f1_val", "test/f1_val", "val", 3])
def test_other_names_are_refused_whatever_the_data(monitor: object) -> None:
    with pytest.raises(ConfigError, match=f"^monitor: expected a validation metric, got '{monitor}'; "):
        check_monitor_name(monitor)
