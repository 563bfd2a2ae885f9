from __future__ import annotations

from collections.abc import Iterator

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from faceflow.config.paths import config_dir
from faceflow.config.running_job import overridden


@pytest.fixture
def job() -> Iterator[None]:
    """A command that sets some values of the weak view, and the options of two groups."""
    given = ["transforms.weak.affine.p=0.5", "transforms@transforms.strong=medium", "augment=medium", "++lossy=1"]
    with initialize_config_dir(config_dir(), version_base="1.3"):
        HydraConfig.instance().set_config(compose("train", ["hydra.run.dir=/o", *given], return_hydra_config=True))
    yield
    HydraConfig.instance().cfg = None


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("transforms.weak", True),
        ("transforms.weak.affine.p", True),
        ("transforms.strong", True),
        ("transforms.labeled", False),
        ("transforms.weak.affine.p.more", False),
        ("loss", False),
        ("lossy", True),
    ],
)
def test_overridden_keys_are_detected(key: str, expected: bool) -> None:
    assert overridden(key) is expected


def test_without_a_command_nothing_is_set() -> None:
    assert not overridden("transforms.weak")
