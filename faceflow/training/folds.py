"""All folds of a protocol, one after another, each in its own folder; then one table over all."""

from __future__ import annotations

import gc
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from faceflow.config.run_files import fold_folders
from faceflow.config.run_folder import claim_fold, settle
from faceflow.console import print_lines
from faceflow.data.protocols.protocol import LEGACY, Fold
from faceflow.data.protocols.subject_folds import list_subjects
from faceflow.errors import ConfigError, DataError
from faceflow.evaluation.fold_scores import FinishedFold, report_folds
from faceflow.evaluation.run_context import RunContext
from faceflow.interruption import kept
from faceflow.storage.mirror import Mirror
from faceflow.training.earlier import Earlier, find_earlier
from faceflow.training.fit import folds_kept, resumed_by
from faceflow.training.rank import is_rank_zero
from faceflow.training.run import Run, prepare_run, train_run
from faceflow.training.run_data import Look, RunData, choose_data, show_data
from faceflow.training.run_settings import RunSettings
from faceflow.training.warm_start import read_start

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FoldPlan:
    """A fold of a protocol, its title, and how it is trained; `context` names its folder."""

    title: str
    fold: Fold
    context: RunContext
    settings: RunSettings


def train_folds(
    plans: Sequence[FoldPlan],
    *,
    command: RunContext,
    unit: str,
    rule: str,
    in_parts: bool,
    look: Look | None,
    mirror: Mirror | None,
) -> float | None:
    """Train and test all folds, or only show their data.

    All data are read before the first fold trains. In a folder where an earlier start was interrupted, finished folds
    are kept and an unfinished one continues from its last checkpoint.

    Args:
        plans: of the folds; their settings differ only in paths.
        command: context of the command; the folders of the folds are in its folder.
        unit: what the name of a fold stands for, such as fold or domain.
        rule: description of how rows are split.
        in_parts: whether the folder may hold other folds of the protocol.
        look: what to show instead of training; None to train.
        mirror: of the command's folder on a store, if there is one.

    Returns:
        The mean of the folds' best values of the monitored metric; None after a look, and in all processes but the
        first.

    Raises:
        ConfigError, DataError: see `choose_data`, `find_earlier`, `prepare_run` and `train_run`.
    """
    started, settings = time.time(), plans[0].settings
    if look is None and not settings.overwrite:
        _check_others(command.output, [plan.context.output for plan in plans], in_parts=in_parts)
    data, found = [], []
    for plan in plans:
        _announce(f"{plan.title}: data")
        chosen = choose_data(plan.fold, settings.data)
        if is_rank_zero():
            print_lines(f"Tests {list_subjects(plan.fold.subjects)}")
            _warn_of_missing_classes(plan.title, chosen)
        if look is None:
            found.append(_earlier(plan, chosen))
        show_data(chosen, plan.settings.batches.transforms, folder=plan.context.output, look=look)
        data.append(chosen)
    if look is not None:
        return None
    start = read_start(settings.module.init_weights, settings.module.model["weights"])
    runs = [prepare_run(plan.context, plan.settings, own, start) for plan, own in zip(plans, data, strict=True)]
    again = resumed_by(f"hydra.run.dir={command.output}", overwrite=settings.overwrite)
    _announce(f"To resume after an interruption, {again}")
    with kept(lambda: folds_kept(command.output, overwrite=settings.overwrite) if is_rank_zero() else ""):
        for plan, run, earlier in zip(plans, runs, found, strict=True):
            _train(plan.title, run, earlier, command, mirror)
        if not is_rank_zero():
            return None
        settle()  # if all folds were finished before, none of them has done so
        first = data[0]
        return report_folds(
            command,
            [
                FinishedFold(
                    name=str(run.context.fold),
                    folder=run.context.output,
                    tests=run.data.streams["test"],
                    aus=run.data.aus,
                )
                for run in runs
            ],
            unit=unit,
            protocol=({"legacy": LEGACY} if first.legacy else {}) | {"split": rule, "labels": first.protocol["labels"]},
            monitor=settings.monitor,
            tested=settings.test,
            graded=settings.data.levels > 1,
            bootstrap=settings.bootstrap,
            audit=settings.audit,
            started=started,
        )


def folder_names(folds: Sequence[Fold]) -> list[str]:
    """Folder name of every fold: the name of the fold, with characters that every file system allows.

    Raises:
        DataError: two folds would share a folder.
    """
    names = [re.sub(r"[^\w.-]+", "_", str(fold.name)).strip(".") or "_" for fold in folds]
    alike = [name.casefold() for name in names]
    for position, name in enumerate(alike):
        if name in alike[:position]:
            first, second = folds[alike.index(name)].name, folds[position].name
            raise DataError(
                f"protocol: expected names whose folders differ, got '{first}' and '{second}'; rename one in the labels"
            )
    return names


def fold_titles(folds: Sequence[Fold], unit: str) -> list[str]:
    """Title of each fold: "Fold 1 of 3, fold1", or "Fold 2 of 3, domain infrared"."""
    names = [str(fold.name) if unit == "fold" else f"{unit} {fold.name}" for fold in folds]
    return [f"Fold {number} of {len(folds)}, {name}" for number, name in enumerate(names, 1)]


def _announce(line: str) -> None:
    if is_rank_zero():
        print_lines("", line)


def _warn_of_missing_classes(title: str, data: RunData) -> None:
    """Warn of AUs that a fold cannot score, before hours of training."""
    lost = {"test": "no score"} if data.legacy else {"test": "no score", "val": "no threshold or F1@val"}
    for split, missed in lost.items():
        truths = [table.truth(data.aus) for table in data.streams[split]]
        positives = sum(truth.occurrence.sum(axis=0) for truth in truths)
        observed = sum(truth.observed.sum(axis=0) for truth in truths)
        for au, positive, known in zip(data.aus, positives, observed, strict=True):
            if positive in (0, known):
                missing = "negative" if positive else "positive"
                place = "validation" if split == "val" else split
                log.warning("%s: %s has no %s %s labels; %s is reported", title, au, missing, place, missed)


def _earlier(plan: FoldPlan, data: RunData) -> Earlier:
    """State of the fold from an earlier start; claims its folder, so that no other command writes there."""
    claim_fold(plan.context.output)
    if plan.settings.overwrite:
        return Earlier(finished=False, checkpoint=None)
    return find_earlier(plan.context, data, test=plan.settings.test)


def _train(title: str, run: Run, earlier: Earlier, command: RunContext, mirror: Mirror | None) -> None:
    if earlier.finished:
        _announce(f"{title}: finished earlier, kept")
        return
    _announce(f"{title}: {f'continuing from {earlier.checkpoint}' if earlier.checkpoint else 'training'}")
    train_run(run, command=command, started=time.time(), resume=earlier.checkpoint, mirror=mirror)
    gc.collect()  # trainer and network refer to each other and hold GPU memory until they are collected


def _check_others(output: Path, folders: Sequence[Path], *, in_parts: bool) -> None:
    """Refuse to mix the folds of a whole protocol with those of another one.

    Raises:
        ConfigError: the folder holds folds that the command would not train.
    """
    others = [folder.name for folder in fold_folders(output) if folder not in folders]
    if others and not in_parts:
        raise ConfigError(
            f"hydra.run.dir: expected the folds {', '.join(folder.name for folder in folders)}, got '{output}' with "
            f"{others[0]} of other data; choose another folder, or replace all folds with overwrite=true"
        )
