"""Another model on the faces of a test: the built-in one or an exported file, by the same protocol."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from faceflow.aus import joined
from faceflow.built_in.models import BUILT_IN, TRAINED_ON, built_in_model
from faceflow.data.crop_recipe import find_crop_recipe
from faceflow.data.features import read_features
from faceflow.data.loading import Loading
from faceflow.data.sources import FaceTable
from faceflow.data.transforms import Pipeline
from faceflow.errors import ConfigError, similar_names
from faceflow.evaluation.intervals import Bootstrap
from faceflow.evaluation.predictors import OnnxPredictor
from faceflow.evaluation.scoring import SplitScorer
from faceflow.evaluation.testing import TestScores, test_network
from faceflow.inference.onnx_model import OnnxModel
from faceflow.metrics.au_scores import Evaluation, Prediction
from faceflow.metrics.paired import paired_means
from faceflow.models.network import NetworkSpec
from faceflow.views import FEATURES, IMAGES

log = logging.getLogger(__name__)

_SIZES = ("size", "padding", "interpolation")  # of a recipe: they leave a face where it is


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A model to compare with.

    Attributes:
        name: name of its rows in tables.
        predictor: the model.
        pipeline: turns a crop into the input of the model.
    """

    name: str
    predictor: OnnxPredictor
    pipeline: Pipeline


@dataclass(frozen=True, kw_only=True)
class BaselineScores:
    """Scores of a baseline by data set, on the AUs that it shares with the tested model."""

    name: str
    model: OnnxModel
    evaluations: Mapping[str, Evaluation]

    def to_dict(self, tested: Mapping[str, Evaluation]) -> dict[str, Any]:
        """Plain values for metrics.json, with means over the AUs for which the `tested` model has scores, too."""
        pairs = {name: paired_means(tested[name], one) for name, one in self.evaluations.items()}
        return {
            "name": self.name,
            "file": self.model.path,
            "sha256": self.model.identity,
            "test": {name: evaluation.to_dict() for name, evaluation in self.evaluations.items()},
            "same_aus": {
                name: {
                    metric: {"tested": pair.first, "baseline": pair.second, "aus": len(pair.aus)}
                    for metric, pair in means.items()
                }
                for name, means in pairs.items()
            },
        }


def open_baseline(named: str, *, pipeline: Callable[[int], Pipeline]) -> Baseline:
    """Open a model to compare with.

    Args:
        named: built_in, or a file.
        pipeline: gives the evaluation transform for an image size.

    Raises:
        ExportError: the file cannot be used.
        ConfigError: "built_in" is misspelled.
    """
    if named != BUILT_IN and (meant := similar_names(named, [BUILT_IN])) and not Path(named).exists():
        raise ConfigError(f"baseline: expected {BUILT_IN}, or a file of faceflow-export, got '{named}'; {meant}")
    path = built_in_model(None) if named == BUILT_IN else named
    predictor = OnnxPredictor(OnnxModel(path, threads=torch.get_num_threads(), key="baseline"))
    name = named if named == BUILT_IN else Path(named).name
    return Baseline(name=name, predictor=predictor, pipeline=pipeline(predictor.spec.image_size))


def check_baseline(baseline: Baseline, spec: NetworkSpec, tables: Sequence[FaceTable]) -> dict[str, str]:
    """Check that a baseline can be scored beside a network, and describe it for the protocol.

    Args:
        baseline: model to be scored.
        spec: of the tested network.
        tables: faces that both are tested on.

    Raises:
        ConfigError: the two have no AU in common.
        DataError: the baseline reads features, and the faces have none.
    """
    inputs = baseline.predictor.spec.inputs
    _shared_aus(baseline, SplitScorer(tables, spec))
    if FEATURES in inputs:
        files = [str(file) for table in tables for file in table.files]
        read_features(files, key="baseline", instead="baseline=FILE.onnx, a model that reads pixels alone")
    built_in = f"the built-in model, trained on {TRAINED_ON}"
    known = built_in if baseline.name == BUILT_IN else "its training faces are not known"
    parts = [f"{baseline.name} ({known})", "on the same faces", "at the thresholds stored in its file"]
    if IMAGES in inputs and (other := _cut_otherwise(baseline.predictor.model.contract.crop, tables)):
        log.warning("baseline: its scores may be too low: %s", other)
        parts.append(other)
    return {"baseline": ", ".join(parts)}


def score_baseline(
    baseline: Baseline, tested: TestScores, *, loading: Loading, bootstrap: Bootstrap | None
) -> BaselineScores:
    """Score a baseline on the faces of a test, on the AUs that both have."""
    shared = _SomeAUs(baseline.predictor, _shared_aus(baseline, tested.scorer))
    model = baseline.predictor.model
    scores = test_network(
        shared,
        dict(model.contract.thresholds),
        tested.tables,
        pipeline=baseline.pipeline,
        loading=loading,
        bootstrap=bootstrap,
        center=None,
    )
    return BaselineScores(name=baseline.name, model=model, evaluations=scores.evaluations)


class _SomeAUs:
    """A predictor of fewer AUs."""

    def __init__(self, predictor: OnnxPredictor, aus: Sequence[str]) -> None:
        self.predictor = predictor
        self.columns = [predictor.spec.aus.index(au) for au in aus]
        self.spec = dataclasses.replace(predictor.spec, aus=tuple(aus))

    def __call__(self, images: Tensor | None, features: Tensor | None = None) -> Prediction:
        found = self.predictor(images, features)
        intensity = None if found.intensity is None else found.intensity[:, self.columns]
        return Prediction(probability=found.probability[:, self.columns], intensity=intensity)


def _shared_aus(baseline: Baseline, tested: SplitScorer) -> list[str]:
    """AUs of the baseline on which the tested model is scored, by side or with both sides joined."""
    scored = [au for each in tested.sets for au in each.groups]
    aus = baseline.predictor.spec.aus
    shared = [au for au in aus if au in scored or joined(au) in scored]
    if not shared:
        theirs, ours = (", ".join(dict.fromkeys(each)) for each in (scored, aus))
        raise ConfigError(
            f"baseline: expected a model with a tested AU ({theirs}), got one with {ours}; leave baseline out, or name "
            "another model"
        )
    return shared


def _cut_otherwise(recipe: Mapping[str, Any] | None, tables: Sequence[FaceTable]) -> str:
    """How crops differ from those that a baseline was trained on; "" if they do not."""
    differing: dict[str, str] = {}
    for table in tables:
        theirs = find_crop_recipe([table])
        if recipe is None or theirs is None:
            differing[table.name] = "crops may be cut differently from those that the baseline was trained on"
            continue
        ours, found = _places(recipe), _places(theirs)
        keys = [key for key in ours | found if ours.get(key) != found.get(key)]
        if keys:
            settings = ", ".join(f"{key}={found.get(key)} instead of {ours.get(key)}" for key in keys)
            differing[table.name] = (
                f"crops are cut differently from those that the baseline was trained on ({settings})"
            )
    return "; ".join(f"{name}: {reason}" for name, reason in differing.items())


def _places(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a crop recipe that decide where a face is in its crop."""
    align = {"max_enlargement": None} | {key: value for key, value in recipe["align"].items() if key not in _SIZES}
    return align | {"detector": recipe["detector"].get("name")}
