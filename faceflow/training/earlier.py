"""State of a fold from an earlier start in the same folder: finished, to be continued, or of another run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceflow.config.renamed import up_to_date
from faceflow.config.stored import read_config
from faceflow.config.values import leaves
from faceflow.errors import ConfigError, DataError
from faceflow.evaluation.known_faces import check_same_faces
from faceflow.evaluation.record import read_record
from faceflow.evaluation.run_context import RunContext
from faceflow.models.checkpoint import read_checkpoint
from faceflow.training.run_data import RunData
from faceflow.views import with_labeled

log = logging.getLogger(__name__)

# Keys that can differ from the earlier start, because no number of a fold depends on them.
_FREE = (
    *("data", "unlabeled", "paths", "logger", "test", "preview", "report_only", "resume", "pictures", "loader.workers"),
    *("callbacks.progress", "trainer.enable_progress_bar", "bootstrap", "audit", "audit_least_subjects", "log_images"),
    *("resume_sweep", "overwrite"),
    *("loader.cache", "loader.cache_gb", "loader.cache_folder", "storage", "mirror"),
    *("loader.timeout_s", "trainer.limit_test_batches"),  # the latter of earlier versions, which no test read
)


# Settings added later, with their values before.
_ADDED = {"compile": False, "optimizer.fused": False, "loader.decode": "full"}


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """Whether a fold is finished, and if not, the checkpoint to continue from."""

    finished: bool
    checkpoint: str | None


def find_earlier(context: RunContext, data: RunData, *, test: bool) -> Earlier:
    """Look into the folder of a fold.

    Args:
        context: of the fold; `output` is the folder.
        data: training data of the fold now.
        test: whether it is tested.

    Raises:
        ConfigError, DataError: the folder holds a fold of another config or of other data.
    """
    folder = context.output
    last = folder / "checkpoints" / "last.ckpt"
    recorded = (folder / "metrics.json").is_file()
    if recorded:
        record = read_record(folder)
        _check_config(folder, context.config)
        _check_data(folder, record, data.fingerprints)
        if "test" in record or not test:
            return Earlier(finished=True, checkpoint=None)
    if not last.is_file():
        return Earlier(finished=False, checkpoint=None)
    if not recorded and (folder / "config.yaml").is_file():
        _check_config(folder, context.config)
    content, payload = read_checkpoint(last, key="checkpoint")
    check_same_faces(last, payload, faces=data.faces, seen=data.seen, key="checkpoint")
    return Earlier(finished=False, checkpoint=str(last) if _has_best(last, content) else None)


def _has_best(last: Path, content: Mapping[str, Any]) -> bool:
    """Whether the best checkpoint so far is beside the last one; without it, no epoch so far could be tested."""
    paths = [state.get("best_model_path") for state in content["callbacks"].values() if isinstance(state, Mapping)]
    names = [Path(path).name for path in paths if path]
    if missing := [name for name in names if not (last.parent / name).is_file()]:
        log.warning("%s is missing, so this fold starts from the beginning", last.parent / missing[0])
    return not missing


def _check_config(folder: Path, config: Mapping[str, Any]) -> None:
    path = folder / "config.yaml"
    theirs, ours = (
        _ADDED | leaves(up_to_date({**each, "transforms": with_labeled(each.get("transforms", {}))}))
        for each in (read_config(folder), config)
    )
    for key in dict.fromkeys([*theirs, *ours]):
        free = any(key == name or key.startswith(f"{name}.") for name in _FREE)
        if not free and (key not in theirs or key not in ours or theirs[key] != ours[key]):
            raise ConfigError(
                f"{key}: expected {_stated(theirs, key)} as in '{path}', got {_stated(ours, key)}; repeat the settings "
                "of that run, or choose another hydra.run.dir"
            )


def _check_data(folder: Path, record: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    theirs = record["run"]["data"]
    compared = ["rows", "content"]
    if any("content" not in table for tables in theirs.values() for table in tables.values()):
        compared = ["rows"]  # FaceFlow 0.1 hashed the names of files too

    def values(data: Mapping[str, Any], split: str) -> list[list[Any]]:
        return [[table[key] for key in compared] for table in data.get(split, {}).values()]

    if changed := [split for split in {**theirs, **ours} if values(theirs, split) != values(ours, split)]:
        raise DataError(
            f"{folder / 'metrics.json'}: expected the data of that run, got other faces, subjects or labels in "
            f"{', '.join(changed)}; restore the data, or choose another hydra.run.dir"
        )


def _stated(flat: Mapping[str, Any], key: str) -> str:
    return str("null" if flat[key] is None else flat[key]) if key in flat else "nothing"
