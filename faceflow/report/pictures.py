"""All pictures of a test or a training, in one folder of their own beside the results."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from faceflow.report.confusion import draw_intensity_confusion, draw_occurrence_confusion
from faceflow.report.cooccurrence import draw_cooccurrence
from faceflow.report.example_faces import Results
from faceflow.report.figure_page import save
from faceflow.report.hardest import DPI, draw_hardest
from faceflow.report.reliability import draw_calibration
from faceflow.report.results_picture import draw
from faceflow.report.training_curves import draw_training

Drawing = Callable[[Results, str, Mapping[str, str]], Figure]

OVERVIEW = "results.png"
FOLDER = "pictures"
# What each file shows, in the order in which a reader wants them.
CAPTIONS = {
    OVERVIEW: "F1 per AU, precision over recall, best and worst faces",
    "hardest.png": "hardest faces of every AU",
    "confusion.png": "confusion of occurrence",
    "confusion_intensity.png": "confusion of intensity",
    "calibration.png": "calibration of probabilities",
    "cooccurrence.png": "AUs that occur together",
    "training.png": "training, epoch by epoch",
}
_OVERVIEW_DPI, _DPI = 150, DPI


def draw_pictures(
    results: Results, *, persons: Sequence[str], title: str, protocol: Mapping[str, str], output: Path
) -> list[Path]:
    """Draw what a test found: results.png, and everything else in a folder of its own.

    Args:
        results: of the test.
        persons: who is seen, N names.
        title: headline of every picture.
        protocol: how data were split and what labels mean.
        output: folder of the run.

    Returns:
        The files, in the order of `CAPTIONS`.

    Raises:
        DataError: a file cannot be written.
    """
    drawings: dict[str, Drawing] = {
        OVERVIEW: draw,
        "hardest.png": functools.partial(draw_hardest, persons=persons),
        "confusion.png": draw_occurrence_confusion,
        "confusion_intensity.png": draw_intensity_confusion,
        "calibration.png": draw_calibration,
        "cooccurrence.png": draw_cooccurrence,
    }
    if not results.graded.any():
        del drawings["confusion_intensity.png"]
    if len(results.aus) < 2:
        del drawings["cooccurrence.png"]
    paths = []
    for name, drawing in drawings.items():
        overview = name == OVERVIEW
        figure = drawing(results, title if overview else f"{_heading(name)}: {title}", protocol)
        path = output / name if overview else output / FOLDER / name
        paths.append(save(figure, path, dpi=_OVERVIEW_DPI if overview else _DPI))
    return paths


def draw_training_curves(output: Path, *, monitor: str, best: float, protocol: Mapping[str, str]) -> list[Path]:
    """Draw metrics.csv of a run; no picture where there is none, or none with an epoch.

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
    figure = draw_training(pd.read_csv(path), _heading("training.png"), protocol, monitor=monitor, best=best)
    return [save(figure, output / FOLDER / "training.png", dpi=_DPI)]


def _heading(name: str) -> str:
    return CAPTIONS[name][0].upper() + CAPTIONS[name][1:]
