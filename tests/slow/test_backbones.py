"""Every family of backbones trains an epoch and is exported by the real commands, as occurrence and as intensity."""

import itertools
import json

import pytest

from tests.helpers.commands import run_command
from tests.helpers.faces import write_csv_dataset

pytestmark = pytest.mark.slow

FAMILIES = {
    "ResNet": ("resnet18", 64),
    "EfficientNet": ("tf_efficientnet_lite0", 64),
    "ConvNeXt V2": ("convnextv2_atto", 64),
    "ViT": ("vit_tiny_patch16_224", 64),
    "Swin": ("swin_tiny_patch4_window7_224", 112),
    "MobileNet": ("mobilenetv4_conv_small", 64),
}


# Families and numbers of levels do not meet in the code: every family once, both numbers in turn.
@pytest.mark.parametrize(("family", "levels"), list(zip(FAMILIES, itertools.cycle([1, 5]), strict=False)))
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
