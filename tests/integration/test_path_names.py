"""Files with odd names in the commands, as the shell passes them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pandas as pd
import pytest

import faceflow
from tests.helpers.exported import intensity_contract, write_model
from tests.helpers.markers import MARKERS, moving_faces, write_video
from tests.integration.command import SMALL, make_faces, run, train

NAMES = ["面试 (1)", "it's [x]=#&;!", "a,b", "2024", "C:\\a 'b'", "$5 {x} 50%", "a\nb"]
ODD = "it's [a,b]=#1 $5 {x} ü\\"


@pytest.mark.parametrize("name", NAMES)
def test_faceflow_infer_reads_and_writes_under_any_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = write_model(tmp_path / "m.onnx", intensity_contract(image_size=32)).rename(name)
    write_video(tmp_path / "v.avi", moving_faces(3)).rename(f"{name}.avi")
    written = (f"output={name}.csv", f"plot={name}.html")
    outcome = run("infer", tmp_path, f"onnx={model.name}", f"source={name}.avi", *written, *MARKERS)
    assert outcome.code == 0, outcome.stderr
    assert pd.read_csv(f"{name}.csv")["file"].tolist() == [f"{name}.avi"] * 3
    assert all(Path(f"{name}.{kind}").stat().st_size for kind in ("html", "json"))


def test_faceflow_crop_takes_lists_of_any_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        write_video(tmp_path / "v.avi", moving_faces(2)).rename(name + ".avi")
    sources = ",".join(f"{name}.avi" for name in NAMES)
    outcome = run("crop", tmp_path, f"source=[{sources}]", f"output={ODD}", "align.size=32", *MARKERS)
    assert outcome.code == 0, outcome.stderr
    found = pd.read_csv(Path(ODD, "crops.csv"))
    assert set(found["file"]) == {f"{name}.avi" for name in NAMES}
    assert all(Path(ODD, "crops", crop).is_file() for crop in found["crop"])


def test_python_takes_paths_as_they_are(tmp_path: Path) -> None:
    names = [tmp_path / name for name in ("a,b=[x].avi", "${x} ~.avi", "null")]
    for path in names:
        write_video(tmp_path / "v.avi", moving_faces(1)).rename(path)
    done = faceflow.crop(MARKERS, source=names[0], output=tmp_path / ODD)
    assert done.folder == tmp_path / ODD
    both = faceflow.crop(MARKERS, source=names[:2], output=str(tmp_path / "both"))
    assert sorted(both.table["clip"]) == ["${x} ~", "a,b=[x]"]


@pytest.mark.slow
def test_faceflow_train_reads_writes_and_continues_under_any_name(tmp_path: Path) -> None:
    faces = make_faces(tmp_path / ODD)
    folder = tmp_path / "runs" / ODD
    train(folder, *faces.overrides, "test=false")
    refused = run("train", folder, *SMALL, *faces.overrides, "test=false")
    assert refused.code == 2
    (resume,) = shlex.split(refused.error.partition("resume it with ")[2].rpartition(", choose another")[0])
    train(folder, *faces.overrides, "test=false", "trainer.max_epochs=2", resume)
    first = (folder / "config.yaml").read_text("utf-8").splitlines()[0]
    assert shlex.split(first.removeprefix("# Repeat this run: "))[2] == str(folder)


@pytest.mark.parametrize("override", ["source={long}", "output={long}.csv", "calibrate={long}", "plot={long}.html"])
def test_a_name_that_no_file_system_takes_is_one_line(override: str, tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.onnx", intensity_contract(image_size=32))
    video = write_video(tmp_path / "v.avi", moving_faces(2))
    given = (f"onnx={model}", f"source={video}", f"output={tmp_path}/a.csv")
    outcome = run("infer", tmp_path, *given, override.format(long="x" * 300), *MARKERS)
    assert outcome.code == 2
    (line,) = [line for line in outcome.stderr.splitlines() if not line.startswith("INFO")]
    assert "ile name too long" in line
