"""Random collections of faces with known true subjects: ids in many spellings, links, copies, moved files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from tests.helpers.faces import source_settings, unlabeled_settings

_STYLES = (
    ("{0}", "{0:03d}", "{0}.0", " {0}"),
    ("S{0}", "s{0}", "S{0:02d}"),
    ("Åse {0}", "åse {0}", "Åse  {0}", "A\u030ase {0}"),
)


@dataclass(frozen=True)
class Row:
    """A face as its file names it: `subject` is the id, in any spelling; None if there is no subject."""

    picture: tuple[int, int]  # true subject, number
    subject: tuple[str, int, int] | None  # namespace, style, subject


@dataclass
class Population:
    """Subjects 1, 2, ..., with a few images each, and the files that show them."""

    folder: Path
    rng: np.random.Generator
    rows: dict[str, Row] = field(default_factory=dict)
    _count: int = 0

    def csv(self, namespace: str, people: Iterable[int], *, labels: bool, named: bool) -> Path:
        """Write a CSV of some images of some subjects, beside the images."""
        self._count += 1
        folder = self.folder / f"set{self._count}"
        folder.mkdir()
        style = int(self.rng.integers(len(_STYLES)))
        rows = []
        for who in people:
            for number in self.rng.choice(4, int(self.rng.integers(1, 4)), replace=False).tolist():
                name = f"{len(rows):02d}.png"
                stated = who if self.rng.random() < 0.98 else int(self.rng.integers(1, 9))  # a typing error
                self._show(folder / name, who, number)
                subject = (namespace, style, stated) if named else None
                self.rows[str(folder / name)] = Row((who, number), subject)
                spelled = str(self.rng.choice(_STYLES[style])).format(stated)
                au = int(self.rng.integers(0, 6))
                rows.append({"AU12": au, "filename": name, "subject": spelled})
        dropped = ([] if labels else ["AU12"]) + ([] if named else ["subject"])
        pd.DataFrame(rows, columns=["AU12", "filename", "subject"]).drop(columns=dropped).to_csv(
            folder / f"{self.rng.choice(['labels', 'faces', f'v{self._count}'])}.csv", index=False
        )
        return next(folder.glob("*.csv"))

    def some(self, least: int, people: Iterable[int] = range(1, 10)) -> list[int]:
        """Draw at least this many subjects."""
        pool = np.array(list(people))
        return sorted(self.rng.choice(pool, int(self.rng.integers(least, len(pool) + 1)), replace=False).tolist())

    def sources(self) -> dict[str, dict[str, Any]]:
        """Settings of one to three labelled sets, as one CSV or one per split; some share subjects."""
        found = {}
        for key in ("csv", "mine", "theirs")[: int(self.rng.integers(1, 4))]:
            identities = "own" if key == "csv" else str(self.rng.choice([key, "own", "people"]))
            named = self.rng.random() < 0.85
            state = {"identities": identities, "bad_images": "skip"}
            if self.rng.random() < 0.25:
                parts = np.array_split(self.rng.permutation(np.arange(1, 10)), 3)
                who = [[*part.tolist(), *self.rng.choice(9, int(self.rng.random() < 0.3)) + 1] for part in parts]
                files = [self.csv(identities, people, labels=True, named=named) for people in who]
                common = Path(os.path.commonpath(files))
                moved = {
                    split: self._relative(file, common)
                    for split, file in zip(("train", "val", "test"), files, strict=True)
                }
                found[key] = source_settings(**moved, images=common, **state)
            else:
                found[key] = source_settings(
                    labels=self.csv(identities, self.some(5), labels=True, named=named), **state
                )
        return found

    def pools(self) -> dict[str, dict[str, Any]]:
        """Settings of one or two unlabelled sets, CSVs or folders."""
        found = {}
        for key in ("own", "more")[: int(self.rng.integers(1, 3))]:
            identities = "own" if key == "own" else str(self.rng.choice(["people", "own", "more"]))
            file = self.csv(identities, self.some(4), labels=False, named=self.rng.random() < 0.7)
            if self.rng.random() < 0.3:
                for path in file.parent.glob("*.png"):
                    self.rows[str(path)] = Row(self.rows[str(path)].picture, None)
                found[key] = unlabeled_settings(file.parent, identities=identities)
            else:
                found[key] = unlabeled_settings(file, identities=identities)
        return found

    def people_of(self, files: Iterable[str], *, mean_nothing: str | None = None) -> list[set[str]]:
        """Files that show one subject according to ids and images; ids of one namespace can be ignored."""
        graph = nx.Graph()
        for file in files:
            row = self.rows[file]
            graph.add_edge(file, row.picture)
            if row.subject and row.subject[0] != mean_nothing:
                graph.add_edge(file, row.subject)
        return [{node for node in part if isinstance(node, str)} for part in nx.connected_components(graph)]

    def _show(self, path: Path, subject: int, number: int) -> None:
        """Write an image, or a link to a file that already shows it."""
        there = [file for file, row in self.rows.items() if row.picture == (subject, number)]
        way = self.rng.choice(["new", "symlink", "hardlink", "copy"]) if there else "new"
        if way == "symlink":
            path.symlink_to(there[0])
        elif way == "hardlink":
            os.link(there[-1], path)
        elif way == "copy":
            shutil.copyfile(there[0], path)
        else:
            path.write_bytes(b"\x89PNG\r\n\x1a\n" + f"face {number} of {subject}".encode() + b"IEND\xaeB`\x82")

    def _relative(self, file: Path, common: Path) -> Path:
        """The same CSV with file names relative to a common folder."""
        frame = pd.read_csv(file, dtype=str, keep_default_na=False)
        frame["filename"] = [str((file.parent / name).relative_to(common)) for name in frame["filename"]]
        frame.to_csv(file, index=False)
        return file
