"""Write a video of a drawn face with three expressions, to try faceflow-infer without data of your own.

The subject is not in `data=synthetic`. `python scripts/synthetic_video.py face.avi`
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from faceflow.synthetic.face import ACTION_UNITS, draw_face, sample_subject

EXPRESSIONS = [  # AUs of happiness, surprise and anger (EMFACS)
    {"AU6": 4, "AU12": 5, "AU25": 3},
    {"AU1": 4, "AU2": 4, "AU5": 4, "AU25": 4, "AU26": 4},
    {"AU4": 5, "AU9": 3, "AU17": 4},
]
SECONDS, FPS, SIZE = 3, 15, 128  # per expression; frames/s; px
SUBJECT = 20_260_101


def intensities(time_s: float) -> dict[str, int]:
    """AU intensities 0..5 at a time; one expression after another rises from neutral and falls back."""
    number, since = divmod(time_s, SECONDS)
    height = np.sin(np.pi * since / SECONDS) ** 2
    shown = EXPRESSIONS[int(number) % len(EXPRESSIONS)]
    return {au: round(height * shown.get(au, 0)) for au in ACTION_UNITS}


def main() -> None:
    """Draw the video."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="the video to write, .avi")
    path = parser.parse_args().path
    path.parent.mkdir(parents=True, exist_ok=True)
    subject, rng = sample_subject(np.random.default_rng(SUBJECT)), np.random.default_rng(SUBJECT)
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (SIZE, SIZE))
    for frame in range(len(EXPRESSIONS) * SECONDS * FPS):
        image = draw_face(subject, intensities(frame / FPS), size=SIZE, rng=rng)
        video.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    video.release()


if __name__ == "__main__":
    main()
