"""Videos whose frames show a face and their frame number, in blocks that stay readable after compression."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.helpers.markers import Image, blank, draw_face, write_video

SIDE = 224  # size of a frame; the preset `eyes` leaves a face with shift (0, 0) unchanged
_EYES = ((77.9, 80.1), (145.1, 80.1))
_BITS, _BLOCK, _LEFT, _TOP = 12, 24, 40, 130
AUS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)  # of DISFA


def numbered_frame(number: int, *, face: bool = True) -> Image:
    """Frame with a face and its number; both move between frames."""
    x, y = 7 * (number % 5), 5 * (number % 3)
    image = blank(SIDE + 40, SIDE + 20)
    for bit in range(_BITS):
        row, column = divmod(bit, _BITS // 2)
        top, left = _TOP + y + row * _BLOCK, _LEFT + x + column * _BLOCK
        image[top : top + _BLOCK, left : left + _BLOCK] = 230 if number >> bit & 1 else 20
    return draw_face(image, *((eye[0] + x, eye[1] + y) for eye in _EYES)) if face else image


def read_number(crop: Image) -> int:
    """The number shown in an aligned crop."""
    number = 0
    for bit in range(_BITS):
        row, column = divmod(bit, _BITS // 2)
        top, left = _TOP + row * _BLOCK, _LEFT + column * _BLOCK
        inner = crop[top + 6 : top + _BLOCK - 6, left + 6 : left + _BLOCK - 6]
        mean = float(np.mean(inner))
        assert not 80 < mean < 170, f"bit {bit} cannot be read"
        number |= (mean > 125) << bit
    return number


def write_disfa(
    root: Path, subjects: Sequence[str], frames: int, *, labels: int | None = None, without_face: Sequence[int] = ()
) -> Path:
    """Write DISFA's layout, left camera: frame n of each video shows n, with AU1 n % 6, AU2 (n + 1) % 6, ..."""
    for subject in subjects:
        images = [numbered_frame(n, face=n not in without_face) for n in range(1, frames + 1)]
        write_video(root / f"Videos_LeftCamera/LeftVideo{subject}_comp.avi", images, fps=20)
        folder = root / "ActionUnit_Labels" / subject
        folder.mkdir(parents=True)
        for place, au in enumerate(AUS):
            lines = [f"{n},{(n + place) % 6}\n" for n in range(1, (frames if labels is None else labels) + 1)]
            (folder / f"{subject}_au{au}.txt").write_text("".join(lines), encoding="utf-8")
    return root
