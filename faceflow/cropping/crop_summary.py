"""Summary of a crop run: a table of clips and statuses, and contact sheets of crops and failures."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from rich.table import Table
from rich.text import Text

from faceflow.console import plain_table
from faceflow.cropping.clips import Clip
from faceflow.cropping.crop_clip import CROPS, rows_file
from faceflow.cropping.crop_rows import STATUSES, read_rows
from faceflow.errors import DataError
from faceflow.faces.video import FrameRange, read_video
from faceflow.files import whole_file
from faceflow.images import Image, read_image
from faceflow.report.contact_sheet import contact_sheet

SUMMARY = "summary.json"

_WORST = 10  # clips on the table
_PER_ROW = 6
_LETTERS = 25  # of a caption
_FAILED = ("no_face", "low_confidence", "decode_error")
_TILE, _CAPTION = 160, 16  # pixels
_ROUNDED_S = 0.001  # times in rows are rounded
_SEED = 0  # the same crops give the same sheet


@dataclass(frozen=True)
class Failure:
    """A frame without a crop."""

    clip: Clip
    frame: int
    status: str
    time_s: float | None = None

    @property
    def caption(self) -> str:
        """Name of the frame and its status: a number in a video, the file name of a photograph."""
        clip = self.clip
        name = f"{Path(clip.name).name} {self.frame}" if clip.sequence else Path(clip.frame_file(self.frame)).name
        return f"{name}: {self.status}"


def statuses(output: Path, clip: Clip) -> tuple[Counter[str], list[Failure]]:
    """Rows of a clip by status, and its frames without a crop."""
    counts: Counter[str] = Counter()
    failures = []
    for row in read_rows(rows_file(output, clip)):
        counts[row["status"]] += 1
        if row["status"] in _FAILED:
            time_s = max(0.0, float(row["time_s"]) - _ROUNDED_S) if row["time_s"] else None
            failures.append(Failure(clip, int(row["frame"]), row["status"], time_s))
    return counts, failures


def summary_table(counts: Sequence[tuple[str, Counter[str]]]) -> Table:
    """Rows by status, for the clips with the largest share of failures and for all.

    Args:
        counts: name and statuses of every clip.
    """
    table = plain_table("Crops", ["clip"], ["rows", *STATUSES, "without a crop"])
    worst = sorted(counts, key=lambda item: (-_failed_share(item[1]), item[0]))[:_WORST]
    for name, found in worst:
        table.add_row(Text(name or "(images at the top)"), *_cells(found))  # brackets are no markup
    if len(counts) > len(worst):
        table.add_row(f"... {len(counts) - len(worst)} more with fewer failures", *[""] * (len(STATUSES) + 2))
    table.add_section()
    total = sum((found for _, found in counts), Counter[str]())
    table.add_row(f"all {len(counts)}", *_cells(total), style="bold")
    return table


def store_summary(
    path: Path, counts: Sequence[tuple[str, Counter[str]]], passed_over: Mapping[str, int], *, features: int
) -> None:
    """Write rows by status for all clips, and counts of skipped source files by suffix.

    Args:
        path: of the file.
        counts: name and statuses of every clip.
        passed_over: skipped files by suffix.
        features: crops with features.

    Raises:
        DataError: the file cannot be written.
    """
    total = sum((found for _, found in counts), Counter[str]())
    rows, others = dict(sorted(total.items())), dict(sorted(passed_over.items()))
    content = {"clips": len(counts), "rows": rows, "features": features, "passed_over": others}
    with whole_file(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def draw_crops(output: Path, crops: Sequence[str], count: int, path: Path) -> None:
    """Draw `count` crops, chosen at random, on one sheet."""
    chosen = sorted(np.random.default_rng(_SEED).permutation(len(crops))[:count])
    named = ((crops[i], str(PurePosixPath(crops[i]).with_suffix(""))) for i in chosen)
    _draw([_captioned(read_image(output / CROPS / crop), name) for crop, name in named], path)


def draw_failures(failures: Sequence[Failure], count: int, path: Path) -> None:
    """Draw `count` frames without a crop, chosen at random, on one sheet; undecodable ones are left out."""
    decoded = [failure for failure in failures if failure.status != "decode_error"]
    order = np.random.default_rng(_SEED).permutation(len(decoded))
    tiles: list[Image] = []  # scaled down at once: a photograph may take hundreds of megabytes
    for failure in (decoded[i] for i in order[: 4 * count]):
        if len(tiles) == count:
            break
        if (image := _frame_image(failure)) is not None:
            tiles.append(_captioned(image, failure.caption))
    _draw(tiles, path)


def _frame_image(failure: Failure) -> Image | None:
    clip = failure.clip
    if clip.images is not None:
        try:
            return read_image(clip.images[failure.frame])
        except (DataError, KeyError):
            return None
    if not isinstance(clip.file, Path):
        return None
    near = FrameRange(every=1, start_s=failure.time_s or 0.0, end_s=None)
    with contextlib.suppress(DataError), contextlib.closing(read_video(clip.file, near)) as frames:
        return next((frame.image for frame in frames if frame.number == failure.frame), None)
    return None


def _draw(tiles: Sequence[Image], path: Path) -> None:
    path.unlink(missing_ok=True)
    if not tiles:
        return
    width = min(_PER_ROW, len(tiles))
    blank = np.full((8, 8, 3), 255, np.uint8)
    padded = [*tiles, *[blank] * (-len(tiles) % width)]
    rows = [padded[start : start + width] for start in range(0, len(padded), width)]
    contact_sheet(rows, path=path, columns=[""] * width, tile=_TILE)


def _captioned(image: Image, text: str) -> Image:
    """Scale an image into a white tile with a line of text below; OpenCV has no letters beyond ASCII."""
    room = _TILE - _CAPTION
    scale = room / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    tile = np.full((_TILE, _TILE, 3), 255, np.uint8)
    top, left = (room - height) // 2, (_TILE - width) // 2
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    tile[top : top + height, left : left + width] = cv2.resize(image, (width, height), interpolation=method)
    shown = text if len(text) <= _LETTERS else f"...{text[3 - _LETTERS :]}"
    cv2.putText(tile, shown, (2, _TILE - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (0, 0, 0), 1, cv2.LINE_AA)
    return tile


def _failed_share(found: Counter[str]) -> float:
    return sum(found[status] for status in _FAILED) / max(found.total(), 1)


def _cells(found: Counter[str]) -> list[str]:
    return [str(found.total()), *(str(found[status]) for status in STATUSES), f"{100 * _failed_share(found):.1f} %"]
