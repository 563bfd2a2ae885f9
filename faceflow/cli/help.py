"""`--help` of a command: the text in configs/help, with only the groups of this command.

Hydra would list all groups in the config folder, including those of other commands.
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
_GROUPS = "$APP_CONFIG_GROUPS\n"  # Hydra's placeholder for them


def asks_for_help(arguments: Sequence[str]) -> bool:
    """True if a command line asks for the help of the command."""
    return any(argument in _FLAGS for argument in arguments)


def help_text(command: str, arguments: Sequence[str]) -> str:
    """Help text of `faceflow-COMMAND`, with groups in the order of its defaults list and options in alphabetical order.

    Args:
        command: name of its primary config.
        arguments: its command line; options in the folder of `--config-dir` are listed too.
    """
    folders = [Path(config_dir()), *own_folders(arguments)]
    template: str = yaml.safe_load((folders[0] / "help" / f"{command}.yaml").read_text("utf-8"))["template"]
    lines = []
    primary = read_primary(command)
    for group in sorted(primary.groups, key=lambda group: "/" in group):  # groups inside other groups come last
        names = sorted({name for folder in folders for name in options(primary, folder / group)})
        if names:
            text = f"{group}: {', '.join(names)}"
            lines += textwrap.wrap(
                text, _WIDTH, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False
            )
    return template.replace(_GROUPS, "".join(f"{line}\n" for line in [*lines, ""])) + "\n"
