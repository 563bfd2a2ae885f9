"""How rows are loaded."""

from __future__ import annotations

from dataclasses import dataclass

from faceflow.checks import check_number
from faceflow.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Loading:
    """Rows of a batch, loader processes, and the longest wait for a batch of theirs in seconds, 0 for ever."""

    batch_size: int
    workers: int
    timeout_s: float

    def __post_init__(self) -> None:
        """Check what a user sets.

        Raises:
            ConfigError: names the key.
        """
        for key, value, lowest in (("batch_size", self.batch_size, 1), ("workers", self.workers, 0)):
            if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
                raise ConfigError(f"loader.{key}: expected a whole number >= {lowest}, got {value!r}")
        expected = "a number of seconds >= 0; 0 waits for ever"
        check_number(self.timeout_s, key="loader.timeout_s", expected=expected, valid=lambda x: x >= 0)
