"""Advice of libraries to developers, kept out of the user's output."""

from __future__ import annotations

import logging
import warnings

_ADVICE = (
    ".*isinstance.treespec, LeafSpec.*",  # Lightning 2.6 with torch 2.15
    ".*in eval mode at the start of training.*",  # as the average should be
    ".*does not have many workers.*",
    ".*number of training batches.*smaller than the logging interval.*",
    ".*checkpoint that ended before the epoch ended.*",  # Clock warns of it, and handles epochs of another length
    "Be aware that when using `ckpt_path`, callbacks.*",  # callbacks of a resumed run may differ
    "The dirpath has changed.*",  # of last.ckpt in a resumed run
    ".*Checkpoint directory .* exists and is not empty.*",
)


def silence_advice() -> None:
    """Silence advertisements and advice of Lightning and timm in this process."""
    for library in ("lightning.pytorch", "lightning.fabric", "timm", "gcsfs"):
        logging.getLogger(library).setLevel(logging.WARNING)
    for message in _ADVICE:
        warnings.filterwarnings("ignore", message=message)
