"""Every command, group, option and key of `configs/`, with defaults and comments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from faceflow.config.paths import config_dir
from faceflow.config.primary import commands_with, read_primary
from generated.markdown import code, plain, table
from generated.yaml_comments import Choice, ConfigFile, Key, read_config

PAGE = "reference/configs"
_HIDDEN = ("help", "command_line", "layout")  # groups that nobody chooses from
_CONSTRUCTOR = "_target_"  # what code an option builds


def markdown() -> str:
    """The page below its introduction."""
    root = Path(config_dir())
    commands = sorted(path.stem for path in root.glob("*.yaml"))
    parts = ["## Commands", *(_command(root, command) for command in commands)]
    parts += ["## Groups", *(_group(root, group) for group in groups(root))]
    return "\n\n".join(parts) + "\n"


def groups(root: Path) -> list[str]:
    """Groups in alphabetical order, such as data and data/unlabeled."""
    folders = (path for path in root.rglob("*") if path.is_dir() and any(path.glob("*.yaml")))
    names = sorted(str(path.relative_to(root)) for path in folders)
    return [name for name in names if name.partition("/")[0] not in (*_HIDDEN, "local")]


def target(group: str) -> str:
    """Name of the place of a group on the page."""
    return f"group-{group.replace('/', '-').replace('_', '-')}"


def _command(root: Path, command: str) -> str:
    content = _read(root / f"{command}.yaml")
    known = groups(root)
    return "\n\n".join([f"### faceflow-{command}", plain(content.about, page=PAGE), *_tables(content, "", known)])


def _group(root: Path, group: str) -> str:
    parts = [f"({target(group)})=\n### {group}"]
    if commands := commands_with(group):
        parts.append(f"Taken by {', '.join(f'faceflow-{command}' for command in commands)}.")
    place = _place(group)
    for path in sorted((root / group).glob("*.yaml")):
        content = _read(path)
        if content.package == "_global_":
            prefix = ""
        else:
            prefix = f"{place}." if content.package is None else f"{content.package}."
        parts += [f"#### {group}={path.stem}", plain(content.about, page=PAGE)]
        parts += _tables(content, prefix, groups(root))
    return "\n\n".join(part for part in parts if part)


def _place(group: str) -> str:
    """Where the values of a group go: under its name, or where the first command that has it puts them."""
    for command in commands_with(group):
        for choice in read_primary(command).choices:
            name, _, package = choice.partition("@")
            if name == group and package:
                return package
    return group.replace("/", ".")


def _tables(content: ConfigFile, prefix: str, known: list[str]) -> Iterator[str]:
    choices = [choice for choice in content.choices if choice.group.partition("@")[0] in known]
    if choices:
        yield table(("Group", "Option", "Meaning"), map(_choice_row, choices))
    keys = [key for key in content.keys if not _hidden(key)]
    if keys:
        yield table(("Key", "Default", "Meaning"), (_key_row(key, prefix) for key in keys))


def _choice_row(choice: Choice) -> tuple[str, ...]:
    name = choice.group.partition("@")[0]
    return f"[`{choice.group}`](#{target(name)})", code(choice.option), plain(choice.comment, page=PAGE)


def _key_row(key: Key, prefix: str) -> tuple[str, ...]:
    return code(f"{prefix}{key.name}"), code(key.default or ""), plain(key.comment, page=PAGE)


def _hidden(key: Key) -> bool:
    return key.name == _CONSTRUCTOR or key.name.endswith(f".{_CONSTRUCTOR}") or key.name in ("task", "defaults")


def _read(path: Path) -> ConfigFile:
    return read_config(path.read_text("utf-8"))
