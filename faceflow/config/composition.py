"""Compose a command's config from Python, as its command line does, so that defaults are in one place."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# Private to hydra-core 1.3.8. Its public way to compose keeps one application per process: it refuses a second one,
# such as the program that calls us, and threads end each other's (https://github.com/hydra-ecosystem/hydra/issues/3364).
# Obsolete when tests/unit/config/test_composition.py says so.
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from hydra.version import VersionBase, setbase
from omegaconf import DictConfig, OmegaConf

from faceflow.checks import check_texts
from faceflow.config.instantiate import plain_dict
from faceflow.config.named_paths import check_named
from faceflow.config.options import check_options
from faceflow.config.paths import config_dir
from faceflow.config.sections import check_composed, check_sections
from faceflow.config.short_keys import spelled_out
from faceflow.errors import ConfigError

_one_at_a_time = threading.Lock()  # Hydra's version base and its parser's caches are those of the process


def compose(command: str, overrides: Sequence[str], *, further_dir: Path | None = None) -> DictConfig:
    """Compose the config of `faceflow-COMMAND` with its `hydra` node, as its command line does.

    Does not read or change Hydra's global state, so it works inside another Hydra application and in threads.

    Args:
        command: primary config.
        overrides: as on the command line.
        further_dir: folder of the user's own configs, as `--config-dir` names it.

    Raises:
        HydraException, OmegaConfBaseException: an override does not fit.
        ConfigError: the folder does not exist, a key has several values, or a text cannot name a file.
    """
    if further_dir is not None and not further_dir.is_dir():
        raise ConfigError(f"config_dir: expected a folder of configs, got '{further_dir}'; check the path")
    overrides = spelled_out(command, overrides)
    check_overrides(command, overrides, further_dir=further_dir, sweeps=False)
    config = _compose(command, overrides, further_dir)
    check_texts(OmegaConf.to_container(_without_hydra(config)), key="")
    check_composed(command, config)
    check_named(config)
    return config


def check_overrides(command: str, overrides: Sequence[str], *, further_dir: Path | None, sweeps: bool) -> None:
    """Check what Hydra accepts silently or fails on with a traceback: see `check_options` and `check_sections`.

    Args:
        command: primary config.
        overrides: as on the command line.
        further_dir: folder of the user's own configs.
        sweeps: whether a key may have several values.

    Raises:
        HydraException: an override cannot be read.
        ConfigError: an override cannot work.
    """
    with _one_at_a_time, _version_base("1.3"):
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    for override in parsed:
        if override.is_sweep_override() and not sweeps:
            raise ConfigError(
                f"'{override.input_line}': expected one value, got several, as for a sweep; call this once per value, "
                "or write a list as key=[a,b]"
            )
    folders = [Path(config_dir()), *([] if further_dir is None else [further_dir])]
    check_options(parsed, folders)
    check_sections(parsed, folders, composed=lambda rest: _compose(command, rest, further_dir))


def _compose(command: str, overrides: Sequence[str], further_dir: Path | None) -> DictConfig:
    search_path = create_config_search_path(config_dir())
    if further_dir is not None:
        before = SearchPathQuery(provider="schema")
        search_path.prepend(provider="command-line", path=f"file://{further_dir.absolute()}", anchor=before)
    with _one_at_a_time, _version_base("1.3"):
        if not OmegaConf.has_resolver("hydra"):
            setup_globals()
        loader = ConfigLoaderImpl(search_path)
        return loader.load_configuration(command, list(overrides), run_mode=RunMode.RUN, from_shell=False)


def compose_config(command: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Compose the config of a command, resolved to plain values, without its `hydra` node; see `compose`."""
    return plain_dict(_without_hydra(compose(command, overrides)))


def _without_hydra(config: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


@contextlib.contextmanager
def _version_base(base: str) -> Iterator[None]:
    """Compose by the rules of one version of Hydra, whatever an enclosing application has chosen."""
    versions = VersionBase.instance()
    before = versions.version_base
    setbase(base)
    try:
        yield
    finally:
        versions.version_base = before
