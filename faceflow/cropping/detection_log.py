"""What was detected in the frames so far, kept on disk so that an interrupted clip never detects twice."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from faceflow.errors import DataError
from faceflow.faces.detector import Detection
from faceflow.files import hold


class DetectionLog:
    """One JSON line per frame, appended as soon as the frame was searched. Numbers come back bit for bit.

    Args:
        path: the file; what an earlier process wrote to it is read, up to a line that it did not finish.

    Raises:
        DataError: the file cannot be written, or another process writes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frames: dict[int, list[Detection]] = {}

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b")
            if not hold(self._file):
                self._file.close()
                raise DataError(
                    f"{self.path.parent}: expected a clip that no other command crops, got one that is being cropped; "
                    "wait for its end, or choose another output"
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

    def get(self, frame: int) -> list[Detection] | None:
        """Faces of a frame that was searched before, or None."""
        return self.frames.pop(frame, None)

    def add(self, frame: int, faces: list[Detection]) -> None:
        """Keep the faces of a frame."""
        found = [[face.score, *face.box.tolist(), *face.points.ravel().tolist()] for face in faces]
        try:
            self._file.write(json.dumps([frame, found]).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from error

    def _read(self) -> int:
        """Length of the file up to its last whole line."""
        whole = 0
        self._file.seek(0)
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            try:
                frame, faces = json.loads(line)
                self.frames[frame] = [_face(numbers) for numbers in faces]
            except (ValueError, TypeError, IndexError):  # a crash of the machine may leave anything
                break
            whole += len(line)
        return whole

    def _unwritable(self, error: OSError) -> DataError:
        reason = error.strerror or str(error)
        return DataError(f"{self.path}: expected a file that can be written, got '{reason}'; check disk and path")


def _face(numbers: list[float]) -> Detection:
    values = np.array(numbers[1:], np.float64)
    return Detection(box=values[:4], points=values[4:].reshape(5, 2), score=numbers[0])
