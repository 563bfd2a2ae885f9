"""Arguments of a command besides its overrides: the user's own folder and config."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import yaml
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from faceflow.config.composition import check_overrides
from faceflow.config.paths import config_dir
from faceflow.errors import ConfigError

_FOLDER = ("-cd", "--config-dir")  # as Hydra names them
_NAME = ("-cn", "--config-name")
_READ_CHECKPOINTS = ("test", "export")
_PATH = ("-cp", "--config-path")


def check_arguments(command: str, arguments: Sequence[str]) -> None:
    """Check the config and the overrides of a command line; Hydra reports what cannot be read or composed.

    Raises:
        ConfigError: the config belongs to another command, or an override cannot work.
    """
    if any(argument.partition("=")[0] in _PATH for argument in arguments):
        return
    folder = next(iter(own_folders(arguments)), None)
    name = next(iter(_values(arguments, _NAME)), command)
    _check_task(command, name, folder)
    known = {*_FOLDER, *_NAME}
    before = ["", *arguments]
    overrides = [
        argument
        for flag, argument in zip(before, arguments, strict=False)
        if not argument.startswith("-") and flag not in known and ("=" in argument or argument.startswith("~"))
    ]
    with contextlib.suppress(HydraException, OmegaConfBaseException):
        check_overrides(name, overrides, further_dir=folder, sweeps=True)


def with_image_size(command: str, arguments: Sequence[str]) -> list[str]:
    """Add the key that `--cfg job --resolve` needs: the checkpoint's image_size, null because it is not read yet."""
    added = command in _READ_CHECKPOINTS and "--resolve" in arguments and not _values(arguments, _NAME)
    return [*arguments, *(["+model={image_size:null}"] if added else [])]


def own_folders(arguments: Sequence[str]) -> list[Path]:
    """Folders of the user's own configs on a command line."""
    return [Path(value).expanduser() for value in _values(arguments, _FOLDER)]


def _check_task(command: str, name: str, folder: Path | None) -> None:
    """Refuse a config stored by a run of another command."""
    for each in (Path(config_dir()), folder):
        path = each / f"{name.removesuffix('.yaml')}.yaml" if each else None
        if path is None or not path.is_file():
            continue
        with contextlib.suppress(YAMLError, UnicodeDecodeError):
            content = yaml.safe_load(path.read_text("utf-8"))
            task = content.get("task", command) if isinstance(content, dict) else command
            if task != command:
                raise ConfigError(
                    f"--config-name: expected a config of faceflow-{command}, got one of faceflow-{task} ('{path}'); "
                    f"run faceflow-{task}, or leave --config-name out"
                )


def _values(arguments: Sequence[str], flags: Sequence[str]) -> list[str]:
    """Values of flags, written as --flag=value or --flag value."""
    found = []
    for place, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag in flags:
            found.append(value if equals else "".join(arguments[place + 1 : place + 2]))
    return found
