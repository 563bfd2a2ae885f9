"""One line for every mistake: ours as they are, those of Hydra and OmegaConf in our words."""

from __future__ import annotations

import re
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    OmegaConfBaseException,
)

from faceflow.config.paths import config_dir
from faceflow.errors import FaceFlowError, suggest

_OMEGACONF_DETAIL = re.compile(r"^ +(full_key|object_type|reference_type)[:=].*$", re.MULTILINE)
_WORKER_PREFIX = re.compile(r"^Caught \w+ in DataLoader worker process")


def one_line(error: BaseException) -> str:
    """Name the kind of error and say what to mend; of our own bugs, what Python says."""
    if isinstance(error, FaceFlowError):
        return f"{type(error).__name__}: {_without_worker_traceback(str(error))}"
    if isinstance(error, OSError) and not isinstance(error, HydraException):  # a missing config is both
        return f"{type(error).__name__}: {error.filename}: {error.strerror}; check the path, its rights and the disk"
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return f"ConfigError: {_explain(error)}"


def _without_worker_traceback(text: str) -> str:
    if not _WORKER_PREFIX.match(text):
        return " ".join(text.split())
    return text.strip().splitlines()[-1].partition(": ")[2]


def _explain(error: BaseException) -> str:
    cause = _root(error)
    text = _text(error)
    if isinstance(error, MissingConfigException):
        return _missing_option(error)
    if isinstance(error, OverrideParseException):
        return f"'{error.override}': expected key=value, got a text that cannot be read; quote lists: 'key=[a,b]'"
    if missing := re.search(r"Missing mandatory value: (\S+)", str(cause)):  # where an interpolation leads to
        whole = str(getattr(cause, "full_key", None) or "")
        key = whole if whole.endswith(f".{missing[1]}") else missing[1]  # of a part of the config: its own name only
        return f"{key}: expected a value, got none; add {key}=... to the command"
    if isinstance(cause, ConfigKeyError | ConfigAttributeError) and cause.parent_node is not None:
        return _unknown_key(cause)
    if isinstance(cause, OmegaConfBaseException) and cause.full_key:
        return f"{cause.full_key}: {_text(cause)}"
    if match := re.match(r"Could not override '([^']+)'. Did you mean to override (?:one of )?(.+?)\?", text):
        return f"{match[1]}: expected the place of the group as well; use {match[2].replace(', ', ' or ')}"
    if match := re.match(r"Could not override '([^']+)'", text):
        return (
            f"{match[1]}: expected a config group or key, got an unknown one; {suggest(match[1], _groups_and_keys())}"
        )
    return text


def _text(error: BaseException) -> str:
    return " ".join(_OMEGACONF_DETAIL.sub("", str(error)).split())


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None and isinstance(error.__cause__, OmegaConfBaseException | HydraException):
        error = error.__cause__
    return error


def _groups_and_keys() -> list[str]:
    root = Path(config_dir())
    groups = [str(folder.relative_to(root)) for folder in root.rglob("*") if folder.is_dir()]
    keys = [line.partition(":")[0] for file in root.glob("*.yaml") for line in file.read_text("utf-8").splitlines()]
    return groups + [key for key in keys if key.isidentifier()]


def _unknown_key(error: ConfigKeyError | ConfigAttributeError) -> str:
    known = [str(key) for key in error.parent_node] if error.parent_node is not None else []
    parent, _, name = str(error.full_key).rpartition(".")
    if not parent:  # groups without a choice, such as experiment, are no keys
        known = sorted({*known, *_groups_and_keys()})
    where = f"in '{parent}'" if parent else "at the top level"
    hint = suggest(name, known) if known else f"'{parent}' has no keys"
    return f"{error.full_key}: expected a known key {where}, got '{name}'; {hint}"


def _missing_option(error: MissingConfigException) -> str:
    missing = str(error.missing_cfg_file)
    group, _, name = missing.rpartition("/")
    if group == "hydra/launcher":
        return (
            f"{group}={name}: expected an installed launcher, got none of that name; run: pip install 'faceflow[sweep]'"
        )
    if not group:
        return f"{missing}: expected a config file, got none of that name; check --config-name"
    # Hydra leaves the options out for an entry of a list, as in data=[disfa,bp4d].
    options = error.options or [path.stem for path in (Path(config_dir()) / group).glob("*.yaml")]
    hint = f", or model=default model.backbone={name} for any other timm network" if group == "model" else ""
    return f"{group}={name}: expected an option of '{group}'; {suggest(name, options)}{hint}"
