"""What the arguments of a command say besides its overrides: the user's own folder and config."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from faceflow.config.composition import check_overrides

_FOLDER = ("-cd", "--config-dir")  # as Hydra names them
_NAME = ("-cn", "--config-name")
_PATH = ("-cp", "--config-path")


def check_arguments(command: str, arguments: Sequence[str]) -> None:
    """Check the overrides of a command line; what cannot be read or composed is left to Hydra.

    Raises:
        ConfigError: an override that cannot work.
    """
    if any(argument.partition("=")[0] in _PATH for argument in arguments):
        return
    folder = next(iter(own_folders(arguments)), None)
    name = next(iter(_values(arguments, _NAME)), command)
    known = {*_FOLDER, *_NAME}
    before = ["", *arguments]
    overrides = [
        argument
        for flag, argument in zip(before, arguments, strict=False)
        if not argument.startswith("-") and flag not in known and ("=" in argument or argument.startswith("~"))
    ]
    with contextlib.suppress(HydraException, OmegaConfBaseException):
        check_overrides(name, overrides, further_dir=folder, sweeps=True)


def own_folders(arguments: Sequence[str]) -> list[Path]:
    """Folders of the user's own configs that a command line names."""
    return [Path(value).expanduser() for value in _values(arguments, _FOLDER)]


def _values(arguments: Sequence[str], flags: Sequence[str]) -> list[str]:
    """Values of flags, written --flag=value or --flag value."""
    found = []
    for place, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag in flags:
            found.append(value if equals else "".join(arguments[place + 1 : place + 2]))
    return found
