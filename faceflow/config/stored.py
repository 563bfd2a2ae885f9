"""The config that a run stores next to its results, ready to be run again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from faceflow.config.path_arguments import escaped
from faceflow.errors import ConfigError
from faceflow.files import whole_file

_HEADER = """\
# Repeat this run: faceflow-{task} --config-dir {folder} --config-name config
defaults:
  - layout@hydra: run
  - help@hydra.help: {task}
  - _self_

"""


def stored_config(config: DictConfig) -> dict[str, Any]:
    """Resolve a config for config.yaml: only the run folder stays open, so that a repeated run gets its own folder."""
    plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    stored: dict[str, Any] = _reopen(plain, str(Path(config.paths.output)))
    stored["paths"]["output"] = "${hydra:runtime.output_dir}"
    if "overwrite" in stored:
        stored["overwrite"] = False  # must be set again to repeat the run
    return stored


def store_config(stored: Mapping[str, Any], output: Path) -> None:
    """Write what `stored_config` gave as config.yaml into a run folder.

    Raises:
        DataError: the file cannot be written.
    """
    folder = quote(str(output)).replace("\n", "\n# ")
    text = _HEADER.format(task=stored["task"], folder=folder) + config_text(stored)
    with whole_file(output / "config.yaml") as partial:
        partial.write_text(text, encoding="utf-8")


def config_text(stored: Mapping[str, Any]) -> str:
    """A stored config as YAML."""
    return OmegaConf.to_yaml(OmegaConf.create(dict(stored)))


def read_config(output: Path) -> dict[str, Any]:
    """Read what `store_config` wrote into a run folder.

    Raises:
        ConfigError: config.yaml is missing or damaged.
    """
    path = output / "config.yaml"
    try:
        stored: Any = OmegaConf.to_container(OmegaConf.load(path))
        return {key: value for key, value in stored.items() if key != "defaults"}
    except (OSError, YAMLError, AttributeError) as error:
        raise ConfigError(
            f"{path}: expected the config of an earlier run, got none that can be read; remove '{output}' to start over"
        ) from error


def _reopen(value: Any, output: str) -> Any:
    """Refer to the run folder by its key again; any other ${...} is part of a text."""
    if isinstance(value, dict):
        return {key: _reopen(item, output) for key, item in value.items()}
    if isinstance(value, list):
        return [_reopen(item, output) for item in value]
    if isinstance(value, str) and (value == output or value.startswith(output + os.sep)):
        return "${paths.output}" + escaped(value.removeprefix(output))
    return escaped(value) if isinstance(value, str) else value
