"""Plain values of a config, and copies of a config with other values."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf


def plain(value: Any) -> Any:
    """Value of a config key; for a node, plain containers with all references resolved."""
    if OmegaConf.is_config(value):
        return OmegaConf.to_container(value, resolve=True, throw_on_missing=True)
    return value


def with_values(config: DictConfig, values: Mapping[str, Any]) -> DictConfig:
    """Copy a config with other values by dotted key; references to them follow."""
    changed = copy.deepcopy(config)
    for key, value in values.items():
        OmegaConf.update(changed, key, value, merge=False)
    return changed


def with_image_size(config: DictConfig, pixels: int) -> DictConfig:
    """Copy the config of a command without `model`, adding the image size that its transforms refer to."""
    merged = OmegaConf.merge(OmegaConf.create({"model": {"image_size": pixels}}), config)
    assert isinstance(merged, DictConfig)
    return merged


def leaves(values: Mapping[Any, Any], *, lists: bool = False) -> dict[str, Any]:
    """Values of nested mappings by dotted key; an empty mapping is a value.

    Args:
        values: the mapping.
        lists: whether list items are leaves by position, instead of whole lists.
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        inner = dict(enumerate(value)) if lists and isinstance(value, list) else value
        if isinstance(inner, Mapping) and inner:
            found |= {f"{key}.{name}": leaf for name, leaf in leaves(inner, lists=lists).items()}
        else:
            found[str(key)] = value
    return found
