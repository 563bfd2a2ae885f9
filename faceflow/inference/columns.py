"""The columns of predictions: ours, or those that scripts for OpenFace or Py-Feat expect."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence

from faceflow.aus import joined, side_of
from faceflow.checks import check_choice
from faceflow.conformal import Conformal
from faceflow.crop_statistics import CropStatistics
from faceflow.faces.selection import CUT
from faceflow.inference.cells import Cell, Column, of_detection
from faceflow.inference.contract import ModelContract
from faceflow.inference.decision import threshold_of
from faceflow.inference.face_columns import GROUPS, face_columns
from faceflow.inference.pipeline import FacePrediction, FramePrediction

ALIASES = ("none", "openface", "pyfeat")
AUS = "aus"
COLUMNS = (AUS, *GROUPS)

UNSURE = "_unsure"
_ENDS = ("_int_low", "_int_high")
_DIGITS = 6  # float32 has seven


class Table:
    """The columns of a run.

    AU cells are empty if there is no face, or if the face was not cut.

    Args:
        contract: gives AUs and thresholds.
        alias: none (our names), or the names of another tool:
            openface: frame, face_id, timestamp, confidence, success (1 where a face was scored), `AU01_r` (intensity
            0-5, of models with levels only) and `AU01_c` (0 or 1), pose_Rx and gaze_angle_x (see `face_columns`), then
            our columns under their own names. OpenFace writes 0 if there is no face; here the cell is empty.
            pyfeat: FaceRectX, Y, Width, Height, FaceScore, `AU01` (probability), input, frame (from 0), approx_time
            (MM:SS), Identity; then our columns, with the decision as `AU01_occ`.
        suffixes: suffixes of the estimates, "" first.
        groups: groups of columns in order: aus or those of `face_columns`.
        centred: suffixes of centred estimates, which have their own thresholds.

    Raises:
        ConfigError: unknown alias.
    """

    def __init__(
        self,
        contract: ModelContract,
        *,
        alias: str,
        suffixes: Sequence[str],
        groups: Sequence[str] = (AUS,),
        centred: Collection[str] = (),
    ) -> None:
        check_choice(alias, key="alias", options=ALIASES)
        self.contract = contract
        self.suffixes, self.centred = tuple(suffixes), frozenset(centred)
        self.final = self.suffixes[
            -1
        ]  # of the estimates after calibration and smoothing: shown, and searched for events
        theirs, names = _THEIRS[alias]
        aus = [column for suffix in suffixes for column in self._au_columns(suffix)]
        if alias != "none":
            renamed = {_name(au) + ours: _name(au) + other for au in contract.aus for ours, other in names.items()}
            aus = [Column(name=renamed.get(item.name, item.name), kind=item.kind, cell=item.cell) for item in aus]
        taken = {column.name for column in theirs}
        asked = [column for group in groups for column in (aus if group == AUS else face_columns(group, alias=alias))]
        ours = [column for column in _OURS if column.name not in taken]
        if contract.crop_statistics is not None:
            ours.append(_outside(contract.crop_statistics))
        self.columns = (*theirs, *ours, *asked)

    def cells(self, frame: FramePrediction) -> Iterator[list[Cell]]:
        """A row for each face of a frame; None is an empty cell."""
        for face in frame.faces:
            cells = (column.cell(frame, face) for column in self.columns)
            yield [None if isinstance(cell, float) and not math.isfinite(cell) else cell for cell in cells]

    def contract_of(self, suffix: str) -> ModelContract:
        """The contract whose thresholds apply to the estimates of a suffix."""
        return self.contract.centred if suffix in self.centred else self.contract

    def _au_columns(self, suffix: str) -> Iterator[Column]:
        band = self.contract.conformal if suffix == "" else None  # it holds only for the raw estimates of the network
        for index in range(len(self.contract.aus)):
            yield self._au_column(index, "_prob", suffix)
            if self.contract.levels > 1:
                yield self._au_column(index, "_int", suffix)
                if band is not None and band.radius:
                    yield from (self._end_column(index, band, end) for end in _ENDS)
            yield self._au_column(index, "", suffix)
            if band is not None:
                yield self._unsure_column(index, band)

    def _au_column(self, index: int, kind: str, suffix: str) -> Column:
        au = self.contract.aus[index]
        threshold = threshold_of(self.contract_of(suffix), au)

        def cell(frame: FramePrediction, face: FacePrediction) -> Cell:
            found = face.estimates.get(suffix)
            if found is None:
                return None
            if kind == "_int":
                return None if found.intensity is None else round(float(found.intensity[index]), _DIGITS)
            probability = float(found.probability[index])
            return round(probability, _DIGITS) if kind == "_prob" else int(probability >= threshold)

        return Column(name=f"{_name(au)}{kind}{suffix}", kind="number" if kind else "whole", cell=cell)

    def _end_column(self, index: int, band: Conformal, end: str) -> Column:
        au = self.contract.aus[index]

        def cell(frame: FramePrediction, face: FacePrediction) -> Cell:
            found = face.estimates.get("")
            if found is None or found.intensity is None:
                return None
            return round(float(band.interval(found.intensity[index], au)[_ENDS.index(end)]), _DIGITS)

        return Column(name=f"{_name(au)}{end}", kind="number", cell=cell)

    def _unsure_column(self, index: int, band: Conformal) -> Column:
        au = self.contract.aus[index]
        threshold = threshold_of(self.contract, au)

        def cell(frame: FramePrediction, face: FacePrediction) -> Cell:
            found = face.estimates.get("")
            unsure = math.nan if found is None else float(band.unsure(found.probability[index], threshold, au))
            return int(unsure) if math.isfinite(unsure) else None

        return Column(name=f"{_name(au)}{UNSURE}", kind="whole", cell=cell)


def _name(au: str) -> str:
    """Name that sorts well and is used by other tools: AU1 -> AU01, AU12_L -> AU12_L."""
    return f"AU{int(joined(au)[2:]):02d}" + (f"_{side_of(au)}" if side_of(au) else "")


def _outside(training: CropStatistics) -> Column:
    def cell(frame: FramePrediction, face: FacePrediction) -> Cell:
        return " ".join(training.outside(face.statistics)) or None

    return Column(
        name="outside",
        kind="text",
        cell=cell,
        meaning=f"which of {', '.join(training.limits)} differ from those of the training faces, see crop_statistics; "
        "empty if none",
    )


def _clock(frame: FramePrediction, face: FacePrediction) -> Cell:
    return None if frame.time_s is None else f"{int(frame.time_s // 60):02d}:{int(frame.time_s % 60):02d}"


_SCORE = of_detection(lambda found: found.score)
_FRAME = Column(
    name="frame",
    kind="whole",
    cell=lambda frame, face: frame.number,
    meaning="number of the decoded frame, from 1; for an image, its number in its folder",
)
# Add a line here for a new column; values from a detector come in `Detection.extras`.
_OURS = (
    Column(name="file", kind="text", cell=lambda frame, face: frame.file),
    _FRAME,
    Column(
        name="time_s",
        kind="number",
        cell=lambda frame, face: frame.time_s,
        meaning="time of the frame in seconds; empty for images",
    ),
    Column(
        name="face",
        kind="whole",
        cell=lambda frame, face: face.face.number,
        meaning="number of the face, the same throughout a video; empty if no face was found",
    ),
    Column(
        name="status",
        kind="text",
        cell=lambda frame, face: face.face.status,
        meaning="ok; tracked: the face was not detected and its last position was scored; no_face; low_confidence: "
        "found but not scored, see detector.min_score; decode_error: the frame could not be read. AUs are empty unless "
        "ok or tracked",
    ),
    Column(
        name="det_score",
        kind="number",
        cell=_SCORE,
        meaning="confidence of the detector in the face, 0 to 1; empty for detectors that give no score",
    ),
    Column(
        name="x1",
        kind="number",
        cell=of_detection(lambda found: found.box[0]),
        meaning="left edge of the box around the face, in pixels of the frame; y1 top, x2 right, y2 bottom",
    ),
    Column(name="y1", kind="number", cell=of_detection(lambda found: found.box[1])),
    Column(name="x2", kind="number", cell=of_detection(lambda found: found.box[2])),
    Column(name="y2", kind="number", cell=of_detection(lambda found: found.box[3])),
)
_OPENFACE = (
    _FRAME,
    Column(name="face_id", kind="whole", cell=lambda frame, face: face.face.number),
    Column(name="timestamp", kind="number", cell=lambda frame, face: frame.time_s),
    Column(name="confidence", kind="number", cell=_SCORE),
    Column(name="success", kind="whole", cell=lambda frame, face: int(face.face.status in CUT)),
)
_PYFEAT = (
    Column(name="FaceRectX", kind="number", cell=of_detection(lambda found: found.box[0])),
    Column(name="FaceRectY", kind="number", cell=of_detection(lambda found: found.box[1])),
    Column(name="FaceRectWidth", kind="number", cell=of_detection(lambda found: found.box[2] - found.box[0])),
    Column(name="FaceRectHeight", kind="number", cell=of_detection(lambda found: found.box[3] - found.box[1])),
    Column(name="FaceScore", kind="number", cell=_SCORE),
    Column(name="input", kind="text", cell=lambda frame, face: frame.file),
    Column(
        name="frame",
        kind="whole",
        cell=lambda frame, face: frame.number - 1,
        meaning="number of the decoded frame, from 0; for an image, its number in its folder, from 0",
    ),
    Column(name="approx_time", kind="text", cell=_clock),
    Column(
        name="Identity",
        kind="text",
        cell=lambda frame, face: None if face.face.number is None else f"Subject_{face.face.number}",
    ),
)
# Columns of the other tool, and the changed endings of AU columns: ours -> theirs.
_THEIRS: dict[str, tuple[tuple[Column, ...], dict[str, str]]] = {
    "none": ((), {}),
    "openface": (_OPENFACE, {"_int": "_r", "": "_c"}),
    "pyfeat": (_PYFEAT, {"_prob": "", "": "_occ"}),
}
