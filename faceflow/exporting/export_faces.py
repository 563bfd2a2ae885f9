"""Faces on which an export is compared, calibrated and measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from faceflow.data.assembly import check_shared
from faceflow.data.sources import FaceTable
from faceflow.data.transforms import Pipeline
from faceflow.evaluation.known_faces import find_seen, without_seen
from faceflow.exporting.parity import BATCHES, random_faces
from faceflow.exporting.sample_faces import Sample, load_faces, spread, training_faces
from faceflow.models.checkpoint import Payload


@dataclass(frozen=True, kw_only=True)
class ExportFaces:
    """Faces of subjects that the checkpoint has not seen, faces to calibrate on, and a caution about their subjects."""

    unseen: Sequence[FaceTable]
    calibration: Sequence[FaceTable]
    note: str

    @classmethod
    def choose(cls, tables: Sequence[FaceTable], payload: Payload, *, same_subjects: bool | None) -> Self:
        """Separate training subjects, which may be used for calibration, from others.

        Args:
            tables: faces of both; if no training faces are among them, calibration uses the others too.
            payload: payload of the checkpoint.
            same_subjects: see `without_seen`.

        Raises:
            ConfigError, DataError: no AU in common with the checkpoint, or see `without_seen`.
        """
        check_shared(payload.spec.aus, tables)
        overlaps = find_seen(tables, payload)
        unseen, note = without_seen(tables, overlaps, everybody=False, same_subjects=same_subjects)
        known = [table.select(overlap.seen, table.split) for table, overlap in zip(tables, overlaps, strict=True)]
        calibration = known if any(map(len, known)) else unseen
        return cls(unseen=unseen, calibration=calibration, note=note.get("caution", ""))


def comparison_faces(faces: ExportFaces | None, payload: Payload, pipeline: Pipeline) -> Mapping[str, Sample]:
    """Faces on which torch and ONNX Runtime are compared, by kind: random ones, and real ones if available.

    Real faces come from `faces`, or from the training folders of the run.
    """
    count, inputs = max(BATCHES), payload.spec.inputs
    files = spread(faces.unseen, count) if faces else []
    if files:
        real: Sample | None = load_faces(files, pipeline, inputs)
    else:
        real = training_faces(payload.config, count, pipeline, inputs)
    return {"random": random_faces(payload.spec)} | ({} if real is None else {"real": real})
