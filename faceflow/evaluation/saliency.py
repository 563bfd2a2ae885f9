"""Where a network looks: how much the logit of an AU falls when a patch of a face is hidden."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from faceflow.calibration import logit
from faceflow.checks import check_installed, check_whole
from faceflow.data.datamodule import evaluation_dataset
from faceflow.data.transforms import Pipeline
from faceflow.errors import ConfigError
from faceflow.evaluation.finding import Finding
from faceflow.evaluation.predictors import Predictor
from faceflow.evaluation.testing import TestScores
from faceflow.progress import progress_bar
from faceflow.report.example_faces import Results, readable_faces
from faceflow.report.hardest import hardest_rows
from faceflow.report.pictures import SALIENCY
from faceflow.report.saliency import FALSE, HIT, MISSED, MOST_FACES, SaliencyMap, draw_saliency
from faceflow.views import EVAL, IMAGES, features_of

_PATCHES = 8  # strides across a face; a patch is two strides wide
_AT_ONCE = 32  # hidden patches
_RANKED = 512  # faces that are looked at for different subjects

KEY = "saliency"


def check_saliency(faces: int, inputs: Sequence[str]) -> None:
    """Check that maps can be measured.

    Args:
        faces: number of faces per AU and kind; 0 for none.
        inputs: of the network.

    Raises:
        ConfigError: the count is out of range, the network reads no pixels, or Captum is not installed.
    """
    check_whole(faces, key=KEY, lowest=0, highest=MOST_FACES, expected=f"a count of faces in 0..{MOST_FACES}")
    if faces and IMAGES not in inputs:
        raise ConfigError(f"{KEY}: expected a model that reads pixels, got one that reads only features; leave it out")
    if faces:
        check_installed("captum", key=KEY, install="faceflow[explain]", instead="leave it out")


def measure_saliency(predictor: Predictor, scores: TestScores, *, pipeline: Pipeline, faces: int) -> list[SaliencyMap]:
    """Hide patches of the most confident hits, false alarms and misses of each AU, one by one (Zeiler & Fergus 2014).

    A hidden patch has the mean colour of the face. No layer is inspected, so this works for every backbone and for
    exported files. It uses the Occlusion of Captum.

    Args:
        predictor: of the test.
        scores: of the test.
        pipeline: evaluation transform.
        faces: number of faces per AU and kind.
    """
    from captum.attr import Occlusion

    spec, results = predictor.spec, scores.results
    groups = list(scores.scorer.pooled.groups.values())
    dataset = evaluation_dataset(scores.tables, spec.aus, spec.cutpoints, pipeline, spec.inputs)

    def forward(images: Tensor, features: Tensor | None) -> Tensor:
        probability = predictor(images.round().clamp(0, 255).to(torch.uint8), features).probability
        logits = logit(probability)
        return torch.from_numpy(np.stack([logits[:, columns].max(axis=1) for columns in groups], axis=1))

    files = [str(file) for table in scores.tables for file in table.files]
    chosen = [(index, kind, row) for index in range(len(results.aus)) for kind, row in _chosen(results, index, faces)]
    found, occlusion = [], Occlusion(forward)
    with progress_bar("Hiding patches", len(chosen), unit="faces") as bar:
        for index, kind, row in chosen:
            shown = dataset[row, 0]
            image = shown[EVAL][None].float()
            stride = max(1, image.shape[-1] // _PATCHES)
            features = shown.get(features_of(EVAL))
            change = occlusion.attribute(
                image,
                sliding_window_shapes=(3, 2 * stride, 2 * stride),
                strides=(3, stride, stride),
                baselines=image.mean(dim=(2, 3), keepdim=True).expand_as(image),
                target=index,
                additional_forward_args=(None if features is None else features[None],),
                perturbations_per_eval=_AT_ONCE,
            )
            found.append(
                SaliencyMap(
                    au=results.aus[index],
                    kind=kind,
                    file=files[row],
                    probability=float(results.probability[row, index]),
                    image=shown[EVAL].permute(1, 2, 0).numpy().copy(),
                    change=change[0, 0].numpy().astype(np.float64),
                )
            )
            bar.advance(1)
    return found


def saliency_finding(maps: Sequence[SaliencyMap], *, title: str, protocol: Mapping[str, str]) -> Finding:
    """Maps that show where a network looks."""
    heading = f"Where the network looks: {title}"
    return Finding(figures={SALIENCY: lambda: draw_saliency(maps, heading, protocol)})


def _chosen(results: Results, index: int, count: int) -> Iterator[tuple[str, int]]:
    """Kinds and rows of the most confident decisions on an AU, of different subjects as far as possible."""
    right = np.flatnonzero(results.active[:, index] & ~results.wrong[:, index])
    hits = right[np.argsort(-results.probability[right, index], kind="stable")]
    alike = np.unique(np.asarray(results.subjects, str), return_inverse=True)[1]
    for kind, rows in zip((HIT, FALSE, MISSED), (hits, *hardest_rows(results, index)), strict=True):
        for face in readable_faces(rows[:_RANKED], alike, results.files, count=count):
            yield kind, face.row
