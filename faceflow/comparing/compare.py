"""faceflow-compare from its config: read the runs, check that they can be compared, compare, write and print."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from faceflow.checks import check_boolean, check_number, check_whole
from faceflow.comparing.differences import Comparison, asked_metrics, differences
from faceflow.comparing.groups import group_differences, groups_tables
from faceflow.comparing.picture import draw_comparison, save_comparison
from faceflow.comparing.predictions import Predictions, read_run
from faceflow.comparing.same_faces import PROTOCOL, on_same_faces
from faceflow.comparing.tables import explanation, latex, markdown, tables
from faceflow.console import print_lines, print_tables
from faceflow.errors import ConfigError, similar_names
from faceflow.files import claimed, whole_file
from faceflow.metrics.audited import asked_audit
from faceflow.report.result_files import write_table

PICTURE = "comparison.png"
_CSV, _MARKDOWN, _LATEX = "comparison.csv", "comparison.md", "comparison.tex"
_GROUPS = "comparison_groups.csv"
_FILES = (_CSV, _MARKDOWN, _LATEX, PICTURE, _GROUPS)


@dataclass(frozen=True, kw_only=True)
class CompareResult:
    """Results of a comparison: folder, comparison, and differences by group of faces if requested."""

    folder: Path
    comparison: Comparison
    groups: pd.DataFrame | None = None


def compare(cfg: Mapping[str, Any]) -> CompareResult:
    """Compare the runs of a config.

    Args:
        cfg: plain values of `configs/compare.yaml`.

    Raises:
        ConfigError, DataError: settings are out of range, or runs are missing, damaged, or differ in faces, subjects,
            labels, AUs or protocol.
    """
    output = Path(str(cfg["output"])).expanduser()
    _check(cfg, output)
    metrics = asked_metrics(cfg["metrics"])
    paths = _paths(cfg["runs"])
    names = _names(paths)
    audit = asked_audit(cfg["audit"], cfg["audit_least_subjects"])
    columns = () if audit is None else audit.columns
    read = [
        read_run(path, name=name, threshold=cfg["threshold"], columns=columns)
        for path, name in zip(paths, names, strict=True)
    ]
    _check_columns(read[0], columns)
    runs = on_same_faces(read, shared_aus=cfg["shared_aus"], any_protocol=cfg["any_protocol"])
    found = differences(
        runs,
        metrics,
        level=cfg["level"],
        resamples=cfg["bootstrap"]["resamples"],
        seed=cfg["bootstrap"]["seed"],
    )
    found = dataclasses.replace(found, notes=(*found.notes, *_notes(runs)))
    groups = None
    if audit is not None:
        drawn = {"resamples": cfg["bootstrap"]["resamples"], "seed": cfg["bootstrap"]["seed"]}
        groups = group_differences(runs, found.metrics, audit, level=cfg["level"], **drawn)
        found = dataclasses.replace(found, notes=(*found.notes, *groups.notes))
    page = draw_comparison(found) if cfg["pictures"] else None
    with claimed(output, key="output", folder=True):
        for name in (PICTURE, _GROUPS):
            (output / name).unlink(missing_ok=True)  # of an earlier comparison
        write_table(output / _CSV, found.rows)
        for name, text in ((_MARKDOWN, markdown(found)), (_LATEX, latex(found))):
            with whole_file(output / name) as partial:
                partial.write_text(text, encoding="utf-8")
        if groups is not None:
            write_table(output / _GROUPS, groups.rows)
        if page is not None:
            save_comparison(page, output / PICTURE)
    print_tables(*tables(found), *(groups_tables(groups) if groups is not None else ()))
    written = [name for name in _FILES if (output / name).exists()]
    print_lines("", *explanation(found), f"Results: {output}: {', '.join(written)}")
    return CompareResult(folder=output, comparison=found, groups=None if groups is None else groups.rows)


def _check(cfg: Mapping[str, Any], output: Path) -> None:
    check_number(cfg["level"], key="level", expected="a number between 0 and 1", valid=lambda x: 0 < x < 1)
    check_number(cfg["threshold"], key="threshold", expected="a number from 0 to 1", valid=lambda x: 0 <= x <= 1)
    for key in ("shared_aus", "any_protocol", "pictures", "overwrite"):
        check_boolean(cfg[key], key=key)
    check_whole(cfg["bootstrap"]["resamples"], key="bootstrap.resamples", lowest=100)
    check_whole(cfg["bootstrap"]["seed"], key="bootstrap.seed", lowest=0)
    if not cfg["overwrite"] and any((output / name).exists() for name in _FILES):
        raise ConfigError(
            f"output: expected a folder without a comparison, got '{output}'; choose another, or replace that one with "
            "overwrite=true"
        )


def _check_columns(run: Predictions, columns: Sequence[str]) -> None:
    """Check that the predictions of the first run have the columns of groups."""
    for column in columns:
        if column not in run.faces:
            step = f"test that run with audit=[{column}], or name a CSV with that column first"
            raise ConfigError(
                f"audit: expected columns of the predictions of '{run.path}', got '{column}', which they do not have; "
                f"{similar_names(column, run.further) or step}"
            )


def _paths(runs: object) -> list[str]:
    listed = [runs] if isinstance(runs, str) else runs
    if not isinstance(listed, list | tuple) or len(listed) < 2:
        count = len(listed) if isinstance(listed, list | tuple) else 0
        raise ConfigError(
            f"runs: expected two or more folders or CSVs, the reference first, got {count or 'none'}; run: "
            "faceflow-compare RUN_A RUN_B"
        )
    return [str(path) for path in listed]


def _names(paths: Sequence[str]) -> list[str]:
    """Short names of the runs: folder or file, with as many parent folders as make them unique."""
    parts = [_named(Path(path).expanduser().resolve()).parts for path in paths]
    names = list(paths)
    for depth in range(1, 4):
        names = ["/".join(each[-depth:]) for each in parts]
        if len(set(names)) == len(set(map(tuple, parts))):
            break
    counts, seen = Counter(names), Counter[str]()
    for place, name in enumerate(names):
        seen[name] += 1
        if counts[name] > 1 and seen[name] > 1:
            names[place] = f"{name} ({seen[name]})"
    return names


def _named(path: Path) -> Path:
    """Path that names a run: the folder of its predictions, or the CSV."""
    return path.parent if path.name in ("predictions.csv", "metrics.json") else path


def _notes(runs: Sequence[Predictions]) -> Iterator[str]:
    """The protocol of each run, or a note that it is not known."""
    texts = {run.name: _protocol(run) for run in runs}
    for text in dict.fromkeys(texts.values()):
        names = [name for name, each in texts.items() if each == text]
        yield f"{', '.join(names)}: {text}."


def _protocol(run: Predictions) -> str:
    if run.protocol is None:
        return f"threshold {float(run.thresholds[0, 0]):g} for every AU, split not known"
    return "; ".join(f"{key}: {run.protocol[key]}" for key in PROTOCOL if key in run.protocol)
