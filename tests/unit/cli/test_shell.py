"""Conditions set by the shell: closed outputs, encodings, a missing working directory, a limit on open files."""

from __future__ import annotations

import io
import os
import resource
import sys
from pathlib import Path

import pytest

from faceflow.cli.messages import one_line
from faceflow.cli.shell import check_working_directory, no_more_files, prepare_streams
from faceflow.errors import ConfigError


def test_a_closed_output_swallows_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    prepare_streams()
    with sys.stdout as stream:
        stream.write("Checkpoint: best.ckpt\n")
        assert stream.name == os.devnull


def test_a_letter_that_the_output_lacks_is_printed_as_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    prepare_streams()
    sys.stdout.write("Jürg\n")
    sys.stdout.flush()
    assert written.getvalue() == b"J\\xfcrg\n"


def test_a_working_directory_that_was_removed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_working_directory()
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(ConfigError, match=r"^working directory: expected an existing folder, got one that was removed"):
        check_working_directory()


def test_the_limit_of_open_files_is_named() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened, error = [], OSError()
    resource.setrlimit(resource.RLIMIT_NOFILE, (len([*Path("/dev/fd").iterdir()]) + 20, before[1]))
    try:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        while len(opened) < 100_000:
            opened.append(os.pipe())
    except OSError as raised:
        error = raised
        line = one_line(error, "train")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for end in opened:
            os.close(end[0])
            os.close(end[1])
    expected = f"ConfigError: open files: expected at most {limit}, the limit of this shell, got more; "
    assert line == f"{expected}run: ulimit -n {before[1]}, or use fewer workers"
    assert no_more_files(FileNotFoundError(2, "no")) is None
