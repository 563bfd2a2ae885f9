from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from faceflow.errors import CheckpointError
from faceflow.methods.miro import MIRO
from faceflow.models.checkpoint import PAYLOAD, Payload
from faceflow.models.network import AUNetwork, NetworkSpec
from faceflow.training.averages import WiseFT
from faceflow.training.build import build_network
from faceflow.training.checkpoint_io import AtomicCheckpointIO
from faceflow.training.warm_start import read_start, start_settings
from tests.helpers.features import feature_spec
from tests.helpers.networks import label_counts, network_spec
from tests.helpers.training import make_module

MODEL = {"pretrained": False, "dropout": 0.0, "drop_path": 0.0}
BP4D, DISFA = ("AU1", "AU2", "AU7", "AU12"), ("AU12", "AU25", "AU1")


def trained(spec: NetworkSpec) -> AUNetwork:
    """A network whose every weight has left its start."""
    torch.manual_seed(1)
    network = AUNetwork(spec)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.1)
    return network


def checkpoint(network: AUNetwork) -> dict[str, Any]:
    payload = Payload(spec=network.spec, protocol={}, seen=[], config={}, versions={})
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    return {"state_dict": state, PAYLOAD: payload.to_dict()}


def save(path: Path, content: dict[str, Any]) -> str:
    AtomicCheckpointIO().save_checkpoint(content, path)
    return str(path)


def start(spec: NetworkSpec, path: str) -> AUNetwork:
    return build_network(spec, MODEL, start=read_start(path, None), channels_last=False)


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("levels", [1, 3])
def test_the_same_network_is_loaded_whole_without_a_message(
    levels: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = trained(network_spec(levels=levels, aus=BP4D))
    with caplog.at_level(logging.INFO):
        network = start(source.spec, save(tmp_path / "best.ckpt", checkpoint(source)))
    assert_same(network.state_dict(), source.state_dict())
    assert network.backbone.pretrained
    assert caplog.messages == []


@pytest.mark.parametrize("levels", [1, 3])
def test_heads_of_shared_aus_are_taken_over_by_name_and_others_start_at_their_rates(
    levels: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = trained(network_spec(levels=levels, aus=BP4D))
    path = save(tmp_path / "best.ckpt", checkpoint(source))
    with caplog.at_level(logging.INFO):
        network = start(network_spec(levels=levels, aus=DISFA), path)
    assert caplog.messages == [
        f"init_weights: the backbone and the heads of AU12, AU1 are from '{path}'; the heads of AU25 are new"
    ]
    assert_same(network.backbone.state_dict(), source.backbone.state_dict())
    assert_same(network.head.norm.state_dict(), source.head.norm.state_dict())
    # Output channel a * L + l is level l of AU a.
    for ours, theirs in ((0, 3), (2, 0)):
        for level in range(levels):
            row, source_row = ours * levels + level, theirs * levels + level
            assert torch.equal(network.head.linear.weight[row], source.head.linear.weight[source_row])
            assert torch.equal(network.head.linear.bias[row], source.head.linear.bias[source_row])
    new = network.head.linear.weight[levels : 2 * levels]
    assert new.abs().max() < 0.1  # drawn anew
    assert not any(torch.equal(row, old) for row in new for old in source.head.linear.weight)

    before = network.head.linear.bias.detach().clone()
    make_module(spec=network.spec, network=network, counts=label_counts([[4] * levels] * 3, [10, 16, 10]))
    after = network.head.linear.bias.detach().view(3, levels)
    assert torch.equal(after[[0, 2]], before.view(3, levels)[[0, 2]])
    torch.testing.assert_close(after[1].sigmoid(), torch.full((levels,), 0.25))


@pytest.mark.parametrize(
    ("theirs", "ours", "reason"),
    [
        (
            {"levels": 1},
            {"levels": 5},
            "all heads are new, as its labels have one level and these have 5 levels cut at ",
        ),
        (
            {"levels": 2},
            {"levels": 2, "cutpoints": (1.0, 4.0)},
            "as its labels have 2 levels cut at .* and these have 2 levels cut at 1.0, 4.0",
        ),
        ({"aus": ("AU4",)}, {"aus": ("AU6", "AU9")}, "the heads of no AU are from .* AU6, AU9 are new"),
    ],
)
def test_head_is_new_where_it_means_something_else(
    theirs: dict[str, Any], ours: dict[str, Any], reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = trained(network_spec(**theirs))
    with caplog.at_level(logging.INFO):
        network = start(network_spec(**ours), save(tmp_path / "best.ckpt", checkpoint(source)))
    (message,) = caplog.messages
    assert re.search(reason, message), message
    assert_same(network.backbone.state_dict(), source.backbone.state_dict())
    assert not network.head.linear.bias.any()
    assert torch.equal(network.head.norm.weight, torch.ones(network.backbone.dim))


def test_average_is_taken_where_the_run_kept_one(tmp_path: Path) -> None:
    network, average = trained(network_spec()), AUNetwork(network_spec())
    content = checkpoint(network)
    content["state_dict"] |= {f"average.network.{name}": value for name, value in average.state_dict().items()}
    content["state_dict"] |= {f"average.start.{name}": value for name, value in network.backbone.state_dict().items()}
    path = save(tmp_path / "best.ckpt", content)
    assert_same(start(network.spec, path).state_dict(), average.state_dict())
    other = start(network_spec(aus=("AU12",)), path)
    assert_same(other.backbone.state_dict(), average.backbone.state_dict())
    assert torch.equal(other.head.linear.weight[0], average.head.linear.weight[1])


def test_miro_and_wise_ft_start_from_the_backbone_that_was_taken_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = trained(network_spec())
    network = start(network_spec(aus=("AU12", "AU25")), save(tmp_path / "best.ckpt", checkpoint(source)))
    miro = MIRO(weight=1.0, lr_mult=1.0, variance_init=0.1, epsilon=1e-5, normalize="none", freeze_batch_norm=True)
    miro.bind(network, label_counts([[1], [1]], [2, 2]))
    average = WiseFT(alpha=0.5)
    average.bind(network)
    assert_same(miro.oracle.state_dict(), source.backbone.state_dict())
    assert_same(average.start.state_dict(), source.backbone.state_dict())
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_image_size_can_differ(tmp_path: Path) -> None:
    source = trained(network_spec("test_vit"))
    path = save(tmp_path / "best.ckpt", checkpoint(source))
    network = start(network_spec("test_vit", image_size=96), path)
    assert network.backbone.model.pos_embed.shape == (1, 1 + 6 * 6, 64)
    assert torch.equal(
        network.backbone.model.blocks[0].attn.qkv.weight, source.backbone.model.blocks[0].attn.qkv.weight
    )
    assert torch.equal(network.head.linear.weight, source.head.linear.weight)


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "best.ckpt", checkpoint(AUNetwork(network_spec())))
    with pytest.raises(CheckpointError) as caught:
        start(network_spec("test_efficientnet"), path)
    assert str(caught.value) == (
        f"init_weights: expected a network with backbone test_efficientnet, got test_resnet in '{path}'; set "
        "model.backbone to it"
    )


def test_tag_of_the_pretraining_can_differ(tmp_path: Path) -> None:
    source = trained(network_spec())
    network = start(network_spec("test_resnet.r160_in1k"), save(tmp_path / "best.ckpt", checkpoint(source)))
    assert_same(network.state_dict(), source.state_dict())


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("network.head.linear.bias", torch.zeros(7), r"head\.linear\.bias of shape \(2,\), got \(7,\)"),
        ("network.head.linear.weight", "text", r"head\.linear\.weight of shape \(2, 96\), got none"),
        ("network.head.norm.weight", torch.zeros(1), r"head\.norm\.weight of shape \(96,\)"),
        ("network.backbone.model.bn1.weight", "text", r"without 1 of its 75 tensors \('bn1\.weight', \.\.\.\)"),
        ("network.backbone.model.bn1.weight", torch.zeros(3), "got other shapes"),
        ("network.backbone.model.layer9.weight", torch.zeros(3), None),
    ],
)
def test_damaged_or_hostile_weights_are_refused_in_one_line(
    name: str, value: Any, found: str | None, tmp_path: Path
) -> None:
    content = checkpoint(AUNetwork(network_spec()))
    content["state_dict"][name] = value
    path = save(tmp_path / "best.ckpt", content)
    if found is None:  # a layer that nothing asks for
        start(network_spec(), path)
        return
    with pytest.raises(CheckpointError, match=rf"^init_weights: expected .*{found}") as caught:
        start(network_spec(), path)
    assert "\n" not in str(caught.value)
    assert path in str(caught.value)


def test_own_checkpoint_serves_as_weights_of_a_backbone(tmp_path: Path) -> None:
    source = trained(network_spec())
    path = save(tmp_path / "best.ckpt", checkpoint(source))
    network = build_network(network_spec(aus=("AU9",)), MODEL, start=read_start(None, path), channels_last=True)
    assert_same(network.backbone.state_dict(), source.backbone.state_dict())
    assert network.backbone.pretrained
    assert not network.head.linear.bias.any()


def test_settings_of_a_start_describe_its_network(tmp_path: Path) -> None:
    changes = {"features": feature_spec("landmarks"), "fusion": 0.25, "cutpoints": (2.0, 4.0)}
    source = AUNetwork(network_spec(levels=2, **changes))
    assert start_settings(save(tmp_path / "best.ckpt", checkpoint(source))) == {
        "model.backbone": "test_resnet",
        "model.image_size": 64,
        "model.mean": [0.5, 0.5, 0.5],
        "model.std": [0.5, 0.5, 0.5],
        "model.features": ["landmarks"],
        "model.hidden": 8,
        "model.components": 6,
        "model.fusion": 0.25,
        "levels": 2,
        "cutpoints": [2.0, 4.0],
    }
