from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faceflow.leases import STALE_S, leased

pytestmark = pytest.mark.skipif(os.name != "posix", reason="numbers of processes")

HOLD = """
import sys, time
from pathlib import Path
from faceflow.leases import leased
with leased(Path(sys.argv[1])) as held:
    print(held is not None, flush=True)
    time.sleep(60)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    return process


def of_another_machine(folder: Path, number: int = 0) -> Path:
    path = folder / f".lease.{number}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"host": "elsewhere", "boot": "", "numbers": "", "process": 1, "started": "1"}), "utf-8")
    return path


def test_one_process_holds_it_and_leaves_nothing(tmp_path: Path) -> None:
    with leased(tmp_path / "clip") as first, leased(tmp_path / "clip") as second:
        assert first is not None
        assert second is None
    assert not list((tmp_path / "clip").iterdir())
    with leased(tmp_path / "clip") as again:
        assert again is not None


def test_a_living_process_keeps_its_lease_and_a_killed_one_loses_it(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with leased(tmp_path) as held:
            assert held is None
        process.kill()
        process.wait()
        with leased(tmp_path) as held:
            assert held is not None
    assert not list(tmp_path.iterdir())


def test_another_machine_keeps_it_as_long_as_it_renews_it(tmp_path: Path) -> None:
    lease = of_another_machine(tmp_path)
    with leased(tmp_path) as held:
        assert held is None
    old = time.time() - STALE_S - 10
    os.utime(lease, (old, old))
    with leased(tmp_path) as held:
        assert held is not None


def test_a_process_of_this_machine_that_stands_still_keeps_it(tmp_path: Path) -> None:
    with leased(tmp_path) as held:
        assert held is not None
        old = time.time() - STALE_S - 10
        os.utime(held.path, (old, old))
        with leased(tmp_path) as second:
            assert second is None


def test_a_process_that_lost_its_lease_leaves_it_to_the_new_holder(tmp_path: Path) -> None:
    with leased(tmp_path) as held:
        assert held is not None
        taken = of_another_machine(tmp_path, number=1)
    assert taken.exists()


def test_a_torn_lease_is_kept_while_it_is_young(tmp_path: Path) -> None:
    (tmp_path / ".lease.0").write_text('{"host": "els', "utf-8")
    with leased(tmp_path) as held:
        assert held is None


def take(folder: Path) -> bool:
    with leased(folder) as held:
        time.sleep(0.5)
        return held is not None


@pytest.mark.slow
def test_only_one_of_many_processes_takes_over_a_dead_lease(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        for number in range(3):
            folder = tmp_path / str(number)
            lease = of_another_machine(folder)
            old = time.time() - STALE_S - 10
            os.utime(lease, (old, old))
            assert sum(pool.map(take, [folder] * 4, chunksize=1)) == 1
