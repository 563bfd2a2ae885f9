"""Labels of the user's own files: which face each row labels, rows without a face and faces without a row."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table as ShownTable

from faceflow.aus import parse_column
from faceflow.console import add_row, plain_table
from faceflow.cropping.clips import Clip
from faceflow.cropping.crop_clip import rows_file
from faceflow.cropping.crop_rows import read_rows
from faceflow.cropping.row_places import Box, LabelRows, Place
from faceflow.files import whole_file
from faceflow.tables.numbers import read_number

LABELS, WITHOUT_FACE, WITHOUT_ROW = "labels.csv", "rows_without_face.csv", "faces_without_row.csv"
SOURCE = "source_file"  # column of labels.csv with what the table calls filename

_WORST = 10  # clips on the table
_BY_SIZE = ("largest", "track")  # policies that take the largest face of a picture

Face = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class RowFaces:
    """Crops by row, reasons for rows without one, and faces that no row labels, by clip."""

    rows: LabelRows
    crops: Mapping[int, str]
    reasons: Mapping[int, str]
    left: Mapping[str, Sequence[Face]]


def match_faces(rows: LabelRows, clips: Iterable[Clip], output: Path, *, policy: str) -> RowFaces:
    """Find the face that each row labels.

    A row with a box labels the face with the largest intersection over union, if the centre of one box is in the other;
    no face is used twice. A row without a box labels the face that `policy` chose, or would have chosen.
    """
    asked: dict[Place, list[int]] = {}
    reasons: dict[int, str] = {}
    for row, place in enumerate(rows.places):
        if place is None:
            reasons[row] = "no such file"
        else:
            asked.setdefault(place, []).append(row)
    crops: dict[int, str] = {}
    left: dict[str, list[Face]] = {}
    for clip in clips:
        frames: dict[int, list[Face]] = {}
        for face in read_rows(rows_file(output, clip)):
            frames.setdefault(int(face["frame"]), []).append(face)
        for number in sorted({place.frame for place in asked if place.clip == clip.name} - frames.keys()):
            reasons |= dict.fromkeys(asked[Place(clip.name, number)], "no such frame")
        left[clip.name] = []
        for number, faces in frames.items():
            wanted = asked.get(Place(clip.name, number), [])
            chosen = _choose([rows.boxes[row] for row in wanted], faces, policy)
            for row, found in zip(wanted, chosen, strict=True):
                if isinstance(found, str):
                    reasons[row] = found
                else:
                    crops[row] = found["crop"]
            taken = {found["crop"] for found in chosen if not isinstance(found, str)}
            left[clip.name] += [face for face in faces if face["crop"] and face["crop"] not in taken]
    return RowFaces(rows=rows, crops=crops, reasons=reasons, left=left)


def write_row_faces(faces: RowFaces, folder: Path, folds: Mapping[str, Sequence[str]]) -> list[Path]:
    """Write labels.csv with all columns of the table, rows without a face, faces without a row, and folds."""
    table = faces.rows.table
    header = [name if name != "filename" else SOURCE for name in table.header]
    order = [row for row in range(len(table)) if row in faces.crops]
    lines = {row: [faces.crops[row], *_plain_cells(faces.rows, row)] for row in order}
    written = [folder / LABELS]
    _write(written[0], ["filename", *header], [lines[row] for row in order])
    subjects = table.named("subject") or []
    for name, tested in folds.items():
        for part, inside in (("train", False), ("test", True)):
            chosen = [lines[row] for row in order if (subjects[row] in tested) is inside]
            _write(folder / "folds" / name / f"{part}.csv", ["filename", *header], chosen)
    reasons = [[table.lines[row], faces.reasons[row], *table.row(row)] for row in sorted(faces.reasons)]
    left = [
        [face[name] for name in ("file", "frame", "face", "crop")] for found in faces.left.values() for face in found
    ]
    for name, columns, content in (
        (WITHOUT_FACE, ["line", "reason", *table.header], reasons),
        (WITHOUT_ROW, ["file", "frame", "face", "crop"], left),
    ):
        if content:
            _write(folder / name, columns, content)
            written.append(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    return written


def labels_table(faces: RowFaces) -> ShownTable:
    """Count rows and faces of every clip; clips with the most rows without a face come first."""
    named = [place.clip if place else None for place in faces.rows.places]
    counts: dict[str | None, list[int]] = {clip: [0, 0, 0, len(left)] for clip, left in faces.left.items()}
    for row, clip in enumerate(named):
        found = counts.setdefault(clip, [0, 0, 0, 0])
        found[0] += 1
        found[1 if row in faces.crops else 2] += 1
    table = plain_table("Labels", ["clip"], ["rows", "labelled", "rows without a face", "faces without a row"])
    worst = sorted(counts, key=lambda clip: (-counts[clip][2], clip or ""))
    for clip in worst[:_WORST]:
        name = "(no such file)" if clip is None else clip or "(images at the top)"
        add_row(table, [name, *map(str, counts[clip])])
    if len(worst) > _WORST:
        add_row(table, [f"... {len(worst) - _WORST} more", *[""] * 4])
    table.add_section()
    totals = [str(sum(column)) for column in zip(*counts.values(), strict=True)]
    add_row(table, ["all", *totals], style="bold")
    return table


def _choose(boxes: Sequence[Box | None], faces: Sequence[Face], policy: str) -> list[Face | str]:
    """Face of every row of a frame, or why it has none."""
    cut = [face for face in faces if face["crop"]]
    if not cut:
        return [faces[0]["status"]] * len(boxes)
    overlaps = [
        (overlap, row, number)
        for row, box in enumerate(boxes)
        if box is not None
        for number, face in enumerate(cut)
        if (overlap := _overlap(box, _box_of(face))) > 0
    ]
    by_row: dict[int, int] = {}
    for _, row, number in sorted(overlaps, key=lambda found: (-found[0], *found[1:])):
        if row not in by_row and number not in by_row.values():
            by_row[row] = number
    free = [face for number, face in enumerate(cut) if number not in by_row.values()]
    chosen: list[Face | str] = []
    for row, box in enumerate(boxes):
        if row in by_row:
            chosen.append(cut[by_row[row]])
        elif box is not None:
            chosen.append("no face in the box")
        elif len(free) == 1 or (free and policy in _BY_SIZE):
            chosen.append(max(free, key=lambda face: _area(_box_of(face))))
        else:
            chosen.append("several faces, and no box" if free else "no face beside those of other rows")
    return chosen


def _box_of(face: Face) -> Box:
    return float(face["x1"]), float(face["y1"]), float(face["x2"]), float(face["y2"])


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union; 0 unless the centre of one box lies in the other."""
    if not (_centred(one, other) or _centred(other, one)):
        return 0.0
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height / (_area(one) + _area(other) - width * height)


def _centred(inner: Box, outer: Box) -> bool:
    x, y = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return outer[0] < x < outer[2] and outer[1] < y < outer[3]


def _plain_cells(rows: LabelRows, row: int) -> list[str]:
    """Unchanged cells, but labels with decimal commas get a point, since commas separate the columns here."""
    cells = rows.table.row(row)
    for position, name in enumerate(rows.table.header):
        if rows.marks.comma and parse_column(name) and any(mark in cells[position] for mark in ",."):
            cells[position] = f"{read_number(cells[position], rows.marks):.15g}"
    return cells


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
