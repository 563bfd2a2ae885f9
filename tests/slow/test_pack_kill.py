"""faceflow-pack, killed or terminated repeatedly, ends with the same content as an uninterrupted run.

FACEFLOW_KILLS and FACEFLOW_KILLS_SEED as in `tests.helpers.kills`.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceflow.images import encode_image
from tests.helpers.kills import TERMINATED, Kills

arrow = pytest.importorskip("pyarrow")

ROWS = 3000

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")]


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    generator = np.random.default_rng(0)
    lines = ["AU1,filename,subject"]
    for row in range(ROWS):
        name = f"s{row // 100}/{row}.png"
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(encode_image(generator.integers(0, 256, (24, 24, 3), np.uint8), ".png"))
        lines.append(f"{row % 2},{name},s{row // 100}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder / "labels.csv"


def content(folder: Path) -> dict[str, Any]:
    """Content of the files of a packed set, without its random id."""
    found: dict[str, Any] = {}
    for path in folder.iterdir():
        if path.suffix == ".arrow":
            with arrow.ipc.open_file(path) as file:
                found[path.name] = file.read_all().replace_schema_metadata(None)
        elif path.suffix == ".json":
            found[path.name] = json.loads(path.read_text()) | {"id": ""}
        else:
            found[path.name] = path.read_bytes()
    return found


def test_a_killed_packing_continues_to_the_same_set(labels: Path, tmp_path: Path) -> None:
    kills = Kills("pack")
    settings = (f"labels={labels}", "shard_mb=0.5")
    kills.finish(*settings, f"output={tmp_path / 'whole'}")
    expected = content(tmp_path / "whole")
    assert len(expected) > 5  # several shards
    for number, name in enumerate(kills.signals):
        output = tmp_path / str(number)
        ended = kills.end(name, *settings, f"output={output}")
        assert ended.finished or ended.code in (TERMINATED, -signal.SIGTERM, -signal.SIGKILL), ended.stderr
        kills.finish(*settings, f"output={output}")
        assert content(output) == expected
    kills.told()
