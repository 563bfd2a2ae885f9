"""A figure as a page: a headline with the protocol below it; positions are in inches from the top left."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from faceflow.files import whole_file
from faceflow.report.palette import GRAY, INK

SMALL, MEDIUM, HEADING, TITLE = 7.5, 8.0, 9.5, 15.0  # points
WIDTH, MARGIN = 14.0, 0.4  # inches

_LINE = 0.16  # inches
_COMPRESSION = 3  # of 9: more would take most of the time of a picture and save little
_TITLE_LETTERS, _PROTOCOL_LETTERS, _PROTOCOL_LINES = 100, 215, 4


@dataclass(frozen=True)
class Page:
    """A figure of fixed width with a headline; its content begins `top` inches from the upper edge."""

    figure: Figure
    height: float
    top: float

    @classmethod
    def open(cls, title: str, protocol: Mapping[str, str], body: float) -> Page:
        """Begin a page.

        Args:
            title: headline.
            protocol: how data were split and what labels mean; the caption.
            body: height of the content, in inches.
        """
        caption = "; ".join(f"{key}: {text}" for key, text in protocol.items())
        lines = textwrap.wrap(caption, _PROTOCOL_LETTERS, max_lines=_PROTOCOL_LINES, placeholder=" ...")
        top = MARGIN + 0.2 + _LINE * len(lines)
        page = cls(Figure(figsize=(WIDTH, top + body), facecolor="white"), top + body, top)
        page.text(MARGIN, MARGIN, textwrap.shorten(title, _TITLE_LETTERS, placeholder=" ..."), TITLE, bold=True)
        for number, line in enumerate(lines):
            page.text(MARGIN, MARGIN + 0.28 + _LINE * number, line, MEDIUM, color=GRAY)
        return page

    def point(self, left: float, top: float) -> tuple[float, float]:
        """Position in fractions of the figure, as matplotlib expects it."""
        return left / WIDTH, 1 - top / self.height

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Add a plot without its upper and right border."""
        axes = self.figure.add_axes((*self.point(left, top + height), width / WIDTH, height / self.height))
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=SMALL, length=2.5)
        return axes

    def canvas(self) -> Axes:
        """Add empty axes over the whole page whose coordinates are inches from its top left corner."""
        axes = self.figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, WIDTH), ylim=(self.height, 0))
        axes.set_axis_off()
        return axes

    def text(
        self,
        left: float,
        top: float,
        text: str,
        size: float,
        *,
        color: str = INK,
        bold: bool = False,
        italic: bool = False,
        align: str = "left",
    ) -> None:
        """Write one line, vertically centred on `top`."""
        self.figure.text(
            *self.point(left, top),
            text,
            size=size,
            color=color,
            weight="bold" if bold else "normal",
            style="italic" if italic else "normal",
            ha=align,
            va="center",
            parse_math=False,
        )


def save(figure: Figure, path: Path, *, dpi: int) -> Path:
    """Write a figure as PNG and return its path.

    Raises:
        DataError: the file cannot be written.
    """
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", dpi=dpi, pil_kwargs={"compress_level": _COMPRESSION})
    return path


def missing_class(positives: int, observed: int) -> str:
    """Reason why an AU has no curve; empty if it has one."""
    if observed == 0:
        return "no labels"
    return "no positives" if positives == 0 else "no negatives" if positives == observed else ""


def rounded(value: float) -> str:
    """Format with two decimals, never as -0.00; a dash if undefined."""
    return f"{value:z.2f}" if np.isfinite(value) else "-"


def panels_across(count: int, aspect: float) -> int:
    """Number of columns that fills an area of width / height `aspect` with nearly square panels and few gaps."""

    def cost(across: int) -> float:
        down = math.ceil(count / across)
        return abs(math.log(aspect * down / across)) + across * down / count

    return min(range(1, count + 1), key=cost)
