"""Which shapes of the face model make up an AU, and limits on shapes that act on the same skin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Intensities = dict[str, float]
"""Intensity 0..5 of each of `AUS`."""


@dataclass(frozen=True)
class Share:
    """Weight of a shape at intensity 5 of an AU; a `sided` shape exists for each side of the face."""

    shape: str
    weight: float
    sided: bool = True


SHAPES: dict[str, tuple[Share, ...]] = {
    "AU1": (Share("browInnerUp", 1.35),),
    "AU2": (Share("browOuterUp", 1.10),),
    "AU4": (Share("browDown", 1.40),),
    "AU5": (Share("eyeWide", 1.25),),
    "AU6": (Share("cheekSquint", 0.95), Share("cheekRaiser", 0.60)),
    "AU7": (Share("eyeSquint", 1.45),),
    "AU9": (Share("noseSneer", 1.05),),
    "AU10": (Share("mouthUpperUp", 0.95), Share("mouthShrugUpper", 0.25, sided=False)),
    "AU12": (Share("mouthSmile", 1.00),),
    "AU14": (Share("mouthDimple", 1.20),),
    "AU15": (Share("mouthFrown", 1.45),),
    "AU17": (Share("mouthShrugLower", 0.95, sided=False),),
    "AU20": (Share("mouthStretch", 1.15),),
    "AU22": (Share("mouthFunnel", 0.95, sided=False),),
    "AU24": (
        Share("mouthPress", 1.50),
        Share("mouthRollUpper", 0.18, sided=False),
        Share("mouthRollLower", 0.18, sided=False),
    ),
    "AU25": (Share("mouthLowerDown", 0.95), Share("mouthUpperUp", 0.22)),
    "AU26": (Share("jawOpen", 0.62, sided=False),),
    "AU28": (Share("mouthRollLower", 0.95, sided=False), Share("mouthRollUpper", 0.95, sided=False)),
    "AU45": (Share("eyeBlink", 1.00),),
}
AUS = tuple(SHAPES)
BOTH_SIDES = ("AU17", "AU22", "AU25", "AU26", "AU28")
"""AUs that move both sides together."""
SIDED = (
    *("AU1", "AU2", "AU4", "AU5", "AU6", "AU7", "AU9", "AU10", "AU12"),
    *("AU45", "AU14", "AU15", "AU20", "AU24"),  # AU45 here: the order in which the benchmark draws their differences
)
"""AUs that can act on one side."""
HALVED = ("AU17", "AU22")
"""AUs that move both sides but can be stronger on one."""
_UNSCALED = ("AU26", "AU45")  # the same in every subject: dropping the jaw, shutting the eyes
_CORNER_MOVERS = ("mouthSmile", "mouthDimple", "mouthFrown", "mouthStretch")


def relaxed() -> Intensities:
    """Intensities of a face without any AU."""
    return dict.fromkeys(AUS, 0.0)


def half(shape: str, side: str) -> str:
    """Name of one half of a shape that moves both sides."""
    return f"{shape}_half_{side}"


def level(intensity: float) -> int:
    """Level 0..5 that a coder would give an intensity; halves are rounded up."""
    return int(intensity + 0.5)


def shape_weights(
    left: Intensities,
    right: Intensities,
    gains: Mapping[str, float],
    further: Iterable[Mapping[str, float]] = (),
    *,
    exponent: float,
) -> dict[str, float]:
    """Weights of the shapes that show AUs.

    Args:
        left: intensities on the subject's left side.
        right: intensities on the right side.
        gains: how much each AU moves this subject's face.
        further: weights to add, for the resting face, gaze and movements that are not AUs.
        exponent: of the intensity as a share of 5; below 1 weak AUs become more visible, above 1 less.
    """
    weights: dict[str, float] = {}

    def add(shape: str, weight: float) -> None:
        if weight:
            weights[shape] = weights.get(shape, 0.0) + weight

    for au in AUS:
        on_left, on_right = (left[au] / 5.0) ** exponent, (right[au] / 5.0) ** exponent
        if on_left <= 0 and on_right <= 0:
            continue
        gain = 1.0 if au in _UNSCALED else gains[au]
        for share in SHAPES[au]:
            if share.sided:
                add(f"{share.shape}_L", share.weight * on_left * gain)
                add(f"{share.shape}_R", share.weight * on_right * gain)
            elif on_left == on_right or au not in HALVED:
                add(share.shape, share.weight * max(on_left, on_right) * gain)
            else:
                add(half(share.shape, "L"), share.weight * on_left * gain)
                add(half(share.shape, "R"), share.weight * on_right * gain)
    for mapping in further:
        for shape, weight in mapping.items():
            add(shape, weight)
    for side in ("_L", "_R"):
        _limit_eye(weights, side)
        _limit_mouth(weights, side)
    return weights


def _limit_eye(weights: dict[str, float], side: str) -> None:
    """Keep the lids of one eye from crossing each other and the cheek from crossing the eye."""
    blink = min(weights.get(f"eyeBlink{side}", 0.0), 1.0)
    squint = weights.get(f"eyeSquint{side}", 0.0)
    if blink + 0.42 * (squint + 0.25 * weights.get(f"cheekSquint{side}", 0.0)) > 1:
        if blink > 0.6:
            weights[f"eyeSquint{side}"] = squint * max(0.0, 1 - blink)
            weights[f"eyeBlink{side}"] = blink
        else:
            weights[f"eyeSquint{side}"] = (1 - blink) / 0.42
    if weights.get(f"eyeWide{side}", 0.0) > 0 and blink > 0.3:
        weights[f"eyeWide{side}"] *= max(0.0, 1 - 1.6 * blink)
    cheeks = [f"cheekSquint{side}", f"cheekRaiser{side}"]
    _limit_sum(weights, cheeks, 1.7)


def _limit_mouth(weights: dict[str, float], side: str) -> None:
    """Keep one corner of the mouth and half of the upper lip within anatomical limits."""
    _limit_sum(weights, [f"{shape}{side}" for shape in _CORNER_MOVERS], 1.55)
    sneer, raised = weights.get(f"noseSneer{side}", 0.0), weights.get(f"mouthUpperUp{side}", 0.0)
    if raised > 0 and raised + 0.55 * sneer > 1.35:
        weights[f"mouthUpperUp{side}"] = max(0.0, 1.35 - 0.55 * sneer)


def _limit_sum(weights: dict[str, float], shapes: Iterable[str], most: float) -> None:
    present = [shape for shape in shapes if shape in weights]
    total = sum(weights[shape] for shape in present)
    if total > most:
        for shape in present:
            weights[shape] *= most / total
