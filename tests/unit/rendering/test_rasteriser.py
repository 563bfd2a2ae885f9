"""Which pixels a triangle covers, which triangle is in front, and the light of a pixel; worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from faceflow.rendering import materials
from faceflow.rendering.arrays import Floats
from faceflow.rendering.materials import Look, Mesh, ShadowedLights
from faceflow.rendering.rasteriser import rasterise, rasterise_depth, vertex_normals
from faceflow.rendering.shading import shade

SQUARE = [[0, 0], [4, 0], [4, 4], [0, 4]]  # corners in pixels
VISIBLE = np.zeros(materials.MATERIALS, np.bool_)


def drawn(
    corners: list[list[float]], triangles: list[list[int]], kinds: list[int], size: int = 6
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangle of each pixel and the coordinates of its first two corners."""
    depth, first, second = (np.zeros((size, size), np.float32) for _ in range(3))
    shown = np.zeros((size, size), np.int32)
    points = np.array(corners, np.float32)
    rasterise(points, np.array(triangles, np.int32), np.array(kinds, np.int32), VISIBLE, depth, shown, first, second)
    return shown, first, second


def test_a_square_covers_the_pixels_whose_centres_are_in_it() -> None:
    shown, _, _ = drawn([[*corner, 1] for corner in SQUARE], [[0, 1, 2], [0, 2, 3]], [materials.SKIN] * 2)
    assert np.array_equal(shown >= 0, np.pad(np.ones((4, 4), bool), ((0, 2), (0, 2))))
    assert shown[0, 3] == 0  # the corner at the upper right is the first triangle's
    assert shown[3, 0] == 1


def test_coordinates_are_linear_in_the_triangle() -> None:
    _, first, second = drawn([[0, 0, 1], [4, 0, 1], [0, 4, 1]], [[0, 1, 2]], [materials.SKIN])
    assert first[0, 0] == pytest.approx(0.75)  # the centre of the pixel is (0.5, 0.5): 1 - 1/8 - 1/8
    assert second[0, 0] == pytest.approx(0.125)
    assert second[0, 2] == pytest.approx(0.625)


@pytest.mark.parametrize("order", [[[0, 1, 2], [3, 4, 5]], [[3, 4, 5], [0, 1, 2]]])
def test_the_nearer_triangle_is_shown_whatever_comes_first(order: list[list[int]]) -> None:
    near, far = [[0, 0, 2], [4, 0, 2], [0, 4, 2]], [[0, 0, 1], [4, 0, 1], [0, 4, 1]]
    shown, _, _ = drawn([*near, *far], order, [materials.SKIN] * 2)
    assert order[shown[0, 0]] == [0, 1, 2]


def test_lashes_cover_a_quarter_of_the_samples() -> None:
    shown, _, _ = drawn([[0, 0, 1], [12, 0, 1], [0, 12, 1]], [[0, 1, 2]], [materials.LASH], size=4)
    assert (shown >= 0).sum() == 4
    assert (shown[::2, ::2] >= 0).all()


def test_a_shadow_map_has_the_depth_of_the_nearest() -> None:
    points = np.array([[0, 0, 1], [8, 0, 1], [0, 8, 1], [0, 0, 5], [2, 0, 5], [0, 2, 5]], np.float32)
    depth = np.zeros((3, 3), np.float32)
    kinds = np.full(2, materials.SKIN, np.int32)
    rasterise_depth(points, np.array([[0, 1, 2], [3, 4, 5]], np.int32), kinds, VISIBLE, depth)
    assert depth[0, 0] == pytest.approx(5)
    assert depth[2, 2] == pytest.approx(1)


def test_normals_of_welded_vertices_are_shared() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    triangles = np.array([[0, 1, 2], [3, 4, 5]], np.int32)  # one faces +z, the other +x
    normals = np.zeros_like(vertices)
    vertex_normals(vertices, triangles, np.array([0, 1, 2, 0, 2, 5], np.int32), normals)
    assert normals[0] == pytest.approx([0.5**0.5, 0, 0.5**0.5], abs=1e-6)
    assert normals[3] == pytest.approx(normals[0])
    assert normals[1] == pytest.approx([0, 0, 1])


def shaded(direction: list[float], *, shadow: float = -1e30, kind: int = materials.LASH) -> Floats:
    """Light (3,) of one pixel on a plane that faces the camera, under one white lamp."""
    vertices = np.array([[-50, -45, 0], [50, -45, 0], [0, 90, 0]], np.float32)
    triangles = np.array([[0, 1, 2]], np.int32)
    ones, colour = np.ones(3, np.float32), np.full(3, 0.5, np.float32)
    kinds, welds = np.array([kind], np.int32), np.arange(3, dtype=np.int32)
    mesh = Mesh(triangles, kinds, welds, vertices, np.zeros((3, 2), np.float32), ones, 0 * ones)
    texture = np.ones((4, 4, 4), np.float32)
    look = Look(texture, 0.2, 20.0, colour, colour, colour, colour, colour, colour, colour, colour)
    ambient = np.zeros((4, 3), np.float32)
    ambient[0] = 0.25
    lights = ShadowedLights(
        np.array([direction], np.float32),
        ones[None],
        ambient,
        np.full((1, 8, 8), shadow, np.float32),
        np.eye(3, dtype=np.float32)[None],
        np.array([1, 4], np.float32),
    )
    image, coverage = np.zeros((1, 1, 3), np.float32), np.zeros((1, 1), np.float32)
    third = np.full((1, 1), 1 / 3, np.float32)
    normals = np.tile(np.array([0, 0, 1], np.float32), (3, 1))
    camera = np.array([0, 0, 1000], np.float32)  # in front of the pixel
    relief, shown = np.zeros((4, 4, 1), np.float32), np.zeros((1, 1), np.int32)
    shade(shown, third, third, mesh, vertices, normals, relief, look, lights, camera, image, coverage)
    assert coverage[0, 0] == 1
    return image[0, 0]


@pytest.mark.slow
def test_a_matt_surface_reflects_by_lamberts_law() -> None:
    assert shaded([0, 0, 1]) == pytest.approx([0.02 * (0.25 + 1)] * 3, rel=1e-3)  # a lash's albedo is 0.02
    assert shaded([0, 0.8, 0.6]) == pytest.approx([0.02 * (0.25 + 0.6)] * 3, rel=1e-3)
    assert shaded([0, 0, -1]) == pytest.approx([0.02 * 0.25] * 3, rel=1e-3)


def test_a_shadow_takes_the_lamp_away() -> None:
    assert shaded([0, 0, 1], shadow=10) == pytest.approx([0.02 * 0.25] * 3, rel=1e-3)


def test_light_wraps_around_skin_and_red_the_farthest() -> None:
    red, green, blue = shaded([0.9994, 0, -0.034], kind=materials.NECK)  # two degrees below the horizon
    assert red > green > blue > 0.25
