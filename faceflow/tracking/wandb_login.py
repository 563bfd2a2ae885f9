"""Mode of W&B: online with a login, otherwise offline. Never prompts."""

from __future__ import annotations

import os
from typing import Literal

from faceflow.checks import check_choice
from faceflow.errors import ConfigError

Mode = Literal["online", "offline", "disabled"]

AUTO = "auto"
ONLINE: Mode = "online"
OFFLINE: Mode = "offline"
DISABLED: Mode = "disabled"
_MODES = (AUTO, ONLINE, OFFLINE, DISABLED)
_OLD_NAMES = {"run": ONLINE, "dryrun": OFFLINE}  # in W&B's variable


def choose_mode(mode: str) -> Mode:
    """Resolve "auto": online with a login, otherwise offline. The variable WANDB_MODE overrides the setting.

    Raises:
        ConfigError: the mode is unknown, or online without a login, for which W&B would prompt.
    """
    check_choice(mode, key="logger.wandb.mode", options=_MODES)
    asked = os.environ.get("WANDB_MODE") or mode
    asked = _OLD_NAMES.get(asked, asked)
    check_choice(asked, key="WANDB_MODE", options=_MODES)
    if asked == DISABLED:
        return DISABLED
    if asked == OFFLINE:
        return OFFLINE
    if logged_in():
        return ONLINE
    if asked == ONLINE:
        raise ConfigError(
            "logger.wandb.mode: expected a login for mode=online, got none; run: wandb login, or set mode=offline"
        )
    return OFFLINE


def logged_in() -> bool:
    """Whether W&B finds credentials for its server: in the environment, its settings or the netrc file.

    Raises:
        ConfigError: credentials or W&B variables are malformed.
    """
    import wandb
    from wandb.errors import AuthenticationError, UsageError

    try:
        wandb.setup(wandb.Settings(silent=True))  # otherwise it prints where it found the login
        return bool(wandb.login(prompt=False, verify=False))
    except (UsageError, ValueError) as error:
        raise ConfigError(
            f"logger.wandb: expected WANDB_... variables that W&B can read, got '{' '.join(str(error).split())}'; "
            "correct that variable or unset it"
        ) from error
    except AuthenticationError as error:
        raise ConfigError(
            f"logger.wandb: expected an API key of W&B, got a malformed one ({' '.join(str(error).split())}); "
            "run: wandb login"
        ) from error
