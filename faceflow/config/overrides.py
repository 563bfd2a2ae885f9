"""Overrides as on the command line, written from Python values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Real
from pathlib import PurePath

from hydra.core.override_parser.types import Quote, QuotedString

from faceflow.config.path_arguments import is_path, literal_text


def spell_overrides(values: Mapping[str, object]) -> list[str]:
    """Write values by key as overrides; None is left out, so that the config's default applies.

    A path is used unchanged, except for a leading ~.

    Raises:
        TypeError: a config cannot hold a value.
    """
    return [f"{key}={_spell(value, key)}" for key, value in values.items() if value is not None]


def override_texts(overrides: object) -> list[str]:
    """Check that overrides from Python are a list of texts, and return it.

    Raises:
        TypeError: anything else.
    """
    if isinstance(overrides, str):
        raise TypeError(f"overrides: expected a list of strings, got one string; write [{overrides!r}]")
    expected = 'overrides: expected a list of strings such as ["seed=1"]'
    if isinstance(overrides, bytes | Mapping) or not isinstance(overrides, Iterable):
        raise TypeError(f"{expected}, got {type(overrides).__name__}")
    texts: list[str] = []
    for override in overrides:
        if not isinstance(override, str):
            raise TypeError(f"{expected}, got {override!r} in it")
        texts.append(override)
    return texts


def _spell(value: object, key: str) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str | PurePath):
        path = isinstance(value, PurePath)
        text = literal_text(str(value), exists=path) if path or is_path(key) else value
        return QuotedString(text=str(text), quote=Quote.single).with_quotes()
    if isinstance(value, Real):
        return str(value)
    if getattr(value, "ndim", None) == 0 and callable(item := getattr(value, "item", None)):  # of NumPy or torch
        return _spell(item(), key)
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{name}:{_spell(item, key)}' for name, item in value.items())}}}"
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return f"[{','.join(_spell(item, key) for item in value)}]"
    raise TypeError(f"{key}: expected a string, a number, true or false, a list or a dict, got {type(value).__name__}")
