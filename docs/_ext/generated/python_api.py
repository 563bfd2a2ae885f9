"""The functions of `import faceflow` and what they return, for autodoc."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator

import faceflow


def markdown() -> str:
    """A section for each function and the classes that it returns."""
    return "\n\n".join(_section(name) for name in faceflow.__all__) + "\n"


def _section(name: str) -> str:
    directives = [f".. autofunction:: faceflow.{name}", *map(_class, _results(name))]
    inner = "\n\n".join(directives)
    return f"## faceflow.{name}\n\n```{{eval-rst}}\n{inner}\n```"


def _class(path: str) -> str:
    return f".. autoclass:: {path}\n   :members:\n   :exclude-members: __init__, __new__"


def _results(name: str) -> Iterator[str]:
    """Public classes defined in the module of a function, or for `load` the class that it returns."""
    module = importlib.import_module(f"faceflow.api.{name}")
    found = [kind for kind in vars(module).values() if inspect.isclass(kind) and kind.__module__ == module.__name__]
    if name == "load":
        found = [importlib.import_module("faceflow.inference.predictor").Predictor]
    return (f"{kind.__module__}.{kind.__qualname__}" for kind in found)
