"""Run settings from the environment, as a sweep agent or a job script sets them. They override configs."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from faceflow.errors import ConfigError
from faceflow.tracking.tracker import TrackedRun

log = logging.getLogger(__name__)


def named_by_environment(variables: Mapping[str, str], *, key: str) -> dict[str, str]:
    """Return run settings from environment variables, and log them in one line.

    Args:
        variables: setting -> its variable; empty variables count as absent.
        key: of the tracker, for the log.
    """
    found = {setting: text for setting, name in variables.items() if (text := os.environ.get(name))}
    if found:
        log.info(
            "%s: set by the environment: %s",
            key,
            ", ".join(f"{variables[setting]}={found[setting]}" for setting in found),
        )
    return found


def check_single(run: TrackedRun, variable: str) -> None:
    """Check that a run with an id from the environment is the only one of its command.

    Raises:
        ConfigError: the run is a fold or a job of a sweep: all would write into one run.
    """
    if run.group is not None:
        raise ConfigError(
            f"{variable}: expected a command that trains one run, got one of several, '{run.name}', all of which would "
            f"write into that run; unset {variable}, or train without folds or -m"
        )
