"""Checks of numbers and texts that a user sets."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping

from faceflow.errors import ConfigError


def check_number(
    value: object, *, key: str, expected: str, valid: Callable[[float], bool], whole: bool = False
) -> None:
    """Check that a config value is a finite number in its range.

    Args:
        value: what the user wrote.
        key: its config key, for messages.
        expected: the range in words.
        valid: the range.
        whole: refuse fractions.

    Raises:
        ConfigError: not a number, or out of range.
    """
    number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not valid(value):  # type: ignore[arg-type]
        raise ConfigError(f"{key}: expected {expected}, got {value!r}")


def check_texts(value: object, *, key: str) -> None:
    """Check that all texts of a config could name a file, as most of them do.

    Args:
        value: a text, or mappings and lists that hold texts.
        key: its config key, for messages; empty for a whole config.

    Raises:
        ConfigError: a NUL character, or one that has no UTF-8 form.
    """
    if isinstance(value, Mapping):
        for name, item in value.items():
            check_texts(item, key=f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            check_texts(item, key=f"{key}[{position}]")
    elif isinstance(value, str) and not names_file(value):
        raise ConfigError(f"{key}: expected characters that a file name can hold, got {value!r}; correct it")


def names_file(text: str) -> bool:
    """Whether a text could name a file: it has no NUL character, and only such as the file system can encode."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False
