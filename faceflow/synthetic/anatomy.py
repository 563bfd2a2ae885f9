"""Where the parts of a face are, and how AUs move them: a blendshape model with one shape per AU.

Face coordinates: x to the image's right, y down, origin between the pupils, unit half the width of a mean
face. One half of the face (x >= 0) is modelled; the other is its mirror image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from faceflow.synthetic.expressions import ACTION_UNITS
from faceflow.synthetic.subject import Subject

Points = NDArray[np.float64]
"""(n, 2) array of x, y."""

Half = dict[str, Points]
"""Named landmarks of half a face."""

# Share of the full movement at each intensity: FACS level A is only a trace, B..E are steps of about one size.
RESPONSE = (0.0, 0.15, 0.4, 0.6, 0.8, 1.0)

SIZES = {
    "brow": 5,  # inner to outer end
    "upper_lid": 5,  # inner to outer corner
    "lower_lid": 5,
    "cheek": 1,
    "nose_wing": 3,  # base, widest point, top
    "nostril": 1,
    "upper_lip": 4,  # outer edge, midline to corner
    "upper_mouth": 4,  # inner edge
    "lower_mouth": 4,
    "lower_lip": 4,
    "fold": 4,  # nasolabial, from the nose wing down
    "jaw": 7,  # temple to chin
    "chin": 1,
    "upper_teeth": 1,
    "lower_teeth": 1,
}

# How far a pull at the lip corner, or at the middle of a lip, reaches along the four points of a lip.
CORNER_X = np.array([0.0, 0.35, 0.7, 1.0])
CORNER_Y = np.array([0.0, 0.12, 0.48, 1.0])
MIDDLE = np.array([1.0, 0.95, 0.65, 0.0])


def _lips(
    corner: tuple[float, float] = (0.0, 0.0),
    *,
    upper_lip: float = 0.0,
    upper_mouth: float = 0.0,
    lower_mouth: float = 0.0,
    lower_lip: float = 0.0,
) -> Half:
    middles = {
        "upper_lip": upper_lip,
        "upper_mouth": upper_mouth,
        "lower_mouth": lower_mouth,
        "lower_lip": lower_lip,
    }
    pull = np.stack([corner[0] * CORNER_X, corner[1] * CORNER_Y], axis=1)
    return {part: pull + np.outer(MIDDLE, (0.0, middle)) for part, middle in middles.items()}


def _shift(dx: Sequence[float] | float, dy: Sequence[float] | float) -> Points:
    return np.stack(np.broadcast_arrays(np.atleast_1d(dx), np.atleast_1d(dy)), axis=1).astype(np.float64)


MOVES: dict[str, Half] = {
    "AU1": {"brow": _shift(0.0, [-0.23, -0.17, -0.07, -0.01, 0.0])},
    "AU2": {"brow": _shift(0.0, [0.0, -0.03, -0.14, -0.22, -0.20])},
    "AU4": {
        "brow": _shift([-0.11, -0.09, -0.05, -0.02, 0.0], [0.18, 0.17, 0.14, 0.09, 0.04]),
        "upper_lid": _shift(0.0, [0.0, 0.02, 0.02, 0.01, 0.0]),
    },
    "AU5": {"upper_lid": _shift(0.0, [-0.01, -0.10, -0.12, -0.10, -0.01])},
    "AU6": {
        "lower_lid": _shift(0.0, [0.0, -0.075, -0.10, -0.095, -0.03]),
        "upper_lid": _shift(0.0, [0.0, 0.01, 0.02, 0.025, -0.03]),
        "cheek": _shift(0.02, -0.14),
    },
    "AU9": {
        "brow": _shift([-0.03, -0.02, 0.0, 0.0, 0.0], [0.06, 0.04, 0.01, 0.0, 0.0]),
        "nose_wing": _shift([0.02, 0.08, 0.05], [-0.13, -0.17, -0.17]),
        "nostril": _shift(0.025, -0.13),
        "fold": _shift([0.03, 0.03, 0.01, 0.0], [-0.14, -0.08, -0.03, 0.0]),
        **_lips((0.0, -0.02), upper_lip=-0.11, upper_mouth=-0.03),
    },
    "AU12": {
        **_lips((0.17, -0.28), upper_lip=0.03, upper_mouth=0.02, lower_mouth=0.02, lower_lip=0.01),
        "fold": _shift([0.02, 0.09, 0.15, 0.18], [-0.02, -0.06, -0.10, -0.13]),
        "cheek": _shift(0.03, -0.06),
        "jaw": _shift([0.0, 0.0, 0.02, 0.03, 0.01, 0.0, 0.0], 0.0),
    },
    "AU15": _lips((0.01, 0.21), upper_lip=-0.01, upper_mouth=-0.02, lower_mouth=-0.02, lower_lip=-0.01),
    "AU17": {
        **_lips((-0.05, 0.02), upper_lip=-0.06, upper_mouth=-0.10, lower_mouth=-0.10, lower_lip=-0.085),
        "chin": _shift(0.0, -0.12),
        "jaw": _shift(0.0, [0.0, 0.0, 0.0, 0.0, -0.02, -0.07, -0.08]),
    },
    "AU20": {
        **_lips((0.29, 0.02), upper_lip=0.055, lower_lip=-0.075),
        "fold": _shift([0.0, 0.05, 0.13, 0.19], 0.0),
    },
    "AU25": _lips(upper_lip=-0.05, upper_mouth=-0.065, lower_mouth=0.12, lower_lip=0.10),
    "AU26": {
        **_lips((-0.04, 0.06), upper_lip=0.0, upper_mouth=0.0, lower_mouth=0.29, lower_lip=0.31),
        "fold": _shift([0.0, -0.01, -0.02, -0.02], [0.0, 0.03, 0.07, 0.12]),
        "chin": _shift(0.0, 0.35),
        "jaw": _shift([0.0, 0.0, -0.01, -0.03, -0.02, 0.0, 0.0], [0.0, 0.04, 0.14, 0.27, 0.34, 0.35, 0.35]),
        "lower_teeth": _shift(0.0, 0.33),
    },
}
"""Displacement of the landmarks at full intensity, after the appearance changes of the FACS manual."""


def _stack(parts: Mapping[str, Points]) -> Points:
    return np.concatenate([parts.get(part, np.zeros((size, 2))) for part, size in SIZES.items()])


_ENDS = dict(zip(SIZES, np.cumsum(list(SIZES.values())), strict=True))
_SHAPES = np.stack([_stack(MOVES[unit]) for unit in ACTION_UNITS])


def doses(aus: Mapping[str, float]) -> dict[str, float]:
    """Turn intensities 0..5 into shares 0..1 of the full movement, one for each AU; absent AUs are 0.

    Raises:
        ValueError: an AU that is not drawn.
    """
    if unknown := sorted(set(aus) - set(ACTION_UNITS)):
        raise ValueError(f"expected AUs among {', '.join(ACTION_UNITS)}, got {unknown[0]}")
    return {unit: float(np.interp(aus.get(unit, 0), range(6), RESPONSE)) for unit in ACTION_UNITS}


def half_face(subject: Subject, dose: Mapping[str, float], gain: float = 1.0) -> Half:
    """Landmarks of half a face in face coordinates; `gain` scales the movement of this half."""
    amounts = gain * np.array([dose[unit] for unit in ACTION_UNITS])
    moved = neutral(subject) + np.tensordot(amounts, _SHAPES, axes=1)
    half = {part: moved[end - SIZES[part] : end] for part, end in _ENDS.items()}
    _keep_apart(half["upper_lid"], half["lower_lid"], 0.03)
    _keep_apart(half["upper_lip"], half["upper_mouth"], 0.025)
    _keep_apart(half["upper_mouth"], half["lower_mouth"], 0.0)
    _keep_apart(half["lower_mouth"], half["lower_lip"], 0.025)
    return half


def _keep_apart(above: Points, below: Points, gap: float) -> None:
    inner = slice(1, -1) if len(above) == SIZES["upper_lid"] else slice(0, -1)
    below[inner, 1] = np.maximum(below[inner, 1], above[inner, 1] + gap)


@lru_cache(maxsize=64)
def neutral(subject: Subject) -> Points:
    """All landmarks of the relaxed half face, parts one after another in the order of `SIZES`."""
    return _stack({**_eye(subject), **_nose(subject), **_mouth(subject), **_outline(subject)})


def _eye(subject: Subject) -> Half:
    across = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    x = 0.43 * subject.eye_spacing + 0.22 * subject.eye_width * across
    tilt = 0.02 * across * (across < 0) * -1 - subject.eye_tilt * 0.22 * across
    upper = tilt - 0.105 * subject.eye_opening * np.array([0.0, 0.80, 1.0, 0.82, 0.0])
    lower = tilt + 0.075 * subject.eye_opening * np.array([0.0, 0.70, 1.0, 0.85, 0.0])
    brow_x = 0.43 * subject.eye_spacing + np.array([-0.27, -0.12, 0.05, 0.21, 0.35])
    arch = 0.08 * subject.brow_arch * np.array([0.0, 0.55, 1.0, 0.90, 0.1])
    brow_y = -0.31 * subject.brow_height - arch + subject.brow_tilt * across
    return {
        "brow": np.stack([brow_x, brow_y], axis=1),
        "upper_lid": np.stack([x, upper], axis=1),
        "lower_lid": np.stack([x, lower], axis=1),
        "cheek": np.array([[0.52 * subject.face_width, 0.44]]),
    }


def _nose(subject: Subject) -> Half:
    scale = np.array([subject.nose_width, subject.nose_length])
    return {
        "nose_wing": np.array([[0.12, 0.68], [0.22, 0.60], [0.17, 0.48]]) * scale,
        "nostril": np.array([[0.095, 0.655]]) * scale,
    }


def _mouth(subject: Subject) -> Half:
    middle, width = 0.99 * subject.face_height, 0.37 * subject.mouth_width
    x = width * CORNER_X
    line = middle - subject.mouth_curve * CORNER_Y
    lip = {
        "upper_lip": line - 0.085 * subject.upper_lip * np.array([0.85, 1.0, 0.6, 0.0]),
        "upper_mouth": line,
        "lower_mouth": line,
        "lower_lip": line + 0.115 * subject.lower_lip * np.array([1.0, 0.92, 0.6, 0.0]),
    }
    return {
        **{part: np.stack([x, y], axis=1) for part, y in lip.items()},
        "fold": np.array([[0.24 * subject.nose_width, 0.55], [0.36, 0.72], [0.44, 0.88], [0.47, 1.02]]),
        "upper_teeth": np.array([[0.0, middle + 0.035]]),
        "lower_teeth": np.array([[0.0, middle + 0.045]]),
    }


def _outline(subject: Subject) -> Half:
    x = np.array([1.0, 1.0, 0.95, 0.83, 0.55, 0.24, 0.0])
    y = np.array([-0.3, 0.2, 0.61, 1.0, 1.34, 1.49, 1.52])
    jaw = 1.0 + (subject.jaw_width - 1.0) * np.array([0.0, 0.1, 0.4, 0.8, 1.0, 1.0, 1.0])
    height = np.where(y > 0, subject.face_height, 1.0)
    return {
        "jaw": np.stack([x * jaw * subject.face_width, y * height], axis=1),
        "chin": np.array([[0.0, 1.34 * subject.face_height]]),
    }
