"""Faces of a test, coloured by how hiding a patch changes the score of an AU."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from faceflow.aus import description
from faceflow.encoding import Array
from faceflow.images import Image
from faceflow.report.face_tiles import HEAD, PITCH, STEP, FaceTiles
from faceflow.report.figure_page import MARGIN, MEDIUM, SMALL, Page
from faceflow.report.palette import BLUE, GRAY, VERMILION

HIT, FALSE, MISSED = "hit", "false alarm", "miss"
MOST_FACES = 3  # of a kind, for which there is room

_NAMES, _BETWEEN, _ABOVE = 2.4, 0.6, 0.6  # inches
_STRONGEST = 0.65
_FOR, _AGAINST = (255 * np.array(to_rgb(color)) for color in (VERMILION, BLUE))


@dataclass(frozen=True, eq=False, kw_only=True)
class SaliencyMap:
    """A face, and how much the logit of an AU falls where a patch of the face is hidden.

    `kind` is hit, false alarm or miss; `probability` that of the whole face; `image` (S, S, 3) RGB as the network sees
    it; `change` (S, S), positive where hiding the patch lowers the score.
    """

    au: str
    kind: str
    file: str
    probability: float
    image: Image
    change: Array


def colored(face: SaliencyMap) -> Image:
    """The face in grey; orange where hiding lowers the score, blue where it raises it, in proportion to the change."""
    gray = cv2.cvtColor(face.image, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float64)
    largest = np.abs(face.change).max()
    share = _STRONGEST * (face.change / largest if largest > 0 else face.change)[..., None]
    color = np.where(share > 0, _FOR, _AGAINST)
    return np.asarray(gray * (1 - np.abs(share)) + color * np.abs(share), np.uint8)


def draw_saliency(maps: Sequence[SaliencyMap], title: str, protocol: Mapping[str, str]) -> Figure:
    """Draw a row per AU: its most confident hits, false alarms and misses."""
    rows = [(au, list(faces)) for au, faces in itertools.groupby(maps, key=lambda face: face.au)]
    page = Page.open(title, protocol, _ABOVE + PITCH * max(1, len(rows)))
    said = (
        "Orange: hiding this part of the face lowers the AU's score; blue: hiding it raises the score. Below each "
        "face: probability, largest change of the logit, and file."
    )
    page.text(MARGIN, page.top + 0.17, said if rows else "No AU has a face to show.", MEDIUM)
    tiles = FaceTiles.on(page)
    for number, (au, faces) in enumerate(rows):
        top = page.top + _ABOVE + number * PITCH
        page.text(MARGIN, top + HEAD + 0.1, au, MEDIUM, bold=True)
        page.text(MARGIN, top + HEAD + 0.28, description(au), MEDIUM)
        for block, kind in enumerate((HIT, FALSE, MISSED)):
            start = MARGIN + _NAMES + block * (MOST_FACES * STEP + _BETWEEN)
            page.text(start, top, {HIT: "hits", FALSE: "false alarms", MISSED: "misses"}[kind], MEDIUM)
            shown = [face for face in faces if face.kind == kind]
            if not shown:
                page.text(start, top + 0.3, "none", SMALL, color=GRAY, italic=True)
            for position, face in enumerate(shown):
                change = face.change.flat[np.abs(face.change).argmax()]
                value = f"{face.probability:.2f}  {-change:+.1f}"
                tiles.add(colored(face), start + position * STEP, top + HEAD, value=value, file=face.file)
    tiles.finish()
    return page.figure
