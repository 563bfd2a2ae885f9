"""faceflow-infer: a row for every frame, even if it fails, and one line for every user error."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from faceflow.images import read_image
from tests.helpers.exported import CROP, contract, intensity_contract, write_model
from tests.helpers.markers import MARKERS, blank, covered, draw_face, face_at, moving_faces, write_photo, write_video
from tests.integration.command import Outcome, run

ROOT = Path(__file__).parents[2]
AUS = ["AU01_prob", "AU04_prob", "AU12_L_prob"]
PLACE = ["file", "frame", "time_s", "face", "status", "det_score", "x1", "y1", "x2", "y2"]


def infer(folder: Path, *overrides: str) -> Outcome:
    """Run faceflow-infer in a folder with its `model.onnx`."""
    outcome = run("infer", folder, f"onnx={folder}/model.onnx", *overrides)
    assert "Traceback" not in outcome.stderr
    return outcome


def done(outcome: Outcome) -> Outcome:
    assert outcome.code == 0, outcome.stderr
    return outcome


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model with intensities, a video of 12 frames without a face in 5 and 6, and photographs of two sizes."""
    write_model(tmp_path / "model.onnx", intensity_contract(image_size=32))
    images = moving_faces(12)
    images[4:6] = map(covered, images[4:6])
    write_video(tmp_path / "video.avi", images, fps=20)
    write_photo(tmp_path / "photos/a.png", face_at(40, 40))
    write_photo(tmp_path / "photos/b.png", face_at(100, 60, width=200, height=150))
    return tmp_path


def test_a_video_gets_a_table_its_meaning_a_video_and_a_timeline(folder: Path) -> None:
    names = ("output=a.csv", "render=a.mp4", "plot=a.html")
    results = [text.replace("=", f"={folder}/out/") for text in names]
    outcome = done(infer(folder, f"source={folder}/video.avi", *results, "selection.hold=1", *MARKERS))
    assert outcome.stderr == f"INFO Running {folder}/model.onnx on cpu\n"
    assert "12 frames: 10 ok, 1 tracked, 1 no_face; " in outcome.stdout
    assert {path.name for path in (folder / "out").iterdir()} == {"a.csv", "a.json", "a.mp4", "a.html"}
    rows = pd.read_csv(folder / "out/a.csv")
    names = [*PLACE, "AU01_prob", "AU01_int", "AU01"]
    assert [name for name in rows if name in names] == names
    assert rows["frame"].tolist() == list(range(1, 13))
    assert rows["time_s"].tolist() == pytest.approx([n / 20 for n in range(12)])
    assert rows["status"].tolist() == [*["ok"] * 4, "tracked", "no_face", *["ok"] * 6]
    assert rows["AU01_int"].tolist() == pytest.approx((5 * rows["AU01_prob"]).tolist(), abs=1e-4, nan_ok=True)
    assert (rows["AU04_prob"] >= 0.75).astype(float).where(rows["AU04"].notna()).equals(rows["AU04"])
    capture = cv2.VideoCapture(str(folder / "out/a.mp4"))
    assert (capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)) == (12, 20)
    capture.release()
    assert "video.avi" in (folder / "out/a.html").read_text("utf-8")


def test_the_file_beside_the_table_says_what_made_it(folder: Path) -> None:
    done(infer(folder, f"source={folder}/video.avi", f"output={folder}/a.csv", *MARKERS))
    says = json.loads((folder / "a.json").read_text("utf-8"))
    assert says["model"]["file"] == "model.onnx"
    assert len(says["model"]["sha256"]) == 64
    assert says["model"]["inputs"] == ["images"]
    assert says["thresholds"] == {"AU1": 0.25, "AU4": 0.75, "AU12_L": 0.5}
    assert says["crop"] == {
        "align": {**CROP["align"], "max_enlargement": None},  # as the model, which is of a version before it
        "detector": {"name": "markers", "sha256": "0" * 64, "features": False, "level": 0.0},
        "selection": {**CROP["selection"], "cuts": True},
    }
    assert says["sources"] == [{"name": f"{folder}/video.avi", "fps": 20, "frames": 12}]
    assert (says["rows"], says["complete"], says["label_meaning"]) == (12, True, "probability: that the AU occurs")
    assert says["columns"] == (folder / "a.csv").read_text("utf-8").splitlines()[0].split(",")
    assert says["settings"]["batch_size"] == 16


@pytest.mark.slow
def test_frames_are_cut_as_the_crops_were_that_the_model_learnt(folder: Path) -> None:
    crop = (f"source={folder}/video.avi", f"output={folder}/crops", "image.format=png", "align.size=64")
    wanted = ("align.interpolation=linear", "align.max_enlargement=null", "selection.policy=track", *MARKERS)
    assert run("crop", folder, *crop, *wanted).code == 0
    done(infer(folder, f"source={folder}/video.avi", f"output={folder}/frames.csv", *MARKERS))
    done(infer(folder, f"source={folder}/crops/crops", f"output={folder}/crops.csv", "crops=true"))
    frames, crops = pd.read_csv(folder / "frames.csv"), pd.read_csv(folder / "crops.csv")
    stored = json.loads((folder / "crops/crops.json").read_text("utf-8"))["align"]
    assert stored == {**CROP["align"], "max_enlargement": None}
    np.testing.assert_allclose(frames[AUS].dropna().to_numpy(), crops[AUS].to_numpy(), atol=1e-6)
    assert len(crops) == 12


def test_photographs_of_any_size_and_faces_of_all(folder: Path) -> None:
    both = draw_face(draw_face(blank(192, 96), (30, 40), (54, 40)), (130, 40), (154, 40))
    write_photo(folder / "photos/c.png", both)
    out = f"output={folder}/a.jsonl"
    done(infer(folder, f"source={folder}/photos", out, "selection.policy=all", "alias=openface", *MARKERS))
    rows = [json.loads(line) for line in (folder / "a.jsonl").read_text("utf-8").splitlines()]
    assert [(row["frame"], row["face_id"]) for row in rows] == [(1, 0), (2, 0), (3, 0), (3, 1)]
    assert [Path(row["file"]).name for row in rows] == ["a.png", "b.png", "c.png", "c.png"]
    assert all(row["success"] == 1 and row["AU01_c"] in (0, 1) and row["timestamp"] is None for row in rows)


def test_several_sources_and_patterns_are_one_table(folder: Path) -> None:
    sources = f"source=['{folder}/*.avi','{folder}/photos/b.png']"
    done(infer(folder, sources, f"output={folder}/a.csv", "frames.every=5", *MARKERS))
    rows = pd.read_csv(folder / "a.csv")
    assert rows["file"].tolist() == [f"{folder}/photos/b.png", *[f"{folder}/video.avi"] * 3]
    assert rows["frame"].tolist() == [1, 1, 6, 11]


@pytest.mark.slow
def test_stdout_is_the_table_alone(folder: Path) -> None:
    outcome = done(infer(folder, f"source={folder}/video.avi", "output=-", *MARKERS))
    rows = list(csv.reader(io.StringIO(outcome.stdout)))
    assert [name for name in rows[0] if name in PLACE] == PLACE
    assert [row[1] for row in rows[1:]] == [str(n) for n in range(1, 13)]
    assert "12 frames: 10 ok, 2 tracked; " in outcome.stderr
    assert not list(folder.glob("*.json"))
    done(infer(folder, f"source={folder}/video.avi", f"output={folder}/a.csv", *MARKERS))
    assert (folder / "a.csv").read_text("utf-8") == outcome.stdout


@pytest.mark.slow
def test_results_are_replaced_only_when_asked_for(folder: Path) -> None:
    command = (f"source={folder}/video.avi", f"output={folder}/a.csv", f"render={folder}/a.avi", *MARKERS)
    done(infer(folder, *command))
    before = (folder / "a.csv").read_bytes()
    for name in ("a.csv", "a.json", "a.avi"):
        left = (folder / name).read_bytes()
        outcome = infer(folder, *command)
        assert outcome.code == 2
        assert f"expected a new file, got one that exists: '{folder}/{name}'; add overwrite=true" in outcome.error
        assert (folder / name).read_bytes() == left
        (folder / name).unlink()
    (folder / "a.csv").write_text("old", encoding="utf-8")
    done(infer(folder, *command, "overwrite=true"))
    assert (folder / "a.csv").read_bytes() == before
    outcome = infer(folder, *command, "overwrite=maybe")
    assert outcome.error == "ConfigError: overwrite: expected true or false, got 'maybe'"


def test_a_source_is_never_replaced_by_a_result(folder: Path) -> None:
    before = (folder / "video.avi").read_bytes()
    (folder / "link.avi").symlink_to(folder / "video.avi")
    for name in ("video.avi", "link.avi"):
        places = (f"source=[{folder}/video.avi]", f"output={folder}/a.csv", f"render={folder}/{name}")
        outcome = infer(folder, *places, "overwrite=true", *MARKERS)
        assert outcome.code == 2
        assert outcome.error.startswith(f"ConfigError: render: expected a file for results, got the source: '{folder}/")
    assert (folder / "video.avi").read_bytes() == before


def test_no_frames_at_all_leave_no_table(folder: Path) -> None:
    outcome = infer(folder, f"source={folder}/video.avi", f"output={folder}/a.csv", "frames.start_s=100", *MARKERS)
    assert outcome.code == 2
    assert "ERROR DataError: source: expected frames, got none; check frames.start_s" in outcome.stderr
    assert not list(folder.glob("a.*"))


def test_files_of_an_interrupted_run_are_removed_by_a_complete_one(folder: Path) -> None:
    for name in ("a.partial.csv", "a.partial.json"):
        (folder / name).write_text("of another run", encoding="utf-8")
    done(infer(folder, f"source={folder}/video.avi", f"output={folder}/a.csv", *MARKERS))
    assert {path.name for path in folder.glob("a.*")} == {"a.csv", "a.json"}


def test_a_source_without_any_face_keeps_its_rows_and_is_an_error(folder: Path) -> None:
    write_video(folder / "empty.avi", [blank()] * 3)
    outcome = infer(folder, f"source={folder}/empty.avi", f"output={folder}/a.csv", f"plot={folder}/a.html", *MARKERS)
    assert outcome.code == 2
    line = "ERROR DataError: source: expected a face in at least one frame, got none in 3 frames: 3 no_face; "
    assert line in outcome.stderr
    assert pd.read_csv(folder / "a.csv")["status"].tolist() == ["no_face"] * 3
    assert not (folder / "a.html").exists()


def test_a_broken_file_among_others_has_a_row_and_a_warning(folder: Path) -> None:
    (folder / "photos/a.png").write_bytes((folder / "photos/a.png").read_bytes()[:60])
    (folder / "photos/broken.mp4").write_bytes(b"no video")
    outcome = done(infer(folder, f"source={folder}/photos", f"output={folder}/a.csv", *MARKERS))
    rows = pd.read_csv(folder / "a.csv")
    assert rows["status"].tolist() == ["decode_error", "ok", "decode_error"]
    assert rows["file"].tolist() == [f"{folder}/photos/{name}" for name in ("a.png", "b.png", "broken.mp4")]
    assert outcome.stderr.count("WARNING") == 2


MISTAKES: dict[str, tuple[Sequence[str], str]] = {
    "no source": ([], "ConfigError: source: expected files or a camera number, got none"),
    "missing source": (["source=none.mp4"], "DataError: source: expected a file, a folder or a pattern that matches"),
    "no camera": (["source=77"], "DataError: source: expected camera 77 to open, got no answer"),
    "folder without pictures": (["source={folder}/configs"], "DataError: source: expected images (apng avif bmp"),
    "format": (["output=a.xlsx"], "ConfigError: output: expected a file that ends in .csv, .jsonl, .parquet, or -"),
    "folder": (
        ["output=d.csv"],
        "ConfigError: output: expected the name of a file, got a f",
    ),
    "render of pictures": (
        ["source={folder}/photos", "render=a.mp4"],
        "ConfigError: render: expected one video or cam",
    ),
    "render format": (["render=a.gif"], "ConfigError: render: expected a video that ends in .mp4, .avi, .mkv, or"),
    "plot format": (["plot=a.pdf"], "ConfigError: plot: expected a file that ends in .png or .html, got 'a.pdf'"),
    "plot of two": (["source=[{video},{folder}/photos]", "plot=a.png"], "ConfigError: plot: expected one video or cam"),
    "provider": (["provider=cdua"], "ConfigError: provider: expected auto, cuda, coreml, cpu, got 'cdua'; did you m"),
    "key": (["sorce=a"], "ConfigError: sorce: expected a known key at the top level, got 'sorce'; did you mean 'sour"),
    "nested key": (["selection.polcy=a"], "ConfigError: selection.polcy: expected a known key in 'selection', got"),
    "policy": (["selection.policy=trak"], "ConfigError: selection.policy: expected largest, center, track, all, got"),
    "alias": (
        ["alias=openfac"],
        "ConfigError: alias: expected none, openface, pyfeat, got 'openfac'; did you mean 'ope",
    ),
    "detector": (["detector=mediapipe_bxes"], "ConfigError: detector=mediapipe_bxes: expected an option of 'detector'"),
    "other detector": (
        ["detector=mediapipe_boxes"],
        "ConfigError: detector: expected markers, which found the training faces",
    ),
    "calibration": (["calibrate=no.jpg"], "ConfigError: calibrate: expected none, median, running, first:2s, or a"),
    "no model": (["onnx=none.onnx"], "ExportError: onnx: expected an ONNX model, got 'none.onnx': no such file; check"),
    "text": (["onnx={folder}/text.onnx"], "ExportError: onnx: expected an ONNX model that ONNX Runtime"),
    "truncated": (["onnx={folder}/cut.onnx"], "ExportError: onnx: expected an ONNX model that ONNX Runtime"),
    "newer": (
        ["onnx={folder}/newer.onnx"],
        "ExportError: {folder}/newer.onnx: expected model format 2 or lower, got 3",
    ),
    "foreign": (
        ["onnx={folder}/foreign.onnx"],
        "ExportError: onnx: expected a model exported by FaceFlow, got an ONNX",
    ),
    "no recipe": (
        ["onnx={folder}/plain.onnx"],
        "ConfigError: align: expected a model that stores how its faces were cut",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides, line = MISTAKES[name]
    (folder / "configs").mkdir()
    (folder / "configs/a.yaml").touch()
    (folder / "d.csv").mkdir()
    (folder / "text.onnx").write_text("text", encoding="utf-8")
    (folder / "cut.onnx").write_bytes((folder / "model.onnx").read_bytes()[:300])
    write_model(folder / "newer.onnx", metadata=contract().to_json().replace('"format": 1', '"format": 3'))
    write_model(folder / "plain.onnx", contract(crop=None))
    (folder / "foreign.onnx").write_bytes((folder / "plain.onnx").read_bytes().replace(b"faceflow", b"facefl0w"))
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    places = {"folder": folder, "video": folder / "video.avi"}
    given = [override.format(**places) for override in overrides]
    source = [] if name == "no source" else [f"source={folder}/video.avi"]
    markers = [] if any(text.startswith("detector=") for text in given) else MARKERS
    outcome = infer(folder, *source, f"output={folder}/a.csv", *markers, *given)
    assert outcome.code == 2
    assert outcome.error.startswith(line.format(**places))
    assert outcome.stdout == ""
    assert sorted(folder.rglob("*")) == before


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("suffix", "number", "status", "line"),
    [
        ("csv", signal.SIGTERM, 143, "Terminated"),
        pytest.param("jsonl", signal.SIGINT, 130, "Interrupted", marks=pytest.mark.slow),
        pytest.param("parquet", signal.SIGINT, 130, "Interrupted", marks=pytest.mark.slow),
    ],
)
def test_stopped_the_rows_so_far_are_complete(
    folder: Path, suffix: str, number: signal.Signals, status: int, line: str
) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    write_video(folder / "long.avi", moving_faces(400))
    code = "from faceflow.cli.infer import main; main()"
    slow = [*MARKERS, "+detector.delay=0.02"]
    what = [f"onnx={folder}/model.onnx", f"source={folder}/long.avi", f"output={folder}/a.{suffix}", "batch_size=1"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *what, f"render={folder}/a.avi", *slow],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    partial = folder / f"a.partial.{suffix}"
    until = time.monotonic() + 30
    while time.monotonic() < until and not ((folder / "a.partial.avi").exists() and partial.exists()):
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == status
    assert not (folder / f"a.{suffix}").exists()
    reader: Any = {"csv": pd.read_csv, "parquet": pd.read_parquet, "jsonl": lambda path: pd.read_json(path, lines=True)}
    rows = reader[suffix](partial)
    assert 0 < len(rows) < 400
    assert rows["frame"].tolist() == list(range(1, len(rows) + 1))
    assert rows["AU12_L"].notna().all()
    said = f"{line}: {len(rows)} complete rows are in {partial}; rerun the same command for all"
    assert stderr.splitlines()[-1] == said
    says = json.loads((folder / "a.partial.json").read_text("utf-8"))
    assert (says["rows"], says["complete"]) == (len(rows), False)
    capture = cv2.VideoCapture(str(folder / "a.partial.avi"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == len(rows)
    capture.release()


WITHOUT = """
import sys
class Barrier:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchvision", "lightning", "timm", "albumentations", "torchmetrics"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Barrier())
"""


def test_python_and_command_need_no_training_library(folder: Path) -> None:
    code = f"""{WITHOUT}
import faceflow
rows = faceflow.load(r"{folder}/model.onnx", *{MARKERS!r}).predict(r"{folder}/video.avi")
assert rows["frame"].tolist() == list(range(1, 13)), rows
sys.argv = ["faceflow-infer", r"onnx={folder}/model.onnx", r"source={folder}/video.avi", r"output={folder}/a.csv",
    r"plot={folder}/a.html", r"render={folder}/a.mp4", "calibrate=median", "smooth=1", *{MARKERS!r}]
from faceflow.cli.infer import main
main()
assert not {{"torch", "lightning", "timm", "albumentations"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, timeout=60)
    assert len(pd.read_csv(folder / "a.csv")) == 12


def test_a_real_face_is_found_and_cut(tmp_path: Path) -> None:
    """The whole pipeline with MediaPipe, on a rendered head."""
    shared = ROOT.parent / "shared"
    pictures = sorted((shared / "data/ictfaces/studio").rglob("*.jpg"))[:1]
    model = Path(os.environ.get("FACEFLOW_MODELS", shared / "models")) / "face_landmarker.task"
    if importlib.util.find_spec("mediapipe") is None or not model.is_file() or not pictures:
        pytest.skip("needs mediapipe, face_landmarker.task in FACEFLOW_MODELS, and ../shared/data/ictfaces")
    canvas = np.full((240, 320, 3), 128, np.uint8)
    canvas[60:188, 90:218] = read_image(pictures[0])
    write_photo(tmp_path / "face.png", canvas)
    crop = CROP | {"detector": {"name": "mediapipe_landmarks"}}
    write_model(tmp_path / "model.onnx", contract(crop=crop))
    done(infer(tmp_path, f"source={tmp_path}/face.png", f"output={tmp_path}/a.csv", f"detector.model={model}"))
    (row,) = pd.read_csv(tmp_path / "a.csv").to_dict("records")
    assert row["status"] == "ok"
    assert 85 < row["x1"] < row["x2"] < 223
    assert 55 < row["y1"] < row["y2"] < 193
    assert 0.2 < row["AU01_prob"] < 1
