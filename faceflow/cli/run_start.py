"""Claim the run folder of a command before Hydra writes to it."""

from __future__ import annotations

import sys
import traceback
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from faceflow.cli.messages import one_line
from faceflow.config.run_folder import enter_folder
from faceflow.errors import FaceFlowError


class RunStart(Callback):
    """Called by Hydra once, before a command that is not a sweep."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Claim the folder; exits directly, because Hydra turns errors in callbacks into warnings."""
        try:
            enter_folder(config)
        except (FaceFlowError, OmegaConfBaseException, OSError) as error:
            sys.stderr.write(f"{one_line(error, str(config.hydra.job.name))}\n")
            sys.exit(2)
        except Exception:
            traceback.print_exc()
            sys.exit(1)
