"""`--help` of a command: the text of configs/help, with the groups that this command takes and no others.

Hydra would list every group of the folder of configs, also those of other commands.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import yaml

from faceflow.cli.argument_checks import own_folders
from faceflow.config.paths import config_dir
from faceflow.config.primary import options, read_primary

_FLAGS = ("-h", "--help")
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
    primary = read_primary(command)
    for group in sorted(primary.groups, key=lambda group: "/" in group):  # those inside others last
        names = sorted({name for folder in folders for name in options(primary, folder / group)})
        if names:
            text = f"{group}: {', '.join(names)}"
            lines += textwrap.wrap(
                text, _WIDTH, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False
            )
    return template.replace(_GROUPS, "".join(f"{line}\n" for line in [*lines, ""])) + "\n"
