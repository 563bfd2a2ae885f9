"""Which AUs a face shows: events of AUs that occur together, and which AUs exclude each other.

The events follow the combinations in the FACS manual (Ekman, Friesen and Hager 2002) and EMFACS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from faceflow.checks import check_number
from faceflow.errors import ConfigError
from faceflow.rendering.action_units import AUS, HALVED, SIDED, Intensities, relaxed


class Part(NamedTuple):
    """An AU of an event: its probability, and the range of its intensity relative to the event's."""

    au: str
    probability: float
    lowest: float
    highest: float


# For each event: its relative frequency and its AUs.
_EVENTS: dict[str, tuple[float, tuple[tuple[int, float, float, float], ...]]] = {
    "smile": (
        15,
        ((12, 1, 0.6, 1.1), (6, 0.65, 0.4, 1.1), (25, 0.5, 0.4, 1), (26, 0.15, 0.2, 0.6), (7, 0.15, 0.3, 0.7)),
    ),
    "surprise": (
        6,
        ((1, 1, 0.6, 1.1), (2, 0.95, 0.6, 1.1), (5, 0.7, 0.5, 1.1), (26, 0.65, 0.4, 1.1), (25, 0.3, 0.4, 0.9)),
    ),
    "anger": (
        6,
        (
            *((4, 1, 0.6, 1.1), (7, 0.6, 0.5, 1), (5, 0.2, 0.4, 0.9), (24, 0.45, 0.5, 1.1), (17, 0.3, 0.4, 0.9)),
            (10, 0.12, 0.4, 0.8),
        ),
    ),
    "disgust": (
        6,
        (
            *((9, 0.8, 0.5, 1.1), (10, 0.6, 0.5, 1.1), (4, 0.45, 0.4, 1), (7, 0.35, 0.4, 0.9), (17, 0.25, 0.4, 1)),
            *((25, 0.2, 0.3, 0.7), (6, 0.2, 0.3, 0.8)),
        ),
    ),
    "sadness": (6, ((1, 0.9, 0.5, 1.1), (4, 0.55, 0.4, 1), (15, 0.85, 0.5, 1.1), (17, 0.5, 0.4, 1))),
    "fear": (
        4,
        (
            *((1, 0.95, 0.5, 1.1), (2, 0.75, 0.4, 1), (4, 0.6, 0.3, 0.9), (5, 0.7, 0.5, 1.1), (20, 0.75, 0.5, 1.1)),
            *((25, 0.6, 0.4, 1), (26, 0.3, 0.3, 0.8)),
        ),
    ),
    "contempt": (3, ((14, 0.8, 0.5, 1.1), (12, 0.4, 0.3, 0.7))),
    "dimple": (5, ((14, 1, 0.5, 1.1), (12, 0.3, 0.3, 0.8), (24, 0.25, 0.4, 0.9), (17, 0.15, 0.3, 0.7))),
    "doubt": (5, ((17, 1, 0.6, 1.1), (15, 0.5, 0.4, 1), (24, 0.35, 0.4, 1), (1, 0.2, 0.3, 0.8), (2, 0.25, 0.3, 0.9))),
    "press": (5, ((24, 1, 0.5, 1.1), (17, 0.4, 0.4, 0.9), (14, 0.2, 0.3, 0.8), (4, 0.2, 0.3, 0.8))),
    "suck": (4, ((28, 1, 0.5, 1.1), (1, 0.1, 0.3, 0.8), (4, 0.1, 0.3, 0.8))),
    "funnel": (5, ((22, 1, 0.5, 1.1), (25, 0.45, 0.3, 0.8), (26, 0.2, 0.2, 0.5))),
    "speech": (
        10,
        (
            *((25, 0.9, 0.3, 1), (26, 0.6, 0.25, 0.9), (20, 0.2, 0.3, 0.9), (22, 0.15, 0.3, 0.8), (10, 0.1, 0.3, 0.7)),
            *((1, 0.15, 0.3, 0.8), (2, 0.15, 0.3, 0.8)),
        ),
    ),
    "stretch": (4, ((20, 1, 0.5, 1.1), (25, 0.5, 0.3, 0.9), (15, 0.15, 0.3, 0.7))),
    "brow flash": (5, ((1, 0.9, 0.5, 1.1), (2, 1, 0.5, 1.1))),
    "frown": (5, ((4, 1, 0.5, 1.1), (7, 0.2, 0.3, 0.8))),
    "squint": (4, ((7, 0.9, 0.6, 1.1), (6, 0.35, 0.3, 0.9), (4, 0.25, 0.3, 0.8))),
    "wide eyes": (3, ((5, 1, 0.6, 1.1),)),
    "sneer": (3, ((10, 1, 0.5, 1.1), (25, 0.35, 0.3, 0.8))),
    "blink": (5, ((45, 1, 0.7, 1.1),)),
    "single": (10, ()),  # any one AU
}
EVENTS = {name: tuple(Part(f"AU{au}", *rest) for au, *rest in parts) for name, (_, parts) in _EVENTS.items()}
_NAMES = tuple(_EVENTS)
_FREQUENCIES = np.array([frequency for frequency, _ in _EVENTS.values()], float)
_FREQUENCIES /= _FREQUENCIES.sum()
_CORNER_MOVERS = ("AU12", "AU14", "AU15", "AU20")
_LOWEST = 0.25  # weaker AUs are neither shown nor labelled


@dataclass(frozen=True, kw_only=True)
class ExpressionRates:
    """How often faces show AUs.

    Attributes:
        neutral: share of faces without AUs.
        two_events: share of the other faces that show two events at once.
        blink: share of the other faces that also blink.
        one_sided: share of the other faces with one side weaker or neutral.
        uneven: share of faces with AU17 or AU22 in which the AU is weaker on one side.
        aus: AUs that can be shown; None for all. AU25 is labelled as visible, whatever parts the lips.
    """

    neutral: float
    two_events: float
    blink: float
    one_sided: float
    uneven: float
    aus: Sequence[str] | None

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("neutral", "two_events", "blink", "one_sided", "uneven"):
            key = f"expression.{name}"
            check_number(getattr(self, name), key=key, expected="a share in 0..1", valid=lambda share: 0 <= share <= 1)
        if unknown := [au for au in self.aus or () if au not in AUS]:
            raise ConfigError(
                f"expression.aus: expected AUs that can be rendered, got '{unknown[0]}'; choose from {', '.join(AUS)}"
            )

    def shows(self, au: str) -> bool:
        """Whether faces can show an AU."""
        return self.aus is None or au in self.aus


def sample_expression(rng: np.random.Generator, rates: ExpressionRates) -> tuple[Intensities, Intensities]:
    """Draw the intensities of a face on the subject's left and right side."""
    left = relaxed()
    if rng.random() < rates.neutral:
        return left, dict(left)
    for _ in range(1 if rng.random() < 1 - rates.two_events else 2):
        _add_event(left, rng)
    if rng.random() < rates.blink:
        left["AU45"] = max(left["AU45"], float(rng.uniform(2.5, 5)))
    for au in AUS:
        if not rates.shows(au):
            left[au] = 0.0
    resolve(left)
    right = dict(left)
    if rng.random() < rates.one_sided:
        weaker = left if rng.random() < 0.5 else right
        share = rng.uniform(0, 0.6)
        for au in SIDED:
            if au != "AU45" or rng.random() < 0.3:  # winks are rarer than one-sided smiles
                weaker[au] *= share
    else:
        for au in SIDED:
            if right[au] > 0:
                right[au] = float(np.clip(right[au] * rng.uniform(0.92, 1.08), 0, 5))
    for au in HALVED:
        if rates.uneven and left[au] > 0 and rng.random() < rates.uneven:
            (left if rng.random() < 0.5 else right)[au] *= rng.uniform(0.2, 0.8)
    return left, right


def resolve(intensities: Intensities) -> None:
    """Lower intensities of AUs that exclude each other, so that a face can show what is labelled."""
    i = intensities
    if i["AU45"] > 1.5:
        i["AU5"] = 0.0
        i["AU7"] *= 0.3
    if i["AU5"] > 0 and i["AU7"] > 0:
        i["AU7" if i["AU5"] >= i["AU7"] else "AU5"] *= 0.35
    if i["AU5"] > 1.5 and i["AU6"] > 0:
        i["AU6"] *= 0.4
    _resolve_lips(i)
    if i["AU26"] > 1 and i["AU17"] > 0:
        i["AU17"] = 0.0
    total = sum(i[au] for au in _CORNER_MOVERS)
    if total > 7:
        for au in _CORNER_MOVERS:
            i[au] *= 7 / total
    if i["AU12"] > 2 and i["AU15"] > 0:
        i["AU15"] *= 0.5
    if i["AU9"] + i["AU10"] > 8:
        i["AU10"] *= max(0.0, 8 - i["AU9"]) / i["AU10"]
    if i["AU26"] > 0:  # a dropped jaw parts the lips
        i["AU25"] = max(i["AU25"], min(5.0, 1.0 + 0.75 * i["AU26"]))
    for au in i:
        if i[au] < _LOWEST:
            i[au] = 0.0


def _resolve_lips(i: Intensities) -> None:
    """Keep only one of pressed, sucked, parted and funnelled lips."""
    closed, parted = max(i["AU24"], i["AU28"]), max(i["AU25"], i["AU26"])
    if closed > 0 and parted > 0:
        lost = ("AU25", "AU26") if closed >= parted else ("AU24", "AU28")
        for au in lost:
            i[au] = 0.0
    if i["AU24"] > 0 and i["AU28"] > 0:
        i["AU24" if i["AU28"] > i["AU24"] else "AU28"] = 0.0
    if i["AU28"] > 0:
        i["AU22"] = i["AU10"] = i["AU20"] = i["AU17"] = 0.0
        i["AU12"] *= 0.4
    if i["AU24"] > 0:
        i["AU22"] = 0.0
    if i["AU22"] > 0:
        for au in (*_CORNER_MOVERS, "AU17"):
            i[au] *= 0.3 if i["AU22"] > i[au] else 1


def _add_event(left: Intensities, rng: np.random.Generator) -> None:
    """Raise the intensities of an event's AUs."""
    name = _NAMES[rng.choice(len(_NAMES), p=_FREQUENCIES)]
    parts = EVENTS[name]
    strength = 5 * (0.15 + 0.85 * rng.beta(1.7, 1.5))
    if name == "single":
        parts = (Part(AUS[int(rng.choice(len(AUS)))], 1, 0.7, 1.1),)
    for part in parts:
        if rng.random() < part.probability:
            intensity = float(np.clip(strength * rng.uniform(part.lowest, part.highest), 0, 5))
            left[part.au] = max(left[part.au], intensity)
