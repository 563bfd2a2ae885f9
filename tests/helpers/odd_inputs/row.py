"""A row of the table of bad and odd inputs, and data shared by the rows."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.helpers.exported import intensity_contract, write_model
from tests.helpers.faces import write_csv_dataset
from tests.helpers.markers import MARKERS, face_at, write_photo
from tests.integration.command import AUS, SMALL, Outcome

TRAIN = (*SMALL, "data=csv", "data.labels={folder}/faces/labels.csv", "data.images={folder}/faces/images")
INFER = ("onnx={folder}/model.onnx", "source={folder}/photos", "output={folder}/out.csv", *MARKERS)
CROP = ("source={folder}/photos", "output={folder}/crops", *MARKERS)
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab\nsize 12345\n"
PAGE = "<!DOCTYPE html>\n<html><title>Google Drive - Quota exceeded</title></html>\n"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """An input from real use and what the command does: one line and exit code 2, or the right result.

    `thread` is the public thread that reports it, if it has a `#`. `{folder}` in overrides, lines and the script of the
    shell is the scratch folder; `*` in a line is text from a library or a number that depends on the machine.
    """

    fed: str
    thread: str
    command: str
    overrides: tuple[str, ...] = ()
    prepare: Callable[[Path], object] = lambda folder: None
    line: str = ""
    right: str = ""
    check: Callable[[Outcome, Path], None] | None = None
    code: int = 0
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    shell: str = ""

    def pattern(self, folder: Path) -> str:
        """Regular expression for the line."""
        return re.escape(self.line.replace("{folder}", str(folder))).replace(r"\*", ".*")


def faces(folder: Path) -> None:
    """Ten subjects, four images each; each AU is active in half of them."""
    write_csv_dataset(folder / "faces", aus=AUS, subjects=10, frames=4)


def labels(change: Callable[[str], str]) -> Callable[[Path], None]:
    """Write `faces` with a change to the text of their labels."""

    def prepare(folder: Path) -> None:
        faces(folder)
        path = folder / "faces/labels.csv"
        path.write_text(change(path.read_text("utf-8")), encoding="utf-8")

    return prepare


def photos(folder: Path) -> None:
    """A model and a photograph of one face."""
    write_model(folder / "model.onnx", intensity_contract(image_size=32))
    write_photo(folder / "photos/a.png", face_at(40, 40))


def page(rows: Mapping[str, list[Row]]) -> str:
    """The table in Markdown, by subject."""
    count = sum(map(len, rows.values()))
    parts = [
        "# Bad and odd inputs",
        f"This page lists {count} unusual or invalid inputs from real use, and what the commands do with each: print "
        "one line and exit with 2, or give the right result. `tests/integration/test_odd_inputs.py` tests them all\n"
        "and writes this page; `…` stands for text from a library or a number that depends on the machine.",
    ]
    for title, group in rows.items():
        lines = [f"## {title}", "", "| Input | Command | What happens | Seen in |", "|---|---|---|---|"]
        for row in group:
            printed = row.line.replace("{folder}/", "").replace("{folder}", "folder").replace("*", "…")
            fence = "``" if "`" in printed else "`"
            outcome = row.right or f"{fence}{printed}{fence}"
            lines.append(f"| {row.fed} | {row.command} | {outcome.replace('|', '&#124;')} | {_link(row.thread)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _link(thread: str) -> str:
    repository, _, number = thread.partition("#")
    return f"[{thread}](https://github.com/{repository}/issues/{number})" if number else ""
