"""Checks of what a user sets: numbers, choices, texts, and the packages that a setting needs."""

from __future__ import annotations

import importlib.util
import math
import os
import shlex
from collections.abc import Callable, Iterable, Mapping

from faceflow.errors import ConfigError, similar_names

_PER_CORE = 16  # threads or processes: more than are useful even for work that waits for disks


def check_number(value: object, *, key: str, expected: str, valid: Callable[[float], bool]) -> None:
    """Check that a config value is a finite number in its range.

    Args:
        value: what the user wrote.
        key: its config key, for messages.
        expected: the range in words.
        valid: the range.

    Raises:
        ConfigError: not a number, or out of range.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not valid(value):  # type: ignore[arg-type]
        raise ConfigError(f"{key}: expected {expected}, got {value!r}")


def check_whole(
    value: object, *, key: str, lowest: int, highest: float = math.inf, expected: str | None = None
) -> None:
    """Check that a config value is a whole number in its range.

    Args:
        value: what the user wrote.
        key: its config key, for messages.
        lowest: the range includes it.
        highest: the range includes it.
        expected: the range in words, if the default words do not fit.

    Raises:
        ConfigError: not a whole number, or out of range.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        bounds = f">= {lowest}" if highest == math.inf else f"from {lowest} to {highest}"
        raise ConfigError(f"{key}: expected {expected or f'a whole number {bounds}'}, got {value!r}")


def check_parallel(value: object, *, key: str) -> None:
    """Check a count of threads or processes: each takes memory, and thousands bring the whole machine down.

    Args:
        value: what the user wrote; 0 means automatic, or none.
        key: its config key, for messages.

    Raises:
        ConfigError: not a whole number, or far more than the machine has cores.
    """
    cores = os.cpu_count() or 1
    most = _PER_CORE * cores
    check_whole(
        value,
        key=key,
        lowest=0,
        highest=most,
        expected=f"a whole number from 0 to {most}, {_PER_CORE} for each core of this machine"
        if isinstance(value, int) and value > most
        else "a whole number >= 0",
    )


def check_boolean(value: object, *, key: str) -> None:
    """Raise ConfigError unless a config value is true or false."""
    if not isinstance(value, bool):
        raise ConfigError(f"{key}: expected true or false, got {value!r}")


def check_choice(value: object, *, key: str, options: Iterable[str | None]) -> None:
    """Check that a config value is one of several words.

    Args:
        value: what the user wrote.
        key: its config key, for messages.
        options: the words; None is written null.

    Raises:
        ConfigError: none of them; lists all, and those with similar spelling.
    """
    known = tuple(options)
    if value in known:
        return
    words = ["null" if word is None else word for word in known]
    expected = " or ".join(words) if len(words) == 2 else ", ".join(words)
    similar = similar_names(str(value), words)
    raise ConfigError(f"{key}: expected {expected}, got {value!r}" + (f"; {similar}" if similar else ""))


def check_installed(*modules: str, key: str, install: str, instead: str = "") -> None:
    """Check that optional packages are installed, without importing them.

    Args:
        modules: their top-level modules.
        key: config key that needs them, for messages.
        install: what to install with pip, such as "faceflow[train]".
        instead: an alternative that does not need them.

    Raises:
        ConfigError: says what to install.
    """
    if lacking := [module for module in modules if importlib.util.find_spec(module) is None]:
        raise ConfigError(
            f"{key}: expected {', '.join(lacking)} to be installed, got none; run: pip install {shlex.quote(install)}"
            + (f", or {instead}" if instead else "")
        )


def check_texts(value: object, *, key: str) -> None:
    """Check that all texts of a config could be file names, as most of them are.

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
        raise ConfigError(f"{key}: expected characters allowed in a file name, got {value!r}; correct it")


def names_file(text: str) -> bool:
    """Whether a text could name a file: it has no NUL, and the file system can encode all its characters."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False
