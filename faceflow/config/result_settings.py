"""The settings of results, in a JSON file next to them: one folder never mixes two settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import faceflow
from faceflow.config.values import leaves
from faceflow.errors import DataError
from faceflow.files import whole_file

_SAID = {"format", "faceflow"}  # in the file, but not a setting


def differing_setting(
    path: Path, wanted: Mapping[str, Any], *, results: str, earlier: Mapping[str, Any] = MappingProxyType({})
) -> str:
    """Compare settings with those of earlier results.

    Args:
        path: file of the earlier ones.
        wanted: plain data by config key.
        results: name of the results, for messages.
        earlier: settings that earlier versions did not store, with their values.

    Returns:
        The first setting that differs, as the text of an error; empty if none does.

    Raises:
        DataError: the file holds no settings.
    """
    try:
        theirs = {**earlier, **leaves(json.loads(path.read_text("utf-8")))}
    except (ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: expected the settings of these {results}, got no valid JSON; choose another output"
        ) from error
    ours = leaves(json.loads(json.dumps(wanted)))
    for key in sorted(ours.keys() | theirs.keys() - _SAID):
        if ours.get(key) != theirs.get(key):
            return (
                f"{key}: expected {theirs.get(key)!r} as for the {results} in '{path.parent}', got {ours.get(key)!r}; "
                "repeat those settings, or choose another output"
            )
    return ""


def write_settings(path: Path, settings: Mapping[str, Any], *, number: int) -> None:
    """Write settings with the number of the file's format.

    Raises:
        DataError: the file cannot be written.
    """
    content = {"format": number, "faceflow": faceflow.__version__, **settings}
    with whole_file(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
