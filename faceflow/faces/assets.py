"""Model files of detectors: found on this machine, or downloaded and checked."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from faceflow.errors import ConfigError

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "FACEFLOW_MODELS"
_RETRIES = 2
_TIMEOUT = (10, 20)  # seconds for a connection, and without a byte
_BLOCK = 1 << 16  # bytes
_LONGEST = 300  # characters of a reason


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A file, its SHA-256, and the URL of its publisher."""

    name: str
    sha256: str
    url: str


FACE_LANDMARKER = ModelFile(
    name="face_landmarker.task",
    sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
)


def find_model(explicit: str | None, *, cache: Path, file: ModelFile = FACE_LANDMARKER) -> Path:
    """Find a model file: the given one, else in the folder FACEFLOW_MODELS, else in the cache, else by download.

    A file that the user chose is used even if its hash differs, with a warning; any other file is not.

    Args:
        explicit: the user's own file.
        cache: folder for downloaded files.
        file: which file.

    Raises:
        ConfigError: `explicit` does not exist, the cache cannot be written, or the file cannot be downloaded;
            says where to put it.
    """
    if explicit is not None:
        path = Path(explicit).expanduser()
        if not path.is_file():
            raise ConfigError(f"detector.model: expected a file, got '{explicit}'; null finds or downloads {file.name}")
        return _chosen(path, file)
    if folder := os.environ.get(FOLDER_VARIABLE):
        path = Path(folder).expanduser() / file.name
        if path.is_file():
            return _chosen(path, file)
        log.info("%s=%s does not contain %s", FOLDER_VARIABLE, folder, file.name)
    path = cache.expanduser() / file.name
    if path.is_file():
        if (found := file_hash(path)) == file.sha256:
            return path
        log.warning("%s: expected SHA-256 %s, got %s; downloading it again", path, file.sha256, found)
    return _download(file, path)


def file_hash(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _chosen(path: Path, file: ModelFile) -> Path:
    if (found := file_hash(path)) != file.sha256:
        log.warning(
            "%s: expected SHA-256 %s, got %s; using it, but detections may differ from those of the usual file",
            path,
            file.sha256,
            found,
        )
    return path


def _download(file: ModelFile, path: Path) -> Path:
    """Download a file into the cache; it gets its name once its hash has been verified."""
    import pooch
    from requests import ConnectionError as NoConnection
    from requests import RequestException
    from urllib3.exceptions import MaxRetryError

    pooch.get_logger().setLevel(logging.WARNING)
    log.info("%s: downloading from %s", file.name, file.url)
    store = pooch.create(
        path.parent,
        base_url="",
        registry={file.name: f"sha256:{file.sha256}"},
        urls={file.name: file.url},
        retry_if_failed=_RETRIES,
    )
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            downloader = pooch.HTTPDownloader(
                progressbar=_Bar(progress, file.name),
                chunk_size=_BLOCK,
                timeout=_TIMEOUT,
                # pooch 1.9.0 leaves the connection of a refusal open; obsolete when the tests pass without it
                hooks={"response": lambda response, **_: None if response.ok else response.close()},
            )

            def fetch(url: str, output: Any, pooch: Any) -> None:
                try:
                    downloader(url, output, pooch)
                except NoConnection as error:
                    if isinstance(found := error.args[0], MaxRetryError):
                        raise _UnreachableError(found.reason) from error
                    raise

            store.fetch(file.name, downloader=fetch)
    except (RequestException, ValueError, _UnreachableError) as error:  # ValueError: other bytes than expected
        reason = " ".join(str(error).split())[:_LONGEST]
        raise ConfigError(
            f"detector.model: expected to download {file.name} from {file.url}, got an error ({reason}); download it "
            f"on another machine (SHA-256 {file.sha256}) and put it at {path} or in the folder named by "
            f"{FOLDER_VARIABLE}, or set detector.model=FILE"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"paths.cache: expected a writable folder, for {file.name}, got '{path.parent}' "
            f"({error.strerror or error}); set paths.cache=FOLDER or the variable FACEFLOW_CACHE, or use your own "
            "copy with detector.model=FILE"
        ) from error
    return path


class _UnreachableError(Exception):
    """No connection; raised instead of errors of requests, after which Pooch would try again while the user waits."""


class _Bar:
    """A progress bar of Rich with the interface that Pooch needs; `total` is set once the file size is known."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress, self._task = progress, progress.add_task(name, total=None)
        self.total = 0

    def update(self, count: int) -> None:
        """Count received bytes."""
        self._progress.update(self._task, total=self.total or None, advance=count)

    def reset(self) -> None:
        """Begin again."""
        self._progress.reset(self._task)

    def close(self) -> None:
        """Do nothing: the bar is removed with its display."""
