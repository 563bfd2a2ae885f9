"""`--help` of a command: the text of configs/help, with the groups that this command takes and no others.

Hydra would list every group of the folder of configs, also those of other commands.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from faceflow.config.paths import config_dir
from faceflow.config.primary import read_primary

_FLAGS = ("-h", "--help")
_FOLDER = ("-cd", "--config-dir")  # of the user's own options, as Hydra names it
_WIDTH = 118
_GROUPS = "$APP_CONFIG_GROUPS\n"  # Hydra's name for their place


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for the help of the command."""
    return any(argument in _FLAGS for argument in arguments)


def help_text(command: str, arguments: Sequence[str]) -> str:
    """Help of `faceflow-COMMAND`: its groups in the order of its defaults list, options in alphabetical order.

    Args:
        command: name of its primary config.
        arguments: its command line; options in a folder that `--config-dir` names are listed as well.
    """
    folders = [Path(config_dir()), *own_folders(arguments)]
    template: str = yaml.safe_load((folders[0] / "help" / f"{command}.yaml").read_text("utf-8"))["template"]
    lines = []
    for group in sorted(read_primary(command).groups, key=lambda group: "/" in group):  # those inside others last
        names = sorted({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})
        if names:
            text = f"{group}: {', '.join(names)}"
            lines += textwrap.wrap(
                text, _WIDTH, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False
            )
    return template.replace(_GROUPS, "".join(f"{line}\n" for line in [*lines, ""])) + "\n"


def own_folders(arguments: Sequence[str]) -> Iterator[Path]:
    """Folders of the user's own configs that a command line names."""
    for place, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag in _FOLDER:
            yield Path(value if equals else "".join(arguments[place + 1 : place + 2])).expanduser()
