from __future__ import annotations

import pytest
from lightning.pytorch.utilities import rank_zero_only

from faceflow.training.rank import is_rank_zero, settle_rank


def test_the_first_process_of_a_run_has_rank_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 0, raising=False)
    assert is_rank_zero()
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    assert not is_rank_zero()
    monkeypatch.delattr(rank_zero_only, "rank")
    assert is_rank_zero()


def test_processes_of_slurm_with_a_run_each_speak_and_those_of_one_run_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 3, raising=False)
    monkeypatch.setenv("SLURM_PROCID", "3")
    settle_rank({"devices": 1, "num_nodes": 1})
    assert is_rank_zero()
    settle_rank({"devices": 2, "num_nodes": 2})
    assert not is_rank_zero()


def test_the_second_machine_is_silent_before_its_trainer_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 0, raising=False)
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NODE_RANK", "1")
    settle_rank({"devices": 1, "num_nodes": 2})
    assert not is_rank_zero()
