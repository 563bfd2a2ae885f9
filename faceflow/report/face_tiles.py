"""Small faces on a page, each with a value and the name of its file below it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from faceflow.images import Image
from faceflow.report.figure_page import SMALL, WIDTH, Page
from faceflow.report.palette import GRAY

DPI = 110
STEP = 1.03  # inches from a face to the next one
HEAD, PITCH = 0.12, 1.6  # inches from a heading to its faces, and to the next heading

_FACE, _LINE = 0.98, 0.13  # inches
_FILE_LETTERS = 15


@dataclass(frozen=True)
class FaceTiles:
    """A page and the pixels drawn below its texts; `finish` adds them once all faces are placed."""

    page: Page
    sheet: NDArray[np.uint8]

    @classmethod
    def on(cls, page: Page) -> FaceTiles:
        """Start with white pixels of the size of a page."""
        return cls(page, np.full((round(page.height * DPI), round(WIDTH * DPI), 3), 255, np.uint8))

    def add(self, image: Image, left: float, top: float, *, value: str, file: str) -> None:
        """Place a face.

        Args:
            image: (H, W, 3) RGB, scaled to fit.
            left: inches from the left edge of the page.
            top: inches from the upper edge of the page.
            value: text below the face.
            file: its name, or the end of it that fits, is written below the value.
        """
        side, x, y = (round(inches * DPI) for inches in (_FACE, left, top))
        height, width = image.shape[:2]
        scale = side / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        self.sheet[y : y + size[1], x : x + size[0]] = small
        name = Path(file).stem
        shown = name if len(name) <= _FILE_LETTERS else f"…{name[1 - _FILE_LETTERS :]}"
        self.page.text(left, top + _FACE + 0.09, value, SMALL)
        self.page.text(left, top + _FACE + 0.09 + _LINE, shown, SMALL, color=GRAY)

    def finish(self) -> None:
        """Put the faces on the page."""
        self.page.figure.figimage(self.sheet)
