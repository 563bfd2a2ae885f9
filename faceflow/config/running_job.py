"""The running job in Hydra: its sweep and its chosen options."""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode


def sweep_folder() -> str | None:
    """Name of the folder of the sweep that the job belongs to; None outside a sweep."""
    if not HydraConfig.initialized() or HydraConfig.get().mode is not RunMode.MULTIRUN:
        return None
    return Path(HydraConfig.get().sweep.dir).name


def choices(*groups: str) -> list[str]:
    """Chosen options of some groups; groups without a choice are left out."""
    if not HydraConfig.initialized():
        return []
    chosen = HydraConfig.get().runtime.choices
    return [str(chosen[group]) for group in groups if chosen.get(group)]


def overridden(key: str) -> bool:
    """True if the command sets a key, a key inside it, or the option of a group placed there."""
    if not HydraConfig.initialized():
        return False
    named = (text.lstrip("+~").partition("=")[0] for text in HydraConfig.get().overrides.task)
    return any(name == key or name.startswith(f"{key}.") or name.endswith(f"@{key}") for name in named)
