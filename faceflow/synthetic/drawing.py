"""The flat colours of a face, painted back to front: hair, head, eyes, brows, nose, mouth, glasses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from faceflow.synthetic.anatomy import Half, Points
from faceflow.synthetic.canvas import Canvas, across, mirror, moved, smooth
from faceflow.synthetic.subject import Colour, Subject, mix

BLACK: Colour = (16, 12, 12)
SCLERA: Colour = (232, 228, 224)
TEETH: Colour = (238, 232, 218)
MOUTH: Colour = (58, 18, 22)
TONGUE: Colour = (150, 62, 66)

IRIS_RADIUS = 0.112

NECK = np.array([[0.0, 1.0], [0.58, 1.0], [0.62, 1.7], [0.85, 1.9], [0.0, 2.1]])
SHOULDERS = np.array([[0.0, 1.98], [0.4, 1.9], [0.72, 1.74], [1.5, 1.95], [2.2, 2.8], [0.0, 2.8]])
HAIRLINES: dict[str, Sequence[tuple[float, float]]] = {
    "short": ((-0.98, -0.45), (-0.8, -0.82), (-0.4, -1.0), (0, -0.97), (0.4, -1.0), (0.8, -0.82), (0.98, -0.45)),
    "fringe": ((-1, -0.2), (-0.9, -0.62), (-0.5, -0.8), (0, -0.76), (0.5, -0.8), (0.9, -0.62), (1, -0.2)),
    "parted": ((-1, -0.3), (-0.9, -0.7), (-0.45, -1.02), (-0.2, -1.12), (0.3, -0.9), (0.85, -0.68), (1, -0.3)),
    "long": ((-1, 0.3), (-0.92, -0.55), (-0.5, -0.98), (0, -1.1), (0.5, -0.98), (0.92, -0.55), (1, 0.3)),
}
BEARD_EDGE = np.array([[0.0, 0.80], [0.22, 0.79], [0.45, 0.92], [0.66, 0.90], [0.84, 0.55], [0.9, 0.2]])
BROW_PROFILE = np.interp(np.linspace(0, 1, 16), [0, 0.15, 0.5, 1], [0.6, 1.0, 0.95, 0.25])

Side = Callable[[Points], Points]
"""Places a curve of the half face on one side: `mirror` or `as_is`."""


def as_is(points: Points) -> Points:
    """Keep points on the half that is modelled."""
    return points


def paint_head(canvas: Canvas, subject: Subject, jaw: Points) -> Points:
    """Paint hair, neck, ears and face; return the outline of the head, (n, 2)."""
    width, skin = subject.face_width, subject.skin
    if subject.hair_style == "long":
        locks = smooth(np.array([[0.0, -1.62], [0.8, -1.4], [1.22, -0.5], [1.28, 0.6], [1.05, 1.75]])) * (width, 1)
        canvas.fill(across(locks, locks), mix(subject.hair, BLACK, 0.25))
    canvas.fill(across(NECK, NECK), mix(skin, BLACK, 0.28))
    canvas.fill(across(SHOULDERS, SHOULDERS), subject.clothes)
    ear = np.array([[0.93, -0.18], [1.1, -0.2], [1.14, 0.05], [1.06, 0.4], [0.95, 0.42]]) * (width, 1.0)
    for side in (mirror, as_is):
        canvas.fill(side(smooth(ear)), mix(skin, BLACK, 0.12))
    skull = np.array([[0.0, -1.5], [0.5, -1.4], [0.86, -1.02], [0.99, -0.55]]) * (width, 1.0)
    outline = smooth(np.concatenate([skull, jaw]), 32)
    head = np.concatenate([outline, mirror(outline)[::-1]])
    canvas.fill(head, skin)
    return head


def paint_beard(canvas: Canvas, subject: Subject, jaw: Points) -> None:
    """Tint the skin below the cheeks; the lips are painted over it later."""
    edge = smooth(BEARD_EDGE) * (subject.face_width, subject.face_height)
    area = np.concatenate([edge, smooth(jaw[1:])])
    canvas.tint(across(area, area), mix(subject.hair, BLACK, 0.2), subject.beard)


def paint_hair(canvas: Canvas, subject: Subject) -> None:
    """Paint the hair in front of the forehead."""
    if subject.hair_style not in HAIRLINES:
        return
    hairline = smooth(np.array(HAIRLINES[subject.hair_style]), 24)
    dome = smooth(np.array([[1.05, -0.35], [1.0, -1.0], [0.6, -1.5], [0.0, -1.64]]), 16)
    dome = np.concatenate([dome, mirror(dome)[::-1]])
    canvas.fill(np.concatenate([hairline, dome]) * (subject.face_width, 1.0), subject.hair)
    shine = smooth(np.array([[-0.75, -1.0], [-0.35, -1.2], [0.1, -1.24]])) * (subject.face_width, 1.0)
    canvas.line(shine, mix(subject.hair, (255, 244, 228), 0.16), 0.07)


def paint_eye(canvas: Canvas, subject: Subject, half: Half, side: Side) -> None:
    """Paint one eye; lids of flat skin colour cover what the opening does not show."""
    upper, lower = smooth(half["upper_lid"]), smooth(half["lower_lid"])
    canvas.fill(side(np.concatenate([upper, lower[::-1]])), SCLERA)
    middle = (upper[:1] + upper[-1:]) / 2
    gaze_x, gaze_y = canvas.view.gaze
    pupil = moved(side(middle), gaze_x, gaze_y - 0.015)
    canvas.disc(pupil, IRIS_RADIUS, mix(subject.iris, BLACK, 0.45))
    canvas.disc(pupil, IRIS_RADIUS * 0.82, subject.iris)
    canvas.disc(pupil, IRIS_RADIUS * 0.42, BLACK)
    canvas.disc(moved(pupil, 0.035, -0.035), 0.026, (250, 250, 250))
    above = upper * (1.0, 0.4) + middle * (0.0, 0.6) - (0.0, 0.19)
    canvas.fill(side(np.concatenate([upper, above[::-1]])), mix(subject.skin, (120, 60, 50), 0.10))
    canvas.fill(side(np.concatenate([lower, lower[::-1] * (1.0, 0.3) + (0.0, 0.19)])), subject.skin)
    canvas.line(side(lower), mix(subject.skin, (96, 44, 40), 0.45), 0.018)
    canvas.line(side(upper), mix(subject.skin, BLACK, 0.88), 0.042)


def paint_brow(canvas: Canvas, subject: Subject, half: Half, side: Side) -> None:
    """Paint one brow, thick at the inner third and thin at the outer end."""
    middle = smooth(half["brow"])
    rise = np.outer(0.05 * subject.brow_thickness * BROW_PROFILE, (0.0, 1.0))
    colour = mix(mix(subject.hair, BLACK, 0.35), subject.skin, 0.12)
    canvas.fill(side(np.concatenate([middle - rise, (middle + rise)[::-1]])), colour)


def paint_nose(canvas: Canvas, subject: Subject, half: Half, side: Side) -> None:
    """Paint the nostril and the edge of the wing; the relief models the rest."""
    dark = mix(subject.skin, (40, 14, 12), 0.72)
    nostril = half["nostril"] + np.array([[-0.05, 0.012], [-0.02, -0.02], [0.04, -0.018], [0.055, 0.02], [0.0, 0.028]])
    canvas.fill(side(nostril), dark)
    canvas.line(side(smooth(half["nose_wing"])), mix(subject.skin, (70, 26, 20), 0.42), 0.022)


def paint_mouth(canvas: Canvas, subject: Subject, left: Half, right: Half) -> None:
    """Paint lips, teeth and the gap between them.

    The upper teeth are fixed to the skull and the lower ones to the jaw, so that parted lips over a
    closed jaw (AU25) show a closed row of teeth and a dropped jaw (AU26) shows a dark cavity.
    """

    def whole(part: str) -> Points:
        return across(smooth(left[part], 10), smooth(right[part], 10))

    upper_lip, upper, lower, lower_lip = map(whole, ("upper_lip", "upper_mouth", "lower_mouth", "lower_lip"))
    canvas.fill(np.concatenate([upper, lower[::-1]]), MOUTH)
    upper_edge, lower_edge = right["upper_teeth"][0, 1], right["lower_teeth"][0, 1]
    if lower_edge - upper_edge > 0.08:
        tongue = np.maximum(lower - (0.0, 0.09), upper)[4:-4]
        canvas.fill(np.concatenate([tongue, lower[4:-4][::-1]]), TONGUE)
    for rim, edge in ((upper, upper_edge), (lower, lower_edge)):
        row = np.stack([rim[:, 0], np.clip(edge, upper[:, 1], lower[:, 1])], axis=1)
        canvas.fill(np.concatenate([rim, row[::-1]]) * (0.9, 1.0), TEETH)
    canvas.fill(np.concatenate([upper_lip, upper[::-1]]), mix(subject.lips, BLACK, 0.14))
    canvas.fill(np.concatenate([lower, lower_lip[::-1]]), subject.lips)
    seam = mix(subject.lips, BLACK, 0.62)
    canvas.line(upper, seam, 0.024)
    canvas.line(lower, seam, 0.012)


def paint_glasses(canvas: Canvas, subject: Subject) -> None:
    """Paint a thin frame."""
    turn = np.linspace(0, 2 * np.pi, 25)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    squircle = np.sign(circle) * np.abs(circle) ** 0.7
    lens = squircle * (0.34, 0.27) + (0.45 * subject.eye_spacing, 0.06)
    frame: Colour = (44, 40, 42)
    for side in (mirror, as_is):
        canvas.line(side(lens), frame, 0.026)
        canvas.line(side(np.array([[0.78, -0.02], [1.02 * subject.face_width, -0.05]])), frame, 0.026)
    bridge = smooth(np.array([[-0.12, 0.0], [0.0, -0.04], [0.12, 0.0]]))
    canvas.line(bridge, frame, 0.026)


def paint_face(canvas: Canvas, subject: Subject, left: Half, right: Half) -> Points:
    """Paint all parts; return the outline of the head in face coordinates, (n, 2)."""
    head = paint_head(canvas, subject, (left["jaw"] + right["jaw"]) / 2)
    if subject.beard:
        paint_beard(canvas, subject, left["jaw"])
    sides: Mapping[Side, Half] = {mirror: left, as_is: right}
    for side, half in sides.items():
        paint_eye(canvas, subject, half, side)
    for side, half in sides.items():
        paint_brow(canvas, subject, half, side)
        paint_nose(canvas, subject, half, side)
    paint_mouth(canvas, subject, left, right)
    paint_hair(canvas, subject)
    if subject.glasses:
        paint_glasses(canvas, subject)
    return head
