"""What a column of results is, and cells of what the detector knows of a face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from faceflow.faces.detector import Detection
from faceflow.inference.pipeline import FacePrediction, FramePrediction

Cell = str | int | float | None
Kind = Literal["text", "whole", "number"]


@dataclass(frozen=True, kw_only=True)
class Field:
    """A column of a file: its name, what its cells hold, and what it means where its name does not say."""

    name: str
    kind: Kind
    meaning: str = ""


@dataclass(frozen=True, kw_only=True)
class Column(Field):
    """A column of predictions, and how a cell is made."""

    cell: Callable[[FramePrediction, FacePrediction], Cell]


def of_detection(value: Callable[[Detection], float | None]) -> Callable[[FramePrediction, FacePrediction], Cell]:
    """Cell of what the detector says of a face; empty where it found none."""

    def cell(frame: FramePrediction, face: FacePrediction) -> Cell:
        found = None if face.face.detection is None else value(face.face.detection)
        return None if found is None else float(found)

    return cell
