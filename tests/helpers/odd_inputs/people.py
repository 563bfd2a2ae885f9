"""Folders of images, videos, labels and data sets as other systems and tools write them."""
# ruff: noqa: E501 (a row of the table is a line)

from __future__ import annotations

import re
import unicodedata
import zipfile
from pathlib import Path

import pandas as pd

from tests.helpers.markers import MARKERS, blank, face_at, moving_faces, write_photo, write_video
from tests.helpers.numbered import write_disfa
from tests.helpers.odd_inputs.row import CROP, INFER, TRAIN, Row, labels, photos
from tests.integration.command import Outcome

DISFA = ("dataset=disfa", "root={folder}/disfa", "output={folder}/crops", *MARKERS)
NAME = "M\u00fcller"


def apple_double(folder: Path) -> None:
    photos(folder)
    (folder / "photos/._a.png").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(4000))


def capitals(folder: Path) -> None:
    photos(folder)
    (folder / "photos/a.png").rename(folder / "photos/IMG_1.PNG")


def same_stem(folder: Path) -> None:
    photos(folder)
    write_photo(folder / "photos/a.jpg", face_at(60, 40))


def nobody(folder: Path) -> None:
    photos(folder)
    write_photo(folder / "photos/a.png", blank())


def unfinished(folder: Path) -> None:
    photos(folder)
    content = write_video(folder / "v.mp4", moving_faces(5)).read_bytes()
    (folder / "v.mp4").write_bytes(content[: content.find(b"moov") - 4])


def decomposed(folder: Path) -> None:
    labels(lambda text: text.replace("s0/", f"{NAME}/"))(folder)
    (folder / "faces/images/s0").rename(folder / "faces/images" / unicodedata.normalize("NFD", NAME))


def locked_zip(folder: Path) -> None:
    """Mark the only member as encrypted in both headers of the archive."""
    root = write_disfa(folder / "disfa", ["SN001"], 2)
    video, archive = root / "Videos_LeftCamera/LeftVideoSN001_comp.avi", root / "Videos_LeftCamera.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(video, video.name)
    video.unlink()
    video.parent.rmdir()
    content = bytearray(archive.read_bytes())
    content[content.find(b"PK\3\4") + 6] |= 1
    content[content.find(b"PK\1\2") + 8] |= 1
    archive.write_bytes(content)


def files_of(path: Path) -> list[str]:
    return [Path(name).name for name in pd.read_csv(path)["file"]]


def one_row(outcome: Outcome, folder: Path) -> None:
    assert files_of(folder / "out.csv") == ["a.png"]


def row_of_capitals(outcome: Outcome, folder: Path) -> None:
    table = pd.read_csv(folder / "out.csv")
    assert (files_of(folder / "out.csv"), table["status"].tolist()) == (["IMG_1.PNG"], ["ok"])


def crop_of_each(outcome: Outcome, folder: Path) -> None:
    crops = pd.read_csv(folder / "crops/crops.csv")["crop"].tolist()
    assert len(set(crops)) == 2
    assert all((folder / "crops/crops" / name).is_file() for name in crops)


def columns_of_their_files(outcome: Outcome, folder: Path) -> None:
    """`write_disfa` gives the AU at position p the intensity (n + p) % 6 in frame n; AU4 is at position 2, AU12 at 6."""
    table = pd.read_csv(folder / "crops/labels.csv").sort_values("frame")
    assert table["AU4"].tolist() == [3, 4, 5, 0]
    assert table["AU12"].tolist() == [1, 2, 3, 4]


def all_faces(outcome: Outcome, folder: Path) -> None:
    assert re.findall(r"^(?:train|val|test) +faces +(\d+)", outcome.stdout, re.MULTILINE) == ["20", "12", "8"]


def half_of_each_au(outcome: Outcome, folder: Path) -> None:
    all_faces(outcome, folder)
    for au in ("AU1", "AU6", "AU12"):
        assert re.search(rf"^{au} .* 20 +50\.0 % +12 +50\.0 % +8 +50\.0 %$", outcome.stdout, re.MULTILINE)


# fmt: off
ROWS = [
    Row(fed="`._a.png`, which macOS writes beside `a.png` on exFAT", thread="SanjaySoniLV/ProjectKestrel#58", command="infer", overrides=INFER, prepare=apple_double,
        right="one row, for `a.png`", check=one_row),
    Row(fed="suffix in upper case, `IMG_1.PNG`", thread="open-edge-platform/anomalib#3058", command="infer", overrides=INFER, prepare=capitals,
        right="read like `.png`", check=row_of_capitals),
    Row(fed="`a.jpg` and `a.png` in one folder", thread="flozz/yoga-image-optimizer#23", command="crop", overrides=CROP, prepare=same_stem,
        right="one crop for each", check=crop_of_each),
    Row(fed="image without a face", thread="cosanlab/py-feat#113", command="infer", overrides=INFER, prepare=nobody,
        line="DataError: source: expected a face in at least one frame, got none in 1 frame: 1 no_face; if the images are face crops already, add crops=true"),
    Row(fed="MP4 file cut off before its index", thread="OpenDriveLab/AgiBot-World#23", command="infer", overrides=(*INFER, "source={folder}/v.mp4"), prepare=unfinished,
        line="DataError: source: expected *, got *"),
    Row(fed="OpenFace's CSV, with a space after every comma", thread="Fictionarry/ER-NeRF#115", command="train", overrides=TRAIN, prepare=labels(lambda text: re.sub(r"AU(\d+)", r"AU\1_r", text, count=3).replace(",", ", ")),
        right="the same labels as without the spaces: each AU in half of the faces", check=half_of_each_au),
    Row(fed="cell `-nan(ind)` that OpenFace writes on Windows", thread="TadasBaltrusaitis/OpenFace#301", command="train", overrides=TRAIN, prepare=labels(lambda text: re.sub(r"\n[^,]*,", "\n-nan(ind),", text, count=1)),
        line="DataError: {folder}/faces/labels.csv:2: expected a number in column 'AU1', got '-nan(ind)'; write the score, or leave the cell empty if it is unknown"),
    Row(fed="accented letter as two characters on disk (macOS), as one in the table", thread="owncloud/core#31544", command="train", overrides=TRAIN, prepare=decomposed,
        right="all faces found", check=all_faces),
    Row(fed="`0.JPG` in the table, `0.jpg` on disk", thread="mcdougallab/modeldb#198", command="train", overrides=TRAIN, prepare=labels(lambda text: text.replace(".jpg", ".JPG")),
        line="DataError: {folder}/faces/labels.csv:2: expected an image, got no such file: '{folder}/faces/images/s0/0.JPG' (and 19 more broken files), but there is '0.jpg'; fix it, or leave such rows out with data.sources.csv.bad_images=skip"),
    Row(fed="DISFA's label files, listed by the system in any order", thread="ihp-lab/LibreFace#2", command="crop", overrides=DISFA, prepare=lambda folder: write_disfa(folder / "disfa", ["SN001"], 4),
        right="each AU gets the labels of its own file", check=columns_of_their_files),
    Row(fed="password-protected archive of a data set", thread="GW2Raidar/gw2raidar#162", command="crop", overrides=DISFA, prepare=locked_zip,
        line="DataError: source: expected a face in at least one frame, got none in 1 clip; see {folder}/crops/crops.csv"),
]
