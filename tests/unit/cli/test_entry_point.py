"""What all commands share."""

from __future__ import annotations

import copy
import pickle

from hydra.core.config_store import ConfigStore

import faceflow.cli.entry_point  # noqa: F401


def test_the_store_of_configs_is_not_copied_but_pickled() -> None:
    store = ConfigStore.instance()
    assert copy.deepcopy({"store": store})["store"] is store, "--help would take twice as long"
    restored = pickle.loads(pickle.dumps(store))
    assert restored is not store, "workers of launchers get what was registered here"
    assert restored.repo.keys() == store.repo.keys()
