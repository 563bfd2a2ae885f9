"""How faces are found and cut: by the user's settings, or as in the model's training data."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from faceflow.errors import ConfigError
from faceflow.faces.align import Recipe
from faceflow.faces.detector import FaceDetector
from faceflow.inference.contract import ModelContract
from faceflow.inference.face_crops import Selection
from faceflow.views import FEATURES

log = logging.getLogger(__name__)

_LARGEST_CROP = 4096  # pixels; an untrusted file must not use up memory


def trained_with(contract: ModelContract, part: str) -> Mapping[str, Any]:
    """A part of the recipe of the training crops: `align`, `detector` or `selection`; empty if the model has none."""
    found = contract.crop.get(part) if isinstance(contract.crop, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def choose_selection(contract: ModelContract, selection: Selection) -> Selection:
    """Set `smooth`: to the user's value, else that of the training crops, else 0."""
    if selection.smooth is not None:
        return selection
    return replace(selection, smooth=trained_with(contract, "selection").get("smooth", 0))


def choose_recipe(contract: ModelContract, recipe: Recipe | None) -> Recipe:
    """How faces are cut: by the user's recipe, else that of the training crops.

    Raises:
        ConfigError: there is no recipe, or it is invalid.
    """
    if recipe is not None:
        return recipe
    stored = trained_with(contract, "align")
    if not stored:
        raise ConfigError(
            "align: expected a model that stores how its faces were cut, got one that does not; add align=eyes, box or "
            "jaanet, as for the training crops, or crops=true if the images are crops already"
        )
    trained = Recipe.from_dict(stored)
    if trained.size > _LARGEST_CROP:
        raise ConfigError(
            f"align.size: expected crops of at most {_LARGEST_CROP} pixels in the model, got {trained.size}; add "
            "align=eyes, box or jaanet, as for the training crops"
        )
    return trained


def check_detector(contract: ModelContract, detector: FaceDetector, *, same: bool) -> None:
    """Compare a detector with the one that found the training faces; a warning names settings that differ.

    Args:
        contract: contract of the model.
        detector: detector, open or not.
        same: refuse another detector, as detectors place eyes and boxes differently.

    Raises:
        ConfigError: another detector, or one without the features that the model reads.
    """
    if FEATURES in contract.inputs and not detector.features:
        raise ConfigError(
            f"detector: expected one that gives face features, which this model reads, got {detector.name} without "
            "them; use detector=mediapipe_landmarks and leave detector.features=true"
        )
    stored = trained_with(contract, "detector")
    trained = stored.get("name", detector.name)
    if same and trained != detector.name:
        raise ConfigError(
            f"detector: expected {trained}, which found the training faces of the model, got {detector.name}; "
            f"add detector={trained}, or same_detector=false"
        )
    ours = detector.settings if trained == detector.name else {}
    if differing := [key for key, value in ours.items() if key in stored and stored[key] != value]:
        log.warning(
            "Detector settings differ from those of training (training: %s, now: %s); AUs may differ",
            ", ".join(f"detector.{key}={stored[key]!r}" for key in differing),
            ", ".join(f"{ours[key]!r}" for key in differing),
        )
