"""What an earlier start in the same folder left of a fold: to keep, to go on from, or of another run."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceflow.config.stored import read_config, resolved_config
from faceflow.data.views import with_labeled
from faceflow.errors import ConfigError, DataError
from faceflow.evaluation.known_faces import check_same_faces, seen_subjects
from faceflow.evaluation.record import fingerprints
from faceflow.models.checkpoint import read_checkpoint
from faceflow.training.fold import FoldRun

log = logging.getLogger(__name__)

# What may differ from the earlier start, because no number of a fold depends on it.
_FREE = (
    *("data", "unlabeled", "paths", "logger", "test", "preview", "report_only", "resume", "pictures", "loader.workers"),
    *("callbacks.progress", "trainer.enable_progress_bar", "bootstrap", "log_images", "resume_sweep", "overwrite"),
    "loader.timeout_s",
)


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """Whether a fold is finished, and if not, the checkpoint to go on from."""

    finished: bool
    checkpoint: str | None


def find_earlier(run: FoldRun) -> Earlier:
    """Look into the folder of a fold.

    Raises:
        ConfigError, DataError: it holds a fold of another config or of other data.
    """
    last = run.output / "checkpoints" / "last.ckpt"
    recorded = (run.output / "metrics.json").is_file()
    if recorded:
        record = read_record(run.output)
        _check_config(run)
        _check_data(run, record)
        if "test" in record or not run.cfg.test:
            return Earlier(finished=True, checkpoint=None)
    if not last.is_file():
        return Earlier(finished=False, checkpoint=None)
    if not recorded and (run.output / "config.yaml").is_file():
        _check_config(run)
    content, payload = read_checkpoint(last, key="checkpoint")
    check_same_faces(last, payload, faces=run.faces, seen=seen_subjects(run.streams), key="checkpoint")
    return Earlier(finished=False, checkpoint=str(last) if _has_best(last, content) else None)


def read_record(folder: Path) -> dict[str, Any]:
    """Read metrics.json of a finished fold.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / "metrics.json"
    try:
        record: dict[str, Any] = json.loads(path.read_text("utf-8"))
        float(record["monitor"]["best"]), dict(record["run"]["data"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: expected the record of a finished fold, got a damaged file; remove '{folder}' to train it again"
        ) from error
    return record


def _has_best(last: Path, content: Mapping[str, Any]) -> bool:
    """Whether the best checkpoint so far lies beside the last one; without it, none of its epochs could be tested."""
    paths = [state.get("best_model_path") for state in content["callbacks"].values() if isinstance(state, Mapping)]
    names = [Path(path).name for path in paths if path]
    if missing := [name for name in names if not (last.parent / name).is_file()]:
        log.warning("%s is gone, so this fold starts anew", last.parent / missing[0])
    return not missing


def _check_config(run: FoldRun) -> None:
    path = run.output / "config.yaml"
    theirs, ours = (
        _flat({**config, "transforms": with_labeled(config.get("transforms", {}))})
        for config in (read_config(run.output), resolved_config(run.cfg, run.output))
    )
    for key in dict.fromkeys([*theirs, *ours]):
        free = any(key == name or key.startswith(f"{name}.") for name in _FREE)
        if not free and (key not in theirs or key not in ours or theirs[key] != ours[key]):
            raise ConfigError(
                f"{key}: expected {_stated(theirs, key)} as in '{path}', got {_stated(ours, key)}; repeat the settings "
                "of that run, or take another hydra.run.dir"
            )


def _check_data(run: FoldRun, record: Mapping[str, Any]) -> None:
    theirs, ours = record["run"]["data"], fingerprints(run.streams)
    compared = ["rows", "content"]
    if any("content" not in table for tables in theirs.values() for table in tables.values()):
        compared = ["rows"]  # FaceFlow 0.1 hashed the names of files too

    def values(data: Mapping[str, Any], split: str) -> list[list[Any]]:
        return [[table[key] for key in compared] for table in data.get(split, {}).values()]

    if changed := [split for split in {**theirs, **ours} if values(theirs, split) != values(ours, split)]:
        raise DataError(
            f"{run.output / 'metrics.json'}: expected the data of that run, got other faces, persons or labels in "
            f"{', '.join(changed)}; bring the data back, or take another hydra.run.dir"
        )


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        nested = isinstance(value, Mapping) and value
        flat |= _flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return flat


def _stated(flat: Mapping[str, Any], key: str) -> str:
    return str("null" if flat[key] is None else flat[key]) if key in flat else "nothing"
