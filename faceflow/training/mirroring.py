"""Copy of a run folder on a store, updated with each checkpoint, and restored from there."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from faceflow.config.located import open_storage
from faceflow.config.run_files import results_in
from faceflow.config.running_job import sweep_folder
from faceflow.errors import ConfigError
from faceflow.files import whole_file
from faceflow.storage.mirror import Mirror, mirrored
from faceflow.storage.urls import below, is_url
from faceflow.training.rank import is_rank_zero


class MirrorCheckpoints(Checkpoint):
    """Starts to copy a run folder when an epoch has written its checkpoints; Lightning calls it after that."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Copy what the epoch has written."""
        self._mirror.update()

    def state_dict(self) -> dict[str, Any]:
        """Keep no state: a run can be resumed without a mirror."""
        return {}


@contextlib.contextmanager
def run_mirror(url: str | None, output: Path, storage: Mapping[str, Any], *, replaces: bool) -> Iterator[Mirror | None]:
    """Mirror a run folder while the block runs, in the first process of a run; each job of a sweep has its own place.

    Args:
        url: value of `mirror`.
        output: folder of the run.
        storage: config node with the time to wait for a store.
        replaces: whether the run continues or can replace earlier results.

    Raises:
        ConfigError, StorageError: see `mirrored`.
    """
    if url is None or not is_rank_zero():
        yield None
        return
    if not is_url(url):
        raise ConfigError(f"mirror: expected an address such as s3://bucket/run, got '{url}'")
    if sweep := sweep_folder():
        url = below(url, f"{sweep}/{output.name}")
    goes_on = replaces or bool(results_in(output))
    with mirrored(url, output, timeout_s=storage["timeout_s"], replaces=goes_on) as mirror:
        yield mirror


def bring_back(url: str, folder: Path, storage: Mapping[str, Any]) -> None:
    """Copy the files of a mirrored run into a folder, except for existing files, logs and Hydra's records.

    Args:
        url: of the run.
        folder: of the continued run.
        storage: settings of the cache.

    Raises:
        StorageError: the run does not exist, or cannot be read.
        DataError: the folder cannot be written.
    """

    def take(name: str) -> bool:
        return not name.startswith(".") and not name.endswith(".log")

    copies = open_storage(storage).tree(url, key="resume", take=take)
    for path in sorted(copies.rglob("*")):
        place = folder / path.relative_to(copies)
        if path.is_file() and not place.exists():
            with whole_file(place) as partial:
                shutil.copyfile(path, partial)
