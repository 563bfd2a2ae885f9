"""The hardest faces of every AU: the most confident false alarms and misses."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from faceflow.aus import description
from faceflow.report.example_faces import Results, readable_faces
from faceflow.report.face_tiles import HEAD, PITCH, STEP, FaceTiles
from faceflow.report.figure_page import MARGIN, MEDIUM, SMALL, WIDTH, Page, missing_class
from faceflow.report.palette import BLUE, GRAY, VERMILION

EACH = 3  # faces of a kind

# Inches.
_ACROSS = 2  # AUs
_BLOCK = (WIDTH - 2 * MARGIN) / _ACROSS
_BETWEEN, _ABOVE = 0.2, 0.5

_AU_LETTERS = 28
_RANKED = 512  # faces that are looked at for different subjects


def hardest_rows(results: Results, index: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of an AU's false alarms, most probable first, and of its misses, least probable first."""
    wrong, truth, probability = results.wrong[:, index], results.truth[:, index], results.probability[:, index]
    false, missed = np.flatnonzero(wrong & ~truth), np.flatnonzero(wrong & truth)
    return (
        false[np.argsort(-probability[false], kind="stable")],
        missed[np.argsort(probability[missed], kind="stable")],
    )


def draw_hardest(results: Results, title: str, protocol: Mapping[str, str]) -> Figure:
    """Draw up to three false alarms and three misses per AU, from different subjects as far as possible."""
    page = Page.open(title, protocol, _ABOVE + math.ceil(len(results.aus) / _ACROSS) * PITCH + 0.1)
    page.text(
        MARGIN, page.top + 0.17, "Wrong at the validation threshold, most confident first: probability, file.", MEDIUM
    )
    tiles = FaceTiles.on(page)
    alike = np.unique(np.asarray(results.subjects, str), return_inverse=True)[1]
    for index, au in enumerate(results.aus):
        down, right = divmod(index, _ACROSS)
        left, top = MARGIN + right * _BLOCK, page.top + _ABOVE + down * PITCH
        page.text(left, top, f"{au} {description(au)}"[:_AU_LETTERS], MEDIUM, bold=True)
        false, missed = hardest_rows(results, index)
        none = missing_class(*(int(part[:, index].sum()) for part in (results.active, results.judged)))
        for number, (rows, kind, color) in enumerate(((false, "false", BLUE), (missed, "missed", VERMILION))):
            start = left + number * (EACH * STEP + _BETWEEN)
            shift = 0.0 if number else 2.2
            page.text(start + shift, top, f"{len(rows)} {kind}", MEDIUM, color=color)
            faces = readable_faces(rows[:_RANKED], alike, results.files, count=EACH)
            if not faces:
                reason = "no image can be read" if len(rows) else none or f"none {kind}"
                page.text(start, top + 0.3, reason, SMALL, color=GRAY, italic=True)
            for position, face in enumerate(faces):
                assert results.files is not None, "faces are chosen from files"
                value = f"{results.probability[face.row, index]:.2f}"
                tiles.add(face.image, start + position * STEP, top + HEAD, value=value, file=results.files[face.row])
    tiles.finish()
    return page.figure
