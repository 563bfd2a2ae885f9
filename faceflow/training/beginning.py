"""Where a run takes over its folder: once nothing but training itself can fail."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig
from rich.table import Table

from faceflow.config.run_folder import settle
from faceflow.config.stored import store_config
from faceflow.console import save_tables
from faceflow.evaluation.data_summary import DATA


def is_main_process() -> bool:
    """Whether this process prints results: the first of the run, by the launcher's environment."""
    return not getattr(rank_zero_only, "rank", 0)


def begin(whole: DictConfig, cfg: DictConfig, *, data: Sequence[Table]) -> None:
    """Let go of what an earlier run left, if it is to be replaced, and write what this run is about.

    Args:
        whole: config of the command.
        cfg: config of the run: the same, or that of one of several folds.
        data: tables of the data report.

    Raises:
        DataError: a file cannot be written.
    """
    if not is_main_process():
        return
    settle()
    for config in (whole, cfg):
        store_config(config, Path(config.paths.output))
    save_tables(*data, path=Path(cfg.paths.output) / DATA)
