"""Checks of ranges that a config gives as two numbers, and of several numbers that none may be negative."""

from __future__ import annotations

import math

from faceflow.checks import check_number
from faceflow.errors import ConfigError


def check_range(values: object, *, key: str, lowest: float, highest: float = math.inf) -> None:
    """Check that a config value is two numbers in their limits, the smaller one first.

    Raises:
        ConfigError: it is not.
    """
    bounds = f"from {lowest:g} to {highest:g}" if highest < math.inf else f">= {lowest:g}"
    expected = f"two numbers {bounds}, the smaller one first"
    if not isinstance(values, list | tuple) or len(values) != 2:
        raise ConfigError(f"{key}: expected {expected}, got {values!r}")
    for value in values:
        check_number(value, key=key, expected=expected, valid=lambda number: lowest <= number <= highest)
    if values[0] > values[1]:
        raise ConfigError(f"{key}: expected {expected}, got {list(values)}")


def check_not_negative(**values: object) -> None:
    """Check that each of several config values, by the names of their keys, is a number >= 0."""
    for key, value in values.items():
        check_number(value, key=key, expected="a number >= 0", valid=lambda number: number >= 0)
