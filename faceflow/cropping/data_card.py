"""The data card of crops, in the format of Hugging Face: counts, and what is not known."""

from __future__ import annotations

import contextlib
import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

import faceflow
from faceflow.aus import description, parse_column
from faceflow.cards import NOT_MEASURED, TAGS, markdown_table, size_category, write_card
from faceflow.errors import ConfigError

_LABELS, _RECIPE = "labels.csv", "crops.json"
_MOST = 12  # values of an AU that are counted one by one
_MADE = "Cropped with `faceflow-crop`"
_LIMITS = (
    f"Age, sex and skin tone of the subjects: {NOT_MEASURED}. Agreement between coders: {NOT_MEASURED}. Frames in "
    "which no face was found have no crop; `failures.png` shows some of them."
)
_TERMS = "Not stated. The terms of the images and labels and the consent of the subjects also apply to the crops."


@dataclass(frozen=True, kw_only=True)
class _Labelled:
    """Summary of labels.csv; `values` are counts by AU column, without empty cells."""

    rows: int
    subjects: int | None
    domains: Counter[str]
    values: Mapping[str, Counter[str]]


def check_replaced(card: Path | None) -> None:
    """Check that a card would replace only an earlier card.

    Raises:
        ConfigError: a file that faceflow-crop did not write.
    """
    if card is not None and card.exists() and _MADE not in card.read_text("utf-8", errors="replace"):
        raise ConfigError(
            f"card: expected a new file or an earlier card, got another file: '{card}'; choose another name"
        )


def write_data_card(
    card: Path,
    output: Path,
    counts: Sequence[tuple[str, Counter[str]]],
    *,
    crops: int,
    features: int,
    labelled: bool,
    columns: Mapping[str, str | None],
) -> None:
    """Write the card of a folder of crops.

    Args:
        card: the file.
        output: folder of the results, finished.
        counts: name and statuses of every clip.
        crops: how many there are.
        features: how many of them have landmarks, blendshapes and pose.
        labelled: whether there is a labels.csv.
        columns: standard name -> name of its column; None if there is none.

    Raises:
        DataError: the file cannot be written.
    """
    labels = _read_labels(output / _LABELS, columns) if labelled else None
    name = output.absolute().name
    front = {
        "license": "other",
        "pretty_name": f"Face crops: {name}",
        "task_categories": ["image-classification"],
        "tags": list(TAGS),
        "size_categories": [size_category(crops if labels is None else labels.rows)],
        "configs": [{"config_name": "default", "data_files": _LABELS}] if labels else [],
    }
    statuses = sum((found for _, found in counts), Counter[str]())
    recipe = json.loads((output / _RECIPE).read_text("utf-8"))
    rows = [[status, str(count)] for status, count in statuses.most_common()]
    parts = [
        f"# Face crops: {name}",
        f"{_MADE} {faceflow.__version__}: {crops} crops of {len(counts)} recordings or folders of images, {features} "
        "of them with landmarks, blendshapes and pose.",
        "## Frames and faces\n\nRows of `crops.csv` by status.\n\n" + markdown_table(["status", "rows"], rows),
        "## Labels\n\n" + ("None." if labels is None else _describe(labels)),
        f"## How faces were cut\n\n```yaml\n{yaml.safe_dump(recipe, sort_keys=False)}```",
        f"## Limits\n\n{_LIMITS}",
        f"## Licence\n\n{_TERMS}",
    ]
    write_card(card, front, parts)


def _read_labels(path: Path, columns: Mapping[str, str | None]) -> _Labelled:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        header = rows.fieldnames or ()
        subject, domain = (
            next((name for name in (columns.get(what), what) if name in header), None) for what in ("subject", "domain")
        )
        subjects, domains, total = set(), Counter[str](), 0
        values = {name: Counter[str]() for name in header if parse_column(name)}
        for row in rows:
            total += 1
            if subject is not None:
                subjects.add(row[subject])
            if domain is not None:
                domains[row[domain]] += 1
            for name, found in values.items():
                if row[name]:
                    found[_plain(row[name])] += 1
    return _Labelled(rows=total, subjects=None if subject is None else len(subjects), domains=domains, values=values)


def _describe(labels: _Labelled) -> str:
    whom = "subjects not named" if labels.subjects is None else f"{labels.subjects} subjects"
    parts = [f"`{_LABELS}`: {labels.rows} crops, {whom}."]
    if labels.domains:
        rows = [[name, str(count)] for name, count in labels.domains.items()]
        parts.append(markdown_table(["domain", "crops"], rows))
    rows = [
        [name, description(column.au), str(found.total()), _spelt(found)]
        for name, found in labels.values.items()
        if (column := parse_column(name))
    ]
    parts.append(markdown_table(["AU", "", "labelled crops", "value: crops"], rows))
    return "\n\n".join(parts)


def _plain(cell: str) -> str:
    """A number without trailing zeros: 2.0 is 2."""
    with contextlib.suppress(ValueError):
        return f"{float(cell):g}"
    return cell


def _spelt(values: Counter[str]) -> str:
    if len(values) > _MOST:
        return f"{len(values)} values"
    return ", ".join(f"{value}: {values[value]}" for value in sorted(values)) or "-"
