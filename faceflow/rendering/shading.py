"""Shader: the light that each pixel sends to the camera."""

from __future__ import annotations

import numpy as np

from faceflow.rendering.arrays import Floats, Ints
from faceflow.rendering.compiled import compiled
from faceflow.rendering.materials import (
    GLASSES,
    GUMS,
    HAIR,
    MOUTH,
    NECK,
    SKIN,
    TEETH,
    Look,
    Mesh,
    ShadowedLights,
)
from faceflow.rendering.patterns import hair_noise, material_colour, texel

_SCATTER = (1.0, 0.45, 0.3)  # how far red, green and blue light wrap around skin: it scatters below the surface


@compiled
def shade(
    shown: Ints,
    first: Floats,
    second: Floats,
    mesh: Mesh,
    vertices: Floats,
    normals: Floats,
    relief: Floats,
    look: Look,
    lights: ShadowedLights,
    camera: Floats,
    image: Floats,
    coverage: Floats,
) -> None:
    """Shade what `rasterise` found.

    Args:
        shown: (H, W), triangle of each pixel.
        first: (H, W), barycentric coordinate of its first corner.
        second: (H, W), that of its second.
        mesh: materials, texture coordinates and what else goes with the vertices.
        vertices: (V, 3), posed, in cm.
        normals: (V, 3).
        relief: (S, S, 1), height of the skin in cm: wrinkles and pores.
        look: colours.
        lights: with their shadows.
        camera: (3,), its place.
        image: (H, W, 3), written: linear light.
        coverage: (H, W), written: 1 where something is shown.
    """
    height, width = shown.shape
    heights = np.zeros((height, width), np.float32)
    places = np.zeros((height, width, 3), np.float32)
    for y in range(height):
        for x in range(width):
            t = shown[y, x]
            if t < 0:
                continue
            a, b, c = mesh.triangles[t, 0], mesh.triangles[t, 1], mesh.triangles[t, 2]
            w0, w1 = first[y, x], second[y, x]
            w2 = 1 - w0 - w1
            for k in range(3):
                places[y, x, k] = w0 * vertices[a, k] + w1 * vertices[b, k] + w2 * vertices[c, k]
            if mesh.materials[t] == SKIN:
                u = w0 * mesh.uv[a, 0] + w1 * mesh.uv[b, 0] + w2 * mesh.uv[c, 0]
                v = w0 * mesh.uv[a, 1] + w1 * mesh.uv[b, 1] + w2 * mesh.uv[c, 1]
                heights[y, x] = texel(relief, u, v, 0)
    albedo, diffuse, reflected = np.zeros(3, np.float32), np.zeros(3, np.float32), np.zeros(3, np.float32)
    normal = np.zeros(3, np.float32)
    for y in range(height):
        for x in range(width):
            t = shown[y, x]
            if t < 0:
                coverage[y, x] = 0
                continue
            coverage[y, x] = 1
            material = mesh.materials[t]
            a, b, c = mesh.triangles[t, 0], mesh.triangles[t, 1], mesh.triangles[t, 2]
            w0, w1 = first[y, x], second[y, x]
            w2 = 1 - w0 - w1
            for k in range(3):
                normal[k] = w0 * normals[a, k] + w1 * normals[b, k] + w2 * normals[c, k]
            _normalise(normal)
            gx = w0 * mesh.generic[a, 0] + w1 * mesh.generic[b, 0] + w2 * mesh.generic[c, 0]
            gy = w0 * mesh.generic[a, 1] + w1 * mesh.generic[b, 1] + w2 * mesh.generic[c, 1]
            gz = w0 * mesh.generic[a, 2] + w1 * mesh.generic[b, 2] + w2 * mesh.generic[c, 2]
            occlusion = w0 * mesh.occlusion[a] + w1 * mesh.occlusion[b] + w2 * mesh.occlusion[c]
            cavity = 1.0
            skin = material in (SKIN, NECK)
            if skin:
                u, v = 0.5, 0.02
                if material == SKIN:
                    u = w0 * mesh.uv[a, 0] + w1 * mesh.uv[b, 0] + w2 * mesh.uv[c, 0]
                    v = w0 * mesh.uv[a, 1] + w1 * mesh.uv[b, 1] + w2 * mesh.uv[c, 1]
                for k in range(3):
                    albedo[k] = texel(look.texture, u, v, k)
                specular = look.specular * (texel(look.texture, u, v, 3) if material == SKIN else 0.5)
                exponent, wrap = look.gloss, 0.25
                if material == SKIN:
                    _bump(x, y, shown, mesh.materials, places, heights, normal)
                    cavity = min(max(1.0 + 3.0 * heights[y, x], 0.45), 1.12)
                hair = w0 * mesh.hair[a] + w1 * mesh.hair[b] + w2 * mesh.hair[c]
                if hair > 0.01:
                    specular, exponent, wrap = _hair_over_skin(look, hair, gx, gy, gz, specular, exponent, albedo)
            else:
                specular, exponent, wrap, occlusion = material_colour(material, look, gx, gy, gz, occlusion, albedo)
            px, py, pz = places[y, x, 0], places[y, x, 1], places[y, x, 2]
            vx, vy, vz = camera[0] - px, camera[1] - py, camera[2] - pz
            length = 1 / np.sqrt(vx * vx + vy * vy + vz * vz)
            vx *= length
            vy *= length
            vz *= length
            facing = normal[0] * vx + normal[1] * vy + normal[2] * vz
            if facing < 0 and material in (HAIR, GLASSES):
                for k in range(3):
                    normal[k] = -normal[k]
                facing = -facing
            for k in range(3):
                around = (
                    lights.ambient[0, k]
                    + lights.ambient[1, k] * normal[0]
                    + lights.ambient[2, k] * normal[1]
                    + lights.ambient[3, k] * normal[2]
                )
                diffuse[k] = (around if around > 0.02 else 0.02) * occlusion
                reflected[k] = 0.0
            inside = material in (MOUTH, GUMS, TEETH)
            for i in range(lights.directions.shape[0]):
                lx, ly, lz = lights.directions[i, 0], lights.directions[i, 1], lights.directions[i, 2]
                towards = normal[0] * lx + normal[1] * ly + normal[2] * lz
                lit = 1.0
                if i < lights.shadow_maps.shape[0]:
                    lit = _lit_share(lights, i, px + 0.12 * normal[0], py + 0.12 * normal[1], pz + 0.12 * normal[2])
                if inside:
                    lit *= occlusion
                for k in range(3):
                    around = wrap * (_SCATTER[k] if skin else 0.5)
                    received = (towards + around) / (1 + around)
                    if received > 0:  # red light bleeds into the shadows on skin
                        diffuse[k] += lights.colours[i, k] * received * (lit**0.75 if skin and k == 0 else lit)
                if specular > 0 and towards > 0:
                    hx, hy, hz = lx + vx, ly + vy, lz + vz
                    length = 1 / (np.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9)
                    halfway = (normal[0] * hx + normal[1] * hy + normal[2] * hz) * length
                    if halfway > 0:  # Blinn 1977, normalised
                        strength = specular * halfway**exponent * (exponent + 8) / 60.0 * lit * (0.3 + 0.7 * towards)
                        for k in range(3):
                            reflected[k] += lights.colours[i, k] * strength
            sheen = min(max(1 - facing, 0.0), 1.0)  # after Fresnel, at grazing angles
            sheen = sheen * sheen * sheen * 0.25 * (0.2 + specular)
            for k in range(3):
                image[y, x, k] = (
                    albedo[k] * cavity * diffuse[k] + reflected[k] + sheen * lights.ambient[0, k] * occlusion
                )


@compiled
def _normalise(vector: Floats) -> None:
    length = 1 / (np.sqrt(vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2]) + 1e-9)
    for k in range(3):
        vector[k] *= length


@compiled
def _bump(x: int, y: int, shown: Ints, materials: Ints, places: Floats, heights: Floats, normal: Floats) -> None:
    """Tilt a normal by the relief of the skin (Mikkelsen 2010, "Bump mapping unparametrized surfaces on the GPU")."""
    right = min(x + 1, shown.shape[1] - 1)
    below = min(y + 1, shown.shape[0] - 1)
    tx, ty = shown[y, right], shown[below, x]
    if tx < 0 or ty < 0 or materials[tx] != SKIN or materials[ty] != SKIN:
        return
    ax, ay, az = (
        places[y, right, 0] - places[y, x, 0],
        places[y, right, 1] - places[y, x, 1],
        places[y, right, 2] - places[y, x, 2],
    )
    bx, by, bz = (
        places[below, x, 0] - places[y, x, 0],
        places[below, x, 1] - places[y, x, 1],
        places[below, x, 2] - places[y, x, 2],
    )
    if abs(az) >= 0.6 or abs(bz) >= 0.6:  # an edge lies between the pixels
        return
    rise_x, rise_y = heights[y, right] - heights[y, x], heights[below, x] - heights[y, x]
    nx, ny, nz = normal[0], normal[1], normal[2]
    cx, cy, cz = by * nz - bz * ny, bz * nx - bx * nz, bx * ny - by * nx
    dx, dy, dz = ny * az - nz * ay, nz * ax - nx * az, nx * ay - ny * ax
    determinant = ax * cx + ay * cy + az * cz
    sign = 1.0 if determinant > 0 else -1.0
    size = abs(determinant)
    normal[0] = size * nx - sign * (rise_x * cx + rise_y * dx)
    normal[1] = size * ny - sign * (rise_x * cy + rise_y * dy)
    normal[2] = size * nz - sign * (rise_x * cz + rise_y * dz)
    _normalise(normal)


@compiled
def _hair_over_skin(
    look: Look, hair: float, x: float, y: float, z: float, specular: float, exponent: float, albedo: Floats
) -> tuple[float, float, float]:
    """Blend hair into the albedo of skin; returns strength and exponent of reflections, and the wrap."""
    coarse, brightness = hair_noise(look, x, y, z)
    share = hair * 1.6 + (coarse - 0.5) * 0.7 * (1 if hair < 0.95 else 0)
    share = min(max((share - 0.3) * 2, 0.0), 1.0)
    for k in range(3):
        albedo[k] = albedo[k] * (1 - share) + share * look.hair[k] * brightness
    return specular * (1 - share) + share * 0.25 * coarse, exponent * (1 - share) + share * 12, 0.3


@compiled
def _lit_share(lights: ShadowedLights, lamp: int, x: float, y: float, z: float) -> float:
    """Share of 25 samples of a shadow map around a place that the lamp reaches (Reeves et al. 1987)."""
    axes, scale, shadow = lights.shadow_axes, lights.shadow_scale, lights.shadow_maps
    size = shadow.shape[1]
    qx = (x * axes[lamp, 0, 0] + y * axes[lamp, 0, 1] + z * axes[lamp, 0, 2]) * scale[0] + scale[1]
    qy = (x * axes[lamp, 1, 0] + y * axes[lamp, 1, 1] + z * axes[lamp, 1, 2]) * scale[0] + scale[1]
    qz = x * axes[lamp, 2, 0] + y * axes[lamp, 2, 1] + z * axes[lamp, 2, 2]
    ix, iy = int(qx), int(qy)
    reached = 0.0
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            jx, jy = ix + dx, iy + dy
            if jx < 0 or jy < 0 or jx >= size or jy >= size or shadow[lamp, jy, jx] < qz + 0.22:
                reached += 1
    return reached / 25
