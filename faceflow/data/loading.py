"""How rows are loaded."""

from __future__ import annotations

from dataclasses import dataclass

from faceflow.checks import check_number, check_parallel, check_whole


@dataclass(frozen=True, kw_only=True)
class Loading:
    """Rows of a batch, loader processes, and the longest wait for a batch in seconds (0: forever)."""

    batch_size: int
    workers: int
    timeout_s: float

    def __post_init__(self) -> None:
        """Check what a user sets.

        Raises:
            ConfigError: names the key.
        """
        check_whole(self.batch_size, key="loader.batch_size", lowest=1)
        check_parallel(self.workers, key="loader.workers")
        expected = "a number of seconds >= 0; 0 waits forever"
        check_number(self.timeout_s, key="loader.timeout_s", expected=expected, valid=lambda x: x >= 0)
