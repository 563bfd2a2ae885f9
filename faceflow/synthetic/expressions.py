"""Which AUs a synthetic frame shows: sparse co-occurring intensities drawn from expression patterns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

ACTION_UNITS = ("AU1", "AU2", "AU4", "AU5", "AU6", "AU9", "AU12", "AU15", "AU17", "AU20", "AU25", "AU26")
"""The 12 AUs of DISFA (Mavadati et al., 2013), in its column order."""

NEUTRAL_RATE = 0.31
EXTRA_RATE = 0.5
TRACE_RATE = 0.4

# Probabilities of the levels A..E of a pattern; each of its AUs stays within one level of it.
LEVELS = (0.05, 0.17, 0.31, 0.28, 0.19)


class Pattern(NamedTuple):
    """An expression: AUs that always occur, and AUs that occur with a probability."""

    weight: float
    always: tuple[str, ...]
    sometimes: Mapping[str, float]


PATTERNS = {
    "smile": Pattern(0.17, ("AU6", "AU12"), {"AU25": 0.5}),
    "polite smile": Pattern(0.03, ("AU12",), {"AU25": 0.3}),
    "surprise": Pattern(0.11, ("AU1", "AU2", "AU5", "AU26"), {"AU25": 0.7}),
    "sadness": Pattern(0.12, ("AU1", "AU4", "AU15"), {"AU17": 0.5}),
    "disgust": Pattern(0.14, ("AU9",), {"AU4": 0.3, "AU17": 0.4, "AU6": 0.2}),
    "fear": Pattern(0.14, ("AU1", "AU2", "AU4", "AU5", "AU20"), {"AU25": 0.5}),
    "anger": Pattern(0.05, ("AU4",), {"AU5": 0.4, "AU17": 0.4}),
    "speech": Pattern(0.08, ("AU25",), {"AU26": 0.7, "AU20": 0.4}),
    "doubt": Pattern(0.05, ("AU15", "AU17"), {"AU2": 0.4}),
    "single": Pattern(0.15, (), {}),
}
"""Prototypes after Ekman and Friesen (1978); `single` shows one AU drawn at random."""

# The AUs of several patterns are drawn less often at random, so that none of the others is rare.
RANDOM_WEIGHTS = np.array([0.3 if unit in ("AU1", "AU2", "AU4", "AU5", "AU25") else 1.0 for unit in ACTION_UNITS])

# Muscles that pull one landmark to opposite sides: a random extra AU never opposes an AU that is already shown.
ANTAGONISTS = {
    "AU12": {"AU15", "AU20"},
    "AU15": {"AU12"},
    "AU17": {"AU25", "AU26"},
    "AU20": {"AU12"},
    "AU25": {"AU17"},
    "AU26": {"AU17"},
}


def sample_labels(rng: np.random.Generator) -> dict[str, int]:
    """Sample the intensities 0..5 of one frame, in the order of `ACTION_UNITS`.

    About a third of the frames is neutral or shows one AU as a trace. A jaw drop parts the lips, so
    AU26 >= 2 comes with AU25 >= 2.
    """
    labels = dict.fromkeys(ACTION_UNITS, 0)
    if rng.random() < NEUTRAL_RATE:
        if rng.random() < TRACE_RATE:
            labels[_any_unit(rng)] = 1
        return labels
    level = 1 + int(rng.choice(5, p=LEVELS))
    for unit in _pattern_units(rng):
        labels[unit] = int(np.clip(level + rng.integers(-1, 2), 1, 5))
    if rng.random() < EXTRA_RATE:
        unit = _any_unit(rng)
        if not any(labels[other] for other in ANTAGONISTS.get(unit, ())):
            labels[unit] = max(labels[unit], int(rng.integers(1, 6)))
    if labels["AU26"] >= 2:
        labels["AU25"] = max(labels["AU25"], 2)
    return labels


def _pattern_units(rng: np.random.Generator) -> list[str]:
    weights = np.array([pattern.weight for pattern in PATTERNS.values()])
    name = list(PATTERNS)[rng.choice(len(PATTERNS), p=weights / weights.sum())]
    if name == "single":
        return [_any_unit(rng)]
    _, always, sometimes = PATTERNS[name]
    return [*always, *(unit for unit, rate in sometimes.items() if rng.random() < rate)]


def _any_unit(rng: np.random.Generator) -> str:
    return ACTION_UNITS[rng.choice(len(ACTION_UNITS), p=RANDOM_WEIGHTS / RANDOM_WEIGHTS.sum())]
