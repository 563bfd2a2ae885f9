"""Keys of a config with their defaults and comments, read from the lines of its YAML file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

_COMMENT = re.compile(r"\s*# ?(.*)")
_PACKAGE = re.compile(r"# @package (\S+)\n")


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key by its dotted name; `default` is None for a key that only holds other keys."""

    name: str
    default: str | None
    comment: str


@dataclass(frozen=True, kw_only=True)
class Choice:
    """An entry of a defaults list: a group, with an optional `@` and the key for its values, and its option."""

    group: str
    option: str
    comment: str


@dataclass(frozen=True, kw_only=True)
class ConfigFile:
    """Content of a file: `about` is the comment at its start; `package` is None if the file names none."""

    package: str | None
    about: str
    choices: tuple[Choice, ...]
    keys: tuple[Key, ...]


def read_config(text: str) -> ConfigFile:
    """Read the text of a config file.

    A comment belongs to the key on its line or, on lines of its own, to the key below. A comment at the end of a line
    can continue on the next lines, in the same column. Comments below the last key belong to that key.
    """
    package = _PACKAGE.match(text)
    text = _PACKAGE.sub("", text, count=1)
    comments = _Comments(text.splitlines())
    about = comments.first()
    root = yaml.compose(text)
    choices: tuple[Choice, ...] = ()
    keys: tuple[Key, ...] = ()
    if isinstance(root, yaml.MappingNode):
        pairs = dict((name.value, (name, value)) for name, value in root.value)
        if "defaults" in pairs:
            choices = tuple(_choices(pairs.pop("defaults")[1], text, comments))
        keys = tuple(_keys(list(pairs.values()), "", text, comments))
    return ConfigFile(package=package[1] if package else None, about=about, choices=choices, keys=keys)


class _Comments:
    """Comments by line; each is used once."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._own = {number for number, line in enumerate(lines) if line.lstrip().startswith("#")}

    def first(self) -> str:
        """The comment at the start of the file."""
        taken = []
        while len(taken) in self._own:
            taken.append(self._take(len(taken)))
        return " ".join(taken)

    def at(self, first: int, last: int, column: int) -> str:
        """The comment of a key: `first` is its line; its value ends on the line `last`, before `column`."""
        above = []
        while first - 1 - len(above) in self._own:
            above.append(self._take(first - 1 - len(above)))
        found = above[::-1]
        line = self._lines[last] if last < len(self._lines) else ""
        if match := _COMMENT.fullmatch(line, column):
            found.append(match[1])
            place = line.index("#", column)
            while last + 1 in self._own and self._lines[last + 1].index("#") == place:
                last += 1
                found.append(self._take(last))
        end = range(last + 1, len(self._lines))
        if all(number in self._own or not self._lines[number].strip() for number in end):
            found += [self._take(number) for number in end if number in self._own]
        return " ".join(part for part in found if part)

    def _take(self, number: int) -> str:
        self._own.remove(number)
        return self._lines[number].strip().lstrip("#").strip()


def _choices(node: yaml.Node, text: str, comments: _Comments) -> Iterator[Choice]:
    for entry in node.value:
        for name, value in entry.value if isinstance(entry, yaml.MappingNode) else ():
            comment = comments.at(name.start_mark.line, value.end_mark.line, value.end_mark.column)
            group = name.value.removeprefix("override ").removeprefix("optional ").removeprefix("/")
            yield Choice(group=group, option=_source(value, text), comment=comment)


def _keys(pairs: list[tuple[yaml.Node, yaml.Node]], prefix: str, text: str, comments: _Comments) -> Iterator[Key]:
    for name, value in pairs:
        key = f"{prefix}{name.value}"
        if isinstance(value, yaml.MappingNode) and not value.flow_style and value.value:
            comment = comments.at(name.start_mark.line, name.end_mark.line, name.end_mark.column + 1)
            if comment:
                yield Key(name=key, default=None, comment=comment)
            yield from _keys(value.value, f"{key}.", text, comments)
        elif isinstance(value, yaml.SequenceNode) and not value.flow_style and value.value:
            comment = comments.at(name.start_mark.line, name.end_mark.line, name.end_mark.column + 1)
            yield Key(name=key, default=None, comment=comment)
            for place, item in enumerate(value.value):
                if isinstance(item, yaml.MappingNode) and not item.flow_style:
                    yield from _keys(item.value, f"{key}[{place}].", text, comments)
                else:
                    found = comments.at(item.start_mark.line, item.end_mark.line, item.end_mark.column)
                    yield Key(name=f"{key}[{place}]", default=_source(item, text), comment=found)
        else:
            end = value.end_mark
            comment = comments.at(name.start_mark.line, end.line, end.column)
            yield Key(name=key, default=_source(value, text), comment=comment)


def _source(node: yaml.Node, text: str) -> str:
    """A value as written in the file, on one line."""
    source = text[node.start_mark.index : node.end_mark.index]
    if not isinstance(node, yaml.ScalarNode):
        source = re.sub(r"\s#.*(?=\n)", "", source)
    return " ".join(source.split())
