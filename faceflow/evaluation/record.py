"""Record of a run, which makes its numbers verifiable: versions, code, data, seed and protocol."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import faceflow
from faceflow.data.splits import Tables
from faceflow.errors import DataError

_PACKAGES = ("torch", "lightning", "timm", "albumentations", "numpy", "hydra-core", "torchmetrics")


def versions() -> dict[str, str]:
    """Versions of FaceFlow, Python and the packages that numbers depend on."""
    packages = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"faceflow": faceflow.__version__, "python": platform.python_version(), **packages}


def git_revision() -> str | None:
    """Commit of the running checkout, marked `-dirty` if files differ from it; None outside a checkout."""
    root = Path(faceflow.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def fingerprints(splits: Tables) -> dict[str, dict[str, dict[str, Any]]]:
    """Rows and fingerprint of every data set in every split."""
    return {
        split: {table.name: {"rows": len(table), "content": table.fingerprint()} for table in tables}
        for split, tables in splits.items()
    }


def provenance(output: Path, *, fold: bool) -> dict[str, str]:
    """Origin of a checkpoint: name of the run, from its folder, and commit of the code."""
    folder = output.resolve()
    return {"id": f"{folder.parent.name}/{folder.name}" if fold else folder.name, "git": git_revision() or "unknown"}


def run_record(*, seed: int, protocol: Mapping[str, str], data: Mapping[str, Any], started: float) -> dict[str, Any]:
    """Collect the record of a run.

    Args:
        seed: of the run.
        protocol: how data were split and what labels mean.
        data: fingerprints of all tables, see `fingerprints`.
        started: time.time() at the start.
    """
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(started)),
        "seconds": round(time.time() - started, 1),
        "seed": seed,
        "git": git_revision(),
        "versions": versions(),
        "platform": platform.platform(),
        "protocol": dict(protocol),
        "data": dict(data),
    }


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
