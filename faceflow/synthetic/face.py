"""Procedural faces: subjects, their anatomy under AUs, and the cameras that record them."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from faceflow.synthetic.anatomy import doses, half_face
from faceflow.synthetic.canvas import FRONTAL, Canvas, Image, View, sample_view
from faceflow.synthetic.domains import DOMAINS
from faceflow.synthetic.drawing import paint_face
from faceflow.synthetic.expressions import ACTION_UNITS, sample_labels
from faceflow.synthetic.relief import shade
from faceflow.synthetic.subject import Subject, sample_subject

__all__ = [
    "ACTION_UNITS",
    "DOMAINS",
    "Subject",
    "View",
    "draw_face",
    "sample_labels",
    "sample_subject",
    "sample_view",
]


def draw_face(
    subject: Subject,
    aus: Mapping[str, int],
    *,
    size: int = 128,
    domain: str = "studio",
    view: View = FRONTAL,
    rng: np.random.Generator | None = None,
) -> Image:
    """Draw one frame of a subject with the given AU intensities 0..5; absent AUs are 0.

    `rng` draws exposure and noise; without it they are the same in every call.

    Returns:
        (size, size, 3) RGB image.
    """
    session, frame = np.random.default_rng(subject.session), rng or np.random.default_rng(0)
    dose = doses(aus)
    left = half_face(subject, dose, 1.0 + subject.asymmetry)
    right = half_face(subject, dose, 1.0 - subject.asymmetry)
    canvas = Canvas(DOMAINS[domain].background(session), size, view)
    head = paint_face(canvas, subject, left, right)
    light = shade(canvas, subject, head, left, right, dose)
    flat = cv2.resize(canvas.pixels, (size, size), interpolation=cv2.INTER_AREA)
    recorded = DOMAINS[domain].camera(flat * light[:, :, None], session, frame)
    return np.clip(recorded, 0, 255).astype(np.uint8)
