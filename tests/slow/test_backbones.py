"""Every family of backbones is trained for an epoch and exported by the real commands, for occurrence or intensity."""

import itertools
import json

import pytest
import torch

from faceflow.models.network import AUNetwork
from tests.helpers.commands import run_command
from tests.helpers.faces import write_csv_dataset
from tests.helpers.networks import network_spec, random_images

pytestmark = pytest.mark.slow

FAMILIES = {
    "ResNet": ("resnet18", 64),
    "EfficientNet": ("tf_efficientnet_lite0", 64),
    "ConvNeXt V2": ("convnextv2_atto", 64),
    "ViT": ("vit_tiny_patch16_224", 64),
    "Swin": ("swin_tiny_patch4_window7_224", 112),
    "MobileNet": ("mobilenetv4_conv_small", 64),
}
SAMPLE = ("ResNet", "ViT")  # that CI runs too


# Families and numbers of levels are independent in the code, so each family runs once, with alternating numbers.
@pytest.mark.parametrize(
    ("family", "levels"),
    [
        pytest.param(family, levels, marks=() if (family, levels) == ("ResNet", 1) else pytest.mark.release)
        for family, levels in zip(FAMILIES, itertools.cycle([1, 5]), strict=False)
    ],
)
def test_a_family_trains_is_tested_and_exported(family, levels, tmp_path):
    backbone, size = FAMILIES[family]
    folder = write_csv_dataset(tmp_path / "faces", aus=["AU6", "AU12"], subjects=6, frames=4)
    output = tmp_path / "run"
    run_command(
        "train",
        "data=csv",
        f"data.labels={folder / 'labels.csv'}",
        f"data.images={folder / 'images'}",
        f"model.backbone={backbone}",
        "model.pretrained=false",
        f"model.image_size={size}",
        f"levels={levels}",
        "debug=fast",
        "loader.batch_size=8",
        "logger=none",
        f"hydra.run.dir={output}",
    )
    scores = json.loads((output / "metrics.json").read_text())["test"]
    (evaluation,) = scores.values()
    assert evaluation["rows"] > 0
    assert ("icc" in evaluation["summary"]) == (levels == 5)
    model = tmp_path / "model.onnx"
    exported = run_command("export", f"checkpoint={output}/checkpoints/best.ckpt", f"output={model}")
    assert "7 random and 7 real faces" in exported.stdout  # compared with torch, or the command had failed
    assert model.stat().st_size > 1_000_000
    assert len(list(tmp_path.glob("*.onnx*"))) == 1  # no weights beside it


def step(network: AUNetwork, images: torch.Tensor, *, mixed: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of a pass in training, and the gradient of the first layer by a loss of them, as one vector each."""
    network.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        logits = network(images).logits
    (logits.float() - 1).square().mean().backward()
    gradients = [weights.grad for weights in network.parameters() if weights.grad is not None]
    return logits.detach().float().ravel(), gradients[0].clone().ravel()


def difference(ours: torch.Tensor, reference: torch.Tensor) -> float:
    """Length of the difference between two vectors, relative to the length of the reference."""
    return (torch.linalg.vector_norm(ours - reference) / torch.linalg.vector_norm(reference)).item()


@pytest.mark.parametrize(
    "family", [pytest.param(family, marks=() if family in SAMPLE else pytest.mark.release) for family in FAMILIES]
)
def test_the_memory_layout_changes_nothing_and_mixed_precision_little(family):
    backbone, size = FAMILIES[family]
    torch.manual_seed(0)
    network = AUNetwork(network_spec(backbone, image_size=size)).train()
    torch.nn.init.normal_(network.head.linear.weight)  # logits of about 10
    images = random_images(8, size)
    logits, gradient = step(network, images)
    again, _ = step(network, images)
    assert torch.equal(again, logits)  # nothing is drawn at random unasked
    network.to(memory_format=torch.channels_last)
    images = images.to(memory_format=torch.channels_last)
    ours, own_gradient = step(network, images)
    assert difference(ours, logits) < 1e-3
    assert difference(own_gradient, gradient) < 0.05  # batch statistics of a last map of 2 x 2 magnify rounding
    mixed, mixed_gradient = step(network, images, mixed=True)
    assert torch.isfinite(mixed_gradient).all()
    assert difference(mixed, logits) < (0.7 if backbone == "tf_efficientnet_lite0" else 0.25)
