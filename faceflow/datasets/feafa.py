"""FEAFA (Yan et al. 2019) and FEAFA+ (Gan et al. 2022): 24 movements graded from 0 to 1 in every frame.

    PV001.output/00000994.auw   one line of 24 numbers from 0 to 1
    PV001.output/00000994.jpg   or PV001/00000994.jpg: the image of the same number

The movements are the data set's own, some of one side of the face, and the files do not name them: the user must state
which AU each of the 24 is, from the documents that come with the data. Images are found by their number; the numbering
of frames in videos is not documented, so videos are not read. Each clip counts as one subject: the few subjects who
were filmed twice count as two.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from faceflow.aus import check_aus
from faceflow.datasets.label_files import read_lines
from faceflow.datasets.layout import in_both, not_found, open_root
from faceflow.datasets.numbered_files import IMAGES, numbered_files, with_frames
from faceflow.datasets.published import Folds, Recording
from faceflow.errors import ConfigError, DataError

VALUES = 24

_CLIP = re.compile(r"(?!\.)(.+)\.output", re.IGNORECASE)
_FILE = re.compile(r"(\d+)\.auw", re.IGNORECASE)


class FEAFA:
    """Parser of FEAFA, also of its grades of DISFA's frames."""

    name = "feafa"
    folds: ClassVar[Folds] = {}  # none is known

    def __init__(self, *, root: str | None, columns: Sequence[str | None] | None) -> None:
        """Choose what to read.

        Args:
            root: folder that holds the clips, nested once or not.
            columns: AU (`AU12`, `AU12_L`) of each of the 24 values in their order; None: a value that is no AU.

        Raises:
            ConfigError: no such folder, or not 24 columns with at least one AU.
        """
        self.root = open_root(root, "FEAFA")
        self.columns = _check_columns(columns)

    def recordings(self) -> list[Recording]:
        """List the clips that have labels and images; images without a label file are left out."""
        folders = _clip_folders(self.root)
        labels = {clip: files for clip, folder in folders.items() if (files := numbered_files(folder, _FILE))}
        images = {clip: found for clip, folder in folders.items() if (found := _images(folder, clip))}
        names = in_both("FEAFA", labels, images)
        if not names:
            layout = "PV001.output/00000994.auw with PV001.output/00000994.jpg or PV001/00000994.jpg"
            raise not_found("FEAFA", layout, self.root)
        clips = [
            Recording(
                name=clip,
                file=folders[clip],
                frames={frame: path for frame, path in images[clip].items() if frame in labels[clip]},
                subject=clip,
                domain="",
                labels={frame: self._read(file) for frame, file in labels[clip].items()},
                excluded={},
            )
            for clip in names
        ]
        return with_frames("FEAFA", clips)

    def _read(self, file: Path) -> dict[str, float]:
        lines = list(read_lines(file))
        line, text = lines[min(1, len(lines) - 1)] if lines else (1, "")
        values = [_grade(cell) for cell in re.split(r"[\s,]+", text)]
        if len(lines) != 1 or len(values) != VALUES or None in values:
            raise DataError(
                f"{file}:{line}: expected one line of {VALUES} numbers from 0 to 1, got {text[:40]!r}; restore the "
                "original file"
            )
        return {au: v for au, v in zip(self.columns, values, strict=True) if au is not None and v is not None}


def _check_columns(columns: Sequence[str | None] | None) -> tuple[str | None, ...]:
    if columns is None or isinstance(columns, str) or len(columns) != VALUES:
        got = "nothing" if columns is None else repr(columns) if isinstance(columns, str) else f"{len(columns)} names"
        raise ConfigError(
            f"dataset.columns: expected the AU of each of the {VALUES} values of an .auw file, got {got}; list them "
            "as documented with your copy, null for a value that is not an AU: dataset.columns=[AU43_L,AU43_R,null,...]"
        )
    check_aus([au for au in columns if au is not None], key="dataset.columns")
    return tuple(columns)


def _clip_folders(root: Path) -> dict[str, Path]:
    """Folders of the clips by name, in a folder or one level deeper."""
    clips: dict[str, Path] = {}
    for folder in [*sorted(root.glob("*/")), *sorted(root.glob("*/*/"))]:
        match = _CLIP.fullmatch(folder.name)
        if match and clips.setdefault(match[1], folder) != folder:
            raise DataError(f"{folder}: expected one folder for {match[1]}, got '{clips[match[1]]}' too; remove one")
    return clips


def _images(folder: Path, clip: str) -> dict[int, Path]:
    """Images beside the labels or, if there are none, in the folder that is named as the clip."""
    plain = folder.with_name(clip)
    return numbered_files(folder, IMAGES) or (numbered_files(plain, IMAGES) if plain.is_dir() else {})


def _grade(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None
