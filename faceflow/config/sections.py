"""Sections of a config (loader, split, transforms.weak, ...): a plain value cannot replace one."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from faceflow.config.options import shown, swept_values
from faceflow.config.paths import config_dir
from faceflow.errors import ConfigError

_BLOCK = re.compile(r"^ *([\w-]+): *(?:#.*|\{.*|&.*)?$", re.MULTILINE)  # what may be a mapping
_PACKAGE = re.compile(r"@(?:package )?([\w.]+)")


def check_sections(
    overrides: Sequence[Override], folders: Sequence[Path], *, composed: Callable[[list[str]], DictConfig]
) -> None:
    """Check that no override replaces a section with a plain value, which Hydra would do silently.

    A component (with a `_target_`) may be turned off with null.

    Args:
        overrides: of a command.
        folders: with configs: the built-in one and those of the user.
        composed: composes the config of the command with only some of the overrides.

    Raises:
        ConfigError: names the section and its keys.
    """
    names = _built_in_names().union(*map(_names, folders[1:]))
    suspected = {override.key_or_group: override for override in overrides if _may_replace(override, names, folders)}
    if not suspected:
        return
    others = (override for override in overrides if override.key_or_group not in suspected)
    config = composed([str(override.input_line) for override in others if not override.is_sweep_override()])
    for key, override in suspected.items():
        section = OmegaConf.select(config, key)
        if not isinstance(section, DictConfig) or not len(section):
            continue
        keys = [str(name) for name in section]
        for value in swept_values(override):
            if not isinstance(value, dict) and not (value is None and "_target_" in keys):
                raise _replaced(key, keys, value)


def check_composed(command: str, config: DictConfig) -> None:
    """Check that all sections in the primary config of a command are still sections: a user's file can replace one too.

    Raises:
        ConfigError: names the section and its keys.
    """
    content = yaml.safe_load(Path(config_dir(), f"{command}.yaml").read_text("utf-8"))
    _check_within({key: content[key] for key in content if key not in ("defaults", "hydra")}, config, parent="")


def _check_within(sections: Mapping[str, Any], config: DictConfig, *, parent: str) -> None:
    for name, section in sections.items():
        if not isinstance(section, dict) or name not in config:
            continue
        value = None if OmegaConf.is_missing(config, name) else config[name]
        if not isinstance(value, DictConfig):
            raise _replaced(f"{parent}{name}", list(section), value)
        _check_within(section, value, parent=f"{parent}{name}.")


def _replaced(key: str, keys: Sequence[str], value: object) -> ConfigError:
    first = next((name for name in keys if name != "_target_"), keys[0])
    return ConfigError(
        f"{key}: expected its keys ({', '.join(keys)}), got {shown(value)}; set one of them, such as {key}.{first}=..."
    )


def _may_replace(override: Override, names: frozenset[str], folders: Sequence[Path]) -> bool:
    key = override.key_or_group
    if override.is_delete() or override.package is not None or key.partition(".")[0] == "hydra":
        return False  # Hydra knows the types of its own
    if any((folder / key).is_dir() for folder in folders):  # a group, see `check_options`
        return False
    value = override.value()
    refers = isinstance(value, str) and value.startswith("${")
    return key.rpartition(".")[2] in names and not isinstance(value, dict) and not refers


@functools.cache
def _built_in_names() -> frozenset[str]:
    return _names(Path(config_dir()))


def _names(folder: Path) -> frozenset[str]:
    """Names of all possible sections in the configs of a folder; avoids composing a config again, which is slow."""
    paths = [path for pattern in ("*.yaml", "*/*.yaml", "*/*/*.yaml") for path in folder.glob(pattern)]
    texts = [path.read_text("utf-8", errors="replace") for path in paths]
    blocks = {name for text in texts for name in _BLOCK.findall(text)}
    return frozenset(blocks | {name for text in texts for place in _PACKAGE.findall(text) for name in place.split(".")})
