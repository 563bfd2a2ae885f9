"""Description of a run in its checkpoints."""

from __future__ import annotations

from faceflow.data.crop_recipe import find_crop_recipe
from faceflow.evaluation.crop_measures import measure_training
from faceflow.evaluation.known_faces import with_start
from faceflow.evaluation.record import provenance, versions
from faceflow.evaluation.run_context import RunContext
from faceflow.models.checkpoint import Payload
from faceflow.models.network import NetworkSpec
from faceflow.training.rank import is_rank_zero
from faceflow.training.run_data import RunData
from faceflow.training.warm_start import Start


def describe_run(context: RunContext, data: RunData, spec: NetworkSpec, start: Start | None) -> Payload:
    """Fill the payload of a new run; the process that writes it measures the training crops.

    Raises:
        DataError: a training crop cannot be read.
    """
    faces, seen = with_start(data.faces, data.seen, start.payload if start else None)
    statistics = None
    if is_rank_zero():
        statistics = measure_training(data.streams, image_size=spec.image_size, inputs=spec.inputs)
    return Payload(
        spec=spec,
        protocol={**data.protocol, **(start.caution if start else {})},
        seen=seen,
        config=dict(context.config),
        versions=versions(),
        crop=find_crop_recipe(data.streams["train"]),
        crop_statistics=statistics,
        training_data={name: table["content"] for name, table in data.fingerprints["train"].items()},
        run=provenance(context.output, fold=context.fold is not None),
        faces=faces,
    )
