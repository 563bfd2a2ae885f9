"""Atomic checkpoints: written completely or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from faceflow.errors import CheckpointError, DataError
from faceflow.files import whole_file


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint under a temporary name and renames it, so a full disk never destroys the previous one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write `checkpoint` to `path`.

        Raises:
            CheckpointError: the disk is full or the folder cannot be written; `path` is unchanged.
        """
        try:
            with whole_file(Path(path)) as partial, partial.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
        except (DataError, RuntimeError) as error:
            raise CheckpointError(
                f"{path}: could not write the checkpoint ({_reason(error)}); earlier checkpoints are kept; free disk "
                "space and resume with resume=PATH"
            ) from error


def _reason(error: BaseException) -> str:
    """Message of the system, which torch's writer hides behind an error of its own when it closes a truncated file."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, OSError) and link.strerror:
            return link.strerror
        link = link.__context__
    return " ".join(str(error).split()) or type(error).__name__
