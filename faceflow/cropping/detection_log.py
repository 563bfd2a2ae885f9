"""Detections so far, kept on disk so that an interrupted clip does not detect again."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from faceflow.errors import DataError
from faceflow.faces.detector import Detection
from faceflow.faces.features import FaceFeatures
from faceflow.files import hold


class DetectionLog:
    """One JSON line per frame, appended when the frame has been searched.

    Numbers are restored exactly, features (8 kB per face) as float32; extras and the detector's landmarks are lost.

    Args:
        path: the file; lines of an earlier process are read, except an incomplete last one.

    Raises:
        DataError: the file cannot be written, or another process writes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places: dict[int, int] = {}  # frame -> start of its line: features of an hour take a gigabyte

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b")
            if not hold(self._file):
                self._file.close()
                raise DataError(
                    f"{self.path.parent}: expected a clip that no other command is cropping, got one in use; "
                    "wait until that command ends, or choose another output"
                )
            self._file.truncate(self._read())
        except OSError as error:
            raise self._unwritable(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # what is not yet written has been complained about
            self._file.close()

    def __contains__(self, frame: int) -> bool:
        """Whether a frame was searched before and `get` has not returned it yet."""
        return frame in self._places

    def get(self, frame: int) -> list[Detection] | None:
        """Return the faces of a frame that was searched before, once; otherwise None."""
        place = self._places.pop(frame, None)
        if place is None:
            return None
        try:
            self._file.seek(place)
            return _faces(self._file.readline())[1]
        except OSError as error:
            raise self._unwritable(error) from error

    def add(self, frame: int, faces: list[Detection]) -> None:
        """Store the faces of a frame."""
        found = [[face.score, *face.box.tolist(), *face.points.ravel().tolist(), _text(face)] for face in faces]
        try:
            self._file.write(json.dumps([frame, found]).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from error

    def _read(self) -> int:
        """Length of the file up to its last complete line."""
        whole = 0
        self._file.seek(0)
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            try:
                self._places[_faces(line)[0]] = whole
            except (ValueError, TypeError, IndexError):  # a crash of the machine may leave anything
                break
            whole += len(line)
        return whole

    def _unwritable(self, error: OSError) -> DataError:
        reason = error.strerror or str(error)
        return DataError(f"{self.path}: expected a writable file, got '{reason}'; check disk and path")


def _text(face: Detection) -> str | None:
    return None if face.features is None else base64.b64encode(face.features.vector().tobytes()).decode()


def _faces(line: bytes) -> tuple[int, list[Detection]]:
    """Frame and faces of a line.

    Raises:
        ValueError, TypeError, IndexError: the line is damaged.
    """
    frame, faces = json.loads(line)
    return frame, [_face(*numbers) for numbers in faces]


def _face(score: float, *values: Any) -> Detection:
    *numbers, text = values
    place = np.array(numbers, np.float64)
    features = FaceFeatures.from_vector(np.frombuffer(base64.b64decode(text), np.float32)) if text else None
    return Detection(box=place[:4], points=place[4:].reshape(5, 2), score=score, features=features)
