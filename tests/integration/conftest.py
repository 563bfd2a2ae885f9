"""One data set and one finished run, shared read-only by the tests."""

from __future__ import annotations

import pytest

from tests.integration.command import Faces, Outcome, make_faces, train


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    """Ten subjects with four images each; AU1, AU6 and AU12 graded 0-5."""
    return make_faces(tmp_path_factory.mktemp("data") / "faces")


@pytest.fixture(scope="session")
def trained(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A finished run of two epochs on `faces`, with the default logger and all pictures."""
    folder = tmp_path_factory.mktemp("runs") / "trained"
    return train(folder, *faces.overrides, "trainer.max_epochs=2", "logger=default", "pictures=true")
