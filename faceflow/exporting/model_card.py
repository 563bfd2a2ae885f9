"""The card of an exported model in Hugging Face format: what was measured, and what was not."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from faceflow.aus import description
from faceflow.calibration import PROTOCOL
from faceflow.cards import NOT_MEASURED, TAGS, markdown_table, write_card
from faceflow.conformal import COVERAGE
from faceflow.crop_statistics import QUANTILES
from faceflow.exporting.description import run_of
from faceflow.inference.contract import ModelContract
from faceflow.inference.decision import threshold_of
from faceflow.metrics.metric import Column, Place, columns_in

_GROUPS = "groups.csv"  # of an audit
_MEAN = "mean"  # over AUs, in its column of AUs
_ERRORS = {
    "ece_before": "ECE before",
    "ece": "ECE",
    "ece_floor": "ECE of exact probabilities",
    "brier_before": "Brier before",
    "brier": "Brier",
}
_HELD = {
    "active_held": "held, active",
    "inactive_held": "held, inactive",
    "intensity_held": "held, intensity",
    "unsure": "unsure",
    "missed": "missed",
    "missed_sure": "missed, sure",
    "false": "false alarms",
    "false_sure": "false, sure",
}
_KINDS = {"f1": "f1", "accuracy": "accuracy", "auroc": "roc_auc", "ap": "average_precision"}  # as the Hub calls them
_USE = (
    "Estimating the Action Units that a face shows, in research, and in products whose makers have evaluated the model "
    "on faces like theirs.\n\nNot for identification, lie detection, hiring, policing, grading or medical decisions. "
    "Action Units are movements; they do not show what a subject feels."
)
_LIMITS = (
    "Scores hold for faces and labels like those of the test. They can be much lower for other cameras, light, poses, "
    "ages and skin: evaluate on faces like yours before you rely on a number. What is not in the tables was "
    "not measured."
)


def write_model_card(
    path: Path, contract: ModelContract, *, model: Path, checkpoint: Path, facts: Mapping[str, str]
) -> None:
    """Write the card of a model.

    Args:
        path: of the card.
        contract: metadata of the model.
        model: file of the model.
        checkpoint: source of the model; the test results are in its run folder.
        facts: facts about the export, by name.

    Raises:
        DataError: the card cannot be written.
    """
    folder, record = run_of(checkpoint)
    tests: Mapping[str, Any] = record.get("test") or {}
    if not contract.metrics:  # none, or they score occurrence at the old level
        tests = {}
    place = Place.INTENSITY_TABLE if contract.levels > 1 else Place.OCCURRENCE_TABLE
    shown = [column for column in columns_in(place) if any(column.name in each["summary"] for each in tests.values())]
    front = {
        "license": "other",
        "library_name": "faceflow",
        "pipeline_tag": "image-classification",
        "tags": [*TAGS, "onnx"],
        "datasets": list(contract.training_data),
        "model-index": _model_index(model.stem, tests, shown),
    }
    parts = [
        f"# {model.stem}",
        _overview(contract, model),
        f"## Intended use\n\n{_USE}",
        f"## Training data\n\n{_training_data(contract, record)}",
        f"## Protocol\n\n{_facts(contract.protocol) if contract.protocol else NOT_MEASURED}",
        f"## Scores\n\n{_scores(tests, shown)}",
        f"## Probabilities\n\n{_probabilities(contract, record if tests else {})}",
        f"## Groups of subjects\n\n{_groups(folder, record) if tests else NOT_MEASURED}",
        f"## Export\n\n{_facts({name: text.replace(str(model), model.name) for name, text in facts.items()})}",
        f"## Limits\n\n{_LIMITS}",
        f"## Licence\n\n{contract.licence or 'not stated'}",
    ]
    write_card(path, front, parts)


def _model_index(name: str, tests: Mapping[str, Any], shown: Sequence[Column]) -> list[dict[str, Any]]:
    results = [
        {
            "task": {"type": "image-classification", "name": "Facial Action Units"},
            "dataset": {"type": data, "name": data, "split": "test"},
            "metrics": [
                {
                    "type": _KINDS.get(column.metric.name, column.metric.name),
                    "name": f"mean {column.header} over {_defined(test, column)} AUs",
                    "value": float(test["summary"][column.name]),
                }
                for column in shown
                if _known(test["summary"].get(column.name))
            ],
        }
        for data, test in tests.items()
    ]
    results = [result for result in results if result["metrics"]]
    return [{"name": name, "results": results}] if results else []


def _overview(contract: ModelContract, model: Path) -> str:
    aus = [[au, description(au), f"{threshold_of(contract, au):.3f}"] for au in contract.aus]
    size = contract.image_size
    read = {
        "images": f"face crops of {size} x {size} pixels",
        "features": "landmarks, blendshapes and pose of MediaPipe's Face Landmarker",
    }
    intensity = "" if contract.levels == 1 else f", and intensities 0-5 of {contract.levels} levels"
    return (
        f"A model of FaceFlow that estimates {len(contract.aus)} facial Action Units (FACS). It reads "
        f"{' and '.join(read[name] for name in contract.inputs)} and gives probabilities{intensity}.\n\n"
        f"```bash\nfaceflow-infer onnx={model.name} source=VIDEO output=aus.csv\n```\n\n"
        + _facts(
            {
                "network": contract.backbone or "small layers on features",
                "labels": contract.label_meaning or NOT_MEASURED,
                **{f"run: {name}": text for name, text in contract.run.items()},
            }
        )
        + "\n\n"
        + markdown_table(["AU", "", "active from probability"], aus)
    )


def _training_data(contract: ModelContract, record: Mapping[str, Any]) -> str:
    sets = (((record.get("run") or {}).get("data") or {}).get("train")) or {}
    rows = [
        [name, str(sets.get(name, {}).get("rows", "not known")), content[:12]]
        for name, content in contract.training_data.items()
    ]
    parts = [markdown_table(["data set", "faces", "fingerprint"], rows) if rows else "Not known."]
    if contract.crop:
        align, detector = contract.crop["align"], contract.crop["detector"]
        parts.append(f"Crops: align={align.get('preset', '?')}, faces found by {detector.get('name', '?')}.")
    known = contract.crop_statistics
    if known is None:
        parts.append(f"Statistics of the crops: {NOT_MEASURED}.")
    else:
        whom = "" if known.subjects is None else f" of {known.subjects} subjects"
        quantiles = [[name, *(f"{value:.3g}" for value in values)] for name, values in known.quantiles.items()]
        parts.append(f"Statistics of {known.faces} of the crops{whom}, as quantiles:")
        parts.append(markdown_table(["", *(f"{100 * share:g} %" for share in QUANTILES)], quantiles))
    return "\n\n".join(parts)


def _scores(tests: Mapping[str, Any], shown: Sequence[Column]) -> str:
    if not tests or not shown:
        return NOT_MEASURED
    header = [column.header for column in shown]
    means = [[data, str(test["rows"]), *_cells(test["summary"], shown)] for data, test in tests.items()]
    parts = [
        "Means over AUs on subjects that the network was not trained on; in brackets 95 % intervals over subjects, "
        "where computed.",
        markdown_table(["data set", "faces", *header], means),
    ]
    for data, test in tests.items():
        rows = [
            [au, str(found["observed"]), str(found["positives"]), *_cells(found, shown)]
            for au, found in test["per_au"].items()
        ]
        parts += [f"### {data}", markdown_table(["AU", "faces", "that show it", *header], rows)]
    return "\n\n".join(parts)


def _probabilities(contract: ModelContract, record: Mapping[str, Any]) -> str:
    """Whether probabilities are calibrated and which decisions are sure, with test results for both."""
    calibration, band = contract.calibration, contract.conformal
    if calibration is None:
        parts = [f"Not calibrated; calibration error: {NOT_MEASURED}."]
    else:
        parts = [
            f"Calibrated: {calibration.protocol}.",
            _measured(
                record.get(PROTOCOL),
                _ERRORS,
                about="Expected calibration error (ECE) and mean squared error (Brier) in the test, before and after "
                "calibration, means over AUs; 0 is best. Even exact probabilities have an ECE above 0 on few faces:",
            ),
        ]
    if band is None:
        parts.append("No decision is marked as unsure: no coverage was promised.")
    else:
        parts += [
            f"Unsure decisions are marked. Promised: {band.protocol}.",
            _measured(
                record.get(COVERAGE),
                _HELD,
                about="Shares of faces in the test, means over AUs. Held: active (inactive) faces in the unsure band "
                "or on its correct side. Sure: errors outside the band:",
            ),
        ]
    return "\n\n".join(parts)


def _measured(found: Mapping[str, Mapping[str, Any]] | None, names: Mapping[str, str], *, about: str) -> str:
    """A table of means by data set, with a column for each name that occurs."""
    if not found:
        return f"In the test: {NOT_MEASURED}."
    shown = {name: header for name, header in names.items() if any(name in means for means in found.values())}
    rows = [[data, *(_cell(means, name) for name in shown)] for data, means in found.items()]
    return f"{about}\n\n{markdown_table(['data set', *shown.values()], rows)}"


def _groups(folder: Path | None, record: Mapping[str, Any]) -> str:
    """Groups of an audit of the run, or of all folds if it is a fold; means over AUs."""
    rows, parts = _group_rows(folder), []
    if not rows and folder is not None and _is_fold(record, folder.parent):
        rows = _group_rows(folder.parent)
        parts.append("On the test faces of all folds together, each scored by the network of its fold.")
    if not rows:
        return f"{NOT_MEASURED[0].upper()}{NOT_MEASURED[1:]}: an audit of the test compares groups."
    about = ("column", "group", "subjects", "faces", "au")
    names = [name for name in rows[0] if name not in about and not name.endswith(("_low", "_high"))]
    cells = [[*(row.get(name) or "" for name in about[:4]), *(_cell(row, name) for name in names)] for row in rows]
    return "\n\n".join([*parts, markdown_table([*about[:4], *names], cells)])


def _group_rows(folder: Path | None) -> list[dict[str, str]]:
    if folder is None or not (folder / _GROUPS).is_file():
        return []
    with (folder / _GROUPS).open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row.get("au") == _MEAN]


def _is_fold(record: Mapping[str, Any], folder: Path) -> bool:
    """Whether a folder holds the summary of folds, and the run of a record is one of them."""
    try:
        folds = json.loads((folder / "metrics.json").read_text("utf-8"))["folds"]
        return record in folds.values()
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return False


def _facts(facts: Mapping[str, str]) -> str:
    return markdown_table(["", ""], [[name, str(text)] for name, text in facts.items()])


def _cells(values: Mapping[str, Any], shown: Iterable[Column]) -> list[str]:
    return [_cell(values, column.name) for column in shown]


def _cell(values: Mapping[str, Any], name: str) -> str:
    """A score with its interval, or a note that there is none."""
    if not _known(values.get(name)):
        return NOT_MEASURED
    text, low, high = f"{float(values[name]):.3f}", f"{name}_low", f"{name}_high"
    if _known(values.get(low)) and _known(values.get(high)):
        text += f" ({float(values[low]):.3f} to {float(values[high]):.3f})"
    return text


def _defined(test: Mapping[str, Any], column: Column) -> int:
    """AUs of a test for which a score is defined."""
    return sum(_known(found.get(column.name)) for found in test["per_au"].values())


def _known(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False
