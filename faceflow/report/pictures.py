"""All pictures of a test or a training run, in a separate folder beside the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from faceflow.report.centred import draw_centred
from faceflow.report.confusion import draw_intensity_confusion, draw_occurrence_confusion
from faceflow.report.cooccurrence import draw_cooccurrence
from faceflow.report.example_faces import Results
from faceflow.report.face_tiles import DPI
from faceflow.report.figure_page import save
from faceflow.report.hardest import draw_hardest
from faceflow.report.reliability import draw_calibration
from faceflow.report.results_picture import draw_results
from faceflow.report.training_curves import draw_training

OVERVIEW = "results.png"
FOLDER = "pictures"
_TRAINING = "training.png"
SALIENCY = "saliency.png"
VIEW_COSTS, VIEW_FACES = "views.png", "view_faces.png"
LABEL_FACES = "suspicious_labels.png"
_CENTRED = "centred.png"
GROUPS_PICTURE = "groups.png"
_OVERVIEW_DPI = 150


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of a test: file, caption, drawing function (results, title, protocol), and whether it applies.

    To add one, write its drawing function in a new file and add a line to `PICTURES`.
    """

    file: str
    caption: str
    draw: Callable[[Results, str, Mapping[str, str]], Figure]
    sensible: Callable[[Results], bool] = lambda results: True


# In the order in which a reader wants them.
PICTURES = (
    Picture(file=OVERVIEW, caption="F1 per AU, precision-recall curves, best and worst faces", draw=draw_results),
    Picture(file="hardest.png", caption="hardest faces of every AU", draw=draw_hardest),
    Picture(file="confusion.png", caption="confusion matrices of occurrence", draw=draw_occurrence_confusion),
    Picture(
        file="confusion_intensity.png",
        caption="confusion matrices of intensity",
        draw=draw_intensity_confusion,
        sensible=lambda results: bool(results.graded.any()),
    ),
    Picture(file="calibration.png", caption="calibration of probabilities", draw=draw_calibration),
    Picture(
        file="cooccurrence.png",
        caption="AUs that occur together",
        draw=draw_cooccurrence,
        sensible=lambda results: len(results.aus) > 1,
    ),
    Picture(
        file=_CENTRED,
        caption="scores, raw and centred by subject",
        draw=draw_centred,
        sensible=lambda results: results.centred is not None,
    ),
)
CAPTIONS = {picture.file: picture.caption for picture in PICTURES} | {
    _TRAINING: "training, epoch by epoch",
    GROUPS_PICTURE: "scores by group of faces",
    SALIENCY: "where the network looks",
    VIEW_COSTS: "what views cost",
    VIEW_FACES: "faces in each view",
    LABEL_FACES: "labels that are probably wrong",
}


def draw_pictures(results: Results, *, title: str, protocol: Mapping[str, str], output: Path) -> list[Path]:
    """Draw the results of a test: results.png, and all other pictures in a folder of their own.

    Args:
        results: of the test.
        title: headline of every picture.
        protocol: how data were split and what labels mean.
        output: folder of the run.

    Returns:
        The files, in the order of `PICTURES`.

    Raises:
        DataError: a file cannot be written.
    """
    paths = []
    for picture in PICTURES:
        if picture.sensible(results):
            overview = picture.file == OVERVIEW
            # The other pictures show raw scores, so their captions leave centring out.
            said = {key: text for key, text in protocol.items() if key != "centred" or picture.file == _CENTRED}
            figure = picture.draw(results, title if overview else f"{_heading(picture.file)}: {title}", said)
            path = output / picture.file if overview else output / FOLDER / picture.file
            paths.append(save(figure, path, dpi=_OVERVIEW_DPI if overview else DPI))
    return paths


def draw_training_curves(output: Path, *, monitor: str, best: float, protocol: Mapping[str, str]) -> list[Path]:
    """Draw metrics.csv of a run; no picture if the file is missing.

    Args:
        output: folder of the run.
        monitor: metric that chose the best checkpoint.
        best: its value there.
        protocol: how data were split and what labels mean.

    Raises:
        DataError: the file cannot be written.
    """
    path = output / "metrics.csv"
    if not path.is_file():
        return []
    figure = draw_training(pd.read_csv(path), _heading(_TRAINING), protocol, monitor=monitor, best=best)
    return [save(figure, output / FOLDER / _TRAINING, dpi=DPI)]


def _heading(name: str) -> str:
    return CAPTIONS[name][0].upper() + CAPTIONS[name][1:]
