"""Standard names of columns: what a file calls them, and similar names."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from faceflow.errors import ConfigError, DataError, suggest
from faceflow.tables.table import Table

# Words for a column, in lower-case letters and digits. "id" must also repeat, since it may number the rows.
_WORDS = {
    "filename": (
        *(
            "file",
            "files",
            "filenames",
            "filepath",
            "path",
            "paths",
            "crop",
            "image",
            "images",
            "imagename",
            "imagefile",
        ),
        *("imagepath", "img", "imgname", "imgpath", "photo", "picture", "video", "videofile", "videopath"),
    ),
    "subject": (
        *("subjects", "subjectid", "subjectno", "subjectnr", "subjectnumber", "subjectname", "subjectcode", "subj"),
        *(
            "subjid",
            "subid",
            "sub",
            "sid",
            "participant",
            "participants",
            "participantid",
            "participantno",
            "pid",
            "ppt",
        ),
        *("person", "persons", "personid", "personname", "identity", "individual", "patient", "patientid"),
        *(
            "actor",
            "actorid",
            "user",
            "userid",
            "volunteer",
            "proband",
            "versuchsperson",
            "vp",
            "vpn",
            "sujet",
            "sujeto",
            "id",
        ),
    ),
    "frame": (
        *("frames", "frameno", "framenr", "framenum", "framenumber", "frameid", "frameidx", "frameindex", "framecount"),
    ),
    "domain": ("domains",),
}
LABELLED_BY = "labelled_by"  # column with the model that labelled a row
_CLOSE = 0.82  # similarity of the spelling


def check_columns(names: object, *, key: str) -> None:
    """Check the names that a config gives to columns.

    Raises:
        ConfigError: not a text or null for each standard name.
    """
    if not isinstance(names, Mapping) or not all(name is None or isinstance(name, str) for name in names.values()):
        raise ConfigError(f"{key}: expected a name for each column, or null if there is none, got {names!r}")


def name_columns(table: Table, names: Mapping[str, str | None], *, key: str) -> Table:
    """Give columns their standard names, and raise for one whose name is only similar.

    Args:
        table: as read.
        names: standard name -> name in this file; None: it has no such column.
        key: config key of `names`, for messages.

    Raises:
        ConfigError: a name that the file does not have.
        DataError: no column with a standard name, but one with a similar name.
    """
    header = list(table.header)
    for standard, name in names.items():
        if name is not None and name != standard and name not in table.header:
            raise ConfigError(
                f"{key}.{standard}: expected a column of {table.path}, got '{name}'; {suggest(name, table.header)}"
            )
        if name != standard:
            header = [
                standard if header_name == name else "" if header_name == standard else header_name
                for header_name in header
            ]
    named = dataclasses.replace(table, header=tuple(header))
    for standard, name in names.items():
        if name == standard and standard not in header and standard != "filename":
            _check_near(named, standard, names.keys(), key)
    return named


def no_column(path: Path, table: Table, standard: str, *, key: str) -> DataError:
    """Error for a table without a required column."""
    near = _near(table, standard, ())
    similar = near or next(iter(difflib.get_close_matches(standard, table.header, n=1, cutoff=0.55)), None)
    step = f"did you mean '{similar}'? Rename it, or set {key}.{standard}={similar}" if similar else "add it"
    return DataError(f"{path}: expected a column '{standard}', got {table.listed()}; {step}")


def _check_near(table: Table, standard: str, known: Collection[str], key: str) -> None:
    if near := _near(table, standard, known):
        raise DataError(
            f"{table.path}: expected a column '{standard}', got '{near}'; rename it, or set {key}.{standard}={near}, "
            f"or {key}.{standard}=null if it is something else"
        )


def _near(table: Table, standard: str, known: Collection[str]) -> str | None:
    """Column that a standard name may mean: first another spelling, then another word."""
    others = {name: _letters(name) for name in table.header if name and name not in known}
    spelled = [name for name, letters in others.items() if letters == standard]
    close = [n for n, letters in others.items() if difflib.SequenceMatcher(None, letters, standard).ratio() >= _CLOSE]
    words = [
        name
        for word in _WORDS.get(standard, ())
        for name, letters in others.items()
        if letters == word and (word != "id" or _repeats(table, name))
    ]
    return next(iter((*spelled, *words, *close)), None)


def _repeats(table: Table, name: str) -> bool:
    cells = table.columns[table.header.index(name)]
    return len(set(cells)) < len(cells)


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())
