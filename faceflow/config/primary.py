"""The primary config of a command, read from its file: the groups and keys that the command takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from faceflow.config.paths import config_dir


@dataclass(frozen=True, kw_only=True)
class Primary:
    """What a command takes: `choices` of its defaults list, such as transforms@transforms.eval, and top-level keys."""

    choices: tuple[str, ...]
    keys: tuple[str, ...]

    @property
    def groups(self) -> list[str]:
        """Folders of the choices and the folders in them, such as data and data/unlabeled."""
        root = Path(config_dir())
        outer = list(dict.fromkeys(choice.partition("@")[0] for choice in self.choices))
        inner = (path for group in outer for path in sorted((root / group).rglob("*")) if path.is_dir())
        return list(dict.fromkeys([*outer, *(str(path.relative_to(root)) for path in inner)]))


def read_primary(command: str) -> Primary:
    """Read the primary config of a command, without Hydra's own groups and the configs of this machine."""
    content = yaml.safe_load((Path(config_dir()) / f"{command}.yaml").read_text("utf-8"))
    keys = tuple(key for key in content if key not in ("defaults", "hydra"))
    return Primary(choices=tuple(_choices(content["defaults"])), keys=keys)


def options(primary: Primary, folder: Path) -> list[str]:
    """Options of a group that a command takes; sets of overrides count if they use only its groups and keys."""
    return sorted(path.stem for path in folder.glob("*.yaml") if _fits(primary, path))


def _fits(primary: Primary, path: Path) -> bool:
    text = path.read_text("utf-8")
    if not text.startswith("# @package _global_"):
        return True
    content = yaml.safe_load(text)
    groups = {group.removeprefix("override /") for entry in content.pop("defaults", []) for group in _names(entry)}
    return content.keys() <= {*primary.keys, *primary.groups, "hydra"} and groups <= {*primary.choices, *primary.groups}


def _names(entry: str | dict[str, str | None]) -> list[str]:
    """Groups that an entry of a defaults list overrides."""
    names = list(entry) if isinstance(entry, dict) else []
    return [name for name in names if name.startswith("override /") and not name.startswith("override /hydra")]


def commands_with(name: str) -> list[str]:
    """Commands that take a top-level key or a group."""
    commands = sorted(path.stem for path in Path(config_dir()).glob("*.yaml"))
    return [command for command in commands if name in (*(found := read_primary(command)).keys, *found.groups)]


def _choices(defaults: list[str | dict[str, str | None]]) -> Iterator[str]:
    for entry in defaults:
        if isinstance(entry, dict):
            for group in entry:
                if not group.startswith("optional ") and not group.partition("@")[2].startswith("hydra"):
                    yield group
