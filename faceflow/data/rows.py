"""Rows of a label file: which are kept, their subjects, and the paths of their images."""

from __future__ import annotations

import dataclasses
import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from faceflow.data.labels import LabelFile
from faceflow.data.packed import checked, is_there
from faceflow.data.subject_ids import normal_id
from faceflow.errors import ConfigError, DataError, suggest
from faceflow.packs.layout import pack_folder

Texts = NDArray[np.str_]
Rows = NDArray[np.intp]

_UNTIDY = re.compile(
    r"^/|//|(?:^|/)\.{1,2}(?:/|$)|/$|^$" if os.sep == "/" else r""
)  # what normpath changes; it is slow
_SIGNS = ("//", "/.", "\n.", "\n/", "/\n", "\n\n")  # among names in lines of their own; some are harmless
_DRIVE = re.compile(r"[a-zA-Z]:[/\\]")  # an absolute path of Windows


def crops_beside(path: Path) -> Path | None:
    """Folder of crops that the file names of a `labels.csv` of faceflow-crop are relative to; None for other tables."""
    folder = path.parent / "crops"
    return folder if folder.is_dir() and (path.parent / "crops.json").is_file() else None


def with_slashes(file: LabelFile, images: Path) -> LabelFile:
    """Turn backslashes in file names, as written on Windows, into slashes, unless such a file exists."""
    names = file.frame["filename"]
    if not names.str.contains("\\", regex=False).any():
        return file
    read = [
        name.replace("\\", "/") if "\\" in name and not is_there(str(images / name)) else name
        for name in names.tolist()
    ]
    if read == names.tolist():
        return file
    notes = (*file.notes, "backslashes in filename read as slashes")
    return dataclasses.replace(file, frame=file.frame.assign(filename=read), notes=notes)


def without_duplicates(file: LabelFile) -> Rows:
    """Rows to keep: of several rows of one file, which must agree, the first."""
    names = file.frame["filename"].tolist()
    if not _all_tidy(names):
        names = [os.path.normpath(name) if _UNTIDY.search(name) else name for name in names]
    which, _ = pd.factorize(np.asarray(names, np.object_))  # numbers by first appearance
    firsts = np.flatnonzero(np.diff(np.maximum.accumulate(which), prepend=-1))
    if len(firsts) == len(which):
        return firsts
    first = firsts[which]
    alike = (file.scores == file.scores[first]) | (np.isnan(file.scores) & np.isnan(file.scores[first]))
    same = alike.all(axis=1)
    for column in {"subject", "domain"} & set(file.frame.columns):
        texts = file.frame[column].to_numpy(np.str_)
        if column == "subject":
            texts = np.asarray([normal_id(text) for text in texts], np.str_)
        same &= texts == texts[first]
    for texts in file.attributes.values():
        same &= texts == texts[first]
    if not same.all():
        row = int(np.argmin(same))
        said = ", ".join(["labels", *file.attributes, "subject or domain"])
        raise DataError(
            f"{file.where(row)}: expected one label row per image, got '{file.frame['filename'].iloc[row]}' with other "
            f"{said} than in line {file.lines[first[row]]}; keep the right one"
        )
    return np.flatnonzero(first == np.arange(len(first)))


def in_domains(key: str, domains: Sequence[str], file: LabelFile) -> NDArray[np.bool_]:
    """Which rows are in the given domains; each domain must be in the file."""
    if "domain" not in file.frame.columns:
        raise DataError(f"{file.path}: expected a column 'domain' for {key}.domains, got none; add it")
    known = set(file.frame["domain"])
    if absent := sorted(set(domains) - known):
        raise ConfigError(
            f"{key}.domains: expected values of the 'domain' column, got '{absent[0]}', which is not in "
            f"{file.path}; {suggest(absent[0], known)}"
        )
    return file.frame["domain"].isin(domains).to_numpy(bool)


def has_subjects(file: LabelFile, rows: Rows) -> bool:
    """Whether the rows name their subjects; either all must or none, as unnamed rows would count as other subjects."""
    if "subject" not in file.frame.columns:
        return False
    named = (file.frame["subject"] != "").to_numpy(bool)[rows]
    if named.any() and not named.all():
        row = int(rows[np.argmin(named)])
        raise DataError(
            f"{file.where(row)}: expected a subject, got an empty cell; fill in the subject of every row, or "
            "remove the column"
        )
    return bool(named.all())


def image_paths(key: str, file: LabelFile, rows: Rows, images: Path) -> Texts:
    """Absolute path of the image of every row; `images` is a folder, or the `pack.json` of a packed set."""
    if packed := pack_folder(images):
        checked(packed)
    elif not images.is_dir():
        raise DataError(f"{key}.images: expected a folder, got '{images}'; check the path")
    root = os.path.abspath(images)  # noqa: PTH100  (a link to the images may point anywhere; only the name must stay)
    inside = root.rstrip(os.sep) + os.sep
    names = file.frame["filename"].iloc[rows].tolist()
    together = "".join(names)
    if _all_tidy(names) and together.isascii() and ":" not in together:
        return np.asarray([inside + name for name in names], np.str_)
    paths = [_on_disk(inside, name) for name in names]
    for row, name, path in zip(rows, names, paths, strict=True):
        if not path.startswith(inside) or (os.name != "nt" and _DRIVE.match(name)):
            raise DataError(
                f"{file.where(int(row))}: expected a file inside '{images}', got '{name}'; "
                f"write filename relative to {key}.images"
            )
    return np.asarray(paths, np.str_)


def like_it(path: Path) -> str:
    """Suggest the file that was probably meant by a path that does not exist; "" if none is similar.

    Tables written on another system, or by hand, often differ in case or suffix.
    """
    if path.exists() or not path.parent.is_dir():
        return ""
    beside = sorted(each.name for each in path.parent.iterdir())
    same_name = [name for name in beside if name.casefold() == path.name.casefold()]
    same_stem = [name for name in beside if Path(name).stem.casefold() in (path.stem.casefold(), path.name.casefold())]
    found = same_name or same_stem
    return f", but there is '{found[0]}'" if found else ""


def _all_tidy(names: Sequence[str]) -> bool:
    """Whether normpath would change no name; ten times as fast as a search in each."""
    text = "\n".join(("", *names, ""))
    return os.sep == "/" and not any(sign in text for sign in _SIGNS)


def _on_disk(root: str, name: str) -> str:
    """Path of an image below a root, which ends in a slash; accents are also tried in the other Unicode form.

    macOS writes "e" and its accent as two characters, tables of other systems as one.
    """
    path = os.path.normpath(os.path.join(root, name)) if _UNTIDY.search(name) else root + name  # noqa: PTH118
    if name.isascii() or is_there(path):
        return path
    spelt = [os.path.normpath(os.path.join(root, unicodedata.normalize(form, name))) for form in ("NFC", "NFD")]  # noqa: PTH118
    return next((other for other in spelt if is_there(other)), path)
