"""The only caller of `hydra.utils.instantiate`: one place to port to the next Hydra."""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate as hydra_instantiate  # noqa: TID251
from omegaconf import DictConfig, OmegaConf

from faceflow.config.path_arguments import escaped
from faceflow.config.renamed import renamed, up_to_date
from faceflow.errors import ConfigError, FaceFlowError, suggest

_FULL_KEY = re.compile(r"^full_key: (\S+)$", re.MULTILINE)  # how Hydra 1.3 names the nested node that failed


def instantiate(
    node: DictConfig | Mapping[str, Any],
    *,
    key: str,
    copied: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    **runtime: Any,
) -> Any:
    """Build the object that a config node describes with `_target_`.

    A constructor names the parameter that it refuses ("gamma: expected ..."); its place in the config is added here.

    Args:
        node: config node or plain dict; nested nodes with a `_target_` are built first.
        key: config key of the node, for messages.
        copied: key -> node that an interpolation may have copied into this one; its parameters are named by that key.
        runtime: further arguments that no YAML can hold (tensors, counts).

    Raises:
        ConfigError: there is no `_target_`, it does not exist, or it refuses its arguments.
    """
    plain: dict[str, Any] = up_to_date(plain_dict(node))
    if not plain.get("_target_"):
        raise ConfigError(
            f"{key}: expected a component with a _target_, got keys {sorted(map(str, plain))}; "
            "an override may belong to another option of this config group"
        )
    try:
        return hydra_instantiate(_as_they_stand(plain), _convert_="all", **runtime)
    except InstantiationException as error:
        cause = error.__cause__
        while isinstance(cause, InstantiationException):
            cause = cause.__cause__
        if isinstance(cause, ConfigError):
            raise _placed(cause, plain, _FULL_KEY.findall(str(error)), key, copied) from error
        if isinstance(cause, FaceFlowError):
            raise cause from error
        raise ConfigError(f"{key}: {_explain(plain, cause or error)}") from error


def plain_dict(node: DictConfig | Mapping[str, Any]) -> dict[str, Any]:
    """Resolve a config node to plain Python containers."""
    if isinstance(node, DictConfig):
        return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)  # type: ignore[return-value]
    return dict(node)


def _as_they_stand(value: Any) -> Any:
    """Plain values whose texts Hydra passes on unchanged: any ${...} left in them belongs to file names."""
    if isinstance(value, dict):
        return {key: _as_they_stand(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_they_stand(item) for item in value]
    return escaped(value) if isinstance(value, str) else value


def _placed(
    error: ConfigError, node: Any, path: list[str], key: str, copied: Mapping[str, Mapping[str, Any]]
) -> ConfigError:
    """Name the place of a refused parameter; `path` is that of the nested node that refused it, if it was one."""
    for part in path[0].split(".") if path else ():
        if not isinstance(node, Mapping) or part not in node:
            return error
        node, key = node[part], f"{key}.{part}"
    if str(error).partition(":")[0].partition(".")[0] not in node:
        return error
    place = next((origin for origin, original in copied.items() if node == original), key)
    return ConfigError(f"{place}.{error}")


def _explain(plain: dict[str, Any], cause: BaseException) -> str:
    target = str(plain["_target_"])
    module_name, _, name = target.rpartition(".")
    if isinstance(cause, ImportError | AttributeError) and not _exists(target):
        try:
            module = importlib.import_module(module_name)
        except (ImportError, ValueError):  # ValueError: a name without a dot
            return f"expected an importable _target_, got '{target}': no module named '{module_name or target}'"
        return f"expected an importable _target_, got '{target}'; {suggest(name, vars(module))}"
    if isinstance(cause, OSError) and cause.filename is not None:
        reason = cause.strerror or type(cause).__name__
        return f"expected a usable path, got '{cause.filename}' ({reason}); check the path, permissions and disk"
    text = " ".join(str(cause).split())
    for argument in plain:
        if (instead := renamed(argument)) and f"'{argument}'" in text:
            return f"expected arguments of {name}, got '{argument}' of an earlier version; {instead}"
    return f"{name} refused its arguments ({text}); compare the keys with its signature"


def _exists(target: str) -> bool:
    module_name, _, name = target.rpartition(".")
    try:
        functools.reduce(getattr, [name], importlib.import_module(module_name))
    except (ImportError, AttributeError, ValueError):
        return False
    return True
