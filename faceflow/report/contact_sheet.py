"""Contact sheet: a titled grid of images, for looking at a data set or at the output of a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure

from faceflow.images import Image
from faceflow.report.figure_page import save

_DPI = 100
_GAP = 4  # pixels between tiles
_TITLE_HEIGHT = 24  # pixels
_CHARACTER_WIDTH = 9  # pixels, generous for the font size below
_FONT_SIZE = 9


def contact_sheet(
    rows: Sequence[Sequence[Image]],
    *,
    path: Path,
    columns: Sequence[str],
    row_names: Sequence[str] | None = None,
    tile: int = 128,
) -> Path:
    """Write RGB images as a grid of tiles with column titles and optional row titles to a PNG file.

    Args:
        rows: one image (H, W, 3) per column in each row, of any size; scaled to fit its tile without distortion.
        path: the PNG file to write; missing folders are made.
        columns: one title per column.
        row_names: one title per row.
        tile: side of a tile in pixels.

    Returns:
        `path`.

    Raises:
        ValueError: there are no rows, or the numbers of titles and images differ.
    """
    if not rows or any(len(row) != len(columns) for row in rows):
        raise ValueError(f"expected rows of {len(columns)} images each, got {[len(row) for row in rows]}")
    if row_names is not None and len(row_names) != len(rows):
        raise ValueError(f"expected {len(rows)} row names, got {len(row_names)}")
    step = tile + _GAP
    left = max(map(len, row_names)) * _CHARACTER_WIDTH + _GAP if row_names else _GAP
    height, width = _TITLE_HEIGHT + len(rows) * step, left + len(columns) * step
    sheet = np.full((height, width, 3), 255, dtype=np.uint8)
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    for r, row in enumerate(rows):
        top = _TITLE_HEIGHT + r * step
        for c, image in enumerate(row):
            x = left + c * step
            sheet[top : top + tile, x : x + tile] = _fit(image, tile)
        if row_names:
            y = 1 - (top + tile / 2) / height
            figure.text(_GAP / width, y, row_names[r], fontsize=_FONT_SIZE, va="center", parse_math=False)
    for c, title in enumerate(columns):
        x_center, y = (left + c * step + tile / 2) / width, 1 - _TITLE_HEIGHT / 2 / height
        figure.text(x_center, y, title, fontsize=_FONT_SIZE, ha="center", va="center", parse_math=False)
    figure.figimage(sheet)
    return save(figure, path, dpi=_DPI)


def _fit(image: Image, tile: int) -> Image:
    """Scale an image into the middle of a white square."""
    height, width = image.shape[:2]
    scale = tile / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    square = np.full((tile, tile, 3), 255, dtype=np.uint8)
    top, left = (tile - size[1]) // 2, (tile - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = scaled
    return square
