from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from timm.layers import SyncBatchNormAct

from faceflow.errors import ConfigError
from faceflow.training.batch_norm import SyncedBatchNorm
from faceflow.training.build import build_trainer


def test_synchronised_layers_keep_activation_weights_and_names() -> None:
    network = timm.create_model("test_efficientnet", pretrained=False).eval()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    names, expected = list(network.state_dict()), network(images)
    synced = SyncedBatchNorm().apply(network)
    assert any(isinstance(part, SyncBatchNormAct) for part in synced.modules())
    assert list(synced.state_dict()) == names
    torch.testing.assert_close(synced(images), expected)


def test_the_cpu_is_refused(tmp_path: Path) -> None:
    settings = {"accelerator": "cpu", "devices": 1, "enable_progress_bar": False, "sync_batchnorm": True}
    with pytest.raises(ConfigError, match=r"trainer.sync_batchnorm: expected GPUs"):
        build_trainer(settings, callbacks={}, watchers=[], loggers=[], output=tmp_path)
