from __future__ import annotations

import io
from typing import Any

import pytest
import timm
import torch

from faceflow.errors import CheckpointError, ConfigError
from faceflow.models.network import AUNetwork, NetworkOutput, NetworkSpec, split_rows
from tests.helpers.networks import network_spec, random_images


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit"])
@pytest.mark.parametrize(
    ("rows", "aus", "levels"),
    [(1, ("AU1", "AU12"), 5), (2, ("AU12",), 5), (2, ("AU1", "AU12"), 1), (1, ("AU12",), 1)],
)
def test_logits_keep_all_three_axes_when_one_of_them_is_single(
    backbone: str, rows: int, aus: tuple[str, ...], levels: int
) -> None:
    network = AUNetwork(network_spec(backbone, aus=aus, levels=levels)).eval()
    assert network(random_images(rows)).logits.shape == (rows, len(aus), levels)


def test_output_channel_a_times_levels_plus_l_is_level_l_of_au_a() -> None:
    head = AUNetwork(network_spec(aus=("AU1", "AU2", "AU12"), levels=5)).head.eval()
    with torch.no_grad():
        head.linear.weight.zero_()
        head.linear.bias.copy_(torch.arange(15.0))
    expected = [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11, 12, 13, 14]]
    assert head(torch.randn(1, head.linear.in_features))[0].tolist() == expected


def test_bytes_and_floats_of_the_same_image_agree() -> None:
    network = AUNetwork(network_spec()).eval()
    images = random_images(2)
    assert torch.equal(network(images).logits, network(images.float()).logits)


def test_normalisation_inside_equals_normalisation_by_hand() -> None:
    mean, std = (0.1, 0.4, 0.6), (0.2, 0.25, 0.5)
    network = AUNetwork(network_spec("test_convnext", mean=mean, std=std)).eval()
    plain = timm.create_model("test_convnext", num_classes=0).eval()
    plain.load_state_dict(network.backbone.model.state_dict())
    images = random_images(2)
    channels = [(images[:, c] / 255 - mean[c]) / std[c] for c in range(3)]
    pooled, _ = network.backbone(images)
    torch.testing.assert_close(pooled, plain(torch.stack(channels, dim=1)), rtol=1e-4, atol=1e-5)


def test_maps_come_only_when_asked_for_and_change_no_logit() -> None:
    network = AUNetwork(network_spec()).eval()
    images = random_images(2)
    plain, with_maps = network(images), network(images, maps=True)
    assert plain.maps == ()
    assert [stage.shape[1] for stage in with_maps.maps] == list(network.backbone.channels)
    assert torch.equal(plain.logits, with_maps.logits)


@pytest.mark.parametrize("stages", [0, 2])
def test_split_rows_undoes_a_concatenation(stages: int) -> None:
    sizes = [3, 1, 2]
    parts = [
        NetworkOutput(torch.randn(size, 2, 5), tuple(torch.randn(size, 4 + stage, 2, 2) for stage in range(stages)))
        for size in sizes
    ]
    whole = NetworkOutput(
        torch.cat([part.logits for part in parts]),
        tuple(torch.cat([part.maps[stage] for part in parts]) for stage in range(stages)),
    )
    for part, again in zip(parts, split_rows(whole, sizes), strict=True):
        assert torch.equal(part.logits, again.logits)
        assert len(again.maps) == stages
        assert all(torch.equal(a, b) for a, b in zip(part.maps, again.maps, strict=True))


def test_prior_makes_the_bias_predict_base_rates() -> None:
    head = AUNetwork(network_spec(levels=2)).head
    rates = torch.tensor([[0.25, 0.1], [0.0, 1.0]])
    head.set_prior(rates)
    expected = torch.tensor([[0.25, 0.1], [0.001, 0.999]])  # clamped: no infinite logits
    torch.testing.assert_close(head.linear.bias.sigmoid().reshape(2, 2), expected)


@pytest.mark.parametrize("key", ["dropout", "drop_path"])
@pytest.mark.parametrize("value", [-0.1, 1.0, "0.5", True, None])
def test_probabilities_out_of_range_name_their_key(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"^model\.{key}: expected a probability in \[0, 1\), got"):
        AUNetwork(network_spec(), **{key: value})


@pytest.mark.parametrize("levels", [1, 2, 5])
def test_spec_survives_a_file_of_plain_values(levels: int) -> None:
    spec = network_spec("test_vit", levels=levels, aus=("AU12_L", "AU12_R"), mean=(0.1, 0.2, 0.3))
    file = io.BytesIO()
    torch.save(spec.to_dict(), file)
    file.seek(0)
    assert NetworkSpec.from_dict(torch.load(file, weights_only=True)) == spec


@pytest.mark.parametrize(
    "changes",
    [
        {"backbone": "hf-hub:x/y"},
        {"backbone": "local-dir:/x"},
        {"backbone": "no_such_model"},
        {"backbone": "resnet18.no_such_tag"},
        {"backbone": 5},
        {"backbone": ["resnet18"]},
        {"aus": []},
        {"aus": ["AU1", "AU1"]},
        {"aus": ["smile"]},
        {"aus": [["AU1"]]},
        {"aus": 5},
        {"levels": 0},
        {"levels": "1"},
        {"levels": True},
        {"levels": 10**12},
        {"levels": 2, "cutpoints": []},
        {"levels": 2, "cutpoints": [3.0, 2.0]},
        {"levels": 2, "cutpoints": ["x", "y"]},
        {"levels": 2, "cutpoints": 3},
        {"levels": 1, "cutpoints": [1.0]},
        {"cutpoints": [1.0, 2.0]},
        {"image_size": 15},
        {"image_size": 10**6},
        {"image_size": 64.0},
        {"image_size": True},
        {"mean": 0.5},
        {"mean": [0.5, 0.5]},
        {"mean": ["a", 0.5, 0.5]},
        {"mean": [float("nan"), 0.5, 0.5]},
        {"mean": [10**400, 0.5, 0.5]},
        {"std": [0.0, 0.5, 0.5]},
        {"std": {"r": 1}},
        {"occurrence_min": None},
        {"occurrence_min": "2"},
        {"occurrence_min": 0.0},
        {"occurrence_min": 6.0},
    ],
    ids=str,
)
def test_spec_of_a_strangers_file_is_refused_in_one_line(changes: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="^network spec: ") as caught:
        NetworkSpec.from_dict(network_spec().to_dict() | changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "more", [{"pooling": "max"}, {"pretrained": True}, {"_target_": "os.system"}, {7: None}, {"__class__": {"x": [1]}}]
)
def test_what_a_later_version_adds_to_a_spec_is_left_out(more: dict[Any, Any]) -> None:
    assert NetworkSpec.from_dict(network_spec().to_dict() | more) == network_spec()


@pytest.mark.parametrize("key", list(network_spec().to_dict()))
def test_spec_without_one_of_its_keys_is_refused(key: str) -> None:
    raw = network_spec().to_dict()
    del raw[key]
    with pytest.raises(CheckpointError, match=f"^network spec: expected '{key}', got none$"):
        NetworkSpec.from_dict(raw)


def test_spec_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(CheckpointError, match="got list"):
        NetworkSpec.from_dict(["backbone"])  # type: ignore[arg-type]
