"""The search is registered as a Hydra plugin, with or without other plugins installed."""

from __future__ import annotations

import sys
import types

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper

from faceflow.sweep.search import OptunaSweeper, register


@pytest.mark.parametrize("others", [True, False], ids=["beside other plugins", "alone"])
def test_the_search_is_registered_again_and_again(others: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "hydra_plugins"]:
        monkeypatch.delitem(sys.modules, name)
    if not others:
        monkeypatch.setitem(sys.modules, "hydra_plugins", types.ModuleType("hydra_plugins"))  # without __spec__
    for _ in range(2):
        register()
    assert OptunaSweeper in Plugins.instance().discover(Sweeper)
    assert sys.modules["hydra_plugins.faceflow"].OptunaSweeper is OptunaSweeper
