"""Groups of faces that are scored separately: columns of a table, and checks of these."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceflow.aus import parse_column
from faceflow.checks import check_whole
from faceflow.errors import ConfigError

MOST_GROUPS = 20  # a column with more holds numbers or file names
ALONE = frozenset(("filename", "subject"))  # each group would be one face or one subject


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Label columns whose groups are scored, and the least number of subjects of a group that is reported."""

    columns: tuple[str, ...]
    least_subjects: int


def asked_audit(columns: object, least_subjects: object) -> Audit | None:
    """Read the settings of a user; None if `columns` is None.

    Raises:
        ConfigError: `columns` are not names of columns that can hold groups, or the number is not a whole number >= 1.
    """
    if columns is None:
        return None
    listed = [columns] if isinstance(columns, str) else columns
    if not isinstance(listed, list | tuple) or not listed or not all(isinstance(each, str) and each for each in listed):
        raise ConfigError(f"audit: expected columns of the labels such as [sex,glasses], got {columns!r}; name them")
    for name in listed:
        if name in ALONE or parse_column(name):
            what = "is the label of an AU" if parse_column(name) else "makes a group of each face or subject"
            raise ConfigError(
                f"audit: expected columns of groups such as sex, got '{name}', which {what}; leave it out"
            )
    check_whole(least_subjects, key="audit_least_subjects", lowest=1)
    assert isinstance(least_subjects, int), "checked above"
    return Audit(columns=tuple(dict.fromkeys(listed)), least_subjects=least_subjects)


def check_groups(column: str, texts: npt.NDArray[np.str_]) -> None:
    """Check that a column holds groups; "" means no entry.

    Raises:
        ConfigError: all its cells are empty, or it has too many values to be groups.
    """
    groups = np.unique(texts[texts != ""])
    if not len(groups):
        raise ConfigError(f"audit: expected entries in the column '{column}', got only empty cells; leave it out")
    if len(groups) > MOST_GROUPS:
        raise ConfigError(
            f"audit: expected at most {MOST_GROUPS} groups in a column, got {len(groups)} values in '{column}', "
            f"such as '{groups[0]}' and '{groups[1]}'; put them into a few groups in a new column"
        )
