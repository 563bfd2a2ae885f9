"""Who is rendered: the ranges that subjects are drawn from, and what is drawn before their skin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from faceflow.checks import check_number
from faceflow.errors import ConfigError, suggest
from faceflow.rendering.action_units import AUS
from faceflow.rendering.ranges import check_range

HAIR_STYLES = ("bald", "short", "medium", "long")
_STRENGTHS = (0.25, 1.5)  # nobody's AU is weaker, so that it can be seen, nor stronger
YOUNGEST = -0.3
"""Age of two years, where 0 is 20 years and 1 is 80."""
_TONES = 9.0  # from the lightest skin, 0, to the darkest


_RESTING = (  # shape, share of subjects whose relaxed face has some of it, and how much at most
    ("browDown", 0.3, 0.18),
    ("mouthFrown", 0.25, 0.20),
    ("eyeBlink", 0.35, 0.16),
    ("mouthSmile", 0.2, 0.10),
    ("browInnerUp", 0.15, 0.12),
    ("eyeSquint", 0.2, 0.2),
    ("mouthPress", 0.2, 0.2),
)


@dataclass(frozen=True, kw_only=True)
class RestingFaces:
    """What relaxed faces look like, besides what all have; no label names any of it.

    Attributes:
        expression: how much brows, lids and corners of the mouth rest away from the mean face; 0 for as usual.
        brows: by how much of a full frown the brows of the face model rest lower, over subjects. At 0 they lie 3 mm
            above those of MediaPipe's canonical face.
        brows_spread: standard deviation of this share between subjects.
        furrows: depth of permanent furrows at all ages, as a share of those that AUs fold.
        parted: share of subjects whose lips are apart.
    """

    expression: float
    brows: float
    brows_spread: float
    furrows: float
    parted: float

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("expression", "brows", "brows_spread", "furrows", "parted"):
            value, key = getattr(self, name), f"rest.{name}"
            check_number(value, key=key, expected="a number in 0..1", valid=lambda number: 0 <= number <= 1)

    def sample(self, rng: np.random.Generator) -> tuple[dict[str, float], float]:
        """Draw weights of shapes to add to those of a relaxed face, and the gap between its lips in cm."""
        weights = {}
        for shape, _, most in _RESTING:
            weights[f"{shape}_L"] = weight = self.expression * most * rng.beta(1, 2)
            weights[f"{shape}_R"] = weight * rng.uniform(0.7, 1.1)
        return weights, float(rng.uniform(0.1, 0.45)) if rng.random() < self.parted else 0.0

    def sample_brows(self, rng: np.random.Generator, weights: Mapping[str, float]) -> dict[str, float]:
        """Draw how low the brows rest, beyond the weights of other shapes."""
        lower = rng.normal(self.brows, self.brows_spread)
        return {f"browDown_{side}": weights[f"browDown_{side}"] + lower for side in "LR"}


@dataclass(frozen=True, kw_only=True)
class Population:
    """Ranges that subjects are drawn from.

    Attributes:
        skin: lightest and darkest tone, 0..9.
        age: youngest and oldest, 0 (20 years) to 1 (80 years); -0.3 is two years.
        glasses: share of subjects with glasses.
        hair: shares of bald, short, medium and long hair, of men and of women.
        beard: share of men with a beard.
        stubble: share of beards that are stubble.
        rest: relaxed faces.
    """

    skin: Sequence[float]
    age: Sequence[float]
    glasses: float
    hair: Mapping[str, Sequence[float]]
    beard: float
    stubble: float
    rest: RestingFaces

    def __post_init__(self) -> None:
        """Check the values."""
        check_range(self.skin, key="skin.tone", lowest=0.0, highest=_TONES)
        check_range(self.age, key="age.range", lowest=YOUNGEST, highest=1.0)
        for key, share in (
            ("glasses.share", self.glasses),
            ("beard.share", self.beard),
            ("beard.stubble", self.stubble),
        ):
            check_number(share, key=key, expected="a share in 0..1", valid=lambda value: 0 <= value <= 1)
        for name in ("men", "women"):
            shares = list(self.hair[name])
            if len(shares) != len(HAIR_STYLES) or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
                raise ConfigError(
                    f"hair.{name}: expected shares of {', '.join(HAIR_STYLES)} that sum to 1, got {shares}"
                )


@dataclass(frozen=True, kw_only=True)
class Strength:
    """How much of a shape each subject's AUs reach.

    Attributes:
        mean: share of the shape that intensity 5 is, over subjects and AUs.
        spread: standard deviation of this share between subjects and AUs.
        exponent: of an intensity as a share of 5; 1: intensity 1 is a fifth of intensity 5.
        factors: of the shares of some AUs, whose shapes move less than faces do.
    """

    mean: float
    spread: float
    exponent: float
    factors: Mapping[str, float]

    def __post_init__(self) -> None:
        """Check the values."""
        check_number(
            self.mean, key="strength.mean", expected="a share in (0, 1.5]", valid=lambda share: 0 < share <= 1.5
        )
        check_number(
            self.spread, key="strength.spread", expected="a share in 0..0.5", valid=lambda share: 0 <= share <= 0.5
        )
        check_number(
            self.exponent, key="strength.exponent", expected="a number in 0.5..2", valid=lambda x: 0.5 <= x <= 2
        )
        for au, factor in self.factors.items():
            if au not in AUS:
                raise ConfigError(f"strength.factors: expected AUs that can be rendered, got {au}; {suggest(au, AUS)}")
            key = f"strength.factors.{au}"
            check_number(factor, key=key, expected="a number in (0, 3]", valid=lambda x: 0 < x <= 3)

    def sample(self, rng: np.random.Generator) -> dict[str, float]:
        """Draw the share of each AU's shape that a subject reaches."""
        shares = np.clip(rng.normal(self.mean, self.spread, len(AUS)), *_STRENGTHS)
        return {au: share * self.factors.get(au, 1.0) for au, share in zip(AUS, shares.tolist(), strict=True)}


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What a subject is; `age` 0..1 is 20 to 80 years and -0.3 two, `wrinkling` scales wrinkles of AUs."""

    age: float
    female: bool
    wrinkling: float


def sample_traits(rng: np.random.Generator, population: Population) -> Traits:
    """Draw age, sex and wrinkling."""
    age = rng.uniform(population.age[0], population.age[1])
    female = bool(rng.random() < 0.5)
    return Traits(age=age, female=female, wrinkling=0.25 + 0.9 * max(age, -0.15) + rng.uniform(-0.1, 0.15))


def sample_rest(rng: np.random.Generator) -> dict[str, float]:
    """Draw weights of shapes of a relaxed face; no label names them."""
    weights = {}
    for shape, probability, most in _RESTING:
        if rng.random() < probability:
            weights[f"{shape}_L"] = weight = rng.uniform(0, most)
            weights[f"{shape}_R"] = weight * rng.uniform(0.7, 1.1)
    return weights


def sample_gains(rng: np.random.Generator) -> dict[str, float]:
    """Draw how much each AU moves a face."""
    return {au: rng.uniform(0.85, 1.08) for au in AUS}
