"""Training of models that read features: one pass over both inputs, methods that need pixels, warm starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from faceflow.errors import CheckpointError, ConfigError
from faceflow.methods.miro import MIRO
from faceflow.models.network import AUNetwork
from faceflow.training.averages import EMA, WiseFT
from faceflow.training.build import build_network
from faceflow.training.linear_probe import LinearProbe
from faceflow.training.optim import parameter_groups
from faceflow.training.warm_start import read_start
from tests.helpers.features import feature_spec, pixel_free, random_vectors
from tests.helpers.networks import network_spec, random_images
from tests.helpers.training import fit, make_module
from tests.unit.training.test_warm_start import MODEL, checkpoint, save, trained

LABELS = {"target": torch.ones(4, 2, 1), "mask": torch.ones(4, 2, dtype=torch.bool), "index": torch.arange(4)}


def vectors(rows: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(random_vectors(rows, seed))


def batch(*, pixels: bool) -> dict[str, dict[str, Tensor]]:
    images = {"labeled": random_images(4)} if pixels else {}
    return {"labeled": LABELS | images | {"labeled/features": vectors(4)}}


def network(**changes: Any) -> AUNetwork:
    found = AUNetwork(network_spec(**changes))
    found.fit(vectors(20))
    return found


@pytest.mark.parametrize("pixels", [False, True], ids=["features", "fused"])
def test_a_step_moves_every_part_and_the_average_follows(pixels: bool) -> None:
    spec = {"features": feature_spec()} if pixels else pixel_free()
    net = network(**spec)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    average = EMA(decay=0.9)
    fit(make_module(network=net, spec=net.spec, average=average), [batch(pixels=pixels)])
    moved = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert {f"branches.{part}.{layer}.weight" for part in net.branches for layer in ("hidden", "head.linear")} <= moved
    assert ("head.linear.weight" in moved) is pixels
    assert not any(name.endswith((".mean", ".basis")) for name in moved)
    followed = average.network.state_dict()
    assert not torch.equal(followed["branches.landmarks.hidden.weight"], before["branches.landmarks.hidden.weight"])


def test_layers_that_read_features_have_the_rate_of_the_heads() -> None:
    groups = parameter_groups(
        network(features=feature_spec()), {}, lr=1.0, weight_decay=0.1, layer_decay=0.5, head_lr_mult=10.0
    )
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    net = network(**pixel_free("landmarks"))
    groups = parameter_groups(net, {}, lr=1.0, weight_decay=0.1, layer_decay=0.5, head_lr_mult=10.0)
    assert {group["lr"] for group in groups} == {10.0}
    assert sum(len(group["params"]) for group in groups) == len(list(net.parameters()))
    assert sorted(set(rates.values()))[-1] == 10.0


def test_a_method_or_average_that_needs_a_backbone_is_refused_by_name() -> None:
    miro = MIRO(weight=0.1, lr_mult=1.0, variance_init=0.1, epsilon=1e-5, normalize="none", freeze_batch_norm=False)
    with pytest.raises(ConfigError, match=r"^method: expected a model with a pretrained backbone, .*model=fused"):
        miro.check_without_backbone()
    with pytest.raises(ConfigError, match="^average: expected a model with a backbone, .* use average=ema or swa"):
        WiseFT(alpha=0.5).check_without_backbone()
    module = make_module(network=network(**pixel_free()), spec=network_spec(**pixel_free()))
    with pytest.raises(ConfigError, match="^callbacks.linear_probe: expected a model with a backbone"):
        LinearProbe(share=0.5).on_train_start(None, module)  # type: ignore[arg-type]


class TestWarmStart:
    def start(self, spec: Any, path: str) -> AUNetwork:
        return build_network(
            spec, MODEL, start=read_start(path, None), channels_last=False, features=vectors(9, seed=5)
        )

    @pytest.mark.parametrize("values", [pixel_free(), {"features": feature_spec()}], ids=["features", "fused"])
    def test_the_same_network_is_taken_over_whole(self, values: dict[str, Any], tmp_path: Path) -> None:
        source = trained(network_spec(**values))
        source.fit(vectors(20))
        found = self.start(source.spec, save(tmp_path / "best.ckpt", checkpoint(source)))
        assert all(torch.equal(value, source.state_dict()[name]) for name, value in found.state_dict().items())

    def test_a_fused_network_takes_over_pixels_and_features_from_either(self, tmp_path: Path) -> None:
        pixels, shapes = trained(network_spec()), trained(network_spec(**pixel_free("blendshapes")))
        spec = network_spec(features=feature_spec())
        own = self.start(spec, save(tmp_path / "pixels.ckpt", checkpoint(pixels)))
        assert torch.equal(own.head.linear.weight, pixels.head.linear.weight)
        own = self.start(spec, save(tmp_path / "features.ckpt", checkpoint(shapes)))
        for name, value in shapes.branches["blendshapes"].state_dict().items():
            assert torch.equal(own.branches["blendshapes"].state_dict()[name], value)

    def test_aus_are_taken_over_by_name_in_every_head(self, tmp_path: Path) -> None:
        source = trained(network_spec(**pixel_free("landmarks"), aus=("AU1", "AU12")))
        spec = network_spec(**pixel_free("landmarks"), aus=("AU12", "AU4"))
        found = self.start(spec, save(tmp_path / "best.ckpt", checkpoint(source))).heads["landmarks"].linear.bias
        assert found.tolist() == [source.heads["landmarks"].linear.bias[1].item(), 0.0]

    def test_layers_of_another_width_are_one_line(self, tmp_path: Path) -> None:
        source = trained(network_spec(**pixel_free("landmarks")))
        spec = network_spec(**pixel_free(features=feature_spec("landmarks", hidden=4)))
        with pytest.raises(CheckpointError, match=r"^init_weights: expected the branch of landmarks with model.hidden"):
            self.start(spec, save(tmp_path / "best.ckpt", checkpoint(source)))
