"""Range checks of loss parameters; the messages name the config key."""

from __future__ import annotations

from collections.abc import Iterable

from faceflow.errors import ConfigError


def require(valid: bool, key: str, expected: str, value: object) -> None:
    """Raise ConfigError for `loss.<key>` unless its value is valid."""
    if not valid:
        raise ConfigError(f"loss.{key}: expected {expected}, got {value!r}")


def require_option(key: str, value: str, options: Iterable[str]) -> None:
    """Raise ConfigError for `loss.<key>` unless its value is one of the options."""
    require(value in options, key, "one of " + ", ".join(sorted(options)), value)
