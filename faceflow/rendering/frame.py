"""One frame: a subject with an expression, recorded in a domain, and its labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from faceflow.images import Image
from faceflow.rendering.action_units import Intensities
from faceflow.rendering.arrays import Floats
from faceflow.rendering.background import paint_background
from faceflow.rendering.camera import Camera, Pose
from faceflow.rendering.domain import Domain
from faceflow.rendering.movements import Gaze, Weights, lids_of, sample_movements
from faceflow.rendering.session import Session
from faceflow.rendering.subject import Subject, closing_weight

_CHEEK = slice(200, 300)  # rows and columns of the texture that give hands their colour
_SHUT = 2  # intensity of AU45 from which the eyes are hidden


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """An image (H, W, 3) with its labels.

    `left` and `right` are intensities 0..5 on the subject's sides; `pose` and `gaze` are in radians.
    """

    image: Image
    left: Intensities
    right: Intensities
    pose: Pose
    gaze: Gaze


def render_frame(
    subject: Subject,
    camera: Camera,
    domain: Domain,
    session: Session,
    rng: np.random.Generator,
    left: Intensities,
    right: Intensities,
    *,
    still: bool = False,
) -> Frame:
    """Render a subject with an expression.

    Args:
        subject: the rendered subject.
        camera: sets the image size.
        domain: the recording's conditions.
        session: the recording.
        rng: random numbers of this frame.
        left: intensities on the subject's left side.
        right: intensities on the right side.
        still: leave out movements that are not AUs.
    """
    movements, gaze = ({}, Gaze(0.0, 0.0)) if still else sample_movements(rng, left, right)
    if max(left["AU45"], right["AU45"]) <= _SHUT:
        movements |= lids_of(gaze)
    pose = domain.head.sample(rng, session)
    narrowest, widest = domain.camera.field_of_view
    field_of_view = narrowest + (widest - narrowest) * session.zoom
    lights = domain.light.sample(rng, session)
    framing = domain.camera.sample_framing(rng)
    vertices, apart = _with_lips(subject, left, right, movements, gaze, rng)
    left, right = {**left, "AU25": apart}, {**right, "AU25": apart}
    relief = subject.relief(left, right)
    exposure = camera.take(subject, vertices, relief, pose, lights, field_of_view=field_of_view, framing=framing)
    background = paint_background(domain.background, session, rng, *camera.size)
    image = domain.develop(exposure, background, session, rng, hand_colour(subject))
    return Frame(image=image, left=left, right=right, pose=pose, gaze=gaze)


def hand_colour(subject: Subject) -> Floats:
    """Colour (3,) of a subject's hands, in linear light."""
    return np.asarray(subject.skin.texture[_CHEEK, _CHEEK, :3].mean((0, 1)))


def _with_lips(
    subject: Subject,
    left: Intensities,
    right: Intensities,
    movements: Weights,
    gaze: Gaze,
    rng: np.random.Generator,
) -> tuple[Floats, float]:
    """Vertices (V, 3) of a face, and the visible intensity of AU25, because other AUs can part the lips too.

    If only a raised upper lip parts them, the lower lip follows in two of three frames.
    """
    vertices = subject.deformed(left, right, movements, gaze)
    share = subject.gap_share(vertices)
    raised = max(left["AU9"], right["AU9"], left["AU10"], right["AU10"]) > 0.5
    if left["AU25"] == 0 and raised and left["AU22"] < 0.5 and share > 0.1 and rng.random() < 0.65:
        weight = closing_weight(subject.face, 0.95 * share * subject.lip_gaps[1])
        vertices = subject.deformed(left, right, {**movements, "mouthClose": min(0.30, weight)}, gaze)
    return vertices, subject.lips_apart(vertices)
