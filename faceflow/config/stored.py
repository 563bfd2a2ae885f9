"""The config that a run keeps beside its results, ready to be run again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from faceflow.errors import ConfigError
from faceflow.files import whole_file

_HEADER = """\
# Repeat this run: faceflow-{task} --config-dir {folder} --config-name config
defaults:
  - layout@hydra: run
  - help@hydra.help: {task}
  - _self_

"""


def store_config(cfg: DictConfig, output: Path) -> dict[str, Any]:
    """Write the resolved config as config.yaml into the run folder.

    Only the run folder itself stays open, so that a repeated run gets a folder of its own.

    Returns:
        The same as plain containers.

    Raises:
        DataError: it cannot be written.
    """
    resolved = resolved_config(cfg, output)
    text = _HEADER.format(task=cfg.task, folder=output) + OmegaConf.to_yaml(OmegaConf.create(resolved))
    with whole_file(output / "config.yaml") as partial:  # every process of a DDP run comes by here
        partial.write_text(text, encoding="utf-8")
    return resolved


def resolved_config(cfg: DictConfig, output: Path) -> dict[str, Any]:
    """Resolve a config as `store_config` writes it, without the file."""
    resolved: dict[str, Any] = _reopen(OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True), str(output))
    resolved["paths"]["output"] = "${hydra:runtime.output_dir}"
    if "overwrite" in resolved:
        resolved["overwrite"] = False  # whoever repeats the run must say so again
    return resolved


def read_config(output: Path) -> dict[str, Any]:
    """Read what `store_config` wrote into a run folder.

    Raises:
        ConfigError: no config.yaml, or one that is damaged.
    """
    path = output / "config.yaml"
    try:
        stored: Any = OmegaConf.to_container(OmegaConf.load(path))
        return {key: value for key, value in stored.items() if key != "defaults"}
    except (OSError, YAMLError, AttributeError) as error:
        raise ConfigError(
            f"{path}: expected the config of an earlier run, got none that can be read; remove '{output}' to start anew"
        ) from error


def _reopen(value: Any, output: str) -> Any:
    """Refer to the run folder by its key again."""
    if isinstance(value, dict):
        return {key: _reopen(item, output) for key, item in value.items()}
    if isinstance(value, list):
        return [_reopen(item, output) for item in value]
    if isinstance(value, str) and (value == output or value.startswith(output + os.sep)):
        return "${paths.output}" + value.removeprefix(output)
    return value
