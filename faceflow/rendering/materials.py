"""Materials of the mesh's triangles, and the inputs of the rasteriser and the shader."""

from __future__ import annotations

from typing import NamedTuple

from faceflow.rendering.arrays import Floats, Ints

# Plain numbers, not an Enum: compiled code compares them for every pixel.
SKIN, NECK, MOUTH, SOCKET, GUMS, TEETH, EYE, LASH, CLOTH, GLASSES, HAIR, HIDDEN = range(12)
MATERIALS = 12


class Mesh(NamedTuple):
    """The parts of a mesh that stay constant while it moves.

    Attributes:
        triangles: (T, 3).
        materials: (T,), of each triangle.
        welds: (V,), the vertex whose normal each vertex at the same position shares.
        generic: (V, 3), position on the mean face in cm, used by procedural patterns.
        uv: (V, 2), position in the texture, 0..1 from its upper left corner.
        occlusion: (V,), share of the surroundings that light a vertex.
        hair: (V,), how much of a vertex is covered by hair.
    """

    triangles: Ints
    materials: Ints
    welds: Ints
    generic: Floats
    uv: Floats
    occlusion: Floats
    hair: Floats


class Look(NamedTuple):
    """Colours of a subject in linear light, (3,) each.

    Attributes:
        texture: (S, S, 4), albedo of the skin and its share of specular light.
        specular: strength of reflections on the skin.
        gloss: exponent of these reflections.
        hair_frequency: (3,), strands per cm along each axis.
    """

    texture: Floats
    specular: float
    gloss: float
    hair: Floats
    iris: Floats
    sclera: Floats
    mouth: Floats
    teeth: Floats
    cloth: Floats
    glasses: Floats
    hair_frequency: Floats


class ShadowedLights(NamedTuple):
    """Lamps at infinity, and the shadows of the first of them.

    Attributes:
        directions: (L, 3), unit vectors towards the lamps.
        colours: (L, 3), linear light.
        ambient: (4, 3), light from all around: constant, and its change along x, y and z of the normal.
        shadow_maps: (N, S, S), distance from each of the first N lamps to the nearest surface.
        shadow_axes: (N, 3, 3), axes of these maps.
        shadow_scale: (2,), pixels per cm and offset of these maps.
    """

    directions: Floats
    colours: Floats
    ambient: Floats
    shadow_maps: Floats
    shadow_axes: Floats
    shadow_scale: Floats
