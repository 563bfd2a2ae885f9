"""Every command, group, option and key of `configs/`, with defaults and comments."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from faceflow.config.paths import config_dir
from faceflow.config.primary import Primary, read_primary
from generated.markdown import code, plain, table
from generated.yaml_comments import Choice, ConfigFile, Key, read_config

PAGE = "reference/configs"
_HIDDEN = ("help", "command_line", "layout")  # groups without a choice for users
_REQUIRED = "???"
_CONSTRUCTOR = "_target_"  # names the class that an option builds


@functools.cache
def markdown() -> str:
    """The page below its introduction."""
    root = Path(config_dir())
    commands = {path.stem: read_primary(path.stem) for path in sorted(root.glob("*.yaml"))}
    known = groups(root)
    parts = ["## Commands", *(_command(root, command, known) for command in commands)]
    parts += ["## Groups", *(_group(root, group, known, commands) for group in known)]
    return "\n\n".join(parts) + "\n"


def groups(root: Path) -> list[str]:
    """Groups in alphabetical order, such as data and data/unlabeled."""
    folders = (path for path in root.rglob("*") if path.is_dir() and any(path.glob("*.yaml")))
    names = sorted(str(path.relative_to(root)) for path in folders)
    return [name for name in names if name.partition("/")[0] not in (*_HIDDEN, "local")]


def target(group: str) -> str:
    """Link target of a group on the page."""
    return f"group-{group.replace('/', '-').replace('_', '-')}"


def _command(root: Path, command: str, known: list[str]) -> str:
    content = _read(root / f"{command}.yaml")
    about = content.about.removeprefix(f"faceflow-{command}: ")
    about = about[:1].upper() + about[1:]
    return "\n\n".join([f"### faceflow-{command}", plain(about, page=PAGE), *_tables(content, "", known)])


def _group(root: Path, group: str, known: list[str], commands: Mapping[str, Primary]) -> str:
    parts = [f"({target(group)})=\n### {group}"]
    takers = {command: primary for command, primary in commands.items() if group in primary.groups}
    if takers:
        parts.append(f"Used by {', '.join(f'faceflow-{command}' for command in takers)}.")
    for path in sorted((root / group).glob("*.yaml")):
        content = _read(path)
        place = _place(group, takers.values()) if content.package is None else content.package
        prefix = "" if place == "_global_" else f"{place}."
        parts += [f"#### {group}={path.stem}", plain(content.about, page=PAGE), *_tables(content, prefix, known)]
    return "\n\n".join(part for part in parts if part)


def _place(group: str, takers: Iterable[Primary]) -> str:
    """Key that gets the values of a group: its name, or the key that the first command with this group uses."""
    choices = [choice.partition("@") for primary in takers for choice in primary.choices]
    places = (place for name, _, place in choices if name == group and place)
    return next(places, group.replace("/", "."))


def _tables(content: ConfigFile, prefix: str, known: list[str]) -> Iterator[str]:
    choices = [choice for choice in content.choices if choice.group.partition("@")[0] in known]
    if choices:
        yield table(("Group", "Meaning"), map(_choice_row, choices))
    keys = [key for key in content.keys if not _hidden(key)]
    if keys:
        yield table(("Key", "Meaning"), (_key_row(key, prefix) for key in keys))


def _choice_row(choice: Choice) -> tuple[str, ...]:
    name = choice.group.partition("@")[0]
    return f"[{code(f'{choice.group}={choice.option}')}](#{target(name)})", plain(choice.comment, page=PAGE)


def _key_row(key: Key, prefix: str) -> tuple[str, ...]:
    name = f"{prefix}{key.name}"
    if key.default == _REQUIRED:
        setting = f"{code(name)} *required*"
    else:
        setting = code(name if key.default is None else f"{name}={key.default}")
    return setting, plain(key.comment, page=PAGE)


def _hidden(key: Key) -> bool:
    return key.name == _CONSTRUCTOR or key.name.endswith(f".{_CONSTRUCTOR}") or key.name in ("task", "defaults")


def _read(path: Path) -> ConfigFile:
    return read_config(path.read_text("utf-8"))
