"""A mixed folder: every image has a row, an unreadable one does not affect the others, other files are counted."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.exported import intensity_contract, write_model
from tests.helpers.markers import MARKERS, face_at, write_photo
from tests.integration.command import run

READ = ["a.avif", "b.gif", "c.jfif", "d.heic", "e.png", "f.jp2"]
BROKEN = ["huge.png", "torn.heic"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    package = pytest.importorskip("pillow_heif")
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    face = Image.fromarray(face_at(60, 60, width=120, height=120))
    for name in READ:
        if name.endswith("heic"):
            package.from_pillow(face).save(mixed / name, quality=95)
        else:
            face.save(mixed / name, {"jfif": "JPEG", "jp2": "JPEG2000"}.get(name.split(".")[1]), quality=95)
    whole = (mixed / "d.heic").read_bytes()
    (mixed / "torn.heic").write_bytes(whole[: len(whole) // 2])
    png = write_photo(mixed / "huge.png", face_at(40, 40)).read_bytes()
    (mixed / "huge.png").write_bytes(png[:16] + 2 * (40_000).to_bytes(4, "big") + png[24:])
    for name in ("notes.txt", "more.txt", "raw.cr2"):
        (mixed / name).touch()
    return tmp_path


def rows(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8") as file:
        return {Path(row["file"]).name: row["status"] for row in csv.DictReader(file)}


EXPECTED = {**dict.fromkeys(READ, "ok"), **dict.fromkeys(BROKEN, "decode_error")}
PASSED_OVER = {".txt": 2, ".cr2": 1}
LINE = "Skipped 3 files without the suffix of a video or image: 2 .txt, 1 .cr2"


def test_faceflow_infer_reads_what_can_be_read_and_counts_the_rest(folder: Path) -> None:
    model = write_model(folder / "model.onnx", intensity_contract(image_size=32))
    outcome = run("infer", folder, f"onnx={model}", f"source={folder}/mixed", f"output={folder}/aus.csv", *MARKERS)
    assert outcome.code == 0, outcome.stderr
    assert rows(folder / "aus.csv") == EXPECTED
    assert LINE in outcome.stdout
    assert json.loads((folder / "aus.json").read_text("utf-8"))["passed_over"] == PASSED_OVER
    assert "huge.png: expected an image, got an image of more than 268 million pixels; rows" in outcome.stderr
    assert "torn.heic: expected an image, got a HEIC image that libheif cannot decode (" in outcome.stderr


def test_faceflow_crop_does_so_too(folder: Path) -> None:
    outcome = run("crop", folder, f"source={folder}/mixed", f"output={folder}/mixed/crops", "align.size=32", *MARKERS)
    assert outcome.code == 0, outcome.stderr
    assert rows(folder / "mixed/crops/crops.csv") == EXPECTED
    assert LINE in outcome.stdout
    summary = {"clips": 1, "rows": {"decode_error": 2, "ok": 6}, "features": 0, "passed_over": PASSED_OVER}
    assert json.loads((folder / "mixed/crops/summary.json").read_text("utf-8")) == summary
    again = run("crop", folder, f"source={folder}/mixed", f"output={folder}/mixed/crops", "align.size=32", *MARKERS)
    assert LINE in again.stdout, "results of an earlier run are not counted"
