"""Columns of the tables that commands write, from the code that writes them."""

from __future__ import annotations

from collections.abc import Iterable

from faceflow.cropping.crop_rows import COLUMNS as CROP_COLUMNS
from faceflow.cropping.crop_rows import STATUSES
from faceflow.inference.cells import Field
from faceflow.inference.columns import ALIASES, AUS, Table
from faceflow.inference.contract import ModelContract
from faceflow.inference.description import AU_MEANINGS, BAND_MEANINGS, CENTRED
from faceflow.inference.event_table import EVENT_FIELDS
from faceflow.inference.face_columns import GROUPS
from generated.markdown import code, plain, table

PAGE = "reference/columns"
_HEADER = ("Column", "Cells", "Meaning")
_KINDS = {"text": "text", "whole": "whole number", "number": "number"}
_LONG = ("blendshapes", "landmarks")  # groups of many similar columns
_OF_OTHERS = {"openface": "OpenFace", "pyfeat": "Py-Feat"}
# crops.csv has no descriptions of its own: the meaning of a column, or of a group of columns at its first.
_OF_CROPS = {
    "file": "video or image, relative to `source`",
    "frame": "number of the decoded frame, from 1",
    "time_s": "time of the frame in seconds; empty for images",
    "face": "number of the face, constant within a video",
    "status": ", ".join(STATUSES),
    "score": "confidence of the detector, 0 to 1; empty for detectors without a score",
    "x1": "left edge of the box around the face, in pixels of the frame; y1 top, x2 right, y2 bottom",
    "eye_left_x": "five points in pixels of the frame; left and right as seen in the image",
    "a11": "2 x 3 matrix that maps the frame to the crop, row by row",
    "crop": "file of the crop, below `crops/`; empty if there is none",
}


def markdown() -> str:
    """Tables of `faceflow-infer` and `faceflow-crop`."""
    contract = _example()
    ours = Table(contract, alias=ALIASES[0], suffixes=[""], groups=[])
    parts = ["## faceflow-infer", _fields(ours.columns), "### AUs", _of_aus()]
    for group in GROUPS:
        found = Table(contract, alias=ALIASES[0], suffixes=[""], groups=[group]).columns[len(ours.columns) :]
        parts += [f"### columns={group}", _short(found) if group in _LONG else _fields(found)]
    for alias in ALIASES[1:]:
        groups = [AUS, *(group for group in GROUPS if group not in _LONG)]
        renamed = Table(contract, alias=alias, suffixes=[""], groups=groups).columns
        known = {column.name for column in Table(contract, alias=ALIASES[0], suffixes=[""], groups=groups).columns}
        parts += [f"### alias={alias}", f"These columns get the names of {_OF_OTHERS[alias]}; the others keep theirs."]
        parts.append(_fields(column for column in renamed if column.name not in known or column.name == "frame"))
    parts += ["### Events", "`events=FILE` writes a row for each event of a face.", _fields(EVENT_FIELDS)]
    parts += ["## faceflow-crop", "`crops.csv` has a row for each frame and face, even if no face was found."]
    parts.append(table(("Column", "Meaning"), ((code(name), _OF_CROPS.get(name, "")) for name in CROP_COLUMNS)))
    return "\n\n".join(parts) + "\n"


def _example() -> ModelContract:
    """A model of AU12 with levels."""
    return ModelContract(
        aus=("AU12",),
        levels=5,
        cutpoints=(1.0, 2.0, 3.0, 4.0, 5.0),
        occurrence_min=2.0,
        thresholds={"AU12": 0.5},
        image_size=112,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        backbone="resnet18",
    )


def _fields(fields: Iterable[Field]) -> str:
    return table(_HEADER, ((code(one.name), _KINDS[one.kind], plain(one.meaning, page=PAGE)) for one in fields))


def _short(fields: tuple[Field, ...]) -> str:
    return f"{len(fields)} columns, `{fields[0].name}` to `{fields[-1].name}`."


def _of_aus() -> str:
    rows = {**AU_MEANINGS, **BAND_MEANINGS, "_cal": f"after calibration to the subject; or {CENTRED}"}
    return table(("Column or ending", "Meaning"), ((code(name), plain(text, page=PAGE)) for name, text in rows.items()))
