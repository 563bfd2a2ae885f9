"""Functions compiled to machine code by Numba and cached on disk if possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a function on its first call; it can use only what Numba supports.

    The code is cached beside the package, or otherwise in the user's cache or the folder NUMBA_CACHE_DIR.
    """
    try:
        return cast(F, njit(cache=True, fastmath=True)(function))
    except RuntimeError:  # none of these folders is writable
        return cast(F, njit(fastmath=True)(function))
