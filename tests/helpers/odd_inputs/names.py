"""File names and image formats: issue 16, points 3 and 4."""
# ruff: noqa: E501 (a row of the table is a line)

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from PIL import Image as Pillow

from tests.helpers.markers import MARKERS, face_at
from tests.helpers.odd_inputs.row import CROP, INFER, Row, photos
from tests.integration.command import Outcome

_BASE = ("onnx={folder}/model.onnx", "output={folder}/out.csv", *MARKERS)


def named(name: str) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        photos(folder)
        (folder / "photos/a.png").rename(folder / "photos" / name)

    return prepare


def kind(suffix: str, written_as: str) -> Callable[[Path], None]:
    """A face in another format; the marker discs survive its compression."""

    def prepare(folder: Path) -> None:
        photos(folder)
        (folder / "photos/a.png").unlink()
        Pillow.fromarray(face_at(40, 40)).convert("P" if written_as == "GIF" else "RGB").save(
            folder / f"photos/a{suffix}", written_as
        )

    return prepare


def huge(folder: Path) -> None:
    """A one-bit image of 40,000 x 40,000 px, 194 KB, beside a good image."""
    photos(folder)
    side = 40_000
    packed = zlib.compressobj(9)
    data = b"".join(packed.compress(bytes(1 + side // 8)) for _ in range(side)) + packed.flush()
    parts = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)), (b"IDAT", data), (b"IEND", b""))
    chunks = (struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in parts)
    (folder / "photos/huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def dangling(folder: Path) -> None:
    photos(folder)
    (folder / "photos/b.png").symlink_to("/no/such/disk/b.png")


def one_face(name: str) -> Callable[[Outcome, Path], None]:
    def check(outcome: Outcome, folder: Path) -> None:
        table = pd.read_csv(folder / "out.csv")
        assert [Path(file).name for file in table["file"]] == [name]
        assert table["status"].tolist() == ["ok"]

    return check


def good_one_kept(outcome: Outcome, folder: Path) -> None:
    table = pd.read_csv(folder / "out.csv")
    assert dict(zip((Path(file).name for file in table["file"]), table["status"], strict=True)) == {
        "a.png": "ok",
        "huge.png": "decode_error",
    }


def counted(suffix: str) -> Callable[[Outcome, Path], None]:
    def check(outcome: Outcome, folder: Path) -> None:
        assert suffix in outcome.stdout + outcome.stderr

    return check


def beside(folder: Path) -> None:
    photos(folder)
    (folder / "photos/notes.docx").touch()
    (folder / "photos/raw.cr2").touch()


NAMES = {
    "\u9762\u8bd5.png": "a name in Chinese",
    "video (1).png": "a name with brackets and a space",
    "it's.png": "a name with an apostrophe",
    "a=b.png": "a name with `=`",
    "[x].png": "a name in square brackets",
    "a,b.png": "a name with a comma",
    "#1 & 2.png": "a name with `#` and `&`",
}
# fmt: off
ROWS = [
    *(Row(fed=f"{words}, `{name}`", thread="issue 16", command="infer", overrides=(*_BASE, f"source={{folder}}/photos/{name}"), prepare=named(name),
          right="read as written", check=one_face(name)) for name, words in NAMES.items()),
    Row(fed="animation, `a.gif`", thread="issue 16", command="infer", overrides=INFER, prepare=kind(".gif", "GIF"), right="its first frame", check=one_face("a.gif")),
    Row(fed="AVIF from a phone", thread="issue 16", command="infer", overrides=INFER, prepare=kind(".avif", "AVIF"), right="read", check=one_face("a.avif")),
    Row(fed="`.jfif`, as a browser saves JPEG", thread="issue 16", command="infer", overrides=INFER, prepare=kind(".jfif", "JPEG"), right="read", check=one_face("a.jfif")),
    Row(fed="JPEG 2000", thread="issue 16", command="infer", overrides=INFER, prepare=kind(".jp2", "JPEG2000"), right="read", check=one_face("a.jp2")),
    Row(fed="image of 40,000 x 40,000 px beside a good one", thread="issue 16", command="infer", overrides=INFER, prepare=huge, right="one row `decode_error`, and the good one's", check=good_one_kept),
    Row(fed="other files beside an image", thread="issue 16", command="infer", overrides=INFER, prepare=beside, right="counted by kind in the summary", check=counted(".cr2")),
    Row(fed="link to a disk that is not mounted", thread="KatherLab/MediSwarm#496", command="crop", overrides=CROP, prepare=dangling, right="named or counted, the others are cropped", check=counted("b.png")),
]
