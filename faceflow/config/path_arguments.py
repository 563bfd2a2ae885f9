"""Names of files and folders on the command line, passed on literally although Hydra's grammar would interpret them."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

from faceflow.config.paths import config_dir
from faceflow.errors import ConfigError

_FOLDERS = ("-cd", "--config-dir", "-cp", "--config-path")  # flags of Hydra
_SWEEP = re.compile(r"-m$|--multirun$|(resume_)?sweep=|hydra\.mode=MULTIRUN$")
_FUNCTION = re.compile(r"(choice|glob|interval|range|shuffle|sort|tag)\(.*\)", re.DOTALL)  # of Hydra, in sweeps
_QUOTED = r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\""
_PIECE = re.compile(rf"\s*(?:{_QUOTED}|\[[^\[\]]*\])\s*(?=,|$)|(?:\$\{{[^}}]*\}}|[^,])*", re.DOTALL)
_INTERPOLATION = re.compile(r"(\\*)\$\{")
_MOST_COMMAS = 8  # of a name in a list


def literal_paths(arguments: Sequence[str]) -> list[str]:
    """Quote the paths in the arguments of a command so that Hydra passes on what the user wrote.

    Text that Hydra reads literally is not changed. A leading ~ is the home folder. `null`, lists (if the key takes
    them), quoted texts and, in a sweep, values separated by commas mean what they mean to Hydra, unless a file or
    folder exists whose name is the whole text.

    Raises:
        ConfigError: an argument is not UTF-8, or there are several files for a key that takes one.
    """
    sweep = any(_SWEEP.match(argument) for argument in arguments)
    return [_literal(argument, before, sweep) for before, argument in zip(["", *arguments], arguments, strict=False)]


def literal_text(path: str, *, exists: bool = False) -> str:
    """Text that a config holds for a path: the home folder for a leading ~, and no ${...} in a name that exists."""
    expanded = os.path.expanduser(path)  # noqa: PTH111  (a Path would lose a slash at the end)
    return escaped(expanded) if exists or _exists(path) else expanded


def escaped(text: str) -> str:
    """Text that OmegaConf resolves to this one, including any ${...} in it."""
    return _INTERPOLATION.sub(r"\1\1\\${", text)


def is_path(key: str) -> bool:
    """True if a config key names one or more files or folders."""
    return _fits(key, "one") or _fits(key, "several")


def _fits(key: str, kind: str) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in _keys()[kind])


@functools.cache
def _keys() -> dict[str, list[str]]:
    text = Path(config_dir(), "command_line", "paths.yaml").read_text("utf-8")
    content: dict[str, list[str]] = yaml.safe_load(text)
    return content


def _literal(argument: str, before: str, sweep: bool) -> str:
    name, equals, value = argument.partition("=")
    try:
        argument.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{name if equals else 'arguments'}: expected text in UTF-8, got {os.fsencode(value or name)!r}; rename "
            "the file"
        ) from error
    if before in _FOLDERS:
        return literal_text(argument)
    if equals and name in _FOLDERS:
        return f"{name}={literal_text(value)}"
    key = name.lstrip("+")
    if not value or name.startswith(("-", "~")) or not is_path(key):
        return argument
    return f"{name}={_spelled(value, key, sweep=sweep)}"


def _spelled(value: str, key: str, *, sweep: bool) -> str:
    if _exists(value):
        return _quoted_if_need_be(value)
    if value == "null" or (re.fullmatch(_QUOTED, value, re.DOTALL) and _read(value) is not None):
        return value
    if sweep and _FUNCTION.fullmatch(value) and _read(value) is not None:
        return value
    several, pieces = _fits(key, "several"), list(_pieces(value)) if key else [value]
    if several and _is_list(value) and not (sweep and len(pieces) > 1 and all(map(_is_list, pieces))):
        inner = value[1:-1]
        return f"[{','.join(_spelled(piece, '', sweep=False) for piece in _pieces(inner))}]" if inner.strip() else "[]"
    if sweep and len(pieces) > 1:
        return ",".join(_spelled(piece, key, sweep=False) for piece in pieces)
    if len(pieces) > 1 and all(map(_exists, pieces)):
        how = f"write '{key}=[{value}]'" if several else "add -m for a run with each"
        raise ConfigError(f"{key}: expected one path, got {len(pieces)} files separated by commas; {how}")
    return _quoted_if_need_be(value)


def _is_list(value: str) -> bool:
    return value.startswith("[") and value.endswith("]")


def _quoted_if_need_be(path: str) -> str:
    text = literal_text(path)
    return text if _read(text) == text else QuotedString(text=text, quote=Quote.single).with_quotes()


def _read(value: str) -> object:
    """The value that Hydra reads; None if it cannot."""
    try:
        return OverridesParser.create().parse_override(f"key={value}").value()
    except HydraException:
        return None


def _pieces(text: str) -> Iterator[str]:
    """Split at commas outside quotes; an existing name keeps its commas."""
    pieces = []
    place = 0
    while place <= len(text):
        found = _PIECE.match(text, place)
        assert found, "it may be empty"
        pieces.append(found[0])
        place = found.end() + 1
    while pieces:
        counts = range(min(len(pieces), _MOST_COMMAS + 1), 1, -1)
        count = next((count for count in counts if _exists(",".join(pieces[:count]))), 1)
        joined = ",".join(pieces[:count])
        yield joined if _exists(joined) else joined.strip()
        del pieces[:count]


def _exists(path: str) -> bool:
    try:
        return os.path.lexists(os.path.expanduser(path))  # noqa: PTH111
    except ValueError:  # a NUL
        return False
