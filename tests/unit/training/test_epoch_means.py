"""Means of an epoch, against sums worked out by hand."""

from __future__ import annotations

import pytest
import torch

from faceflow.training.epoch_means import EpochMeans


def test_steps_weigh_as_many_rows_as_they_have() -> None:
    means = EpochMeans()
    means.update({"a": torch.tensor(1.0), "b": torch.tensor(10.0)}, weight=3)
    means.update({"a": torch.tensor(5.0), "b": torch.tensor(30.0)}, weight=1)
    assert means.weight == 4
    assert {name: float(value) for name, value in means.compute().items()} == {"a": 2.0, "b": 15.0}


def test_the_next_epoch_starts_afresh() -> None:
    means = EpochMeans()
    means.update({"a": torch.tensor(1.0)}, weight=2)
    means.compute()
    assert means.compute() == {}
    means.update({"a": torch.tensor(7.0)}, weight=1)
    assert float(means.compute()["a"]) == pytest.approx(7.0)


def test_no_graph_is_kept() -> None:
    means = EpochMeans()
    means.update({"a": torch.ones(1, requires_grad=True).sum()}, weight=1)
    assert not means.compute()["a"].requires_grad
