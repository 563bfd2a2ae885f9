"""Shared memory of loader processes, and the error when one is lost."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.data import Dataset

from faceflow.data.batches import Packed, pack
from faceflow.data.handing import Loader
from faceflow.data.loader_processes import SHARED, check_shared_memory, explain_loss, print_unless_cut_off
from faceflow.errors import ConfigError

linux = pytest.mark.skipif(not SHARED.is_dir(), reason="needs Linux's shared memory")
PAGE = 4096
ROOT = Path(__file__).parents[3]


class Faces(Dataset[Any]):
    """Images of 10 x 10 x 3 bytes with three float targets; an image may be one that is never read."""

    def __init__(self, rows: int, hangs: float = 0) -> None:
        self.rows, self.hangs = rows, hangs

    def __len__(self) -> int:
        return self.rows

    def __getitems__(self, rows: Sequence[int]) -> Packed:
        time.sleep(self.hangs)
        return pack(
            {"weak": np.zeros((len(rows), 10, 10, 3), np.uint8), "target": np.zeros((len(rows), 3), np.float32)}
        )


def loader(rows: int, *, batch_size: int, workers: int, **more: Any) -> Loader:
    return Loader(Faces(rows, **more), batch_size=batch_size, num_workers=workers)


def needed(message: str) -> int:
    found = re.search(r"expected (\d+) MiB free", message)
    assert found is not None, message
    return int(found[1])


@linux
@pytest.mark.parametrize(
    ("workers", "batches", "in_flight"),
    [(1, 10, 3), (2, 10, 6), (2, 1, 4)],  # per process two that it prepares, but no more than there are, and one more
)
def test_batches_in_flight_have_to_fit(workers: int, batches: int, in_flight: int) -> None:
    size = 10**10
    with pytest.raises(ConfigError, match=re.escape(f"{SHARED}")) as raised:
        check_shared_memory([loader(batches * size, batch_size=size, workers=workers)])
    assert needed(str(raised.value)) == -(-in_flight * (size * (300 + 12) + 8) // 2**20)
    free = shutil.disk_usage(SHARED).free // 2**20
    assert abs(int(re.findall(r"got (\d+) MiB", str(raised.value))[0]) - free) < 1024
    for hint in ("loader.workers: ", "--shm-size=", "loader.batch_size", "loader.workers=0"):
        assert hint in str(raised.value)


@linux
def test_loaders_and_processes_of_the_machine_add_up() -> None:
    size = 10**10
    one = loader(10 * size, batch_size=size, workers=1)

    def asked(*loaders: Loader, processes: int = 1) -> int:
        with pytest.raises(ConfigError) as raised:
            check_shared_memory(loaders, processes=processes)
        return needed(str(raised.value))

    alone = asked(one)
    assert asked(one, one) == pytest.approx(2 * alone, abs=1)
    assert asked(one, processes=4) == pytest.approx(4 * alone, abs=3)


def test_small_batches_and_loaders_without_processes_pass() -> None:
    check_shared_memory([loader(100, batch_size=4, workers=2)])
    check_shared_memory([loader(10**11, batch_size=10**10, workers=0)])


def kill_and_wait(process: int) -> None:
    """Torch raises wherever this process is when it hears of the death."""
    os.kill(process, signal.SIGKILL)
    time.sleep(10)


def lose_a_process() -> None:
    faces: Any = Loader(Faces(100), batch_size=1, num_workers=1, persistent_workers=True)
    next(iter(faces))
    (process,) = faces._iterator._workers
    sys.stdout.write(f"{process.pid}\n")
    try:
        kill_and_wait(process.pid)
    except RuntimeError as error:
        sys.stdout.write(f"{explain_loss(error, 1)}\n")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_killed_process_is_one_line_about_memory() -> None:
    # In a process of its own: where a training ended before, Lightning has taken back the signal handler of torch.
    code = f"from {__name__} import lose_a_process; lose_a_process()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    process, line = done.stdout.splitlines()
    assert line == (
        f"loader.workers: expected 1 loader processes to keep running, got one that was killed (pid {process}, signal "
        "'Killed'); most likely it ran out of memory: set fewer loader.workers or a smaller "
        "loader.batch_size, or give the job more memory"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's workers are "
            "out of shared memory. Please try to raise your shared memory limit.",
            "shared memory was full",
        ),
        ("DataLoader worker (pid 7) is killed by signal: Segmentation fault. ", "loader.workers=0 shows where"),
        ("DataLoader worker (pid(s) 7, 8) exited unexpectedly", "it ran out of memory"),
        ("DataLoader timed out after 300 seconds", "loader.timeout_s: expected a batch within 300 s"),
        ("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)", "room in shared"),
    ],
)
def test_errors_of_torch_are_reported_with_their_likely_cause(text: str, said: str) -> None:
    try:
        try:
            raise RuntimeError(text)
        except RuntimeError:
            raise ValueError("of who was interrupted by it")  # noqa: B904
    except ValueError as error:
        line = explain_loss(error, 2)
    assert line is not None
    assert said in line
    assert "\n" not in line


def test_a_connection_that_a_dying_process_breaks_is_its_death() -> None:
    def _try_get_data() -> None:  # torch's name of what fetches a batch
        raise ConnectionResetError(104, "Connection reset by peer")

    with pytest.raises(ConnectionResetError) as raised:
        _try_get_data()
    assert "got one that died; most likely it ran out of memory" in str(explain_loss(raised.value, 2))
    assert explain_loss(ConnectionResetError(104, "of a tracker"), 2) is None


def test_a_loader_process_says_nothing_where_the_training_ended_while_it_handed_a_batch_over(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_unless_cut_off(ConnectionResetError, ConnectionResetError(), None)
    assert capsys.readouterr().err == ""
    print_unless_cut_off(ValueError, ValueError("ours"), None)
    assert capsys.readouterr().err == "ValueError: ours\n"


def test_other_errors_pass_unchanged() -> None:
    assert explain_loss(RuntimeError("mat1 and mat2 shapes cannot be multiplied"), 2) is None


@pytest.mark.slow
def test_a_batch_that_never_comes_ends_after_the_timeout() -> None:
    waiting = Loader(Faces(4, hangs=8), batch_size=1, num_workers=1, timeout=1)
    with pytest.raises(RuntimeError) as raised:
        next(iter(waiting))
    assert str(explain_loss(raised.value, 1)).startswith("loader.timeout_s: expected a batch within 1 s, got none")
