"""Who is drawn: the geometry, colours and style of one synthetic subject."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[int, int, int]
"""RGB, 0..255."""

SKIN_TONES: tuple[Colour, ...] = (
    (246, 214, 192),
    (236, 198, 170),
    (222, 178, 146),
    (200, 152, 116),
    (168, 120, 88),
    (134, 92, 66),
    (104, 70, 52),
)
HAIR_COLOURS: tuple[Colour, ...] = (
    (34, 28, 26),
    (58, 42, 34),
    (92, 62, 42),
    (138, 98, 60),
    (190, 152, 98),
    (128, 60, 36),
    (150, 146, 142),
)
IRIS_COLOURS: tuple[Colour, ...] = ((74, 48, 30), (98, 70, 40), (84, 104, 68), (76, 110, 140), (104, 118, 126))
CLOTHES_COLOURS: tuple[Colour, ...] = ((52, 62, 84), (120, 46, 48), (60, 92, 72), (176, 172, 162), (44, 44, 48))
HAIR_STYLES = ("bald", "short", "fringe", "parted", "long")


@dataclass(frozen=True)
class Subject:
    """One subject.

    The geometric factors are relative to the mean face (1.0); `mouth_curve` and `brow_tilt` are offsets
    in units of half a face width. Relaxed faces differ by less than an AU moves its landmark at level 2, except for the
    height of the chin.
    """

    face_width: float
    face_height: float
    jaw_width: float
    eye_spacing: float
    eye_width: float
    eye_opening: float
    eye_tilt: float
    brow_height: float
    brow_thickness: float
    brow_arch: float
    brow_tilt: float
    nose_width: float
    nose_length: float
    mouth_width: float
    mouth_curve: float
    upper_lip: float
    lower_lip: float
    asymmetry: float
    age: float
    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    clothes: Colour
    hair_style: str
    beard: float
    glasses: bool
    session: int


def sample_subject(rng: np.random.Generator) -> Subject:
    """Sample a subject; `session` seeds everything that is constant over its frames, such as the background."""

    def offset(spread: float) -> float:
        return spread * float(np.clip(rng.standard_normal() / 2, -1, 1))

    def factor(spread: float) -> float:
        return 1.0 + offset(spread)

    tone = rng.uniform(0, len(SKIN_TONES) - 1)
    skin = mix(SKIN_TONES[int(tone)], SKIN_TONES[int(tone) + 1], tone % 1)
    dark_hair = tone > 3.5
    hair = HAIR_COLOURS[rng.integers(2 if dark_hair else len(HAIR_COLOURS))]
    iris = IRIS_COLOURS[rng.integers(2 if dark_hair else len(IRIS_COLOURS))]
    return Subject(
        face_width=factor(0.08),
        face_height=factor(0.05),
        jaw_width=factor(0.10),
        eye_spacing=factor(0.09),
        eye_width=factor(0.10),
        eye_opening=factor(0.14),
        eye_tilt=offset(0.10),
        brow_height=factor(0.10),
        brow_thickness=factor(0.40),
        brow_arch=factor(0.45),
        brow_tilt=offset(0.02),
        nose_width=factor(0.18),
        nose_length=factor(0.06),
        mouth_width=factor(0.08),
        mouth_curve=offset(0.025),
        upper_lip=factor(0.25),
        lower_lip=factor(0.25),
        asymmetry=offset(0.08),
        age=float(rng.beta(1.3, 2.0)),
        skin=skin,
        hair=hair,
        iris=iris,
        lips=mix(skin, (158, 48, 56), float(rng.uniform(0.32, 0.62))),
        clothes=CLOTHES_COLOURS[rng.integers(len(CLOTHES_COLOURS))],
        hair_style=HAIR_STYLES[rng.choice(len(HAIR_STYLES), p=(0.08, 0.27, 0.18, 0.22, 0.25))],
        beard=float(rng.uniform(0.25, 0.6)) if rng.random() < 0.16 else 0.0,
        glasses=bool(rng.random() < 0.14),
        session=int(rng.integers(2**31)),
    )


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Blend two colours; `share` 0 gives the first, 1 the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue
