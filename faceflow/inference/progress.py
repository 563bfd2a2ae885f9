"""Progress on stderr, as stdout may be the table."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

_PATIENCE_S = 2.0


@contextlib.contextmanager
def progress_bar(total: int, *, visible: bool) -> Iterator[Callable[[], None]]:
    """Show frames, frames per second and the time left, on a terminal and in runs of more than two seconds.

    Args:
        total: frames to come; 0 = unknown.
        visible: whether to show anything at all.

    Yields:
        What is called after each frame.
    """
    console = Console(stderr=True)
    if not visible or not console.is_terminal:
        yield lambda: None
        return
    columns = (TextColumn("Predicting"), BarColumn(), MofNCompleteColumn(), _Speed(), TimeRemainingColumn())
    progress = Progress(*columns, console=console)
    task = progress.add_task("", total=total or None)
    appears = time.monotonic() + _PATIENCE_S

    def advance() -> None:
        progress.advance(task)
        if not progress.live.is_started and time.monotonic() >= appears:
            progress.start()

    try:
        yield advance
    finally:
        progress.stop()


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} frames/s" if task.speed else "")
