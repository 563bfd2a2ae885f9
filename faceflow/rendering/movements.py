"""Movements that are not labelled: gaze, a shifted jaw, puffed cheeks, slightly drooping lids."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from faceflow.rendering.action_units import Intensities

Weights = dict[str, float]
_TWITCHES = ("browInnerUp", "browOuterUp", "browDown", "mouthSmile", "mouthFrown", "mouthStretch", "cheekSquint")


class Gaze(NamedTuple):
    """Where the eyes look, in radians; `yaw` is positive towards the subject's left, `pitch` downwards."""

    yaw: float
    pitch: float


def sample_movements(rng: np.random.Generator, left: Intensities, right: Intensities) -> tuple[Weights, Gaze]:
    """Draw weights of shapes and a gaze for a face, none of which hides or resembles one of its AUs."""
    weights: Weights = {}
    if rng.random() < 0.8:
        yaw, pitch = rng.normal(0, 0.16), rng.normal(0.02, 0.10)
    else:
        yaw, pitch = rng.uniform(-0.45, 0.45), rng.uniform(-0.25, 0.35)
    free_mouth = max(left[au] for au in ("AU22", "AU24", "AU26", "AU28", "AU20")) < 1
    if rng.random() < 0.06 and free_mouth:
        puff = rng.uniform(0.2, 0.9)
        weights["cheekPuff_L"], weights["cheekPuff_R"] = puff, puff * rng.choice([1, 1, 0.2])
    if rng.random() < 0.08:
        weights[str(rng.choice(["jawLeft", "jawRight"]))] = rng.uniform(0.1, 0.5)
    if rng.random() < 0.06 and free_mouth:
        weights[str(rng.choice(["mouthLeft", "mouthRight"]))] = rng.uniform(0.1, 0.45)
    if rng.random() < 0.05 and free_mouth:
        weights["mouthPucker"] = rng.uniform(0.1, 0.6)
    if rng.random() < 0.06:
        weights["jawForward"] = rng.uniform(0.1, 0.6)
    if rng.random() < 0.25 and max(left["AU5"], right["AU5"]) < 1:
        weights["eyeBlink_L"] = weights["eyeBlink_R"] = rng.uniform(0, 0.2)
    dilation = rng.uniform(-0.3, 1.0) if rng.random() < 0.5 else 0
    weights["PupilDilate_L"] = weights["PupilDilate_R"] = 0.3 * dilation
    for shape in _TWITCHES:
        if rng.random() < 0.3:
            weights[f"{shape}_L"] = weights[f"{shape}_R"] = rng.uniform(0, 0.07)
    return weights, Gaze(float(np.clip(yaw, -0.5, 0.5)), float(np.clip(pitch, -0.32, 0.28)))


def lids_of(gaze: Gaze) -> Weights:
    """Weights of the shapes that make the lids follow the eyes."""
    weights: Weights = {}
    vertical = "Down" if gaze.pitch > 0 else "Up"
    share = min(1.0, gaze.pitch / 0.45 if gaze.pitch > 0 else -gaze.pitch / 0.40)
    weights[f"eyeLook{vertical}_L"] = weights[f"eyeLook{vertical}_R"] = share
    aside = min(1.0, abs(gaze.yaw) / 0.5)
    outer, inner = ("L", "R") if gaze.yaw > 0 else ("R", "L")
    weights[f"eyeLookOut_{outer}"] = weights[f"eyeLookIn_{inner}"] = aside
    return weights
