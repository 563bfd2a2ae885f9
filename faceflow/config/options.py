"""Options that a command line chooses from config groups; on other values Hydra fails or merges options."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml
from hydra.core.override_parser.types import Override, Sweep

from faceflow.aus import parse_column
from faceflow.config.paths import config_dir
from faceflow.errors import ConfigError, suggest

_AUS = "aus"


def check_options(overrides: Iterable[Override], folders: Sequence[Path]) -> None:
    """Check that the value of a group is one option, or a list if the group takes several.

    Args:
        overrides: of a command.
        folders: with groups: the built-in one and those of the user.

    Raises:
        ConfigError: names the group and its options.
    """
    for override in overrides:
        group, deletes = override.key_or_group, override.is_delete()
        known = _options(group, folders)
        if known is None:
            continue
        values = [value for value in swept_values(override) if not isinstance(value, dict)]
        if group == _AUS:
            _check_aus(values, known)
        for value in values:
            if not deletes or value not in (None, ""):  # ~group removes what is chosen, whatever that is
                _check_option(value, group, known)


def swept_values(override: Override) -> list[object]:
    """The value of an override, or all values of a sweep; none if only Hydra can list them."""
    value = override.value()
    if not isinstance(value, Sweep):
        return [value]
    return list(override.sweep_iterator()) if override.is_choice_sweep() else []


def shown(value: object) -> str:
    """A value as written on the command line."""
    if isinstance(value, list):
        return f"[{','.join(map(shown, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) or "nothing"


def _check_option(value: object, group: str, known: Sequence[str]) -> None:
    several, options = group in _several(), value if isinstance(value, list) else [value]
    if all(isinstance(option, str) and option for option in options) and (
        not isinstance(value, list) or (several and options)
    ):
        return
    expected = "an option or a list of options" if several else "one option"
    count = len(options) if isinstance(value, list) and len(options) != 1 else None
    got = shown(value) if count is None or several else str(count)
    hints = [f"leave {group}=... out for the default"] if value is None or not known else []
    hints += [suggest("", known)] if known else []
    raise ConfigError(f"{group}: expected {expected}, got {got}; {'; '.join(hints)}")


def _check_aus(values: Iterable[object], known: Sequence[str]) -> None:
    """Raise if AUs are named instead of a set of AUs."""
    names = [str(name).strip() for value in values for name in (value if isinstance(value, list) else [value])]
    names = [name.strip() for joined in names for name in joined.strip("[]").split(",") if name not in known]
    columns = [parse_column(name) for name in names]
    aus = [column.au for column in columns if column is not None]
    if aus and len(aus) == len(names):
        raise ConfigError(
            f"{_AUS}: expected a named set of AUs ({', '.join(known)}), got {', '.join(names)}; write "
            f"'{_AUS}.names=[{','.join(aus)}]'"
        )


def _options(group: str, folders: Sequence[Path]) -> list[str] | None:
    """Options of a group; None where there is no such group."""
    found = [folder / group for folder in folders if (folder / group).is_dir()]
    if group.partition("/")[0] == "hydra":
        return []
    return sorted({path.stem for folder in found for path in folder.glob("*.yaml")}) if found else None


@functools.cache
def _several() -> frozenset[str]:
    """Groups of which a command takes several options."""
    text = Path(config_dir(), "command_line", "groups.yaml").read_text("utf-8")
    return frozenset(yaml.safe_load(text)["several"])
