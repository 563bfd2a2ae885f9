"""A command's config from Python, so that defaults have one home."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from faceflow.checks import check_texts
from faceflow.config.instantiate import plain_dict
from faceflow.config.paths import config_dir
from faceflow.errors import ConfigError, suggest

_UNKNOWN_KEY = re.compile(r"Could not override '([^']+)'")


def compose_config(entry: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Compose the config of `faceflow-ENTRY` with overrides as on its command line, resolved to plain values.

    Raises:
        ConfigError: an override that does not fit.
    """
    with initialize_config_dir(config_dir(), version_base="1.3"):
        try:
            config = plain_dict(compose(entry, overrides=list(overrides)))
        except (HydraException, OmegaConfBaseException) as error:
            text = " ".join(str(error).split())
            if unknown := _UNKNOWN_KEY.match(text):
                hint = suggest(unknown[1], _keys(compose(entry)))
                text = f"{unknown[1]}: expected a known key, got an unknown one; {hint}"
            raise ConfigError(text) from error
    check_texts(config, key="")
    return config


def _keys(cfg: DictConfig) -> list[str]:
    """Dotted names of all values."""

    def walk(node: Mapping[str, Any], prefix: str) -> Iterator[str]:
        for name, value in node.items():
            yield f"{prefix}{name}"
            if isinstance(value, Mapping):
                yield from walk(value, f"{prefix}{name}.")

    plain: Any = OmegaConf.to_container(cfg)
    return list(walk(plain, ""))
