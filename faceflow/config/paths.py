"""Where the built-in configs are: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path


def config_dir() -> str:
    """Absolute path of the built-in configs.

    Found by path, not as `pkg://`: an editable install resolves the package to the checkout, where the configs
    are one folder up, and only a wheel contains them.
    """
    package = Path(__file__).resolve().parents[1]
    inside = package / "configs"
    return str(inside if inside.is_dir() else package.parent / "configs")
