from __future__ import annotations

import pytest
from lightning.pytorch.utilities import rank_zero_only

from faceflow.training.rank import is_rank_zero


def test_the_first_process_of_a_run_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 0, raising=False)
    assert is_rank_zero()
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    assert not is_rank_zero()
    monkeypatch.delattr(rank_zero_only, "rank")
    assert is_rank_zero()
