"""Further results of a test or a protocol, beside the scores of its network, and how they are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from rich.table import Table

from faceflow.report.face_tiles import DPI
from faceflow.report.figure_page import save
from faceflow.report.pictures import FOLDER
from faceflow.report.result_files import marked, write_table


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A part of a report.

    Attributes:
        tables: for the terminal and the report page.
        frame: the same for a CSV in the folder of the run, named `file`.
        entry: key in metrics.json for `content`; "" for none.
        figures: drawing functions by file name.
        draw: writes pictures that are not figures into a run folder, and returns their files.
    """

    tables: Sequence[Table] = ()
    file: str = ""
    frame: pd.DataFrame | None = None
    entry: str = ""
    content: Any = None
    figures: Mapping[str, Callable[[], Figure]] = field(default_factory=dict)
    draw: Callable[[Path], Sequence[Path]] = lambda output: ()

    def write(self, output: Path, protocol: Mapping[str, str]) -> None:
        """Write the CSV into the folder of a run.

        Raises:
            DataError: it cannot be written.
        """
        if self.frame is not None:
            write_table(output / self.file, marked(self.frame, protocol))

    def draw_all(self, output: Path) -> list[Path]:
        """Draw all pictures into the folder of a run, and return their files.

        Raises:
            DataError: a file cannot be written.
        """
        figures = [save(draw(), output / FOLDER / name, dpi=DPI) for name, draw in self.figures.items()]
        return [*figures, *self.draw(output)]
