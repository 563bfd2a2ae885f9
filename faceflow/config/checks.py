"""Range checks of numbers that a user sets."""

from __future__ import annotations

import math
from collections.abc import Callable

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
