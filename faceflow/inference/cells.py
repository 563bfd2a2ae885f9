"""Columns of result files, and cells with values from the detector."""

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
    """A column of a file: its name, the kind of its cells, and its meaning if the name does not tell."""

    name: str
    kind: Kind
    meaning: str = ""


@dataclass(frozen=True, kw_only=True)
class Column(Field):
    """A column of predictions, and the function that makes its cells."""

    cell: Callable[[FramePrediction, FacePrediction], Cell]


def of_detection(value: Callable[[Detection], float | None]) -> Callable[[FramePrediction, FacePrediction], Cell]:
    """Cell with a value of the detection of a face; empty if there is none."""

    def cell(frame: FramePrediction, face: FacePrediction) -> Cell:
        found = None if face.face.detection is None else value(face.face.detection)
        return None if found is None else float(found)

    return cell
