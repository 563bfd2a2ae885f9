"""Progress on a terminal: bars and waiting texts on stderr, since stdout may be the table."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

PATIENCE_S = 2.0  # shorter work shows no bar
_REFRESH_S = 0.1


def shows_bars() -> bool:
    """Whether stderr is a terminal that can redraw a line, and this is the first process of a run on it."""
    return os.environ.get("LOCAL_RANK", "0") == "0" and Console(file=sys.stderr).is_interactive


class Bar:
    """Counts finished items; see `progress_bar`."""

    def __init__(self, display: Progress | None, patience_s: float = 0.0) -> None:
        self._display = display
        self._next = time.monotonic() + patience_s

    def advance(self, count: int = 1) -> None:
        """Count finished items, and redraw the bar when it is due."""
        if self._display is None:
            return
        (task,) = self._display.tasks
        self._display.advance(task.id, count)
        # Redrawn by the caller, not by a thread: processes may be forked in the meantime and would inherit its locks.
        if (now := time.monotonic()) >= self._next:
            self._display.start()
            self._display.refresh()
            self._next = now + _REFRESH_S

    def note(self, text: str) -> None:
        """Show a text after the bar, from the next redraw on."""
        if self._display is not None:
            (task,) = self._display.tasks
            self._display.update(task.id, note=text)


@contextlib.contextmanager
def progress_bar(
    title: str, total: int | Callable[[], int], *, unit: str, visible: bool = True, patience_s: float = PATIENCE_S
) -> Iterator[Bar]:
    """Show progress, speed and the time left while the block runs.

    Only on a terminal, and only after `patience_s`.

    Args:
        title: what is being done.
        total: number of items, 0 = unknown; or a function that counts them, called only if there is a terminal.
        unit: of the items, such as "frames".
        visible: whether to show anything at all.
        patience_s: seconds before the bar appears.
    """
    if not visible or not shows_bars():
        yield Bar(None)
        return
    columns = (
        TextColumn("{task.description}", markup=False, table_column=_one_line()),
        BarColumn(bar_width=20),
        MofNCompleteColumn(table_column=_one_line()),
        _Speed(unit, table_column=_one_line()),
        TimeRemainingColumn(table_column=_one_line()),
        TextColumn("{task.fields[note]}", markup=False, table_column=_one_line()),
    )
    display = Progress(*columns, console=Console(file=sys.stderr), auto_refresh=False, transient=True)
    display.add_task(title, total=(total() if callable(total) else total) or None, note="")
    try:
        yield Bar(display, patience_s)
    finally:
        display.stop()


@contextlib.contextmanager
def waiting(text: str) -> Iterator[None]:
    """Show on a terminal what is being done while the block runs, if nothing can be counted."""
    with Console(file=sys.stderr).status(f"{text} ..."):
        yield


def _one_line() -> Column:
    return Column(no_wrap=True, overflow="ellipsis")


class _Speed(ProgressColumn):
    def __init__(self, unit: str, *, table_column: Column) -> None:
        super().__init__(table_column)
        self.unit = unit

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} {self.unit}/s" if task.speed else "")
