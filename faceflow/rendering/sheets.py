"""Contact sheets of a rendered data set: faces of every domain, and every AU on its own."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from faceflow.images import Image, read_image
from faceflow.progress import progress_bar
from faceflow.rendering.action_units import AUS, BOTH_SIDES
from faceflow.rendering.recording import CROPS, Renderer, RenderSettings
from faceflow.rendering.tables import read_images
from faceflow.report.contact_sheet import contact_sheet

FOLDER = "sheets"
_PER_ROW, _TILE, _CAPTION = 8, 160, 16
_PEOPLE = 3  # on the sheet of an AU
_COLUMNS = ("none", "level 2", "level 5", "left 5", "right 5")  # as `Renderer.picture_au` gives them


def draw_domains(output: Path, domains: list[str], count: int) -> None:
    """Draw faces of each domain, evenly spread over its images, with their AUs below."""
    for domain in domains:
        rows = list(read_images(output, domain))
        chosen = [rows[place] for place in np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]
        texts = [" ".join(f"{au[2:]}:{row[au]}" for au in AUS if row[au] != "0") for row in chosen]
        images = [read_image(output / CROPS / row["filename"]) for row in chosen]
        tiles = [_captioned(image, text) for image, text in zip(images, texts, strict=True)]
        width = min(_PER_ROW, len(tiles))
        tiles += [np.full((_TILE, _TILE, 3), 255, np.uint8)] * (-len(tiles) % width)
        grid = [tiles[start : start + width] for start in range(0, len(tiles), width)]
        contact_sheet(grid, path=output / FOLDER / f"domain_{domain}.png", columns=[""] * width, tile=_TILE)


def draw_aus(output: Path, settings: RenderSettings) -> None:
    """Draw what each AU alone does to three subjects; sheets that are there stay."""
    missing = {au: path for au in AUS if not (path := output / FOLDER / f"{au}.png").exists()}
    if not missing:
        return
    renderer = Renderer(settings)
    with progress_bar("Drawing AUs", len(missing), unit="sheets") as bar:
        for au, path in missing.items():
            shown = len(_COLUMNS) - 2 * (au in BOTH_SIDES)
            rows = [row[:shown] for row in renderer.picture_au(au, _PEOPLE)]
            contact_sheet(rows, path=path, columns=_COLUMNS[:shown], tile=_TILE)
            bar.advance()


def _captioned(image: Image, text: str) -> Image:
    """A white tile with an image and a line of text below."""
    side = _TILE - _CAPTION
    tile = np.full((_TILE, _TILE, 3), 255, np.uint8)
    left = (_TILE - side) // 2
    tile[:side, left : left + side] = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    cv2.putText(tile, text, (2, _TILE - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (0, 0, 0), 1, cv2.LINE_AA)
    return tile
