"""Pictures and the report page of a run, a test or all folds of a protocol."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from faceflow.config.stored import config_text
from faceflow.console import number
from faceflow.data.splits import Tables
from faceflow.evaluation.centred import CENTRED
from faceflow.evaluation.data_summary import summarize
from faceflow.evaluation.run_context import RunContext
from faceflow.metrics.guesses import GUESSES
from faceflow.metrics.metric import Place, columns_in, header_of
from faceflow.report.pictures import CAPTIONS, draw_training_curves
from faceflow.report.report_page import Report, write_report
from faceflow.report.tables import data_tables

REPORT = "report.html"
_THRESHOLDS = {
    "thresholds": "@val: the AU's own (thr), tuned on validation and kept in the checkpoint; @0.5: 0.5 for every AU"
}
_WARNING = re.compile(r"[\d-]+ [\d:]+ WARNING \S+: (.+)")  # as configs/layout/run.yaml formats it


def report_run(
    context: RunContext,
    content: Mapping[str, Any],
    *,
    title: str,
    aus: Sequence[str],
    splits: Tables,
    results: Sequence[Table] = (),
    pictures: Sequence[Path] = (),
) -> Path:
    """Write report.html of a run or a test, with the training curves if there was a training.

    Args:
        context: of the run.
        content: of metrics.json.
        title: of the test.
        aus: of the network.
        splits: data of the run.
        results: tables of the test.
        pictures: of the test.

    Raises:
        DataError: a file cannot be written.
    """
    output, protocol = context.output, content["protocol"]
    if "monitor" in content:
        metric, best = content["monitor"]["metric"], content["monitor"]["best"]
        pictures = [*pictures, *draw_training_curves(output, monitor=metric, best=best, protocol=protocol)]
    report = Report(
        title=_name(output),
        about=f"faceflow-{context.task}: {title}; {content['run']['started']}",
        numbers=dict(_headline(content)),
        warnings=[*_legacy(content["protocol"]), *_warnings(context.task, output)],
        protocol=protocol | (_THRESHOLDS if "test" in content else {}),
        results=results,
        pictures={path: CAPTIONS[path.name] for path in pictures},
        data=data_tables(summarize(splits, aus), aus),
        config=config_text(context.config),
        record=_record(content),
    )
    return write_report(output / REPORT, report)


def report_protocol(
    context: RunContext,
    content: Mapping[str, Any],
    *,
    tables: Sequence[Table],
    folds: Mapping[str, Path],
    pictures: Sequence[Path] = (),
) -> Path:
    """Write report.html over the folds of a protocol.

    Args:
        context: of the command.
        content: of metrics.json.
        tables: over the folds.
        folds: folder of each fold below that of the command.
        pictures: of the test faces of all folds.

    Raises:
        DataError: the file cannot be written.
    """
    output = context.output
    means, deviations = content["mean"], content["std"]
    report = Report(
        title=_name(output),
        about=f"faceflow-{context.task}: {len(folds)} folds; {content['run']['started']}",
        numbers={
            header_of(name): (
                number(mean),
                f"± {number(deviations[name])} over folds" if np.isfinite(deviations[name]) else "",
            )
            for name, mean in means.items()
            if name not in GUESSES
        },
        warnings=[*_legacy(content["protocol"]), *_warnings(context.task, output)],
        protocol=content["protocol"] | _THRESHOLDS,
        links={
            name: (folder / REPORT).relative_to(output).as_posix()
            for name, folder in folds.items()
            if (folder / REPORT).is_file()
        },
        results=tables,
        pictures={path: CAPTIONS[path.name] for path in pictures},
        config=config_text(context.config),
        record=_record(content),
    )
    return write_report(output / REPORT, report)


def _name(output: Path) -> str:
    folder = output.resolve()
    return f"{folder.parent.name}/{folder.name}"


def _headline(content: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, str]]]:
    """The means over AUs of all tested faces, or the best validation score; and the result of a check of labels."""
    if checked := content.get("label_check"):
        yield "suspicious labels", (str(checked["suspicious"]), f"of {checked['labels']}")
    if "test" not in content:
        if "monitor" not in content:
            return
        best = content["monitor"]
        yield best["metric"], (number(best["best"]), "best epoch")
        return
    pooled = list(content["test"].values())[-1]
    summary = pooled["summary"]
    yield "faces", (str(pooled["rows"]), "")
    graded = summary.get("valid_aus_icc", summary["valid_aus"])
    other = "" if graded == summary["valid_aus"] else f"ICC: {graded:.0f}"
    yield "AUs scored", (f"{summary['valid_aus']:.0f} of {len(pooled['per_au'])}", other)
    centred = list(content[CENTRED]["test"].values())[-1]["summary"] if CENTRED in content else {}
    for column in columns_in(Place.HEADLINE):
        if summary.get(column.name) is not None:
            low, high = (summary.get(f"{column.name}_{bound}") for bound in ("low", "high"))
            below = [f"95 %: {number(low)} to {number(high)}"] if None not in (low, high) else []
            if (score := centred.get(column.name)) is not None and np.isfinite(score):
                below.append(f"{CENTRED}: {number(score)}")
            yield column.header, (number(summary[column.name]), "; ".join(below))


def _legacy(protocol: Mapping[str, str]) -> list[str]:
    """Warning about legacy numbers, which a reader of the headline must see first."""
    return [f"Legacy numbers: {protocol['legacy']}"] if "legacy" in protocol else []


def _warnings(task: str, output: Path) -> list[str]:
    """Warnings in the log so far, each once; folds share the log of their protocol."""
    logs = [folder / f"{task}.log" for folder in (output, output.parent)]
    found = next((path for path in logs if path.is_file()), None)
    lines = found.read_text("utf-8", errors="replace").splitlines() if found else []
    return list(dict.fromkeys(match[1] for line in lines if (match := _WARNING.fullmatch(line))))


def _record(content: Mapping[str, Any]) -> dict[str, Any]:
    named = {key: content[key] for key in ("checkpoint", "onnx", "monitor", "training") if key in content}
    return {**named, **{key: value for key, value in content["run"].items() if key != "protocol"}}
