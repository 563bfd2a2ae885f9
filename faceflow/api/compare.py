"""`faceflow.compare`: compare runs from Python, and what it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from faceflow.api.running import run_command

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparedRuns:
    """Runs compared with the first of them.

    Attributes:
        folder: where all results are.
        table: content of comparison.csv, one row per run, metric and AU plus one for the mean over AUs (`au` is
            "mean"): scores, difference with its 95 % interval, p, p_holm, and a verdict: win, tie or loss.
        picture: comparison.png; None with pictures=false.
        groups: the same by column and group, if `audit` was given; otherwise None.
    """

    folder: Path
    table: DataFrame = field(repr=False)
    picture: Path | None
    groups: DataFrame | None = field(default=None, repr=False)


def compare(
    *runs: str | Path,
    overrides: Sequence[str] = (),
    metrics: Sequence[str] | None = None,
    level: float | None = None,
    shared_aus: bool | None = None,
    any_protocol: bool | None = None,
    threshold: float | None = None,
    audit: str | Sequence[str] | None = None,
    output: str | Path | None = None,
    overwrite: bool | None = None,
    config_dir: str | Path | None = None,
) -> ComparedRuns:
    """Compare runs with the first of them, on the same faces, as `faceflow-compare` does.

    >>> compared = faceflow.compare("runs/test/baseline", "runs/test/larger")
    >>> sorted(compared.table["au"].unique())
    ['AU1', 'AU12', 'AU6', 'mean']

    Args:
        runs: two or more folders of training runs, tests or folds, or CSVs of predictions.
        overrides: any settings, written as on the command line.
        metrics: scores to compare, such as "f1_val", "ap", "auroc" and "icc".
        level: a difference counts if its corrected p is below this level.
        shared_aus: whether to compare runs with different AUs, on the AUs that all of them have.
        any_protocol: whether to compare runs even if their splits or label rules differ.
        threshold: probability from which an AU occurs, for CSVs of predictions.
        audit: columns of the first run's predictions, such as ["sex", "glasses"]; adds the differences in each group.
        output: folder for the results; default: a folder in runs/compare named by date and time.
        overwrite: whether to replace an earlier comparison in `output`.
        config_dir: folder with your own configs, as `--config-dir`.

    Raises:
        ConfigError: a setting is unknown or out of range, or the runs have different AUs or protocols.
        DataError: a run is not finished, or the runs differ in their faces, subjects or labels.
    """
    values = {
        "runs": [Path(run) for run in runs],
        "metrics": metrics,
        "level": level,
        "shared_aus": shared_aus,
        "any_protocol": any_protocol,
        "threshold": threshold,
        "audit": audit,
        "output": output,
        "overwrite": overwrite,
    }

    def task(config: DictConfig) -> ComparedRuns:
        from faceflow.comparing.compare import PICTURE, compare
        from faceflow.config.instantiate import plain_dict

        done = compare(plain_dict(config))
        picture = done.folder / PICTURE if config.pictures else None
        return ComparedRuns(folder=done.folder, table=done.comparison.rows, picture=picture, groups=done.groups)

    return run_command("compare", values, overrides, config_dir, task)
