"""Colours that compiled code works out for a point: noise, textures, and the material of each triangle."""

from __future__ import annotations

from typing import Any

import numpy as np

from faceflow.rendering.arrays import Floats
from faceflow.rendering.compiled import compiled
from faceflow.rendering.materials import CLOTH, EYE, GLASSES, GUMS, HAIR, LASH, MOUTH, SOCKET, TEETH, Look

_EYE_X, _EYE_Y = 3.094, 3.614  # centre of an eyeball of the mean face, cm
_PUPIL, _IRIS, _LIMBUS = 0.20, 0.60, 0.10  # radii, cm


@compiled
def _hashed(i: int, j: int, k: int) -> float:
    h = (i * 374761393 + j * 668265263 + k * 2147483647) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFF) / 65535.0


@compiled
def value_noise(x: float, y: float, z: float) -> float:
    """Noise in 0..1 that is smooth in space, with a period of one unit."""
    i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    fx, fy, fz = x - i, y - j, z - k
    fx, fy, fz = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy), fz * fz * (3 - 2 * fz)
    total = 0.0
    for a in range(2):
        for b in range(2):
            for c in range(2):
                weight = (fx if a else 1 - fx) * (fy if b else 1 - fy) * (fz if c else 1 - fz)
                total += weight * _hashed(i + a, j + b, k + c)
    return total


@compiled
def texel(texture: Floats, u: float, v: float, channel: int) -> Any:
    """Value of a texture at a place in 0..1, linear between its pixels."""
    height, width = texture.shape[0], texture.shape[1]
    x = min(max(u * width - 0.5, 0.0), width - 1.001)
    y = min(max(v * height - 0.5, 0.0), height - 1.001)
    i, j = int(x), int(y)
    fx, fy = x - i, y - j
    return (texture[j, i, channel] * (1 - fx) + texture[j, i + 1, channel] * fx) * (1 - fy) + (
        texture[j + 1, i, channel] * (1 - fx) + texture[j + 1, i + 1, channel] * fx
    ) * fy


@compiled
def hair_noise(look: Look, x: float, y: float, z: float) -> tuple[float, float]:
    """Coarse noise of strands of hair at a place of the mean face, and brightness of the hair there."""
    f = look.hair_frequency
    coarse = value_noise(x * f[0], y * f[1], z * f[2])
    fine = value_noise(x * f[0] * 2.3 + 7, y * f[1] * 2.3, z * f[2] * 2.3)
    return coarse, 0.45 + 0.7 * coarse + 0.4 * (fine - 0.3)


@compiled
def _depth_share(z: float, start: float, span: float) -> float:
    """How far in front of the dark back of the mouth a place is, 0..1."""
    share: float = min(max((z - start) / span, 0.0), 1.0)
    return share


@compiled
def _eye_colour(look: Look, x: float, y: float, z: float, albedo: Floats) -> None:
    """Pupil, iris, limbus and sclera around the axis of the eyeball."""
    sx = x - (_EYE_X if x > 0 else -_EYE_X)
    sy = y - _EYE_Y
    radius = np.sqrt(sx * sx + sy * sy) if z >= 8.0 else 2.0
    streaks = value_noise(np.arctan2(sy, sx) * 9.0 + 40, radius * 3.0, 1.0)
    if radius < _PUPIL:
        albedo[0] = albedo[1] = albedo[2] = 0.008
    elif radius < _IRIS:
        f = (radius - _PUPIL) / (_IRIS - _PUPIL)
        for k in range(3):
            albedo[k] = look.iris[k] * (0.6 + 0.8 * streaks) * (1.15 - 0.8 * f * f * f)
    else:
        e = min((radius - _IRIS) / _LIMBUS, 1.0)
        for k in range(3):
            albedo[k] = look.sclera[k] * e + 0.3 * look.iris[k] * (1 - e)
        redness = min((radius - 0.9) / 0.7, 1.0)  # towards the corners
        if redness > 0:
            albedo[1] *= 1 - 0.35 * redness
            albedo[2] *= 1 - 0.35 * redness


@compiled
def material_colour(
    material: int, look: Look, x: float, y: float, z: float, occlusion: float, albedo: Floats
) -> tuple[float, float, float, float]:
    """Write the albedo (3,) of any material but skin at a place of the mean face.

    Returns:
        Strength and exponent of its reflections, how far light wraps around it, and its occlusion.
    """
    specular, exponent, wrap = 0.0, 20.0, 0.0
    if material == HAIR:
        coarse, brightness = hair_noise(look, x, y, z)
        for k in range(3):
            albedo[k] = look.hair[k] * brightness
        specular, exponent, wrap = 0.25 * coarse, 12.0, 0.3
    elif material == MOUTH:
        d = _depth_share(z, 9.2, 1.6)
        for k in range(3):
            albedo[k] = look.mouth[k] * (0.02 + 0.98 * d * d)
        specular, exponent = 0.15 * d, 30.0
        occlusion = 0.15 + 0.85 * d
    elif material == SOCKET:
        for k in range(3):
            albedo[k] = 0.15 * look.mouth[k]
        occlusion *= 0.5
    elif material == GUMS:
        d = _depth_share(z, 5.0, 5.5)
        for k in range(3):
            albedo[k] = look.mouth[k] * (0.1 + 0.9 * d)
        specular, exponent = 0.3 * d, 40.0
        occlusion = 0.08 + 0.5 * d * d
    elif material == TEETH:
        d = _depth_share(z, 6.5, 4.0)
        for k in range(3):
            albedo[k] = look.teeth[k]
        specular, exponent = 0.3 * d, 60.0
        occlusion = 0.10 + 0.62 * d * d
    elif material == EYE:
        _eye_colour(look, x, y, z, albedo)
        specular, exponent, wrap = 0.55, 90.0, 0.25
    elif material == LASH:
        albedo[0] = albedo[1] = albedo[2] = 0.02
    elif material == CLOTH:
        weave = value_noise(x * 0.8, y * 0.8, z * 0.8)
        for k in range(3):
            albedo[k] = look.cloth[k] * (0.8 + 0.4 * weave)
        wrap = 0.2
    elif material == GLASSES:
        for k in range(3):
            albedo[k] = look.glasses[k]
        specular, exponent = 0.6, 40.0
    return specular, exponent, wrap, occlusion
