"""faceflow-crop, killed or terminated repeatedly, ends with the same bytes as an uninterrupted run.

FACEFLOW_KILLS and FACEFLOW_KILLS_SEED as in `tests.helpers.kills`.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.commands import start_command
from tests.helpers.kills import KILLS, SEED, TERMINATED, release_only
from tests.helpers.markers import MARKERS, blank, covered, moving_faces, write_video

ENDS = 2 * KILLS
FEATURES = "+detector.features=true"
FRAMES = (210, 150, 90, 120)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for number, count in enumerate(FRAMES):
        images = moving_faces(count)
        images[40:43] = [covered(images[40])] * 3  # tracked, then lost
        images[60:70] = [blank()] * 10
        write_video(folder / f"{number}.avi", images)
    return folder


@pytest.fixture(scope="module")
def whole(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Results of an uninterrupted run."""
    output = tmp_path_factory.mktemp("whole") / "out"
    finish(clips, output)
    return tree(output)


def start(source: Path, output: Path, *overrides: str) -> subprocess.Popen[str]:
    command = [
        f"source={source}",
        f"output={output}",
        "selection.hold=2",
        *MARKERS,
        "+detector.features=true",
        *overrides,
    ]
    return start_command("crop", *command, stdout=subprocess.DEVNULL)


def finish(source: Path, output: Path, *overrides: str) -> None:
    process = start(source, output, *overrides)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr


def tree(folder: Path) -> dict[str, bytes]:
    """Every file in a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("workers", "kill", "number"),
    [
        pytest.param(1, os.kill, signal.SIGKILL, id="alone, killed"),
        pytest.param(2, os.killpg, signal.SIGTERM, id="with its workers, terminated"),
        pytest.param(1, os.kill, signal.SIGTERM, id="alone, terminated", marks=release_only),
        pytest.param(2, os.killpg, signal.SIGKILL, id="with its workers, killed", marks=release_only),
        pytest.param(2, os.kill, signal.SIGTERM, id="before them, terminated", marks=release_only),
        pytest.param(2, os.kill, signal.SIGKILL, id="before them, killed", marks=release_only),
    ],
)
def test_ended_again_and_again_it_ends_as_if_undisturbed(
    clips: Path, whole: dict[str, bytes], tmp_path: Path, workers: int, kill: Callable[[int, int], None], number: int
) -> None:
    moments = random.Random(f"{SEED} {workers}")
    sys.stdout.write(f"FACEFLOW_KILLS_SEED={SEED}\n")
    output, slow = tmp_path / "out", (f"workers={workers}", f"+detector.delay={0.02 * workers}")
    crops = [0]
    for _ in range(ENDS):
        process = start(clips, output, *slow)
        _wait_for_more(output, crops[-1])
        time.sleep(moments.uniform(0.0, 5 / ENDS))
        assert process.poll() is None, "it ended before it was killed"
        kill(process.pid, number)
        _, stderr = process.communicate()  # its workers hold stderr: this waits for their end too
        if number == signal.SIGTERM:
            kept = f"finished crops are kept in {output}; rerun the same command to resume"
            *before, last = stderr.splitlines()
            assert (process.returncode, last) == (TERMINATED, f"Terminated: {kept}")
            assert all("clips were already finished" in line for line in before), stderr
        crops.append(_crops(output))
    assert crops == sorted(set(crops)), "every start went on where the last one stopped"
    assert not (output / "crops.csv").exists()
    finish(clips, output, *slow)
    assert tree(output) == whole


def _crops(output: Path) -> int:
    return sum(1 for _ in output.rglob("*.jpg"))


def _wait_for_more(output: Path, crops: int) -> None:
    """Wait until there are more crops than before, so that each kill interrupts different work."""
    until = time.monotonic() + 60
    while _crops(output) <= crops and time.monotonic() < until:
        time.sleep(0.01)
