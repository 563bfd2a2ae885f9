"""Packed sets stand for folders: training, tests and checks of the data come to the same numbers."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from tests.helpers.features import give_features, random_vectors
from tests.integration.command import Faces, Outcome, make_faces, run, train

HIDDEN = ("method=fixmatch", "loader.mu=1", "split.labeled=0.5")
FEATURES = ("model=features", "model.backbone=null", "model.hidden=8", "model.components=6")


@dataclasses.dataclass(frozen=True)
class Both:
    """One data set as a folder and packed."""

    faces: Faces
    pack: Path

    @property
    def packed(self) -> tuple[str, ...]:
        return ("data=csv", f"data.labels={self.pack}")

    @property
    def folder(self) -> tuple[str, ...]:
        return ("data=csv", f"data.labels={self.faces.csv}")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    """Faces with features, named by a table with a line that is there twice and one of another spelling."""
    root = tmp_path_factory.mktemp("packed")
    faces = make_faces(root / "faces")
    (faces.folder / "images").rename(faces.folder / "crops")
    table = faces.read()
    give_features(
        faces.folder, [faces.folder / "crops" / name for name in table["filename"]], random_vectors(len(table))
    )
    table.loc[len(table)] = table.loc[0]
    table.loc[3, "filename"] = "./" + table.loc[3, "filename"]
    faces.write(table)
    outcome = run("pack", root / "out", f"labels={faces.csv}", f"output={root / 'pack'}", "shard_mb=0.01")
    assert outcome.code == 0, outcome.stderr
    assert len(list((root / "pack").glob("shard_*.arrow"))) > 2
    return Both(faces, root / "pack")


def results(outcome: Outcome) -> str:
    """Metrics and losses of a run, and what it printed, without times and its own paths."""
    table = outcome.table("metrics.csv")
    kept = [name for name in table.columns if not name.startswith("speed")]
    content = {
        "metrics": outcome.metrics(),
        "losses": table[kept].to_dict(),
        "printed": outcome.stdout.split("Done")[0],
    }
    text = json.dumps(content, sort_keys=True, indent=1).replace(str(outcome.folder), "RUN")
    return re.sub(r'"(seconds|images_per_second|peak_[a-z_]+)": [\d.]+', "", text)


@pytest.mark.parametrize(
    "settings",
    [
        (),
        pytest.param(FEATURES, marks=pytest.mark.slow),
        pytest.param(("loader.workers=2",), marks=pytest.mark.slow),
        pytest.param(("loader.cache=ram", "trainer.max_epochs=2", "loader.workers=1"), marks=pytest.mark.slow),
        pytest.param(("loader.cache=disk", "trainer.max_epochs=2"), marks=pytest.mark.slow),
        pytest.param(HIDDEN, marks=pytest.mark.slow),
    ],
    ids=["workers=0", "features", "workers=2", "cache=ram", "cache=disk", "fixmatch"],
)
def test_a_run_ends_with_the_same_numbers(settings: tuple[str, ...], both: Both, tmp_path: Path) -> None:
    folder, packed = (
        train(tmp_path / name, *data, *settings) for name, data in (("folder", both.folder), ("packed", both.packed))
    )
    assert results(packed) == results(folder)
