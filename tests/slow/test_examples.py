"""The examples in the docstrings of `import faceflow`, run in one folder with the files that they name."""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import pandas as pd
import pytest
import skimage

import faceflow
from tests.helpers.face_models import write_face_model
from tests.helpers.faces import write_csv_dataset
from tests.helpers.pages import ROOT
from tests.integration.command import AUS

# Later examples use results of earlier ones: `run`, `model`.
IN_ORDER = ("train", "test", "export", "compare", "pack", "render", "load", "crop")
FIND_FACES = ("load", "crop")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files with the names used in the examples."""
    folder = tmp_path_factory.mktemp("examples")
    for labels, images, seed in (("faces.csv", "crops", 0), ("new.csv", "new", 1)):
        written = write_csv_dataset(folder / f"{images}_made", aus=AUS, subjects=10, frames=4, seed=seed)
        (written / "images").rename(folder / images)
        (written / "labels.csv").rename(folder / labels)
    portrait = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)
    (folder / "photos").mkdir()
    cv2.imwrite(str(folder / "photos/a.png"), portrait)
    pd.DataFrame({"AU12": [3], "filename": ["a.png"]}).to_csv(folder / "codes.csv", index=False)
    video = cv2.VideoWriter(str(folder / "video.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 25, (512, 512))
    for _ in range(12):
        video.write(portrait)
    video.release()
    kit = folder / "cache/models"
    kit.mkdir(parents=True)
    write_face_model(kit / "ict_face.npz")
    return folder


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """Variables available to the examples, including those that earlier examples set."""
    return {"faceflow": faceflow}


def test_every_function_has_an_example() -> None:
    assert sorted(IN_ORDER) == sorted(faceflow.__all__)
    assert all(examples(name) for name in IN_ORDER)


@pytest.mark.parametrize("name", IN_ORDER)
def test_an_example_gives_what_it_shows(
    name: str, folder: Path, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FACEFLOW_CACHE", str(folder / "cache"))
    detector = Path(os.environ.get("FACEFLOW_MODELS", ROOT.parent / "shared/models"))
    if name in FIND_FACES:
        if not (detector / "face_landmarker.task").is_file():
            pytest.skip("needs face_landmarker.task in FACEFLOW_MODELS or ../shared/models")
        monkeypatch.setenv("FACEFLOW_MODELS", str(detector))
    for example in examples(name):
        if doctest.SKIP not in example.options:
            assert shown(example.source, names) == example.want, example.source
    if name == "test":
        for made in ("baseline", "larger"):
            shutil.copytree(names["tested"].folder, folder / "runs/test" / made)


def examples(name: str) -> list[doctest.Example]:
    return doctest.DocTestParser().get_examples(getattr(faceflow, name).__doc__)


def shown(source: str, names: dict[str, Any]) -> str:
    """What Python's prompt would show for a statement's value; output of the commands is ignored."""
    values: list[object] = []
    before, sys.displayhook = sys.displayhook, values.append
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, "<example>", "single"), names)
    finally:
        sys.displayhook = before
    return "".join(f"{value!r}\n" for value in values if value is not None)
