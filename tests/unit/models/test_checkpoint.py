from __future__ import annotations

import contextlib
import copy
import dataclasses
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from faceflow.conformal import COVERAGE, Conformal
from faceflow.crop_statistics import CropStatistics
from faceflow.errors import CheckpointError
from faceflow.models.checkpoint import PAYLOAD, Payload, load_network, load_state, network_state, read_checkpoint
from faceflow.models.network import AUNetwork
from faceflow.training.checkpoint_io import AtomicCheckpointIO
from tests.helpers.networks import network_spec, random_images

SPEC = network_spec()
NETWORK = AUNetwork(SPEC).eval()


def payload() -> Payload:
    return Payload(
        spec=SPEC,
        protocol={"split": "by subject", "labels": "0/1"},
        seen=["faces/s1", "faces/s2"],
        config={"seed": 3, "method": {"supervised": {"_target_": "os.system", "criterion": None}}},
        versions={"torch": "2"},
        thresholds={"AU1": 0.25, "AU12": 0.5},
        crop={"align": {"preset": "eyes", "size": 224}},
        crop_statistics=CropStatistics(faces=9, subjects=None, quantiles={"yaw": (-9.0, -5.0, 0.0, 5.0, 9.5)}),
        training_data={"faces": "47e2"},
        run={"id": "2026-11-24_10-00-00", "git": "d7a7"},
        faces={"train": {"pictures": torch.tensor([3, -7]), "labels": torch.tensor([5, 5])}},
    )


def checkpoint() -> dict[str, Any]:
    state = {f"network.{name}": value for name, value in NETWORK.state_dict().items()}
    return {"epoch": 1, "state_dict": state, PAYLOAD: payload().to_dict()}


def write(path: Path, content: dict[str, Any]) -> Path:
    AtomicCheckpointIO().save_checkpoint(content, path)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_network(path, key="checkpoint")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_network_comes_back_from_the_file_alone(tmp_path: Path) -> None:
    network, found = load_network(write(tmp_path / "new" / "best.ckpt", checkpoint()), key="checkpoint")
    assert found == payload()
    assert torch.equal(found.faces["train"]["pictures"], torch.tensor([3, -7]))
    assert not network.training
    assert torch.equal(network(random_images(2)).logits, NETWORK(random_images(2)).logits)


def test_checkpoints_without_statistics_of_crops_have_none(tmp_path: Path) -> None:
    content = checkpoint()
    del content[PAYLOAD]["crop_statistics"]
    assert load_network(write(tmp_path / "best.ckpt", content), key="checkpoint")[1].crop_statistics is None
    assert "crop_statistics" not in dataclasses.replace(payload(), crop_statistics=None).to_dict()


def test_damaged_statistics_of_crops_are_refused(tmp_path: Path) -> None:
    content = checkpoint()
    content[PAYLOAD]["crop_statistics"]["quantiles"]["yaw"] = [1.0]
    message = refusal(write(tmp_path / "best.ckpt", content))
    assert message.endswith("quantiles (1.0,) of yaw; the file is damaged, or not from FaceFlow")


def test_checkpoint_is_plain_data(tmp_path: Path) -> None:
    content, _ = read_checkpoint(write(tmp_path / "best.ckpt", checkpoint()), key="checkpoint")
    assert content["epoch"] == 1
    assert content[PAYLOAD]["config"]["method"]["supervised"]["_target_"] == "os.system"  # read, never called


@pytest.mark.parametrize(
    ("points", "outdated"),
    [
        ((5 / 3, 10 / 3, 5), True),
        ((1.25, 2.5, 3.75, 5), True),
        ((2.5, 5), False),
        ((1, 2, 3, 4, 5), False),
        ((), False),
    ],
)
def test_thresholds_of_0_1_0_are_kept_only_where_occurrence_is_read_off_the_same_level(
    points: tuple[float, ...], outdated: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spec = network_spec(levels=len(points) or 1, cutpoints=points)
    content: dict[str, Any] = {PAYLOAD: dataclasses.replace(payload(), spec=spec).to_dict()}
    content["state_dict"] = {f"network.{name}": value for name, value in AUNetwork(spec).state_dict().items()}
    now = load_network(write(tmp_path / "now.ckpt", content), key="checkpoint")[1]
    assert now.thresholds == payload().thresholds
    assert not caplog.records
    del content[PAYLOAD]["occurrence_level"]
    before = load_network(write(tmp_path / "before.ckpt", content), key="checkpoint")[1]
    assert before.thresholds == ({} if outdated else payload().thresholds)
    assert [("F1@val is left out" in record.getMessage()) for record in caplog.records] == [True] * outdated


def test_checkpoint_from_before_crop_recipes_were_stored_still_loads(tmp_path: Path) -> None:
    content = checkpoint()
    for key in ("crop", "training_data", "run", "faces", "centring"):
        del content[PAYLOAD][key]
    content[PAYLOAD]["format"] = 1
    _, found = load_network(write(tmp_path / "best.ckpt", content), key="checkpoint")
    assert (found.crop, found.training_data, found.run, found.faces, found.centring) == (None, {}, {}, {}, None)
    assert found.thresholds == payload().thresholds


def test_average_is_taken_where_the_run_kept_one(tmp_path: Path) -> None:
    content = checkpoint()
    average = AUNetwork(SPEC).eval()
    content["state_dict"] |= {f"average.network.{name}": value for name, value in average.state_dict().items()}
    content["state_dict"] |= {"average._extra_state": torch.tensor(5), "objectives.miro.b": torch.ones(1)}
    network, _ = load_network(write(tmp_path / "best.ckpt", content), key="checkpoint")
    assert torch.equal(network(random_images(1)).logits, average(random_images(1)).logits)


def test_objectives_are_left_behind(tmp_path: Path) -> None:
    content = checkpoint()
    content["state_dict"] |= {"objectives.miro.oracle.model.conv1.weight": torch.ones(1)}
    assert network_state(content, source="x").keys() == NETWORK.state_dict().keys()
    load_network(write(tmp_path / "best.ckpt", content), key="checkpoint")


def test_weights_of_timm_are_no_checkpoint_and_say_where_they_belong(tmp_path: Path) -> None:
    torch.save(NETWORK.backbone.model.state_dict(), tmp_path / "timm.pth")
    assert refusal(tmp_path / "timm.pth").endswith("for weights of a timm network use model.weights")


def test_newer_format_asks_for_the_version_that_wrote_it(tmp_path: Path) -> None:
    content = checkpoint()
    content[PAYLOAD]["format"] = 5
    path = write(tmp_path / "best.ckpt", content)
    assert refusal(path) == (
        f"{path}: expected checkpoint format 4 or lower, got 5 of a newer FaceFlow; run: pip install -U faceflow"
    )


def test_fields_that_a_later_version_adds_are_passed_over(tmp_path: Path) -> None:
    content = checkpoint()
    content[PAYLOAD]["calibration"] = {"AU1": 2.0}
    _, found = load_network(write(tmp_path / "best.ckpt", content), key="checkpoint")
    assert found == payload()


def test_bands_of_unsure_decisions_are_kept(tmp_path: Path) -> None:
    content, band = checkpoint(), Conformal(coverage=0.9, subjects=4, low={"AU1": 0.25}, high={"AU1": 0.75})
    content[PAYLOAD] = dataclasses.replace(payload(), conformal=band).to_dict()
    path = write(tmp_path / "best.ckpt", content)
    assert load_network(path, key="checkpoint")[1].conformal == band
    content[PAYLOAD][COVERAGE]["low"] = {"AU1": "low"}
    with pytest.raises(CheckpointError, match="a conformal band without numbers per AU; the file is damaged"):
        load_network(write(tmp_path / "odd.ckpt", content), key="checkpoint")


def in_payload(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda content: content[PAYLOAD].update(changes)


def in_spec(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda content: content[PAYLOAD]["spec"].update(changes)


def in_state(name: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda content: content["state_dict"].update({name: value})


@pytest.mark.parametrize(
    "damage",
    [
        in_payload(format=None),
        in_payload(format=torch.ones(2)),
        in_payload(spec=[]),
        in_payload(thresholds={"AU1": "high"}),
        in_payload(thresholds={"AU1": None}),
        in_payload(protocol=None),
        in_payload(seen="s1"),
        in_payload(config="text"),
        in_payload(versions=1),
        in_payload(crop="eyes"),
        in_payload(training_data=["faces"]),
        in_payload(run=1),
        in_payload(format=True),
        in_payload(format=0),
        in_payload(faces=[1]),
        in_payload(faces={"train": {"labels": torch.zeros(2, dtype=torch.int64)}}),
        in_payload(faces={"train": {"pictures": torch.zeros(2)}}),
        in_payload(faces={"train": {"pictures": [1, 2]}}),
        in_payload(
            faces={"train": {name: torch.zeros(n, dtype=torch.int64) for name, n in (("pictures", 2), ("labels", 3))}}
        ),
        in_spec(backbone="hf-hub:x/y"),
        in_spec(backbone="local-dir:/x"),
        in_spec(backbone="test_vit", image_size=50),
        in_spec(backbone="test_vit"),
        in_spec(levels=10**12),
        in_spec(aus=["AU1"]),
        in_state("network.head.linear.bias", torch.zeros(7)),
        in_state("network.head.linear.bias", "text"),
        in_state("network.extra", torch.zeros(1)),
        lambda content: content["state_dict"].pop("network.head.linear.bias"),
        lambda content: content["state_dict"].clear(),
        lambda content: content.pop("state_dict"),
        lambda content: content.update({PAYLOAD: [1]}),
        lambda content: content[PAYLOAD].clear(),
    ],
)
def test_damaged_or_hostile_content_is_refused_in_one_line_with_the_file(
    tmp_path: Path, damage: Callable[[dict[str, Any]], Any]
) -> None:
    content = copy.deepcopy(checkpoint())
    damage(content)
    path = write(tmp_path / "best.ckpt", content)
    assert refusal(path).startswith(f"{path}: ")


def test_missing_file_names_the_config_key(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.ckpt").startswith("checkpoint: expected a file, got ")


def test_weights_for_other_aus_are_not_loaded() -> None:
    other = AUNetwork(network_spec(aus=("AU1", "AU2", "AU4")))
    with pytest.raises(CheckpointError, match=r"^a.ckpt: expected the weights of test_resnet with 3 AUs, got others"):
        load_state(other, NETWORK.state_dict(), source="a.ckpt")


def test_checkpoint_replaces_the_previous_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = write(tmp_path / "last.ckpt", {"epoch": 1})
    write(path, {"epoch": 2})
    assert torch.load(path, weights_only=True) == {"epoch": 2}
    assert list(tmp_path.iterdir()) == [path]


@contextlib.contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    """Let writes beyond a size fail, as on a full disk; Python ignores the signal that comes with it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("limit", [0, 10, 5_000, 100_000, 390_000])
def test_full_disk_leaves_the_previous_checkpoint_and_no_fragment(tmp_path: Path, limit: int) -> None:
    path = write(tmp_path / "last.ckpt", {"epoch": 1})
    before = path.read_bytes()
    with file_size_limit(limit), pytest.raises(CheckpointError) as caught:
        write(path, {"epoch": 2, "weights": torch.ones(100_000)})
    assert str(caught.value).startswith(f"{path}: could not write the checkpoint (File too large); ")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_place_that_cannot_be_written_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"could not write the checkpoint \(File exists\)"):
        write(tmp_path / "file" / "last.ckpt", {})


def test_content_that_cannot_be_pickled_leaves_no_fragment(tmp_path: Path) -> None:
    path = write(tmp_path / "last.ckpt", {"epoch": 1})
    with pytest.raises(AttributeError, match="pickle"):
        write(path, {"hook": lambda: None})
    assert list(tmp_path.iterdir()) == [path]
    assert torch.load(path, weights_only=True) == {"epoch": 1}


def test_constants_that_cannot_centre_are_called_damaged(tmp_path: Path) -> None:
    content = checkpoint()
    content[PAYLOAD]["centring"] = {"thresholds": {}, "logit": {}, "intensity": {}}
    assert refusal(write(tmp_path / "best.ckpt", content)).endswith(
        f"no constants of centred scores for {SPEC.aus[0]}; the file is damaged, or not from FaceFlow"
    )
