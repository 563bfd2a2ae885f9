"""One line for every error: FaceFlow's errors unchanged, those of Hydra and OmegaConf reworded."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    OmegaConfBaseException,
)

from faceflow.cli.shell import no_more_files
from faceflow.config.paths import config_dir
from faceflow.config.primary import commands_with, read_primary
from faceflow.config.renamed import renamed
from faceflow.errors import FaceFlowError, suggest
from faceflow.storage.cache import as_addresses

_OMEGACONF_DETAIL = re.compile(r"^ +(full_key|object_type|reference_type)[:=].*$", re.MULTILINE)
_WORKER_PREFIX = re.compile(r"^Caught \w+ in DataLoader worker process")


def one_line(error: BaseException, command: str) -> str:
    """Return the kind of error and how to fix it; for internal errors, Python's own message.

    Args:
        error: the error that ended a command.
        command: name of the command, to suggest its keys and groups.
    """
    if isinstance(error, FaceFlowError):
        return f"{_kind(error)}: {as_addresses(_without_worker_traceback(str(error)))}"
    if limit := no_more_files(error):
        return f"ConfigError: {limit}"
    if isinstance(error, OSError) and not isinstance(error, HydraException):  # a missing config is both
        return f"{type(error).__name__}: {error.filename}: {error.strerror}; check the path, permissions and disk"
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return f"ConfigError: {_explain(error, command)}"


def _kind(error: FaceFlowError) -> str:
    """Name of the error class in `faceflow.errors`."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == FaceFlowError.__module__)


def _without_worker_traceback(text: str) -> str:
    if not _WORKER_PREFIX.match(text):
        return " ".join(text.split())
    return text.strip().splitlines()[-1].partition(": ")[2]


def _explain(error: BaseException, command: str) -> str:
    cause = error  # the first error of Hydra or OmegaConf
    while isinstance(cause.__cause__, OmegaConfBaseException | HydraException):
        cause = cause.__cause__
    text = _text(error)
    if isinstance(error, MissingConfigException):
        return _missing_option(error)
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override, command)
    if missing := re.search(r"Missing mandatory value: (\S+)", str(cause)):  # the target of an interpolation
        whole = str(getattr(cause, "full_key", None) or "")
        key = whole if whole.endswith(f".{missing[1]}") else missing[1]  # in a part of the config: only its own name
        return f"{key}: expected a value, got none; add {key}=... to the command"
    if isinstance(cause, ConfigKeyError | ConfigAttributeError) and cause.parent_node is not None:
        return _unknown_key(cause, command)
    if isinstance(cause, OmegaConfBaseException) and cause.full_key:
        return f"{cause.full_key}: {_text(cause)}"
    if match := re.match(r"Could not override '([^']+)'. Did you mean to override (?:one of )?(.+?)\?", text):
        return f"{match[1]}: expected the group with its place; use {match[2].replace(', ', ' or ')}"
    if match := re.match(r"In '([^']+)/([^'/]+)': Could not override '([^']+)'", text):
        return (
            f"{match[1]}={match[2]}: expected an option for faceflow-{command}, got one that sets '{match[3]}'; "
            f"see faceflow-{command} --help"
        )
    if match := re.match(r"Could not override '([^']+)'", text):
        return f"{match[1]}: expected a config group or key, {_unknown(match[1], (), command)}"
    if match := re.search(r"config group '([^']+)' does not exist", text):
        return f"{match[1]}: expected a config group, {_unknown(match[1], (), command)}"
    return text


def _unreadable(override: str, command: str) -> str:
    """Explain an argument that Hydra cannot read, mostly because of the shell or a typing error."""
    name, equals, _ = override.partition("=")
    first, primary = re.split(r"[.@]", name.lstrip("+~"))[0], read_primary(command)
    if equals and first not in (*primary.keys, *primary.groups, "hydra"):
        return f"{name}: expected a known key, {_unknown(first, (), command)}"
    hint = "quote spaces and lists: 'key=a b', 'key=[a,b]'"
    if not equals and Path(override).exists():
        hint = f"give the file as the value of a key, such as {shlex.quote(f'source={override}')}"
    return f"'{override}': expected key=value, got text that Hydra cannot read; {hint}"


def _text(error: BaseException) -> str:
    return " ".join(_OMEGACONF_DETAIL.sub("", str(error)).split())


def _unknown_key(error: ConfigKeyError | ConfigAttributeError, command: str) -> str:
    known = [str(key) for key in error.parent_node] if error.parent_node is not None else []
    parent, _, name = str(error.full_key).rpartition(".")
    if not parent:
        return f"{name}: expected a known key at the top level, {_unknown(name, known, command)}"
    if instead := renamed(name):
        return f"{error.full_key}: expected a known key in '{parent}', got one of an earlier version; {instead}"
    hint = suggest(name, known) if known else f"'{parent}' has no keys"
    return f"{error.full_key}: expected a known key in '{parent}', got '{name}'; {hint}"


def _unknown(name: str, known: Iterable[str], command: str) -> str:
    """Explain an unknown top-level key or group; `known` are further keys besides those of the command."""
    if instead := renamed(name.partition("@")[0]):
        return f"got '{name}' of an earlier version; {instead}"
    owners = commands_with(name)
    if command in owners:  # the command's own config has it, the one of --config-name does not
        return f"got the group '{name}', which cannot be chosen in this config; set keys, such as {name}.KEY=VALUE"
    if owners:
        named = ", ".join(f"faceflow-{owner}" for owner in owners)
        return f"got '{name}', which belongs to {named}; leave it out, or see faceflow-{command} --help"
    primary = read_primary(command)
    return f"got '{name}'; {suggest(name, {*known, *primary.keys, *primary.groups})}"


def _missing_option(error: MissingConfigException) -> str:
    missing = str(error.missing_cfg_file)
    group, _, name = missing.rpartition("/")
    if instead := renamed(group):
        return f"{group}={name}: expected a group of this version, got one of an earlier version; {instead}"
    if group == "hydra/launcher":
        return (
            f"{group}={name}: expected an installed launcher, got an unknown name; run: pip install 'faceflow[sweep]'"
        )
    if not group:
        return f"{missing}: expected a config file, got none with this name; check --config-name"
    # Hydra gives no options for an entry of a list, as in data=[disfa,bp4d].
    options = error.options or [path.stem for path in (Path(config_dir()) / group).glob("*.yaml")]
    hint = f", or model=default model.backbone={name} for any other timm network" if group == "model" else ""
    return f"{group}={name}: expected an option of '{group}'; {suggest(name, options)}{hint}"
