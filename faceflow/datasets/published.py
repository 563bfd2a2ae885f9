"""Results of the parsers of published data sets, whatever the layout of the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

Labels = Mapping[int, Mapping[str, float]]
"""Frame number -> AU (`AU12`) -> score; what was not annotated is absent."""

Folds = Mapping[str, Mapping[str, Sequence[str]]]
"""Published protocol -> fold -> test subjects; the fold trains on the others."""


@dataclass(frozen=True)
class ZipMember:
    """A file inside a zip archive."""

    archive: Path
    member: str

    @property
    def name(self) -> str:
        """Last part of its path, as of a `Path`."""
        return PurePosixPath(self.member).name

    def __str__(self) -> str:
        """Path for messages."""
        return f"{self.archive}/{self.member}"


File = Path | ZipMember


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One video, or one folder of images, of one subject, with the labels of its frames.

    `name` is unique, "/"-separated and without extension, so it can name the folder of the crops. `file` is the video
    or the folder; `frames` are the images by frame number, None for a video, whose frames count from 1. `domain` is a
    difference other than the subject, such as the camera, or "" if there is none. `excluded` are frames that a preset
    of bad frames leaves out of the labels, with the reason.
    """

    name: str
    file: File
    frames: Mapping[int, Path] | None
    subject: str
    domain: str
    labels: Labels
    excluded: Mapping[int, str]


class Dataset(Protocol):
    """What a config of `configs/dataset/` builds."""

    @property
    def name(self) -> str:
        """Name in results and paths."""

    @property
    def folds(self) -> Folds:
        """Published folds by protocol."""

    def recordings(self) -> list[Recording]:
        """List the recordings, sorted by name; videos and images are found but not opened.

        Raises:
            DataError: nothing found, or a label file that breaks its format.
        """
