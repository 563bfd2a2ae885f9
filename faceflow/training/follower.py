"""A process started by the first one of a run: trains beside it, and leaves results and messages to it."""

from __future__ import annotations

import logging
import sys
import warnings

from faceflow.config.job_transfer import unpacked_job
from faceflow.errors import FaceFlowError
from faceflow.interruption import Terminated, terminable


def main() -> None:
    """Train by the job on stdin; the argument is the pid of the process that started this one."""
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(message)s")
    warnings.simplefilter("ignore")
    with terminable():
        try:
            from faceflow.training.companions import follow
            from faceflow.training.train import train

            config = unpacked_job(sys.stdin.buffer.read())
            follow(int(sys.argv[1]))
            train(config)
        except FaceFlowError as error:
            logging.getLogger("faceflow").error("%s: %s", type(error).__name__, error)
            sys.exit(2)
        except Terminated:
            sys.exit(143)
        except KeyboardInterrupt:
            sys.exit(130)
