"""`faceflow.compare`: a comparison from Python, and what it returns."""

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
    """Runs beside the first of them.

    Attributes:
        folder: of all results.
        table: a row per run, metric and AU, and one for their mean (`au` is "mean" there), as comparison.csv holds it:
            scores, difference with the bounds of its 95 % interval, p, p_holm, and a verdict: win, tie or loss.
        picture: comparison.png; None with pictures=false.
        groups: the same by column and group, where an audit asks for it; else None.
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
        runs: folders of trainings, tests or folds, or CSVs of predictions; two or more.
        overrides: any settings as on the command line.
        metrics: scores to compare by, such as "f1_val", "ap", "auroc" and "icc".
        level: of the corrected p, from which on a difference counts.
        shared_aus: whether runs of other AUs are compared on those that all have.
        any_protocol: whether runs of other splits or label rules are compared all the same.
        threshold: of CSVs, from which probability on an AU occurs.
        audit: columns of the first run's predictions, such as ["sex", "glasses"]: differences in each of their groups.
        output: folder of the results; default: one named by the time, below runs/compare.
        overwrite: whether an earlier comparison in `output` is replaced.
        config_dir: folder with configs of your own, as `--config-dir`.

    Raises:
        ConfigError: a setting that is unknown or out of range, or runs of other AUs or protocols.
        DataError: runs that are not finished, or not of the same faces, subjects and labels.
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
