"""Files of a run folder: results to keep, and files to remove when they are replaced."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

CHECKPOINTS = ("checkpoints/*.ckpt", "hpc_ckpt_*.ckpt")  # the second: by Lightning, when Slurm stops a job
_FOLDS = ("folds.csv", "folds.txt", "folds_per_au.csv")
_SCORES = (
    "metrics.json",
    "per_au.csv",
    "predictions.csv",
    "views.csv",
    "groups.csv",
    "calibration.csv",
    "unsure.csv",
    "label_check.csv",
    *_FOLDS,
    "report.html",
    "results.png",
    "pictures",
)
_RECORDS = ("metrics.csv", "config.yaml", "data.txt", "split.csv", "tracking.json", "transforms.png", "fit-profile.txt")
_LOGS = ("tensorboard", "steps", "train.log", "test.log", "train_ddp_process_*.log")


def results_in(folder: Path) -> list[Path]:
    """Checkpoints and scores in a run folder and those of its folds."""
    wanted = (*CHECKPOINTS, *_SCORES)
    return [path for each in (folder, *fold_folders(folder)) for path in _found(each, wanted)]


def fold_folders(folder: Path) -> list[Path]:
    """Folders with the results of the folds of a protocol; separate runs in subfolders do not count."""
    if not (folder / "config.yaml").is_file():  # written before the first fold trains
        return []
    below = sorted(path for path in folder.glob("[!.]*/") if not (path / ".hydra").exists())
    return [path for path in below if any(_found(path, (*CHECKPOINTS, "metrics.json", "config.yaml")))]


def run_files(folder: Path) -> list[Path]:
    """Everything that a training run, its folds or a test wrote: files, and folders with nothing else in them."""
    patterns = (*_SCORES, *CHECKPOINTS, *_RECORDS, *_LOGS)
    return [path for each in (folder, *fold_folders(folder)) for path in _found(each, patterns)]


def remove_scores(folder: Path) -> list[str]:
    """Remove the results of a test or of all folds, but no checkpoints. Returns the names."""
    found = list(_found(folder, _SCORES))
    for path in found:
        _remove(path)
    return [path.name for path in found]


def remove_run(folder: Path, *, keep: Path) -> None:
    """Remove everything that a training run, its folds or a test wrote, except one file; other files stay."""
    folds = fold_folders(folder)
    for path in run_files(folder):
        if path != keep:
            _remove(path)
    for emptied in (folder / "checkpoints", *(path for fold in folds for path in (fold / "checkpoints", fold))):
        with contextlib.suppress(OSError):
            emptied.rmdir()


def _found(folder: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    for pattern in patterns:
        yield from sorted(folder.glob(pattern))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
