"""Check that predictions to compare have the same faces, subjects, labels and protocol."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from faceflow.aus import sort_key
from faceflow.comparing.predictions import Predictions
from faceflow.errors import ConfigError, DataError

PROTOCOL = {
    **{"split": "the split", "labels": "the labels", "labelled by": "who labelled"},
    **{"legacy": "the legacy mode", "caution": "who is tested"},
}
_SHOWN = 3  # names in a message


def on_same_faces(runs: Sequence[Predictions], *, shared_aus: bool, any_protocol: bool) -> list[Predictions]:
    """Bring all runs to the faces and AUs of the first, in its order.

    Args:
        runs: two or more.
        shared_aus: whether runs with different AUs are compared on those that all have.
        any_protocol: whether runs can differ in their splits or label rules.

    Raises:
        ConfigError: AUs or protocols differ.
        DataError: faces, subjects or labels differ.
    """
    reference = runs[0]
    for run in runs[1:]:
        _check_faces(reference, run)
    aus = _aus(runs, shared=shared_aus)
    keys = _keys(reference, runs)
    first = reference.take(np.arange(len(reference.faces)), aus)
    found = [first]
    for run in runs[1:]:
        places = pd.Index(_keys(run, runs)).get_indexer(pd.Index(keys))
        found.append(run.take(places, aus))
    for run in found[1:]:
        _check_subjects(first, run)
        _check_labels(first, run)
        if not any_protocol:
            _check_protocol(first, run)
    count = first.faces["subject"].nunique()
    if count < 2:
        raise DataError(
            f"{first.path}: expected at least 2 test subjects, got {count}; intervals are over subjects: test on "
            "more of them"
        )
    graded = first.graded
    return [dataclasses.replace(run, graded=graded) for run in found]


def _keys(run: Predictions, runs: Sequence[Predictions]) -> list[str]:
    """Name of each face in all runs: its file name, with the data set if file names are not unique."""
    if all(each.faces["filename"].is_unique for each in runs):
        return run.faces["filename"].tolist()
    return (run.faces["dataset"] + "/" + run.faces["filename"]).tolist()


def _check_faces(reference: Predictions, run: Predictions) -> None:
    both = (reference, run)
    ours, theirs = (_keys(each, both) for each in both)
    for each, keys in zip(both, (ours, theirs), strict=True):
        if len(twice := pd.Index(keys)[pd.Index(keys).duplicated()]):
            raise DataError(
                f"{each.path}: expected one row per face, got '{twice[0]}' twice; remove one, or add a column dataset"
            )
    for each, other, keys, others in ((run, reference, theirs, ours), (reference, run, ours, theirs)):
        known = set(others)
        alone = np.array([key not in known for key in keys])
        if alone.any():
            subjects, those = set(each.faces["subject"][alone]), set(other.faces["subject"])
            strangers = sorted(subjects - those)
            who = f"{len(strangers)} more subjects ({_some(strangers)})" if strangers else "no other subject"
            shared = len(keys) - int(alone.sum())
            raise DataError(
                f"{run.path}: expected the same test faces as '{reference.path}', got {shared} in common: "
                f"{int(alone.sum())} faces are only in '{each.path}' ({_some(np.array(keys)[alone])}), of {who}; test "
                "both on the same faces with faceflow-test, and compare those tests"
            )


def _aus(runs: Sequence[Predictions], *, shared: bool) -> list[str]:
    reference = runs[0]
    common = set(reference.aus).intersection(*(run.aus for run in runs[1:]))
    if not common:
        raise ConfigError(
            f"runs: expected AUs in common, got {', '.join(reference.aus)} in '{reference.path}', none of which all "
            "other runs have; compare runs with the same AUs"
        )
    for run in runs[1:]:
        if not shared and set(run.aus) != set(reference.aus):
            missing, further = (
                _list(set(one) - set(other)) for one, other in ((reference.aus, run.aus), (run.aus, reference.aus))
            )
            parts = [f"without {missing}" if missing else "", f"with {further}" if further else ""]
            raise ConfigError(
                f"{run.path}: expected the AUs of '{reference.path}', got predictions "
                f"{' and '.join(filter(None, parts))}; shared_aus=true compares the {len(common)} that all have"
            )
    return sorted(common, key=sort_key)


def _check_subjects(reference: Predictions, run: Predictions) -> None:
    """Check that both group the faces into the same subjects; names of subjects do not matter."""
    ours, theirs = (each.faces["subject"].to_numpy() for each in (reference, run))
    for one, other in ((ours, theirs), (theirs, ours)):
        pairs = pd.DataFrame({"one": one, "other": other}).drop_duplicates()
        twice = pairs[pairs["one"].duplicated(keep=False)]
        if len(twice):
            name, where = twice["one"].iloc[0], (reference, run) if one is ours else (run, reference)
            others = twice["other"][twice["one"] == name]
            raise DataError(
                f"{run.path}: expected the subjects of '{reference.path}', got faces of one subject ('{name}' in "
                f"'{where[0].path}') that belong to several in '{where[1].path}' ({_some(others)}); give both the same "
                "subjects"
            )


def _check_labels(reference: Predictions, run: Predictions) -> None:
    for what, ours, theirs in (
        ("occurs", reference.occurs, run.occurs),
        ("intensity", reference.graded, run.graded),
    ):
        if what == "intensity" and not (np.isfinite(ours).any() and np.isfinite(theirs).any()):
            continue  # a table may leave them out
        differing = ~((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
        if differing.any():
            row, column = (int(each[0]) for each in np.nonzero(differing))
            au = reference.aus[column]
            name = f"{au}_occurs" if what == "occurs" else au
            raise DataError(
                f"{run.path}: expected the labels of '{reference.path}', got {int(differing.sum())} different ones, "
                f"such as {name} of {reference.faces['filename'].iloc[row]}: {_cell(ours[row, column])} in the first, "
                f"{_cell(theirs[row, column])} here; test both with the same labels and occurrence_min"
            )


def _check_protocol(reference: Predictions, run: Predictions) -> None:
    if reference.protocol is None or run.protocol is None:
        return
    for key, what in PROTOCOL.items():
        ours, theirs = (_current(rules.get(key, "none")) for rules in (reference.protocol, run.protocol))
        if ours != theirs:
            raise ConfigError(
                f"{run.path}: expected the protocol of '{reference.path}', got one that differs in {what}: '{theirs}' "
                f"instead of '{ours}'; train both with one protocol, or compare them anyway with any_protocol=true"
            )
    rows = [[count for count, _ in each.contents] for each in (reference, run)]
    if rows[0] == rows[1] and reference.contents != run.contents:
        raise ConfigError(
            f"{run.path}: expected the test images of '{reference.path}', got files with the same names but other "
            "pixels, or tables with other labels; test both on the same files, or compare them anyway with "
            "any_protocol=true"
        )


def _current(rule: str) -> str:
    """A protocol in its present wording: FaceFlow 0.1 called subjects persons."""
    return re.sub(r"\bperson(s?)\b", r"subject\1", rule)


def _some(names: Iterable[object]) -> str:
    found = [str(name) for name in names]
    return ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")


def _list(aus: Iterable[str]) -> str:
    return ", ".join(sorted(aus, key=sort_key))


def _cell(value: float) -> str:
    return "none" if np.isnan(value) else f"{value:g}"
