"""The pictures of a complete test: which are written for many AUs and for almost no data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceflow.aus import DESCRIPTIONS
from faceflow.report.pictures import PICTURES, draw_pictures, draw_training_curves
from tests.helpers.results import SOME, images, make_results, random_results

PROTOCOL = {"split": "val 30% and test 20% of the subjects, seed 0"}


def drawn(paths: list[Path], output: Path) -> list[str]:
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    assert sorted(paths) == sorted(output.rglob("*.*"))
    return [str(path.relative_to(output)) for path in paths]


def test_intensity_networks_get_one_picture_more(tmp_path: Path) -> None:
    results = random_results(SOME, 20, files=images(tmp_path / "..", 12) + ["absent.png"] * 8, grades=np.ones(3))
    paths = draw_pictures(results, title="Test", protocol=PROTOCOL, output=tmp_path)
    files = [picture.file for picture in PICTURES if picture.file != "centred.png"]
    assert "confusion_intensity.png" in files
    assert drawn(paths, tmp_path) == ["results.png", *(f"pictures/{file}" for file in files[1:])]


@pytest.mark.slow
@pytest.mark.parametrize("case", ["many AUs", "no rows", "no labels", "one face"])
def test_every_amount_of_data_makes_pictures_without_warnings(case: str, tmp_path: Path) -> None:
    results = {
        "many AUs": lambda: random_results(tuple(f"AU{number}" for number in DESCRIPTIONS)[:21], 40),
        "no rows": lambda: make_results(SOME, np.zeros((0, 3)), np.zeros((0, 3)), files=[]),
        "no labels": lambda: make_results(SOME, np.full((5, 3), 0.5), np.zeros((5, 3)), False, grades=np.ones(3)),
        "one face": lambda: random_results(("AU1",), 1),
    }[case]()
    names = drawn(draw_pictures(results, title=case, protocol=PROTOCOL, output=tmp_path), tmp_path)
    assert "pictures/confusion_intensity.png" not in names
    assert ("pictures/cooccurrence.png" in names) == (len(results.aus) > 1)


def test_a_run_without_history_has_no_curves(tmp_path: Path) -> None:
    assert draw_training_curves(tmp_path, monitor="val/f1_val", best=0.5, protocol={}) == []
    (tmp_path / "metrics.csv").write_text("epoch,train/loss\n0,0.5\n", "utf-8")
    paths = draw_training_curves(tmp_path, monitor="val/f1_val", best=0.5, protocol={})
    assert [path.name for path in paths] == ["training.png"]
