"""Functions compiled to machine code by Numba, and kept on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a function when it is first called; it must stick to what Numba knows.

    The code is kept beside the package, or else in the user's cache or the folder NUMBA_CACHE_DIR.
    """
    try:
        return cast(F, njit(cache=True, fastmath=True)(function))
    except RuntimeError:  # none of these folders can be written
        return cast(F, njit(fastmath=True)(function))
