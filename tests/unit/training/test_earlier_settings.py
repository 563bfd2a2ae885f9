from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from faceflow.errors import CheckpointError
from faceflow.models.checkpoint import PAYLOAD, Payload
from faceflow.training.module import AUModule
from faceflow.training.resume import check_resume
from tests.helpers.networks import network_spec
from tests.helpers.training import make_module


def module(**fixmatch: Any) -> AUModule:
    spec, config = (
        network_spec(),
        {"method": {"fixmatch": {"p_cutoff": 0.95, **fixmatch}}, "trainer": {"max_epochs": 2}},
    )
    return make_module(spec=spec, payload=Payload(spec=spec, protocol={}, seen=[], config=config, versions={}))


def test_a_run_resumes_without_a_key_that_is_gone_but_not_with_another_value(tmp_path: Path) -> None:
    earlier = module(cutoff_step=0.02)
    path = tmp_path / "last.ckpt"
    epochs, batches = {"current": {"ready": 1, "processed": 1}}, {"is_last_batch": True}
    progress = {"epoch_progress": epochs, "epoch_loop.batch_progress": batches}
    state = dict.fromkeys(("optimizer_states", "lr_schedulers", "callbacks")) | {"loops": {"fit_loop": progress}}
    saved = {**state, "state_dict": earlier.state_dict(), "global_step": 4, PAYLOAD: earlier.payload.to_dict()}
    torch.save(saved, path)
    check_resume(str(path), module())
    with pytest.raises(CheckpointError, match=r"expected method\.fixmatch\.p_cutoff=0\.95"):
        check_resume(str(path), module(p_cutoff=0.9))
    with pytest.raises(CheckpointError, match=r"expected method\.fixmatch="):
        check_resume(str(path), module(ramp_up=0.1))
