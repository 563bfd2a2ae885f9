"""All folds of a protocol, one after another: each in a folder of its own, then one table over them."""

from __future__ import annotations

import copy
import gc
import logging
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf import DictConfig

from faceflow.config.reuse import runs_in_parts
from faceflow.config.run_files import fold_folders
from faceflow.config.run_folder import claim_fold, settle
from faceflow.console import print_lines
from faceflow.data.protocols.protocol import EvaluationProtocol, Fold
from faceflow.data.protocols.subject_folds import list_persons
from faceflow.data.splits import SplitConfig
from faceflow.errors import ConfigError, DataError
from faceflow.interruption import kept
from faceflow.training.beginning import is_main_process
from faceflow.training.earlier import Earlier, find_earlier
from faceflow.training.fit import folds_kept
from faceflow.training.fold import FoldRun, prepare_fold, report_data, train_fold
from faceflow.training.fold_scores import report_folds

log = logging.getLogger(__name__)


def train_folds(
    cfg: DictConfig, protocol: EvaluationProtocol, split: SplitConfig, folds: Sequence[Fold], views: Mapping[str, str]
) -> float | None:
    """Train and test all folds, or only report their data.

    All data are looked at before the first fold trains. In a folder where an earlier start was interrupted, finished
    folds are kept and an unfinished one goes on from its last checkpoint.

    Returns:
        The mean of the folds' best values of `monitor`; None after a report, and in all processes but the first.

    Raises:
        ConfigError, DataError: `resume` is set, two folds would share a folder, or see `prepare_fold`,
            `find_earlier` and `train_fold`.
    """
    started, output = time.time(), Path(cfg.paths.output)
    if cfg.resume:
        raise ConfigError(
            f"resume: expected null with a training per {protocol.unit}, got '{cfg.resume}'; repeat the command with "
            "hydra.run.dir=FOLDER of the interrupted run, and it goes on where it stopped"
        )
    names = [str(fold.name) if protocol.unit == "fold" else f"{protocol.unit} {fold.name}" for fold in folds]
    titles = [f"Fold {number} of {len(folds)}, {name}" for number, name in enumerate(names, 1)]
    runs, found, only_look = [], [], cfg.preview or cfg.report_only
    folders = _folders(output, folds)
    if not only_look and not cfg.get("overwrite"):
        _check_others(output, folders, cfg)
    for title, fold, folder in zip(titles, folds, folders, strict=True):
        _announce(f"{title}: data")
        run = prepare_fold(_own_config(cfg, fold, folder), fold, split, views)
        if is_main_process():
            print_lines(f"Tests {list_persons(fold.persons)}")
            _warn_of_missing_classes(title, run)
        if not only_look:
            found.append(_earlier(run))
        report_data(run)
        runs.append(run)
    if only_look:
        return None
    for run in runs:
        run.check()
    again = f"the same command{' without overwrite=true' if cfg.get('overwrite') else ''}"
    _announce(f"After an interruption, {again} and with hydra.run.dir={output} goes on.")
    with kept(lambda: folds_kept(output, again) if is_main_process() else ""):
        for title, run, earlier in zip(titles, runs, found, strict=True):
            _train(title, run, earlier, cfg)
        if not is_main_process():
            return None
        settle()  # where all folds were finished before, none of them has done so
        return report_folds(cfg, runs, unit=protocol.unit, rule=protocol.describe(split), started=started)


def _announce(line: str) -> None:
    if is_main_process():
        print_lines("", line)


def _warn_of_missing_classes(title: str, run: FoldRun) -> None:
    """Name the AUs that a fold cannot score, before hours of training."""
    consequences = {"test": "no score"} if run.legacy else {"test": "no score", "val": "no threshold and no F1@val"}
    for split, consequence in consequences.items():
        truths = [table.truth(run.aus) for table in run.streams[split]]
        positives = sum(truth.occurrence.sum(axis=0) for truth in truths)
        observed = sum(truth.observed.sum(axis=0) for truth in truths)
        for au, positive, known in zip(run.aus, positives, observed, strict=True):
            if positive in (0, known):
                missing = "negative" if positive else "positive"
                place = "validation" if split == "val" else split
                log.warning(
                    "%s: no %s label of %s in its %s, so it has %s there", title, missing, au, place, consequence
                )


def _earlier(run: FoldRun) -> Earlier:
    """What is left of the fold, in a folder that no other command may write to now."""
    claim_fold(run.output)
    return Earlier(finished=False, checkpoint=None) if run.cfg.get("overwrite") else find_earlier(run)


def _train(title: str, run: FoldRun, earlier: Earlier, whole: DictConfig) -> None:
    if earlier.finished:
        _announce(f"{title}: finished earlier, kept")
        return
    _announce(f"{title}: {f'goes on from {earlier.checkpoint}' if earlier.checkpoint else 'training'}")
    train_fold(run, whole=whole, started=time.time(), resume=earlier.checkpoint)
    gc.collect()  # trainer and network refer to each other, and hold the GPU's memory until they are collected


def _own_config(cfg: DictConfig, fold: Fold, folder: Path) -> DictConfig:
    """Config that trains this fold alone, in its folder."""
    own = copy.deepcopy(cfg)
    own.paths.output = str(folder)
    for key, value in fold.alone.items():
        own.protocol[key] = value
    return own


def _check_others(output: Path, folders: Sequence[Path], cfg: DictConfig) -> None:
    """Refuse to mix the folds of a whole protocol with those of another one.

    Raises:
        ConfigError: the folder holds folds that the command would not train.
    """
    others = [folder.name for folder in fold_folders(output) if folder not in folders]
    if others and not runs_in_parts(cfg):
        raise ConfigError(
            f"hydra.run.dir: expected the folds {', '.join(folder.name for folder in folders)}, got '{output}' with "
            f"{others[0]} of other data; take another folder, or replace all folds with overwrite=true"
        )


def _folders(output: Path, folds: Sequence[Fold]) -> list[Path]:
    """Folder of every fold: its name, as far as every file system can write it."""
    names = [re.sub(r"[^\w.-]+", "_", str(fold.name)).strip(".") or "_" for fold in folds]
    alike = [name.casefold() for name in names]
    for position, name in enumerate(alike):
        if name in alike[:position]:
            first, second = folds[alike.index(name)].name, folds[position].name
            raise DataError(
                f"protocol: expected names whose folders differ, got '{first}' and '{second}'; rename one in the labels"
            )
    return [output / name for name in names]
