"""All pictures of a test or a training, in one folder of their own beside the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from faceflow.report.calibration import draw_calibration
from faceflow.report.confusion import draw_intensity_confusion, draw_occurrence_confusion
from faceflow.report.cooccurrence import draw_cooccurrence
from faceflow.report.faces import Results
from faceflow.report.hardest import DPI, draw_hardest
from faceflow.report.page import save
from faceflow.report.picture import draw
from faceflow.report.training_curves import draw_training

OVERVIEW = "results.png"
FOLDER = "pictures"
# What each file shows, in the order in which a reader wants them.
CAPTIONS = {
    OVERVIEW: "F1 per AU, precision over recall with the base rate, best and worst faces",
    "hardest.png": "Hardest faces: the surest false alarms and misses of every AU",
    "confusion.png": "Confusion of occurrence at the validation thresholds",
    "confusion_intensity.png": "Confusion of intensity",
    "calibration.png": "Calibration: are the probabilities true?",
    "cooccurrence.png": "AUs that occur together",
    "training.png": "Training",
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
    figures = {
        "hardest.png": draw_hardest(results, persons, title, protocol),
        "confusion.png": draw_occurrence_confusion(results, title, protocol),
        "calibration.png": draw_calibration(results, title, protocol),
        "cooccurrence.png": draw_cooccurrence(results, title, protocol),
    }
    if results.graded.any():
        figures["confusion_intensity.png"] = draw_intensity_confusion(results, title, protocol)
    overview = save(draw(results, title, protocol), output / OVERVIEW, dpi=_OVERVIEW_DPI)
    return [
        overview,
        *(save(figures[name], output / FOLDER / name, dpi=_DPI) for name in CAPTIONS if name in figures),
    ]


def draw_training_curves(output: Path, *, monitor: str, title: str, protocol: Mapping[str, str]) -> list[Path]:
    """Draw metrics.csv of a run; no picture where there is none, or none with an epoch.

    Args:
        output: folder of the run.
        monitor: metric that chose the best checkpoint.
        title: headline.
        protocol: how data were split and what labels mean.

    Raises:
        DataError: the file cannot be written.
    """
    path = output / "metrics.csv"
    if not path.is_file():
        return []
    figure = draw_training(pd.read_csv(path), monitor, title, protocol)
    return [save(figure, output / FOLDER / "training.png", dpi=_DPI)]
