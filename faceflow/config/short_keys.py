"""Short keys on the command line: Hydra reads the name of a config folder as a choice of its options."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import yaml

from faceflow.config.paths import config_dir


def spelled_out(command: str, overrides: Sequence[str]) -> list[str]:
    """Write out the short keys of a command, such as model=fast as model.name=fast; others stay unchanged."""
    keys = _short_keys().get(command, {})
    spelled = []
    for override in overrides:
        key, equals, value = override.partition("=")
        name = key.lstrip("+")
        short = equals and name in keys and not value.startswith("{")  # a mapping sets keys of the section itself
        spelled.append(f"{key.removesuffix(name)}{keys[name]}={value}" if short else override)
    return spelled


@functools.cache
def _short_keys() -> dict[str, dict[str, str]]:
    """Command -> short key -> key."""
    text = Path(config_dir(), "command_line", "short_keys.yaml").read_text("utf-8")
    content: dict[str, dict[str, str]] = yaml.safe_load(text)
    return content
