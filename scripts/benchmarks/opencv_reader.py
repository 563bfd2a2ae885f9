"""OpenCV's video reader, the reference for ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from faceflow.faces.video import Frame


def read_by_opencv(path: Path) -> Iterator[Frame]:
    """Decode a video as FaceFlow did before it had its own reader."""
    capture = cv2.VideoCapture(str(path))
    number = 0
    while capture.grab():
        number += 1
        time_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        decoded, pixels = capture.retrieve()
        if decoded:
            yield Frame(number, time_s, np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8))
    capture.release()
