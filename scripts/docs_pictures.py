"""Make the pictures in README and docs/ from rendered and drawn faces: `python scripts/docs_pictures.py --help`.

    python scripts/docs_pictures.py --facekit ict_face.npz

Without `--facekit` the face model is taken from the cache or downloaded, as in faceflow-render. `--only` selects
pictures: aus (one picture for each AU), video (frame.jpg and timeline.png of a rendered video), training (results.png
of experiment=quickstart, which takes minutes).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from faceflow.config.composition import compose_config
from faceflow.errors import DataError
from faceflow.images import Image, encode_image, read_image
from faceflow.rendering.action_units import AUS
from faceflow.rendering.build import build_settings
from faceflow.rendering.facekit_files import find_facekit
from faceflow.rendering.recording import Renderer

IMAGES = Path(__file__).parents[1] / "docs/images"
AU_SIZE, QUALITY = 144, 88  # face size in px; JPEG quality
WIDTH = 1200  # maximum width of pictures in px
REST, FULL = 0, 2  # columns of `Renderer.picture_au`
VIDEO = (
    *("video=events", "domains=[office]", "glasses=none", "expression=frequent", "subjects=1", "frames=240", "seed=18"),
    *("expression.aus=[AU1,AU2,AU4,AU6,AU9,AU12,AU25,AU26]", "sheet=0"),
)


def draw_aus(facekit: str | None, work: Path) -> None:
    """For each AU that can be rendered, a face at rest beside the same face with the AU at full intensity."""
    settings = ("domains=[studio]", "glasses=none", f"image.size={AU_SIZE}", "seed=3", f"output={work / 'faces'}")
    values = compose_config("render", settings)
    model, _ = find_facekit(facekit, cache=Path(values["paths"]["cache"]) / "models")
    renderer = Renderer(build_settings(values, model))
    for au in AUS:
        (row,) = renderer.picture_au(au, 1)
        _write(IMAGES / "aus" / f"{au}.jpg", np.hstack([row[REST], row[FULL]]))


def draw_video(facekit: str | None, work: Path) -> None:
    """Estimates of the built-in model for a rendered video: a timeline, and one frame with boxes and bars."""
    kit = [] if facekit is None else [f"facekit={facekit}"]
    _run("render", *VIDEO, f"output={work / 'rendered'}", *kit)
    (video,) = (path.rename(work / "video.avi") for path in (work / "rendered/videos").rglob("*.avi"))
    _run("infer", f"source={video}", f"output={work / 'rows.csv'}", f"plot={work / 'timeline.png'}")
    rows = pd.read_csv(work / "rows.csv")
    strongest = rows.filter(regex=r"^AU\d+_int$").sum(axis=1).idxmax()
    _write_frame(video, int(rows["frame"][strongest]), work / "frame.png")
    _run("infer", f"source={work / 'frame.png'}", f"output={work / 'frame.csv'}", f"render={work / 'frame.jpg'}")
    _write(IMAGES / "frame.jpg", read_image(work / "frame.jpg"))
    _write(IMAGES / "timeline.png", _narrowed(read_image(work / "timeline.png")))


def draw_training(facekit: str | None, work: Path) -> None:
    """The results of the training run in the README's quickstart."""
    run = work / "run"
    _run("train", "experiment=quickstart", f"hydra.run.dir={run}")
    _write(IMAGES / "results.png", _narrowed(read_image(run / "results.png")))


PICTURES: dict[str, Callable[[str | None, Path], None]] = {
    "aus": draw_aus,
    "video": draw_video,
    "training": draw_training,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facekit", help="clone of ICT-FaceKit or its converted file")
    parser.add_argument("--only", nargs="+", choices=list(PICTURES), default=list(PICTURES), help="pictures to make")
    chosen = parser.parse_args(arguments)
    for name in chosen.only:
        with tempfile.TemporaryDirectory() as work:
            PICTURES[name](chosen.facekit, Path(work))


def _run(name: str, *overrides: str) -> None:
    command = [sys.executable, "-c", f"from faceflow.cli.{name} import main; main()", *overrides]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DataError(f"faceflow-{name}: expected success, got: {done.stderr.strip()}")


def _write_frame(video: Path, number: int, path: Path) -> None:
    """Write a frame of a video, counted from 1, as an image."""
    frames = cv2.VideoCapture(str(video))
    for _ in range(number):
        _, frame = frames.read()
    cv2.imwrite(str(path), frame)


def _narrowed(image: Image) -> Image:
    height, width = image.shape[:2]
    if width <= WIDTH:
        return image
    return cv2.resize(image, (WIDTH, round(height * WIDTH / width)), interpolation=cv2.INTER_AREA)


def _write(path: Path, image: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"quality": QUALITY} if path.suffix == ".jpg" else {}
    path.write_bytes(encode_image(image, path.suffix, **options))
    print(f"{path.relative_to(IMAGES.parents[1])}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
