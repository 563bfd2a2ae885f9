"""Files that list the AUs of one frame with their intensity, as in the data sets of the Cohn-Kanade family.

       4.0000000e+00   3.0000000e+00
       1.2000000e+01   0.0000000e+00

A listed AU is present; an intensity of 0 means that its strength was not graded. An empty file means that no AU is
present. Some files have more columns, which are not read.
"""

from __future__ import annotations

from pathlib import Path

from faceflow.aus import DESCRIPTIONS
from faceflow.datasets.label_files import Codes, read_code, read_lines, two_labels
from faceflow.errors import DataError

INTENSITY = Codes(highest=5, missing=None)


def read_facs(file: Path, frame: int) -> dict[str, float]:
    """Intensity 0-5 of every AU that a file lists; codes of the head, the eyes and the view are left out.

    Args:
        file: may be empty.
        frame: its frame, for messages.

    Raises:
        DataError: a line that does not begin with an AU and an intensity, or an AU with two intensities.
    """
    listed: dict[str, float] = {}
    for line, text in read_lines(file):
        cells = text.split()
        number = _whole(cells[0])
        if len(cells) < 2 or number is None:
            raise DataError(
                f"{file}:{line}: expected the number of an AU and its intensity, got {text[:40]!r}; restore the "
                "original file"
            )
        intensity = read_code(cells[1], INTENSITY, file, line)
        assert intensity is not None, "these codes have no missing value"
        if number in DESCRIPTIONS and listed.setdefault(f"AU{number}", intensity) != intensity:
            raise two_labels(file, line, frame)
    return listed


def _whole(text: str) -> int | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if value.is_integer() and value >= 0 else None
