"""Errors that a user can fix. The text is one line: what and where, expected, got, next step."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class FaceFlowError(Exception):
    """A mistake in the user's input; entry points print it as one line and exit with 2."""


class ConfigError(FaceFlowError, ValueError):
    """A config key has a value that cannot work."""


class DataError(FaceFlowError):
    """A label file or an image breaks the data contract."""


class StorageError(FaceFlowError):
    """An object of a store cannot be read or written."""


class CheckpointError(FaceFlowError):
    """A checkpoint or weight file cannot be used."""


class LoaderError(FaceFlowError):
    """A loader process died, or gave no batch in time."""


class ProcessError(FaceFlowError):
    """One of several training processes died."""


class ExportError(FaceFlowError):
    """A network cannot be exported, or an exported file cannot be used."""


def suggest(name: str, known: Iterable[str]) -> str:
    """Name the options closest to a misspelt one, or list the first ten options."""
    options = sorted(known)
    if similar := similar_names(name, options):
        return similar
    shown = ", ".join(options[:10])
    return f"known: {shown}{', ...' if len(options) > 10 else ''}"


def similar_names(name: str, known: Sequence[str]) -> str:
    """Ask whether a similar option was meant; "" if none is similar."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.55)
    return "did you mean " + " or ".join(f"'{option}'" for option in close) + "?" if close else ""
