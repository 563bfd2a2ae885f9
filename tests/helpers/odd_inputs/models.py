"""Networks, weights and exported models that are not what they claim to be."""
# ruff: noqa: E501 (a row of the table is a line)

from __future__ import annotations

import pathlib
from pathlib import Path
from typing import Any

import onnx
import timm
import torch
from onnx import numpy_helper

from tests.helpers.odd_inputs.row import INFER, PAGE, POINTER, TRAIN, Row, faces, photos
from tests.integration.command import Outcome


class WindowsFolder:
    """Pickles as a path of the kind found in checkpoints written on Windows."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pathlib.PureWindowsPath, ("C:\\runs",)


def text(name: str, content: str) -> Any:
    def prepare(folder: Path) -> None:
        photos(folder)
        faces(folder)
        (folder / name).write_text(content, encoding="utf-8")

    return prepare


def saved(name: str, **around: Any) -> Any:
    """Write weights of test_resnet with additional entries."""

    def prepare(folder: Path) -> None:
        faces(folder)
        torch.save({"state_dict": timm.create_model("test_resnet").state_dict(), **around}, folder / name)

    return prepare


def parallel(folder: Path) -> None:
    faces(folder)
    state = timm.create_model("test_resnet").state_dict()
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, folder / "w.pth")


def all_but_the_classifier_were_loaded(outcome: Outcome, folder: Path) -> None:
    names = timm.create_model("test_resnet").state_dict()
    wanted = sum(not name.startswith("fc.") and not name.endswith("num_batches_tracked") for name in names)
    assert f"the backbone takes {wanted} tensors under 'state_dict.module.' of '{folder}/w.pth'" in outcome.stderr


def external_data(folder: Path) -> None:
    photos(folder)
    model = onnx.load(folder / "model.onnx")
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
    onnx.save(model, folder / "model.onnx", save_as_external_data=True, location="model.data", size_threshold=0)
    (folder / "model.data").unlink()


def future_opset(folder: Path) -> None:
    photos(folder)
    model = onnx.load(folder / "model.onnx")
    model.opset_import[0].version = 99
    onnx.save(model, folder / "model.onnx")


# fmt: off
ROWS = [
    Row(fed="ONNX file from a clone without Git LFS", thread="commaai/commavq#12", command="infer", overrides=INFER, prepare=text("model.onnx", POINTER),
        line="ExportError: onnx: expected an ONNX model, got a Git LFS pointer to it: '{folder}/model.onnx'; run: git lfs pull"),
    Row(fed="ONNX file whose external data file was not copied", thread="wangzhaode/llm-export#57", command="infer", overrides=INFER, prepare=external_data,
        line="ExportError: onnx: expected an ONNX model that ONNX Runtime * can open, got '{folder}/model.onnx' (*external*); copy the whole file again, update onnxruntime, or make one with faceflow-export"),
    Row(fed="ONNX file with an operator set that the runtime does not support", thread="onnxsim/onnxsim#289", command="infer", overrides=INFER, prepare=future_opset,
        line="ExportError: onnx: expected an ONNX model that ONNX Runtime * can open, got '{folder}/model.onnx' (*Opset 99 is under development*); copy the whole file again, update onnxruntime, or make one with faceflow-export"),
    Row(fed="web page saved in place of the weights", thread="ConstantinSeibold/ChestXRayAnatomySegmentation#17", command="train", overrides=(*TRAIN, "model.weights={folder}/w.pth"), prepare=text("w.pth", PAGE),
        line="CheckpointError: model.weights: expected a file of tensors, got a web page: '{folder}/w.pth'; download the file itself"),
    Row(fed="safetensors file from a clone without Git LFS", thread="microsoft/OmniParser#34", command="train", overrides=(*TRAIN, "model.weights={folder}/w.safetensors"), prepare=text("w.safetensors", POINTER),
        line="CheckpointError: model.weights: expected a file of tensors, got a Git LFS pointer to it: '{folder}/w.safetensors'; run: git lfs pull"),
    Row(fed="weights saved from DataParallel, with the prefix `module.`", thread="pytorch/pytorch#3805", command="train", overrides=(*TRAIN, "model.weights={folder}/w.pth"), prepare=parallel,
        right="all weights but the classifier's are read", check=all_but_the_classifier_were_loaded),
    Row(fed="checkpoint of another toolkit that contains a Windows path", thread="RCVLab-AiimLab/crowd_counting#3", command="train", overrides=(*TRAIN, "model.weights={folder}/w.pth"), prepare=saved("w.pth", folder=WindowsFolder()),
        line="CheckpointError: {folder}/w.pth: expected tensors and plain values only, got pickled code (pathlib.PureWindowsPath); it was not run: use a file that FaceFlow or `torch.save(model.state_dict())` wrote"),
    Row(fed="folder of checkpoints instead of a checkpoint", thread="facebookresearch/fastMRI#83", command="test", overrides=("checkpoint={folder}",),
        line="CheckpointError: checkpoint: expected a file, got '{folder}', which is a folder; check the path"),
    Row(fed="pretrained tag that timm has renamed", thread="huggingface/pytorch-image-models#2093", command="train", overrides=(*TRAIN, "model.backbone=efficientnet_b5.in12k"), prepare=faces,
        line="ConfigError: model.backbone: expected the name of a timm model, got 'efficientnet_b5.in12k'; did you mean *?"),
    Row(fed="image size that is not a multiple of a ViT's patch size", thread="lightly-ai/lightly-train#29", command="train", overrides=(*TRAIN, "model.backbone=test_vit", "model.image_size=50"), prepare=faces,
        line="ConfigError: model.image_size: test_vit does not run on 50 px images (*); try another size"),
]
