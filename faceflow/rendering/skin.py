"""Skin of a subject as textures, with lips, moles, make-up, brows and beard; and the colours that go with it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from faceflow.rendering.arrays import Doubles, Floats
from faceflow.rendering.colour import to_linear
from faceflow.rendering.curves import smooth_noise, smoothstep
from faceflow.rendering.face_hair import beard_mask, brow_mask
from faceflow.rendering.face_model import TEXTURE, FaceModel
from faceflow.rendering.people import Population, Traits
from faceflow.rendering.texture import FRACTION_BITS, blend, fixed_point, spot

# Light to dark, sRGB.
_TONES = (
    np.array(
        [
            *([246, 222, 208], [241, 205, 184], [229, 187, 159], [214, 166, 132], [194, 142, 104]),
            *([165, 114, 78], [134, 88, 57], [104, 66, 43], [78, 49, 34], [56, 36, 28]),
        ],
        np.float32,
    )
    / 255
)
_HAIR = (
    np.array(
        [
            *([20, 16, 14], [38, 26, 20], [62, 42, 28], [96, 66, 40]),
            *([150, 112, 66], [196, 164, 110], [120, 60, 32], [150, 148, 146]),
        ]
    )
    / 255
)
_GREY = 7
_LIPSTICK = np.array([[0.72, 0.12, 0.18], [0.62, 0.22, 0.30], [0.80, 0.38, 0.38], [0.45, 0.10, 0.18]])
_IRIS = np.array([[62, 38, 22], [84, 54, 30], [44, 28, 18], [92, 110, 128], [96, 108, 78], [120, 96, 60]]) / 255
_EYELIDS = ((36, 42), (42, 48))  # landmarks
_OUTER_LIPS = slice(48, 60)


@dataclass(frozen=True, kw_only=True, eq=False)
class Skin:
    """Textures and colours of a subject, in linear light.

    Attributes:
        tone: 0 (light) to 9 (dark).
        beard: 0 none, 1 stubble, 2 full.
        texture: (S, S, 4), albedo and share of specular light.
        relief: (S, S), height of pores and brows in cm.
        specular: strength of reflections.
        gloss: their exponent.
        lashes: whether there are any to see.
        hair: (3,); so are the others.
    """

    tone: float
    beard: int
    texture: Floats
    relief: Floats
    specular: float
    gloss: float
    lashes: bool
    hair: Floats
    mouth: Floats
    iris: Floats
    sclera: Floats
    teeth: Floats


def sample_skin(rng: np.random.Generator, face: FaceModel, traits: Traits, population: Population) -> Skin:
    """Draw the skin of a subject."""
    tone = rng.uniform(population.skin[0], population.skin[1])
    light = 1 - tone / 9.0
    base = _base_colour(rng, tone)
    albedo, fine, coarse = _bare_skin(rng, face, base, light)
    albedo = _with_spots(rng, face, albedo, light)
    lips = _lips_mask(rng, face)
    albedo, mouth = _with_lips(rng, albedo, lips, base, light, traits.female)
    if traits.female and rng.random() < 0.4:  # eye shadow
        shadow = np.asarray(spot(face, 3.1, 4.35, 1.2, 0.45) * rng.uniform(0.3, 0.7))
        albedo = blend(albedo, albedo * to_linear(rng.uniform(0.35, 0.9, 3)), shadow)
    albedo *= (1 - rng.uniform(0.25, 0.6) * _lid_lines(face))[..., None]
    kind = _hair_kind(rng, tone, traits.age)
    hair = to_linear(np.clip(_HAIR[kind] * rng.uniform(0.85, 1.15) * (1 + rng.normal(0, 0.02, 3)), 0, 1))
    beard = 0
    if not traits.female and rng.random() < population.beard:
        beard = 1 if rng.random() < population.stubble else 2
        albedo = _with_beard(rng, face, albedo, lips, hair, full=beard == 2)
    brows = brow_mask(rng, face, thin=traits.female)
    brow_colour = hair * 0.8 + 0.2 * to_linear([0.13, 0.09, 0.07])
    if kind == _GREY and traits.age < 0.8:
        brow_colour = to_linear([0.2, 0.17, 0.15])
    albedo = blend(albedo, np.minimum(brow_colour, albedo * 0.75), brows)
    # Oily forehead, nose and lips shine, brows do not.
    shine = 0.55 + 0.5 * spot(face, 0, 1.5, 1.2, 2.2) + 0.35 * spot(face, 0, 8, 3.5, 1.5)
    shine += 0.2 * spot(face, 4, 1.2, 1.4, 1.0) + 0.8 * lips
    shine *= (1 - 0.8 * brows) * (1 + 0.25 * coarse)
    texture = np.concatenate([np.clip(albedo, 0.004, 0.98), np.clip(shine, 0, 2)[..., None]], -1).astype(np.float32)
    relief = (0.006 * fine + 0.008 * coarse - 0.006 * brows).astype(np.float32)
    specular, gloss = rng.uniform(0.10, 0.32) * (0.45 + 0.55 * light), rng.uniform(12, 26)
    iris = _IRIS[rng.choice(3) if tone > 4 else rng.choice(6)]
    return Skin(
        tone=tone,
        beard=beard,
        texture=texture,
        relief=relief,
        specular=specular,
        gloss=gloss,
        hair=hair,
        mouth=mouth,
        iris=to_linear(iris * rng.uniform(0.9, 1.1)),
        sclera=to_linear(np.array([0.70, 0.65, 0.62]) * rng.uniform(0.92, 1.04)),
        teeth=to_linear(np.array([0.93, 0.87, 0.77]) * rng.uniform(0.85, 1.05)),
        lashes=bool(rng.random() < (0.95 if traits.female else 0.7)),
    )


def _base_colour(rng: np.random.Generator, tone: float) -> Doubles:
    below = min(int(tone), len(_TONES) - 2)
    base = _TONES[below] * (1 - (tone - below)) + _TONES[below + 1] * (tone - below)
    varied = np.asarray(base * (1 + rng.normal(0, 0.03)) * (1 + rng.normal(0, 0.011, 3) * [1, 0.6, 1]), np.float64)
    return np.clip(varied, 0.03, 0.97)


def _bare_skin(rng: np.random.Generator, face: FaceModel, base: Doubles, light: float) -> tuple[Floats, Floats, Floats]:
    """Albedo (S, S, 3) with red cheeks and dark lids, and the fine and the coarser noise (S, S) in it."""
    albedo = np.ones((TEXTURE, TEXTURE, 3), np.float32) * to_linear(base)
    red = 0.5 * spot(face, 4.2, -0.3, 1.8, 1.6) + 0.55 * spot(face, 0, 0.2, 1.0, 1.0)
    red = red + 0.25 * spot(face, 0, -6, 1.3, 0.9)
    ears = 0.5 * smoothstep(6.9, 7.6, np.abs(face.places[..., 0]))
    red = (red + ears) * rng.uniform(0.2, 1.0) * (0.35 + 0.65 * light)
    albedo *= 1 - red[..., None] * np.array([0.02, 0.28, 0.26], np.float32)
    lids = 0.30 * spot(face, 2.9, 2.35, 1.5, 0.55) * rng.uniform(0.1, 1.1)
    lids += 0.22 * spot(face, 3.0, 4.4, 1.5, 0.6) * rng.uniform(0, 1)
    albedo *= 1 - lids[..., None] * np.array([0.6, 0.8, 0.7], np.float32)
    blotches, coarse = smooth_noise(rng, TEXTURE, 5, 3), smooth_noise(rng, TEXTURE, 40, 2)
    grain = rng.standard_normal((TEXTURE, TEXTURE)).astype(np.float32)
    fine = np.asarray(cv2.GaussianBlur(grain, (0, 0), 0.8), np.float32)
    albedo *= (1 + 0.05 * blotches + 0.035 * coarse + 0.05 * fine)[..., None]
    albedo *= 1 + (blotches[..., None] * np.array([0.02, -0.03, -0.03], np.float32))
    return albedo, fine, coarse


def _with_spots(rng: np.random.Generator, face: FaceModel, albedo: Floats, light: float) -> Floats:
    """Add moles, and freckles on some light skin."""
    spots = np.zeros((TEXTURE, TEXTURE), np.float32)
    freckles = rng.poisson(4), light > 0.5 and rng.random() < 0.2
    for _ in range(freckles[0] + (rng.poisson(120) if freckles[1] else 0)):
        x, y = rng.uniform(-6, 6), rng.uniform(-6, 9)
        place = face.texture_points([[x, y]])[0]
        if not np.isnan(place).any():
            radius = 1 if rng.random() < 0.9 else 2
            centre = int(place[0]), int(place[1])
            cv2.circle(spots, centre, radius, float(rng.uniform(0.2, 0.6)), -1, cv2.LINE_AA)
    return albedo * (1 - 0.7 * cv2.GaussianBlur(spots, (0, 0), 0.6))[..., None]


def _lips_mask(rng: np.random.Generator, face: FaceModel) -> Floats:
    outline = face.uv[face.kit.landmarks][_OUTER_LIPS] * TEXTURE
    centre = outline.mean(0)
    outline = centre + (outline - centre) * np.array([1.0, rng.uniform(0.92, 1.05)])
    closed, steps = np.concatenate([outline, outline[:1]]), np.linspace(0, len(outline), 96, endpoint=False)
    smooth = np.stack([np.interp(steps, np.arange(len(closed)), closed[:, axis]) for axis in range(2)], -1)
    mask = np.zeros((TEXTURE, TEXTURE), np.float32)
    cv2.fillPoly(mask, [fixed_point(smooth)], 1.0, cv2.LINE_AA, FRACTION_BITS)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 2.2), np.float32)


def _with_lips(
    rng: np.random.Generator, albedo: Floats, lips: Floats, base: Doubles, light: float, female: bool
) -> tuple[Floats, Floats]:
    """Colour the lips, with lipstick on some; returns the albedo, and the colour inside the mouth."""
    natural = base * np.array([0.86, 0.54, 0.54]) + np.array([0.05, 0.01, 0.02]) + rng.normal(0, 0.015, 3)
    colour = to_linear(np.clip(natural, 0, 1))
    lipstick = female and rng.random() < 0.35
    if lipstick:
        colour = to_linear(_LIPSTICK[rng.integers(4)]) * np.float32(0.25 + 0.75 * light)
    share = lips * (rng.uniform(0.75, 0.95) if lipstick else rng.uniform(0.6, 0.95))
    grain = 1 + 0.06 * smooth_noise(rng, TEXTURE, 60, 2)
    mouth = (0.6 * colour + 0.4 * to_linear([0.62, 0.30, 0.30])).astype(np.float32) * (0.8 if lipstick else 1)
    return blend(albedo, colour * grain[..., None], share), mouth


def _lid_lines(face: FaceModel) -> Floats:
    mask = np.zeros((TEXTURE, TEXTURE), np.float32)
    landmarks = face.uv[face.kit.landmarks] * TEXTURE
    for start, end in _EYELIDS:
        cv2.polylines(mask, [fixed_point(landmarks[start:end])], True, 1.0, 2, cv2.LINE_AA, FRACTION_BITS)
    return np.clip(cv2.GaussianBlur(mask, (0, 0), 0.9), 0, 1)


def _hair_kind(rng: np.random.Generator, tone: float, age: float) -> int:
    if tone > 4.5:
        kind = int(rng.choice([0, 1, _GREY], p=[0.7, 0.22, 0.08]))
    else:
        kind = int(rng.choice(8, p=[0.16, 0.18, 0.18, 0.16, 0.12, 0.07, 0.05, 0.08]))
    return _GREY if age > 0.8 and rng.random() < 0.5 else kind


def _with_beard(
    rng: np.random.Generator, face: FaceModel, albedo: Floats, lips: Floats, hair: Floats, *, full: bool
) -> Floats:
    region = beard_mask(rng, face, lips)
    noise = cv2.GaussianBlur(rng.standard_normal((TEXTURE, TEXTURE)).astype(np.float32), (0, 0), 0.6)
    density = rng.uniform(0.7, 0.95) if full else rng.uniform(0.2, 0.45)
    share = region * density * np.clip(0.7 + 0.55 * noise, 0, 1)
    colour = hair * 1.1 + 0.006 if full else 0.5 * hair + 0.5 * to_linear([0.30, 0.30, 0.32]) * albedo
    return blend(albedo, np.minimum(colour, albedo * 1.25 + 0.01), share)  # no snow-white beard on dark skin
