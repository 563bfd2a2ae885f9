"""Output of native libraries is logged, and given as the reason if they fail or abort the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from faceflow.errors import ConfigError
from faceflow.faces.assets import FACE_LANDMARKER
from faceflow.faces.mediapipe_detector import MediaPipeLandmarker
from faceflow.faces.native_log import native_lines_logged

CHECK = (
    "W0000 00:00:1.5   81 graph.cc:181] Sets acceleration to xnnpack.\n"
    "F0000 00:00:1.6   81 thread.cc:1776] Check failed: err == 0 (11 vs. 0) : can't start helper thread\n"
    "*** Check failure stack trace: ***\n"
    "    @     0x7f0a  absl::LogMessageFatal\n"
)
REASON = "thread.cc:1776] Check failed: err == 0 (11 vs. 0) : can't start helper thread"
ABORT = """
import ctypes, os, sys
from faceflow.faces.native_log import native_lines_logged
print("rows so far")
with native_lines_logged("MediaPipe"):
    os.write(2, sys.argv[1].encode())
    if sys.argv[2] == "inside":
        ctypes.CDLL(None).abort()
ctypes.CDLL(None).abort()
"""


def abort(printed: str, where: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ABORT, printed, where]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_an_abort_is_one_line_with_the_library_s_reason() -> None:
    done = abort(CHECK, "inside")
    assert (done.returncode, done.stdout) == (2, "rows so far\n")
    assert done.stderr.startswith(f"ConfigError: expected MediaPipe to start, got '{REASON}', which aborted it; check")
    assert done.stderr.count("\n") == 1


def test_an_abort_without_a_message_is_reported_as_such() -> None:
    assert "got 'no reason given', which aborted it; check the limits" in abort("", "inside").stderr


def test_an_abort_after_the_block_is_not_handled() -> None:
    done = abort(CHECK, "after")
    assert done.returncode == -6
    assert "ConfigError" not in done.stderr


@pytest.mark.parametrize(
    ("printed", "fault"),
    [
        (CHECK, REASON),
        (
            "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n",
            "terminate called",
        ),
        ("INFO: Created delegate.\nERROR: The model is not a valid Flatbuffer buffer\n", "ERROR: The model is not"),
        ("E0000 00:00:1.5 7 gl.cc:84] Unable to initialize EGL\nINFO: done\n", "gl.cc:84] Unable to initialize EGL"),
        ("W0000 00:00:1.5 7 a.cc:1] Sets acceleration\n", ""),
    ],
)
def test_the_line_that_tells_of_a_fault(printed: str, fault: str) -> None:
    with native_lines_logged() as lines:
        os.write(2, printed.encode())
        found = lines.fault()
    assert found.startswith(fault)
    assert bool(found) == bool(fault)


def refused_start(raised: Exception, folder: Path, *, identity: str) -> str:
    """What is said where MediaPipe raises this; `identity` is the hash of its model."""
    (folder / "face.task").write_bytes(b"a model")

    class Failing(MediaPipeLandmarker):
        def _open(self, path: Path, tasks: Any) -> Any:
            os.write(2, CHECK.encode())
            raise raised

    task = str(folder / "face.task")
    failing = Failing(
        model=task, cache="", max_faces=1, min_score=0.5, small_faces="never", close_up=0.0, features=False
    )
    failing.identity = identity
    with pytest.raises(ConfigError) as caught, failing:
        pass
    return str(caught.value)


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (RuntimeError("Aborted"), f"Aborted: {REASON}"),
        (
            RuntimeError('Calculator::Open() for node "a__b" failed: RET_CHECK failure (a.cc:3) x == y'),
            "RET_CHECK failure",
        ),
    ],
)
def test_a_detector_that_does_not_start_names_the_reason(raised: Exception, reason: str, tmp_path: Path) -> None:
    pytest.importorskip("mediapipe")
    assert f"which does not open ({reason}" in refused_start(raised, tmp_path, identity="0" * 64)
    known = refused_start(raised, tmp_path, identity=FACE_LANDMARKER.sha256)
    assert known.startswith(f"detector: expected MediaPipe to start, got '{reason}")


@pytest.mark.parametrize("identity", ["0" * 64, FACE_LANDMARKER.sha256])
def test_a_missing_system_library_is_named_with_its_package(identity: str, tmp_path: Path) -> None:
    pytest.importorskip("mediapipe")
    raised = OSError("libEGL.so.1: cannot open shared object file: No such file")
    assert refused_start(raised, tmp_path, identity=identity).startswith(
        "detector: expected MediaPipe to start, got no system library libEGL.so.1; on Debian or Ubuntu run: apt-get "
        "install libegl1 "
    )
