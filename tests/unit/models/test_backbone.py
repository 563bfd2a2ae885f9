from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from faceflow.errors import CheckpointError, ConfigError
from faceflow.models.backbone import Backbone, check_backbone, input_statistics
from tests.helpers.networks import random_images, read_weights

FAMILIES = ["test_resnet", "test_convnext", "test_efficientnet", "test_vit"]


def backbone(name: str, size: int = 64, *, weights: Path | None = None, drop_path: float = 0.0) -> Backbone:
    half = (0.5, 0.5, 0.5)
    file = None if weights is None else read_weights(weights, key="model.weights")
    return Backbone(name, image_size=size, mean=half, std=half, weights=file, drop_path=drop_path).eval()


def save_weights(path: Path, name: str, **changes: torch.Tensor) -> Path:
    state = timm.create_model(name).state_dict() | changes
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize(
    ("name", "size", "stages"),
    [
        ("test_resnet", 64, [(32, 32), (32, 16), (48, 8), (192, 4), (96, 2)]),
        ("test_vit", 64, [(64, 4)] * 6),
        ("test_mambaout", 64, [(16, 16), (32, 8), (48, 4), (64, 2)]),  # works in NHWC inside
        ("swin_tiny_patch4_window7_224", 32, [(96, 8), (192, 4), (384, 2), (768, 1)]),  # so does Swin
    ],
)
def test_maps_are_nchw_whatever_the_network_uses_inside(name: str, size: int, stages: list[tuple[int, int]]) -> None:
    network = backbone(name, size)
    _, maps = network(random_images(2, size), maps=True)
    assert [stage.shape for stage in maps] == [(2, width, side, side) for width, side in stages]
    assert network.channels == tuple(width for width, _ in stages)


@pytest.mark.parametrize(
    "name", [*FAMILIES, "test_mambaout", "test_nfnet", "test_byobnet", "regnetz_005", "resnetv2_18"]
)
def test_maps_without_the_head_are_those_of_the_forward_pass_bit_for_bit(name: str) -> None:
    network, images = backbone(name), random_images(2)
    with torch.no_grad():
        _, maps = network(images, maps=True)
        assert all(map(torch.equal, maps, network.feature_maps(images)))
        chosen = network.feature_maps(images, (1, len(maps) - 1))
    assert len(chosen) == 2
    assert all(map(torch.equal, chosen, (maps[1], maps[-1])))


def test_backbone_knows_whether_it_was_pretrained(tmp_path: Path) -> None:
    assert backbone("test_resnet").pretrained is False
    assert backbone("test_resnet", weights=save_weights(tmp_path / "resnet.pth", "test_resnet")).pretrained is True


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_in_timm_naming_reproduce_the_source_model_bit_for_bit(tmp_path: Path, name: str, suffix: str) -> None:
    source = timm.create_model(name, num_classes=7).eval()
    size = source.default_cfg["input_size"][-1]
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in source.state_dict().items()}}, path)
    else:
        save_file(source.state_dict(), path)
    images = random_images(2, size)
    pooled, _ = backbone(name, size, weights=path)(images)
    with torch.no_grad():
        features = source.forward_features((images.float() - 127.5) / 127.5)
        assert torch.equal(pooled, source.forward_head(features, pre_logits=True))


def test_pooled_features_keep_the_layers_that_features_only_would_drop() -> None:
    assert backbone("test_efficientnet").dim == 256  # conv_head; the last map has 64 channels


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"),
    [("test_vit", 64), ("swin_tiny_patch4_window7_224", 64), ("test_convnext", 96)],
)
def test_weights_of_another_image_size_are_resampled_where_they_depend_on_it(
    tmp_path: Path, name: str, size: int
) -> None:
    source = timm.create_model(name, num_classes=0)
    path = tmp_path / "weights.pth"
    torch.save({f"x.{key}": value for key, value in source.state_dict().items()}, path)
    found, state = backbone(name, size, weights=path).model.state_dict(), source.state_dict()
    same = [key for key in state if found[key].shape == state[key].shape]
    resized = [key.rpartition(".")[2] for key in state if key not in same and not key.endswith("_index")]
    assert all(torch.equal(found[key], state[key]) for key in same if not key.endswith("attn_mask"))
    assert set(resized) <= {"pos_embed", "relative_position_bias_table", "attn_mask"}
    assert all(found[key].any() for key in found if key.endswith("pos_embed"))


def trainer_wraps(state: dict[str, torch.Tensor]) -> dict[str, dict[str, Any]]:
    """What trainers make of a state dict; the same tensors zeroed stand where others must not be taken."""

    def under(prefix: str, values: dict[str, torch.Tensor] = state) -> dict[str, torch.Tensor]:
        return {prefix + key: value for key, value in values.items()}

    zeros = {key: torch.zeros_like(value) for key, value in state.items()}
    head = {"fc.weight": torch.ones(4, 96), "projector.0.weight": torch.ones(9, 96)}
    return {
        "plain": under(""),
        "model": under("model.") | head,
        "net": {"state_dict": under("net."), "epoch": 3},
        "backbone": {"model": under("backbone.") | head, "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}},
        "compiled DDP": under("module._orig_mod."),
        "compiled part": under("net._orig_mod.trunk."),
        "encoder and decoder": under("encoder.") | {f"decoder.{k}": v[..., :1] for k, v in zeros.items() if v.ndim},
        "faceflow": {"state_dict": under("network.backbone.model."), "faceflow": {"spec": {"aus": ["AU1"]}}},
        "faceflow average": {
            "state_dict": under("network.backbone.model.", zeros)
            | under("average.network.backbone.model.")
            | under("average.start.model.", zeros)
        },
        "timm average": {"state_dict": zeros, "state_dict_ema": under("")},
        "teacher": {"student": under("backbone.", zeros), "teacher": under("backbone.")},
    }


@pytest.fixture(scope="module")
def source() -> nn.Module:
    model: nn.Module = timm.create_model("test_resnet", num_classes=0).eval()
    return model


@pytest.mark.parametrize("kind", list(trainer_wraps({})))
def test_weights_are_found_by_what_fits(kind: str, source: nn.Module, tmp_path: Path) -> None:
    torch.save(trainer_wraps(source.state_dict())[kind], tmp_path / "weights.pth")
    found = backbone("test_resnet", weights=tmp_path / "weights.pth").model.state_dict()
    assert all(torch.equal(found[key], value) for key, value in source.state_dict().items())


def test_the_source_of_weights_and_unused_entries_are_one_line(
    source: nn.Module, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = {f"net.{key}": value for key, value in source.state_dict().items()} | {"head.weight": torch.ones(3, 96)}
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": state}, path)
    with caplog.at_level(logging.INFO):
        backbone("test_resnet", weights=path)
    assert caplog.messages == [
        f"model.weights: the backbone takes 75 tensors under 'state_dict.net.' of '{path}'; 1 "
        "others, such as 'state_dict.head.weight', are not used"
    ]


def test_weights_are_not_kept_twice(tmp_path: Path) -> None:
    path = save_weights(tmp_path / "resnet.pth", "test_resnet")
    assert "state_dict" not in backbone("test_resnet", weights=path).model.pretrained_cfg


@pytest.mark.parametrize(
    ("source", "target", "found"),
    [
        ("test_resnet", "test_vit", r"a file without 7\d of its 78 tensors \('[a-z]\S+', ...\) but with '[a-z]\S+': "),
        ("resnet34", "resnet18", "those of a larger network: .* has 80 more tensors"),
        ("test_convnext2", "test_convnext3", "other shapes|a file without|those of a larger network"),
    ],
)
def test_weights_of_another_architecture_are_refused(tmp_path: Path, source: str, target: str, found: str) -> None:
    path = save_weights(tmp_path / "weights.safetensors", source)
    with pytest.raises(CheckpointError, match=rf"^model\.weights: expected weights of {target}.*({found})") as caught:
        backbone(target, 96, weights=path)
    assert "\n" not in str(caught.value)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    path = save_weights(tmp_path / "weights.pth", "test_resnet", **{"layer1.0.conv1.weight": torch.zeros(3, 3, 3, 3)})
    with pytest.raises(CheckpointError, match="got other shapes .*size mismatch for layer1.0.conv1.weight") as caught:
        backbone("test_resnet", weights=path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "hint"), [("resnt18", "resnet18"), ("resnet18.typo_in1k", "resnet18")])
def test_unknown_name_or_tag_suggests_known_ones(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=rf"^model\.backbone: expected .* got '{name}'; did you mean '{hint}'"):
        check_backbone(name)


def test_size_that_the_network_cannot_take_names_the_key() -> None:
    with pytest.raises(ConfigError, match=r"^model\.image_size: test_vit does not run on 50 px images .*patch size"):
        backbone("test_vit", 50)


def test_drop_path_of_a_network_without_it_names_the_key() -> None:
    with pytest.raises(ConfigError, match=r"^model\.drop_path: expected 0 for vgg11, which has none, got 0\.1"):
        backbone("vgg11", drop_path=0.1)


def test_pretrained_network_that_nobody_has_trained_is_no_silent_random_start() -> None:
    half = (0.5, 0.5, 0.5)
    with pytest.raises(ConfigError, match=r"^model\.pretrained: could not get weights of test_vit4 .*No pretrained"):
        Backbone("test_vit4", image_size=64, mean=half, std=half, pretrained=True)


def test_statistics_are_those_of_the_pretraining() -> None:
    assert input_statistics("vit_small_patch16_224") == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert input_statistics("resnet18") == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
