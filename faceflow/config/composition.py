"""A command's config from Python, so that defaults have one home."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from faceflow.config.instantiate import plain_dict
from faceflow.config.paths import config_dir
from faceflow.errors import ConfigError


def compose_config(entry: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Compose the config of `faceflow-ENTRY` with overrides as on its command line, resolved to plain values.

    Raises:
        ConfigError: an override that does not fit.
    """
    try:
        with initialize_config_dir(config_dir(), version_base="1.3"):
            return plain_dict(compose(entry, overrides=list(overrides)))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(" ".join(str(error).split())) from error
