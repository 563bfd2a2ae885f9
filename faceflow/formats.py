"""File formats that grow: a file of an older version lacks fields, one of a newer version has more.

The format number rises only if older code could not read a file correctly. A field that is added has a default, which
applies to files without it; fields that this version does not know are ignored.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)

UPDATE = "pip install -U faceflow"


def is_newer(number: object, known: int) -> bool:
    """Whether a file has a format of a later version."""
    return _is_whole(number) and number > known  # type: ignore[operator]


def is_known(number: object, known: int) -> bool:
    """Whether a file has a format of this version or of an earlier one."""
    return _is_whole(number) and 1 <= number <= known  # type: ignore[operator]


def known_fields(kind: type[Any], raw: Mapping[Any, Any]) -> dict[str, Any]:
    """Fields of a dataclass that are in a file.

    Args:
        kind: the dataclass.
        raw: what the file holds, by name.

    Raises:
        LookupError: a field without a default is missing; the text is its name.
    """
    fields = dataclasses.fields(kind)
    if unknown := [key for key in raw if key not in {field.name for field in fields}]:
        log.debug("%s: left out fields that this version does not know: %s", kind.__name__, unknown[:10])
    for field in fields:
        optional = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if field.name not in raw and not optional:
            raise LookupError(field.name)
    return {field.name: raw[field.name] for field in fields if field.name in raw}


def _is_whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)
