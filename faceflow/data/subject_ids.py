"""Subject ids: spellings of one subject, and images that several subjects share."""

from __future__ import annotations

import functools
import re
import unicodedata

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# Namespace of the subjects in a user's own files. Within a command equal ids in it are one subject; a checkpoint may
# have been trained on other files, where the same id may be another subject.
OWN = "own"

_WHOLE_NUMBER = re.compile(r"([+-]?\d+)\.0*")


@functools.cache
def normal_id(subject: str) -> str:
    """Normalise a subject id, so that all its spellings are equal.

    Case, surrounding space, leading zeros and the ".0" that pandas adds to numbers are ignored.

    >>> normal_id("001"), normal_id("1.0"), normal_id(" S01 ")
    ('1', '1', 's1')
    """
    text = " ".join(unicodedata.normalize("NFKC", subject).casefold().split())
    if number := _WHOLE_NUMBER.fullmatch(text):
        text = number[1]
    return re.sub(r"\d+", lambda digits: digits[0].lstrip("0") or "0", text)


@functools.cache
def identity_of(subject: str) -> str:
    """Normalise the subject of "namespace/subject"."""
    namespace, slash, name = subject.partition("/")
    return f"{namespace}{slash}{normal_id(name)}"


def shared_pictures(pictures: NDArray[np.int64], identities: NDArray[np.str_]) -> list[tuple[int, int]]:
    """Find rows (N,) whose image several identities share, each with the first row of that image."""
    which, _ = pd.factorize(pictures)
    first = np.unique(which, return_index=True)[1]
    other = identities != identities[first[which]]
    return [(int(row), int(first[which[row]])) for row in np.flatnonzero(np.isin(which, which[other]))]
