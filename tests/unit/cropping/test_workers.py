"""A folder never mixes two cropping methods, whichever version started it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from faceflow.cropping.workers import store_recipe
from faceflow.errors import ConfigError
from tests.helpers.cropping import settings
from tests.helpers.markers import MarkerDetector


def test_crops_of_a_version_that_found_no_cuts_and_enlarged_turned_faces_continue_as_they_began(tmp_path: Path) -> None:
    path = tmp_path / "crops.json"
    store_recipe(tmp_path, settings(cuts=False), MarkerDetector())
    stored = json.loads(path.read_text("utf-8"))
    del stored["selection"]["cuts"], stored["align"]["max_enlargement"]
    path.write_text(json.dumps(stored), "utf-8")
    (tmp_path / "crops").mkdir()
    (tmp_path / "crops/a.png").touch()
    store_recipe(tmp_path, settings(cuts=False), MarkerDetector())
    with pytest.raises(ConfigError, match=r"^selection.cuts: expected False as for the crops in .* got True; repeat"):
        store_recipe(tmp_path, settings(cuts=True), MarkerDetector())
    assert json.loads(path.read_text("utf-8")) == stored
