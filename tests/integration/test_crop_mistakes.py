"""faceflow-crop on bad input: one line and exit code 2 for the run, or a row and a status for one file of several."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceflow.images import read_image
from tests.helpers.markers import MARKERS, blank, draw_face, face_at, moving_faces, write_photo, write_video
from tests.helpers.numbered import write_disfa
from tests.integration.command import Outcome, run


def crop(folder: Path, *overrides: str) -> Outcome:
    """Run faceflow-crop with the marker detector, writing to `out`."""
    outcome = run("crop", folder, f"output={folder}/out", *MARKERS, *overrides)
    assert "Traceback" not in outcome.stderr
    return outcome


def rows(folder: Path) -> dict[str, list[dict[str, str]]]:
    """Rows of the results by file name."""
    found: dict[str, list[dict[str, str]]] = {}
    with (folder / "out/crops.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(Path(row["file"]).name, []).append(row)
    return found


def statuses(folder: Path) -> dict[str, list[str]]:
    return {name: [row["status"] for row in found] for name, found in rows(folder).items()}


def test_every_broken_file_is_counted_and_the_others_are_cropped(tmp_path: Path) -> None:
    source = tmp_path / "in"
    photo = write_photo(source / "whole.jpg", face_at(40, 40)).read_bytes()
    video = write_video(source / "whole.avi", moving_faces(20)).read_bytes()
    (source / "cut.jpg").write_bytes(photo[: len(photo) // 2])
    (source / "text.png").write_text("text", encoding="utf-8")
    (source / "empty.jpg").touch()
    (source / "cut.avi").write_bytes(video[: len(video) // 2])
    (source / "text.mp4").write_text("text", encoding="utf-8")
    (source / "empty.mov").touch()
    (source / "headers.avi").write_bytes(video[:200])
    write_photo(source / "nobody.png", blank())
    (source / "notes.txt").write_text("text", encoding="utf-8")
    outcome = crop(tmp_path, f"source={source}")
    assert outcome.code == 0, outcome.stderr
    found = statuses(tmp_path)
    cut = found.pop("cut.avi")
    assert cut[:4] == ["ok"] * 4
    assert len(cut) == 5  # half of the bytes are headers and four frames; the fifth decodes as far as it goes
    broken = ("cut.jpg", "text.png", "empty.jpg", "text.mp4", "empty.mov", "headers.avi")
    assert found == {
        **{name: ["decode_error"] for name in broken},
        **{"whole.jpg": ["ok"], "nobody.png": ["no_face"], "whole.avi": ["ok"] * 20},
    }
    warnings = [line for line in outcome.stderr.splitlines() if line.startswith("WARNING")]
    assert sorted(line.split(":")[0] for line in warnings) == sorted(
        f"WARNING {source}/{name}" for name in (*broken, "cut.avi")
    )
    assert all(": expected " in line and ", got " in line for line in warnings)


@pytest.mark.parametrize("workers", [1, 2])
def test_without_any_face_rows_and_failures_say_what_there_was(tmp_path: Path, workers: int) -> None:
    write_video(tmp_path / "in/empty.avi", [blank()] * 3)
    write_photo(tmp_path / "in/unsure.png", face_at(40, 40, low=True))
    (tmp_path / "in/broken.mp4").touch()
    outcome = crop(tmp_path, f"source={tmp_path}/in", f"workers={workers}")
    assert outcome.code == 2
    line = (
        f"DataError: source: expected a face in at least one frame, got none in 3 clips; see {tmp_path}/out/crops.csv"
    )
    assert outcome.error == line
    assert statuses(tmp_path) == {
        "broken.mp4": ["decode_error"],
        "empty.avi": ["no_face"] * 3,
        "unsure.png": ["low_confidence"],
    }
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"failures.png"}


@pytest.mark.parametrize(
    ("policy", "crops"),
    [
        ("largest", ["faces.jpg"]),
        ("center", ["faces.jpg"]),
        ("track", ["faces.jpg"]),
        ("all", ["faces_f0.jpg", "faces_f1.jpg"]),
    ],
)
def test_the_policy_decides_which_of_many_faces_are_cropped(tmp_path: Path, policy: str, crops: list[str]) -> None:
    faces = draw_face(draw_face(blank(200, 96), (20, 40), (44, 40)), (130, 40), (170, 40))
    write_photo(tmp_path / "faces.png", faces)
    assert crop(tmp_path, f"source={tmp_path}/faces.png", f"selection.policy={policy}").code == 0
    found = rows(tmp_path)["faces.png"]
    assert [row["crop"] for row in found] == crops
    if policy == "largest":
        assert float(found[0]["eye_left_x"]) == pytest.approx(130, abs=1)


def test_faces_cut_by_the_border_and_tiny_ones_fill_their_crops(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/border.png", draw_face(blank(60, 60), (5, 6), (29, 6)))
    write_photo(tmp_path / "in/tiny.png", draw_face(blank(60, 60), (28, 30), (34, 30), radius=1))
    assert crop(tmp_path, f"source={tmp_path}/in", "align.size=96", "image.format=png").code == 0
    assert statuses(tmp_path) == {"border.png": ["ok"], "tiny.png": ["ok"]}
    for name in ("border", "tiny"):
        assert read_image(tmp_path / f"out/crops/{name}.png").shape == (96, 96, 3)


def test_photographs_of_every_kind_give_the_same_crop(tmp_path: Path) -> None:
    """An alpha channel, 16 bits, and a portrait with an EXIF rotation; the grey image is read but has no markers."""
    face = face_at(48, 40)
    source = tmp_path / "in"
    write_photo(source / "plain.png", face)
    write_photo(source / "alpha.png", np.dstack([face, np.full((96, 96), 40, np.uint8)]))
    write_photo(source / "deep.png", face.astype(np.uint16) * 257)
    write_photo(source / "grey.png", cv2.cvtColor(face, cv2.COLOR_RGB2GRAY))
    sideways = write_photo(source / "portrait.jpg", np.rot90(face).copy())
    content = sideways.read_bytes()
    tag = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # 6: turn clockwise
    sideways.write_bytes(content[:2] + b"\xff\xe1" + (len(tag) + 2).to_bytes(2, "big") + tag + content[2:])
    outcome = crop(tmp_path, f"source={source}", "image.format=png")
    assert (outcome.code, outcome.stderr) == (0, "")
    found = statuses(tmp_path)
    assert found.pop("grey.png") == ["no_face"]
    assert found == {name: ["ok"] for name in ("plain.png", "alpha.png", "deep.png", "portrait.jpg")}
    crops = {path.stem: read_image(path).astype(int) for path in (tmp_path / "out/crops").iterdir()}
    for name in ("alpha", "deep"):
        np.testing.assert_array_equal(crops[name], crops["plain"])
    assert np.abs(crops["portrait"] - crops["plain"]).mean() < 4  # JPEG


def test_names_in_any_script_stay_as_they_are(tmp_path: Path) -> None:
    names = ("Gesicht ä ß", "顔", "a,b=c [1]", "it's", "über/лицо")
    for name in names:
        write_photo(tmp_path / "in dir/x.png", face_at(40, 40)).rename(_made(tmp_path / f"in dir/{name}.png"))
        write_video(tmp_path / "in dir/x.avi", moving_faces(2)).rename(_made(tmp_path / f"in dir/{name} film.avi"))
    outcome = crop(tmp_path, f'source="{tmp_path}/in dir"')
    assert (outcome.code, outcome.stderr) == (0, "")
    crops = {row["crop"] for found in rows(tmp_path).values() for row in found}
    videos = {f"{name} film/00000{n}.jpg" for name in names for n in (1, 2)}
    assert crops == videos | {f"{name}.jpg" for name in names}
    assert all((tmp_path / "out/crops" / crop).is_file() for crop in crops)


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_files_of_one_name_in_two_folders_have_crops_of_their_own(tmp_path: Path) -> None:
    for folder, count in (("a", 2), ("b", 3)):
        write_video(tmp_path / f"{folder}/v.avi", moving_faces(count))
        write_photo(tmp_path / f"{folder}/p.png", face_at(40, 40))
    sources = ",".join(f"{tmp_path}/{folder}/{name}" for folder in "ab" for name in ("v.avi", "p.png"))
    assert crop(tmp_path, f"source=[{sources}]").code == 0
    found = rows(tmp_path)
    crops = [row["crop"] for name in ("v.avi", "p.png") for row in found[name]]
    assert len(set(crops)) == 2 + 3 + 2
    written = (tmp_path / "out/crops").rglob("*.jpg")
    assert {path.relative_to(tmp_path / "out/crops").as_posix() for path in written} == set(crops)


def _unsafe_zip(folder: Path) -> None:
    write_disfa(folder / "disfa", ["SN001"], 2)
    with zipfile.ZipFile(folder / "disfa/Videos_LeftCamera_.zip", "w") as archive:
        archive.writestr("../LeftVideoSN001_comp.avi", b"")
    (folder / "disfa/Videos_LeftCamera").rename(folder / "moved")
    (folder / "disfa/Videos_LeftCamera_.zip").rename(folder / "disfa/Videos_LeftCamera.zip")


def _file_as_output(folder: Path) -> None:
    (folder / "file").touch()


def _file_as_crops(folder: Path) -> None:
    (folder / "full").mkdir()
    (folder / "full/crops").touch()


def _bad_label(folder: Path) -> None:
    write_disfa(folder / "disfa", ["SN001"], 2)
    (folder / "disfa/ActionUnit_Labels/SN001/SN001_au9.txt").write_text("1,0\n2,x\n", encoding="utf-8")


def _other_settings(folder: Path) -> None:
    assert crop(folder, f"source={folder}/video.avi", "align.size=64").code == 0


def test_settings_can_change_as_long_as_no_crop_was_written(tmp_path: Path) -> None:
    video = write_video(tmp_path / "video.avi", moving_faces(3))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/crops").touch()
    assert crop(tmp_path, f"source={video}").code == 2
    assert list((tmp_path / "out/.progress").rglob("detections.jsonl"))
    (tmp_path / "out/crops").unlink()
    assert crop(tmp_path, f"source={video}", "align.size=64").code == 0
    assert read_image(tmp_path / "out/crops/video/000001.jpg").shape == (64, 64, 3)
    assert json.loads((tmp_path / "out/crops.json").read_text("utf-8"))["align"]["size"] == 64


def _cropped(folder: Path) -> None:
    assert crop(folder, f"source={folder}/video.avi").code == 0


def _nothing(folder: Path) -> None:
    pass


MISTAKES: dict[str, tuple[Callable[[Path], None], Sequence[str], str]] = {
    "no match": (
        _nothing,
        ["source={folder}/*.mp4"],
        "DataError: source: expected a file, a folder or a pattern that matches, got '{folder}/*.mp4'; check the path",
    ),
    "no source": (_nothing, ["source=null"], "ConfigError: source: expected files to crop, got none; add source=PATH"),
    "no pictures": (
        lambda folder: (folder / "texts").mkdir(),
        ["source={folder}/texts"],
        "DataError: source: expected images (apng avif bmp",
    ),
    "source and data set": (
        lambda folder: (folder / "disfa").mkdir(),
        ["dataset=disfa", "root={folder}/disfa"],
        "ConfigError: source: expected either source or dataset, got both; leave one out",
    ),
    "unknown data set": (_nothing, ["dataset=disfaa"], "ConfigError: dataset=disfaa: expected an option of 'dataset'"),
    "empty data set": (
        lambda folder: (folder / "disfa").mkdir(),
        ["source=null", "dataset=disfa", "root={folder}/disfa"],
        "DataError: root: expected DISFA as Videos_LeftCamera/LeftVideoSN001_comp.avi and ",
    ),
    "bad label": (
        _bad_label,
        ["source=null", "dataset=disfa", "root={folder}/disfa"],
        "DataError: {folder}/disfa/ActionUnit_Labels/SN001/SN001_au9.txt:2: expected ",
    ),
    "unsafe archive": (
        _unsafe_zip,
        ["source=null", "dataset=disfa", "root={folder}/disfa"],
        "DataError: {folder}/disfa/Videos_LeftCamera.zip: expected members inside the archive, got '../LeftVideoSN",
    ),
    "output below a file": (
        _file_as_output,
        ["output={folder}/file/out"],
        "DataError: {folder}/file/out: expected a writable folder, got 'Not a directory'",
    ),
    "output is a file": (
        _file_as_output,
        ["output={folder}/file"],
        "DataError: {folder}/file: expected a writable folder",
    ),
    "crops are a file": (
        _file_as_crops,
        ["output={folder}/full"],
        "DataError: {folder}/full/crops/video/000001.jpg: expected a writable file, got",
    ),
    "crops are a file, in workers": (
        _file_as_crops,
        ["output={folder}/full", "workers=2", "source=[{folder}/video.avi,{folder}/photo.png]"],
        "DataError: {folder}/full/crops/",
    ),
    "other settings": (_other_settings, [], "ConfigError: align.size: expected 64 as for the crops in '{folder}/out'"),
    "other settings of the detector": (
        _cropped,
        ["+detector.level=0.5"],
        "ConfigError: detector.level: expected 0.0 as for the crops in '{folder}/out', got 0.5; repeat those settings",
    ),
    "key": (_nothing, ["sorce=a"], "ConfigError: sorce: expected a known key at the top level, got 'sorce'; did you"),
    "policy": (
        _nothing,
        ["selection.policy=trak"],
        "ConfigError: selection.policy: expected largest, center, track, a",
    ),
    "shard": (_nothing, ["shard={{index:2,count:2}}"], "ConfigError: shard.index: expected a whole number from 0 to "),
    "workers": (_nothing, ["workers=-1"], "ConfigError: workers: expected a whole number >= 0, got -1"),
    "sheet": (_nothing, ["sheet=many"], "ConfigError: sheet: expected a whole number >= 0, got 'many'"),
    "folds of files": (_nothing, ["folds=3"], "ConfigError: folds: expected a data set with labels, got files"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(name: str, tmp_path: Path) -> None:
    prepare, overrides, line = MISTAKES[name]
    write_video(tmp_path / "video.avi", moving_faces(2))
    write_photo(tmp_path / "photo.png", face_at(40, 40))
    prepare(tmp_path)
    given = [override.format(folder=tmp_path) for override in overrides]
    outcome = crop(tmp_path, f"source={tmp_path}/video.avi", *given)
    assert outcome.code == 2, outcome.stderr
    assert outcome.error.startswith(line.format(folder=tmp_path))
    assert not (tmp_path / "out/crops.csv").exists() or name.startswith("other settings")
