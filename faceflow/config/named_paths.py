"""Keys of files and folders: an empty text would be read as the current folder or the root."""

from __future__ import annotations

import re
from typing import Any

from omegaconf import DictConfig, OmegaConf

from faceflow.config.path_arguments import is_path
from faceflow.config.values import leaves
from faceflow.errors import ConfigError

_VARIABLE = re.compile(r"\$\{oc\.env:([^,}]+)")


def check_named(config: DictConfig) -> None:
    """Check that no key of a file or folder is an empty text, including one from an empty environment variable.

    Raises:
        ConfigError: names the key, and the variable.
    """
    plain: Any = OmegaConf.to_container(config, resolve=False)
    for place, value in leaves({key: plain[key] for key in plain if key != "hydra"}, lists=True).items():
        key = re.sub(r"(\.\d+)+$", "", place)  # of a list: its own
        variable = _VARIABLE.match(str(value))
        if is_path(key) and (value == "" or (variable and OmegaConf.select(config, place) == "")):
            check_name("", key=key, variable=variable[1] if variable else None)


def check_name(text: str, *, key: str, variable: str | None = None) -> None:
    """Check that the text of a file or folder is not empty.

    Args:
        text: the value of a config key.
        key: its key, for messages.
        variable: environment variable that the text came from.

    Raises:
        ConfigError: it is empty.
    """
    if not text:
        source = f"; the environment variable {variable} is empty: set it, or unset it" if variable else ""
        raise ConfigError(f"{key}: expected a file or folder, got nothing{source or '; name one, or drop the key'}")
