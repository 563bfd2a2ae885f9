"""Estimates of face crops as labels: a CSV that `data=csv` can read, with the model that labelled it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from faceflow.built_in.models import built_in_name
from faceflow.checks import check_number
from faceflow.faces.feature_file import crops_folder
from faceflow.inference.cells import Cell, Field
from faceflow.inference.decision import thresholds_of
from faceflow.inference.onnx_model import OnnxModel
from faceflow.inference.pipeline import Estimates
from faceflow.packs.layout import inside, pack_folder, split_path
from faceflow.packs.pack import opened
from faceflow.packs.rows import read_rows
from faceflow.tables.columns import LABELLED_BY
from faceflow.tables.reading import read_table

_HASH = 12  # characters that distinguish models
_DIGITS = 3
_BELOW = 0.01  # FACS units by which absent AUs stay below the least intensity that counts as occurrence
_LABELS = "labels.csv"  # of faceflow-crop


class MachineLabels:
    """Rows of labels by a model.

    An AU is left empty if the model is unsure: if its probability has not gone `margin` of the way from the threshold
    to 0 or 1. Labels are intensities that agree with the decision, or 0 or 1 for a model without levels. The subject
    comes from the table beside the crops; without one it is the recording, whose frames must stay in one split.

    Args:
        model: model that labels.
        path: file of the CSV.
        margin: a share in [0, 1).

    Raises:
        ConfigError: `margin` is out of range.
    """

    def __init__(self, model: OnnxModel, path: Path, *, margin: float) -> None:
        check_number(margin, key="labels_margin", expected="a share in [0, 1)", valid=lambda x: 0 <= x < 1)
        contract, name = model.contract, built_in_name(model.path) or model.path.name
        self.who = f"faceflow {name} {model.identity[:_HASH]}"
        self.fields: Sequence[Field] = (
            *(Field(name=au, kind="number") for au in contract.aus),
            *(Field(name=name, kind="text") for name in ("filename", "subject", LABELLED_BY)),
        )
        self.unsure = self.labels = 0
        self._path, self._margin, self._least = path, margin, contract.occurrence_min
        self._thresholds = thresholds_of(contract)
        self._subjects: dict[Path | None, dict[str, str]] = {}

    def cells(self, file: str, estimates: Estimates) -> list[Cell]:
        """A row of one crop."""
        probability = estimates.probability.astype(np.float64)
        occurs = probability >= self._thresholds
        way = np.where(occurs, probability - self._thresholds, self._thresholds - probability)
        sure = way >= self._margin * np.where(occurs, 1 - self._thresholds, self._thresholds)
        if estimates.intensity is None:
            labels = occurs.astype(np.float64)
        else:
            intensity = estimates.intensity.astype(np.float64)
            agreeing = np.where(occurs, intensity.clip(min=self._least), intensity.clip(max=self._least - _BELOW))
            labels = agreeing.round(_DIGITS)
        self.labels += labels.size
        self.unsure += int((~sure).sum())
        crop = Path(file).absolute()
        packed = split_path(crop)
        crops = inside(Path(packed[0])) if packed else crops_folder(crop.parent)
        name = crop.relative_to(crops) if crops else self._beside(crop)
        row: list[Cell] = [float(label) if known else None for label, known in zip(labels, sure, strict=True)]
        return [*row, name.as_posix(), self._subject(crops, name), self.who]

    def line(self, rows: int) -> str:
        """A line that says what was written."""
        share = self.unsure / self.labels if self.labels else 0.0
        return f"Labels by '{self.who}': {rows} faces, {share:.0%} of the labels left empty as unsure, in {self._path}"

    def _beside(self, crop: Path) -> Path:
        folder = self._path.absolute().parent
        return crop.relative_to(folder) if crop.is_relative_to(folder) else crop

    def _subject(self, crops: Path | None, name: Path) -> str:
        if crops not in self._subjects:
            self._subjects[crops] = _named_subjects(crops)
        recording = name.parent.as_posix() if name.parent != Path() else name.as_posix()
        return self._subjects[crops].get(name.as_posix()) or recording


def _named_subjects(crops: Path | None) -> dict[str, str]:
    """Subject of every crop in the label table of faceflow-crop; empty if there is no such table or column."""
    folder = crops and pack_folder(crops)
    if folder:
        table = read_rows(opened(str(folder)), key="labels")
    elif crops is not None and (crops.parent / _LABELS).is_file():
        table = read_table(crops.parent / _LABELS, key="labels")
    else:
        return {}
    names, subjects = table.named("filename"), table.named("subject")
    return dict(zip(names, subjects, strict=True)) if names and subjects else {}
