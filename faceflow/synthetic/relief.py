"""Light on the face: the roundness of the head, bulges and hollows of the skin, and creases."""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from faceflow.synthetic.anatomy import Half, Points
from faceflow.synthetic.canvas import FRACTION_BITS, Canvas, mirror, moved, smooth
from faceflow.synthetic.drawing import Side, as_is
from faceflow.synthetic.subject import Subject

Map = NDArray[np.float32]
"""(size, size) factors on the colours of the image."""

Blob = tuple[float, float, float, float, float]
"""Gaussian on the skin: x, y, its two widths, and its strength (> 0 bright, < 0 dark)."""


def shade(canvas: Canvas, subject: Subject, head: Points, left: Half, right: Half, dose: Mapping[str, float]) -> Map:
    """Factor of the light on every pixel of the result; 1 outside the head."""
    for side, half in ((mirror, left), (as_is, right)):
        press_creases(canvas, subject, half, side, dose)
    press_midline_creases(canvas, subject, right, dose)
    mirrored = np.array(half_blobs(subject, left, dose)) * (-1, 1, 1, 1, 1)
    blobs = np.concatenate([mirrored, half_blobs(subject, right, dose), midline_blobs(right, dose)])
    light = _head_light(canvas) * (1.0 + _sum_blobs(canvas, blobs)) * (1.0 - _creases(canvas))
    return np.asarray(1 + _inside(canvas, head) * (light - 1), np.float32)


def half_blobs(subject: Subject, half: Half, dose: Mapping[str, float]) -> list[Blob]:
    """Bulges and hollows on one half."""
    cheek_x, cheek_y = half["cheek"][0]
    wing_x, wing_y = half["nose_wing"][1]
    brow_x, brow_y = half["brow"][1]
    eye_x = float(half["upper_lid"][2, 0])
    corner_x, corner_y = half["upper_lip"][-1]
    return [
        (eye_x, -0.19, 0.17, 0.07, -0.10),
        (eye_x - 0.2, -0.03, 0.06, 0.10, -0.12),
        (eye_x, 0.2, 0.16, 0.045, -0.06 - 0.12 * subject.age - 0.16 * dose["AU6"]),
        (cheek_x, cheek_y, 0.19, 0.12, 0.07 + 0.30 * dose["AU6"] + 0.10 * dose["AU12"]),
        (cheek_x + 0.08, cheek_y + 0.36, 0.13, 0.18, -0.05 - 0.10 * dose["AU26"]),
        (0.15, 0.28, 0.05, 0.20, -0.10),
        (wing_x + 0.03, wing_y + 0.02, 0.04, 0.07, -0.14 - 0.2 * dose["AU9"]),
        (wing_x - 0.07, wing_y, 0.05, 0.05, 0.08),
        (brow_x, brow_y + 0.09, 0.08, 0.04, -0.16 * dose["AU4"]),
        (corner_x + 0.05, corner_y, 0.05, 0.06, -0.10 - 0.14 * max(dose["AU12"], 1.5 * dose["AU20"], dose["AU15"])),
        (0.62, -0.75, 0.2, 0.14, 0.05),
    ]


def midline_blobs(half: Half, dose: Mapping[str, float]) -> list[Blob]:
    """Bulges and hollows on the midline."""
    chin = float(half["chin"][0, 1])
    lip = float(half["lower_lip"][0, 1])
    philtrum = float(half["upper_lip"][0, 1]) - 0.09
    tip = float(half["nostril"][0, 1])
    return [
        (0.0, -0.72, 0.35, 0.2, 0.07),
        (0.0, 0.2, 0.05, 0.26, 0.15),
        (0.0, tip - 0.08, 0.075, 0.065, 0.20),
        (0.0, tip + 0.05, 0.16, 0.035, -0.22),
        (0.0, philtrum, 0.035, 0.06, -0.09),
        (0.0, lip + 0.05, 0.16, 0.04, -0.20 - 0.2 * dose["AU17"]),
        (0.0, lip - 0.05, 0.12, 0.025, 0.16),
        (0.0, chin, 0.17, 0.10, 0.08 + 0.38 * dose["AU17"]),
        (0.0, -0.32, 0.07, 0.08, -0.25 * dose["AU4"]),
    ]


def press_creases(canvas: Canvas, subject: Subject, half: Half, side: Side, dose: Mapping[str, float]) -> None:
    """Wrinkles of one half: lid, crow's-feet, forehead, nasolabial fold and those around the mouth."""
    lid = smooth(half["upper_lid"], 10) * (1.0, 0.7) - (0.0, 0.085)
    canvas.crease(side(lid), 0.45, 0.018)
    outer_x, outer_y = half["lower_lid"][-1]
    for rise in (-0.11, 0.0, 0.11):
        foot = np.array([[0.05, rise * 0.4], [0.13, rise], [0.22, rise * 1.7 + 0.01]])
        canvas.crease(side(moved(foot, outer_x, outer_y)), 0.15 * subject.age + 0.85 * dose["AU6"], 0.026)
    pouch = smooth(half["lower_lid"][[0, 2, 4]], 8) * (1.0, 0.9)
    canvas.crease(side(moved(pouch, 0.0, 0.09)), 0.12 + 0.2 * subject.age + 0.65 * dose["AU6"], 0.026)
    brow = half["brow"]
    for row in (0.17, 0.28, 0.39):
        lateral = smooth(np.array([brow[2], brow[3], brow[4] + (0.04, 0.06)]), 8) - (0.0, row)
        canvas.crease(side(lateral), 0.2 * subject.age + 0.7 * dose["AU2"])
    deep = max(dose["AU12"], 0.75 * dose["AU9"], 0.45 * dose["AU20"], 0.35 * dose["AU6"])
    canvas.crease(side(smooth(half["fold"])), 0.12 + 0.22 * subject.age + 0.62 * deep, 0.028)
    corner = half["upper_lip"][-1]
    droop = np.array([[0.03, 0.03], [0.075, 0.12], [0.08, 0.22]]) + corner
    canvas.crease(side(droop), 0.15 * subject.age + 0.75 * dose["AU15"], 0.024)
    for step in (0.08, 0.15):
        bracket = np.array([[0.0, -0.1], [0.035, 0.0], [0.0, 0.1]]) * (1.0, 0.8 + 3 * step) + corner
        canvas.crease(side(moved(smooth(bracket, 8), step, 0.0)), 0.85 * dose["AU20"], 0.03)
    for row in range(3):
        flank = moved(np.array([[0.09, 0.16], [0.15, 0.22], [0.18, 0.30]]), 0.0, 0.09 * row)
        canvas.crease(side(flank), 0.9 * dose["AU9"], 0.03)


def press_midline_creases(canvas: Canvas, subject: Subject, half: Half, dose: Mapping[str, float]) -> None:
    """Wrinkles across the midline: forehead, glabella, nose bridge and chin."""
    for row in (0.18, 0.29, 0.40):
        arc = np.array([[-0.34, 0.03], [-0.15, -0.02], [0.0, 0.0], [0.15, -0.02], [0.34, 0.03]])
        canvas.crease(moved(smooth(arc), 0.0, half["brow"][1, 1] - row), 0.2 * subject.age + 0.7 * dose["AU1"])
    furrow = np.array([[0.05, -0.40], [0.06, -0.28], [0.045, -0.17]])
    for x in (-1.0, 1.0):
        canvas.crease(furrow * (x, 1.0), 0.1 * subject.age + 0.95 * dose["AU4"], 0.034)
    for row in (-0.08, 0.01, 0.10):
        bridge = smooth(np.array([[-0.13, 0.04], [0.0, -0.01], [0.13, 0.04]]), 8)
        canvas.crease(moved(bridge, 0.0, row), 0.95 * dose["AU9"], 0.03)
    chin = half["chin"][0]
    fold = smooth(np.array([[-0.22, 0.05], [0.0, -0.02], [0.22, 0.05]]), 8)
    canvas.crease(moved(fold, 0.0, half["lower_lip"][0, 1] + 0.07), 0.12 + 0.85 * dose["AU17"], 0.045)
    for x, y in ((-0.12, 0.0), (-0.05, -0.05), (0.03, 0.01), (0.1, -0.04), (-0.04, 0.07), (0.06, 0.08)):
        pit = np.array([[x - 0.01, y], [x + 0.01, y]]) + chin
        canvas.crease(pit, 0.65 * dose["AU17"], 0.055)


def _head_light(canvas: Canvas) -> Map:
    """Lambert shading of an ellipsoid in the place of the head."""
    x, y = canvas.grid()
    across, down = x * np.float32(1 / 1.3), (y - np.float32(0.15)) * np.float32(1 / 1.8)
    front = np.sqrt(np.maximum(1.0 - across**2 - down**2, 0.04))
    light_x, light_y = canvas.view.light
    facing = math.sqrt(max(1.0 - light_x**2 - light_y**2, 0.2))
    return 0.42 + 0.62 * (across * np.float32(light_x) + down * np.float32(light_y) + front * np.float32(facing))


def _sum_blobs(canvas: Canvas, blobs: Points) -> Map:
    """Sum K axis-aligned Gaussians, (K, 5), as one product of two (size, K) matrices."""
    centres, spreads, strengths = canvas.project(blobs[:, :2]), blobs[:, 2:4] * canvas.unit, blobs[:, 4]
    pixels = np.arange(canvas.size)[:, None]
    columns = np.exp(-0.5 * ((pixels - centres[:, 0]) / spreads[:, 0]) ** 2)
    rows = np.exp(-0.5 * ((pixels - centres[:, 1]) / spreads[:, 1]) ** 2)
    return np.asarray((rows * strengths) @ columns.T, np.float32)


def _creases(canvas: Canvas) -> Map:
    """Darkness of the creases, with a lit edge below each."""
    soft = cv2.GaussianBlur(canvas.creases, (0, 0), 0.02 * canvas.unit)
    depth = np.float32(1 / 255) * cv2.resize(soft, (canvas.size, canvas.size), interpolation=cv2.INTER_AREA)
    above = np.zeros_like(depth)
    above[1:] = depth[:-1]
    return np.asarray(0.5 * depth - 0.14 * np.maximum(above - depth, 0), np.float32)


def _inside(canvas: Canvas, head: Points) -> Map:
    mask = np.zeros((canvas.size, canvas.size), np.uint8)
    outline = np.rint(canvas.project(head) * 2**FRACTION_BITS).astype(np.int32)
    cv2.fillPoly(mask, [outline], 255, cv2.LINE_AA, FRACTION_BITS)
    return np.asarray(mask / np.float32(255), np.float32)
