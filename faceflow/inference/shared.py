"""Prediction of a corpus by several jobs: each recording by the job that holds its lease, then joined into a table."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import logging
import re
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceflow.config.result_settings import differing_setting, write_settings
from faceflow.console import print_lines
from faceflow.errors import ConfigError
from faceflow.files import claimed_if_free, whole_file
from faceflow.inference.description import describe, write_description
from faceflow.inference.frames import FoundSources, Source
from faceflow.inference.machine_labels import MachineLabels
from faceflow.inference.predictor import Predictor
from faceflow.inference.run_results import Results
from faceflow.inference.written_files import WrittenFiles
from faceflow.leases import leased
from faceflow.progress import progress_bar

log = logging.getLogger(__name__)

FORMAT = 1
_SUFFIXES = (".csv", ".jsonl")  # tables whose parts are one after another in a file
_OWN = ("output", "shared", "provider", "detectors", "batch_size", "threads")  # settings in which jobs may differ


@dataclass(frozen=True, kw_only=True)
class SharedCorpus:
    """A corpus that several jobs predict together; `settings` are those of the run, as plain data."""

    predictor: Predictor
    found: FoundSources
    files: WrittenFiles
    settings: Mapping[str, Any]
    labels: Callable[[Path], MachineLabels]

    @property
    def folder(self) -> Path:
        """Folder of the parts until all are finished."""
        return parts_folder(self.files)

    def predict(self, stop: threading.Event) -> None:
        """Predict the recordings that no other job predicts, and join all parts if none is missing.

        Raises:
            ConfigError: the source is a camera, or parts were predicted with other settings.
            DataError: a result cannot be written.
        """
        sources = self.found.sources
        if sources[0].live:
            raise ConfigError("shared: expected files, which jobs can divide, got a camera or stream; leave shared out")
        self._check_settings()
        with progress_bar("Predicting", sum(source.count for source in sources), unit="frames") as bar:
            for source in sources:
                if stop.is_set():
                    return
                self._predict(source, stop, bar.advance)
        if stop.is_set():
            return
        missing = [source for source in sources if not self._part(source).table.exists()]  # type: ignore[union-attr]
        if missing and not self._joined():
            log.info("%d recordings of other jobs are unfinished; the table is written when all are done", len(missing))
            return
        with claimed_if_free(self.folder) as free:
            if free and not self._joined():
                self._join(sources)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _check_settings(self) -> None:
        path = self.folder / "settings.json"
        wanted = {key: value for key, value in self.settings.items() if key not in _OWN}
        wanted |= {"model": self.predictor.model.identity}
        if path.exists():
            if difference := differing_setting(path, wanted, results="predictions"):
                raise ConfigError(difference)
            return
        write_settings(path, wanted, number=FORMAT)

    def _part(self, source: Source) -> WrittenFiles:
        """Files of a recording; its table exists when it is finished."""
        digest = hashlib.sha256(source.name.encode()).hexdigest()[:12]
        name = re.sub(r"[^\w.-]+", "_", Path(source.name).name)
        folder = self.folder / f"{name}_{digest}"

        def named(path: Path | None, name: str) -> Path | None:
            return None if path is None else folder / f"{name}{path.suffix}"

        return WrittenFiles(
            table=named(self.files.table, "rows"),
            description=None,
            render=None,
            plot=None,
            events=named(self.files.events, "events"),
            labels=named(self.files.labels, "labels"),
        )

    def _joined(self) -> bool:
        return self.files.table is not None and self.files.table.exists()

    def _predict(self, source: Source, stop: threading.Event, advance: Callable[[int], None]) -> None:
        part = self._part(source)
        assert part.table is not None, "check_shared() refuses stdout"
        if part.table.exists() or self._joined():
            return
        with leased(part.table.parent) as lease:
            if lease is None or part.table.exists():
                return
            labels = None if part.labels is None else self.labels(part.labels)
            one = FoundSources(sources=[source], files=self.found.files)
            results = Results(part, self.predictor, one, self.settings, labels)
            with (
                contextlib.suppress(_StoppedError),
                results.open(),
                contextlib.closing(self.predictor.stream(source, stop=stop, picture=None, watch=None)) as frames,
            ):
                for frame in frames:
                    results.add(frame, sequence=source.sequence)
                    advance(1)
                    if stop.is_set() or lease.lost:
                        raise _StoppedError
                results.end_source()

    def _join(self, sources: Sequence[Source]) -> None:
        parts = [self._part(source) for source in sources]
        files = self.files
        assert files.table is not None
        assert files.description is not None
        for path, key in ((files.events, "events"), (files.labels, "labels")):
            if path is not None:
                _join_tables([part.all[key] for part in parts], path)
        tables = [part.all["output"] for part in parts]
        rows = sum(map(_rows, tables))
        content = describe(
            self.predictor.model,
            self.predictor.table,
            self.found,
            crop=self.predictor.crop,
            settings=self.settings,
            event_estimates=None if files.events is None else self.predictor.table.final,
            rows=rows,
            complete=True,
        )
        write_description(files.description, content)
        _join_tables(tables, files.table)  # written last: if it exists, so do all others
        shutil.rmtree(self.folder, ignore_errors=True)
        print_lines(f"Rows: {rows} of {len(parts)} recordings, in {files.table}; what they mean: {files.description}")
        for path in (files.events, files.labels):
            if path is not None:
                print_lines(f"Beside it: {path}")


class _StoppedError(Exception):
    """Raised to leave a recording unfinished."""


def parts_folder(files: WrittenFiles) -> Path:
    """Folder of the parts of a table."""
    assert files.table is not None, "check_shared() refuses stdout"
    return files.table.with_name(f"{files.table.name}.parts")


def check_shared(output: str, *, render: object, plot: object, overwrite: object) -> None:
    """Check that several jobs can write a result together.

    Raises:
        ConfigError: the output is stdout or Parquet, or settings ask for an image or video or to replace results.
    """
    if Path(output).suffix.lower() not in _SUFFIXES:
        suffixes = " or ".join(_SUFFIXES)
        raise ConfigError(f"output: expected a file that ends in {suffixes} with shared=true, got '{output}'")
    for key, value in (("render", render), ("plot", plot)):
        if value is not None:
            raise ConfigError(f"{key}: expected none with shared=true, got '{value}'; leave it out")
    if overwrite:
        raise ConfigError(
            "overwrite: expected false with shared=true, as the next job would replace what this one wrote, got true; "
            "remove the earlier results"
        )


def finished_earlier(output: str, settings: Mapping[str, Any]) -> bool:
    """Whether jobs with these settings have joined all parts."""
    path = Path(output)
    try:
        said = json.loads(path.with_suffix(".json").read_text("utf-8"))
        theirs, ours = said["settings"], json.loads(json.dumps(dict(settings), default=dict))
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return path.exists() and bool(said.get("complete")) and all(theirs.get(k) == ours[k] for k in ours if k not in _OWN)


def _join_tables(parts: Sequence[Path], path: Path) -> None:
    """Concatenate the rows of all parts under one header."""
    with whole_file(path) as partial, partial.open("wb") as table:
        for number, part in enumerate(parts):
            with part.open("rb") as rows:
                if part.suffix.lower() == ".csv" and number:
                    rows.readline()
                shutil.copyfileobj(rows, table)


def _rows(part: Path) -> int:
    with part.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1 if part.suffix.lower() == ".csv" else sum(1 for _ in file)
