"""`faceflow-compare`: is one run better than another, and on which AUs?"""

from __future__ import annotations

from omegaconf import DictConfig

from faceflow.cli.entry_point import entry_point


@entry_point("compare")
def main(cfg: DictConfig) -> None:
    """Compare the runs that `runs` names."""
    from faceflow.comparing.compare import compare
    from faceflow.config.instantiate import plain_dict

    compare(plain_dict(cfg))
