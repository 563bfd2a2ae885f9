"""The hardest faces of every AU: the surest false alarms and the surest misses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from faceflow.aus import description
from faceflow.report.example_faces import Face, Results, readable_faces
from faceflow.report.figure_page import MARGIN, MEDIUM, SMALL, WIDTH, Page, missing_class
from faceflow.report.palette import BLUE, GRAY, VERMILION

EACH = 3  # faces of a kind
DPI = 110

# Inches.
_ACROSS = 2  # AUs
_BLOCK = (WIDTH - 2 * MARGIN) / _ACROSS
_FACE, _STEP, _BETWEEN = 0.98, 1.03, 0.2
_ABOVE, _HEAD, _PITCH, _LINE = 0.5, 0.12, 1.6, 0.13

_FILE_LETTERS, _AU_LETTERS = 15, 28
_RANKED = 512  # faces that are looked at for different persons


def hardest_rows(results: Results, index: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of an AU's false alarms, most probable first, and of its misses, least probable first."""
    wrong, truth, probability = results.wrong[:, index], results.truth[:, index], results.probability[:, index]
    false, missed = np.flatnonzero(wrong & ~truth), np.flatnonzero(wrong & truth)
    return (
        false[np.argsort(-probability[false], kind="stable")],
        missed[np.argsort(probability[missed], kind="stable")],
    )


def draw_hardest(results: Results, title: str, protocol: Mapping[str, str]) -> Figure:
    """Draw up to three false alarms and three misses of every AU, of different persons while there are any."""
    page = Page.open(title, protocol, _ABOVE + math.ceil(len(results.aus) / _ACROSS) * _PITCH + 0.1)
    page.text(
        MARGIN, page.top + 0.17, "Wrong at the validation threshold, the surest first: probability, file.", MEDIUM
    )
    sheet = np.full((round(page.height * DPI), round(WIDTH * DPI), 3), 255, np.uint8)
    alike = np.unique(np.asarray(results.persons, str), return_inverse=True)[1]
    for index, au in enumerate(results.aus):
        down, right = divmod(index, _ACROSS)
        left, top = MARGIN + right * _BLOCK, page.top + _ABOVE + down * _PITCH
        page.text(left, top, f"{au} {description(au)}"[:_AU_LETTERS], MEDIUM, bold=True)
        false, missed = hardest_rows(results, index)
        none = missing_class(*(int(part[:, index].sum()) for part in (results.active, results.judged)))
        for number, (rows, kind, color) in enumerate(((false, "false", BLUE), (missed, "missed", VERMILION))):
            start = left + number * (EACH * _STEP + _BETWEEN)
            shift = 0.0 if number else 2.2
            page.text(start + shift, top, f"{len(rows)} {kind}", MEDIUM, color=color)
            faces = readable_faces(rows[:_RANKED], alike, results.files, count=EACH)
            if not faces:
                reason = "no picture can be read" if len(rows) else none or f"none {kind}"
                page.text(start, top + 0.3, reason, SMALL, color=GRAY, italic=True)
            for position, face in enumerate(faces):
                _paste(sheet, face, start + position * _STEP, top + _HEAD)
                beside, below = start + position * _STEP, top + _HEAD + _FACE + 0.09
                page.text(beside, below, f"{results.probability[face.row, index]:.2f}", SMALL)
                page.text(beside, below + _LINE, _file(results, face), SMALL, color=GRAY)
    page.figure.figimage(sheet)
    return page.figure


def _file(results: Results, face: Face) -> str:
    """Name of a face, or the end of it that fits below its picture."""
    assert results.files is not None, "faces are chosen from files"
    name = Path(results.files[face.row]).stem
    return name if len(name) <= _FILE_LETTERS else f"…{name[1 - _FILE_LETTERS :]}"


def _paste(sheet: NDArray[np.uint8], face: Face, left: float, top: float) -> None:
    side, x, y = (round(inches * DPI) for inches in (_FACE, left, top))
    height, width = face.image.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(face.image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    sheet[y : y + size[1], x : x + size[0]] = small
