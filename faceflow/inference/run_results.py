"""Results of `faceflow-infer`: a table with its description, a rendered video, a timeline, a summary."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from faceflow.console import print_lines, print_tables
from faceflow.errors import DataError
from faceflow.inference.activity import Tally
from faceflow.inference.description import describe, write_description
from faceflow.inference.event_table import EVENT_FIELDS, FaceEvent
from faceflow.inference.frames import FoundSources
from faceflow.inference.machine_labels import MachineLabels
from faceflow.inference.output import STDOUT, partial_name, row_file
from faceflow.inference.pipeline import FramePrediction
from faceflow.inference.predictor import Predictor
from faceflow.inference.render import Renderer
from faceflow.inference.subject_calibration import RUNNING_FRAMES
from faceflow.inference.traces import Traces
from faceflow.inference.written_files import WrittenFiles
from faceflow.report.timeline_files import draw_timeline

log = logging.getLogger(__name__)

_AGAIN = "rerun the same command"
NOTHING_KEPT = f"no rows were written; {_AGAIN}"


class Results:
    """Results of a run, written as they come.

    Args:
        files: files to write.
        predictor: makes the predictions.
        found: sources to predict.
        settings: settings of the run, as plain data for the description.
        labels: rows for the label file, if one is written.

    Raises:
        ConfigError: unknown video format.
    """

    def __init__(
        self,
        files: WrittenFiles,
        predictor: Predictor,
        found: FoundSources,
        settings: Mapping[str, Any],
        labels: MachineLabels | None = None,
    ) -> None:
        contract, first = predictor.model.contract, found.sources[0]
        self.files, self.predictor, self.found, self.settings = files, predictor, found, settings
        self.rows = row_file(STDOUT if files.table is None else str(files.table), predictor.table.columns)
        self.renderer = None if files.render is None else Renderer(files.render, contract, first.fps, first.video)
        self.finder = None if files.events is None else predictor.event_finder()
        self.event_rows = None if files.events is None else row_file(str(files.events), EVENT_FIELDS, key="events")
        self.events: list[FaceEvent] = []
        self.labels = labels
        self.label_rows = None if labels is None else row_file(str(files.labels), labels.fields, key="labels")
        self.traces: Traces | None = None
        final = predictor.table.final
        shown = predictor.table.contract_of(final)
        if files.plot is not None:
            self.traces = Traces(shown, Path(first.name).name, suffix=final)
        self.tally = Tally(shown, suffix=final)

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Write rows and video inside the block; if it ends early, complete rows stay under `partial_name`."""
        try:
            empty = contextlib.nullcontext()
            with self.rows, self.event_rows or empty, self.label_rows or empty, self.renderer or empty:
                yield
        except BaseException as error:
            if self.rows.rows and self.files.description is not None:
                with contextlib.suppress(DataError):  # on a full disk: the first error is the one to report
                    self._describe(partial_name(self.files.description), complete=False)
                if not isinstance(error, KeyboardInterrupt):  # whose message says so already
                    log.warning("Ended early: %d complete rows are in %s", self.rows.rows, self.rows.partial)
            raise

    def add(self, frame: FramePrediction, *, sequence: bool = True) -> None:
        """Write the rows of the next frame; only those of a `sequence` have events."""
        for cells in self.predictor.table.cells(frame):
            self.rows.write(cells)
        if self.labels is not None and self.label_rows is not None:
            for face in frame.faces:
                if face.estimates:
                    self.label_rows.write(self.labels.cells(frame.file, face.estimates[""]))
        if self.traces is not None:
            self.traces.add(frame)
        if self.finder is not None and sequence:
            self.finder.add(frame)
        self.tally.add(frame)

    def end_source(self) -> None:
        """Write the events of the source whose last frame was added."""
        if self.finder is not None and self.event_rows is not None:
            self.events = self.finder.end_video()
            for event in self.events:
                self.event_rows.write(event.cells())

    def finish(self) -> None:
        """Write the files beside the complete table, and draw the timeline.

        Raises:
            DataError: a file cannot be written.
        """
        if self.files.description is not None:
            self._describe(self.files.description, complete=True)
            partial_name(self.files.description).unlink(missing_ok=True)  # left by an earlier, interrupted run
        if self.traces is not None and self.files.plot is not None and self.tally.counted:
            draw_timeline(self.files.plot, self.traces.timeline([event.mark() for event in self.events]))

    def report(self) -> None:
        """Print a summary and the files written; to stderr if the table is on stdout."""
        files, tally = self.files, self.tally
        with contextlib.redirect_stdout(sys.stderr) if files.table is None else contextlib.nullcontext():
            if tally.counted:
                print_tables(tally.table())
            elif tally.scored:
                print_lines(
                    f"No summary: AU..{tally.suffix} starts at frame {RUNNING_FRAMES} of a face; no face has so many"
                )
            print_lines(tally.line())
            if self.found.files and self.found.files.passed_over:
                print_lines(self.found.files.line())
            if files.table is not None:
                print_lines(f"Rows: {files.table}; what they mean: {files.description}")
            if self.event_rows is not None:
                print_lines(f"Events: {self.event_rows.rows}, in {files.events}")
            if self.labels is not None and self.label_rows is not None:
                print_lines(self.labels.line(self.label_rows.rows))
            if drawn := [str(path) for path in (files.render, files.plot) if path is not None and path.exists()]:
                print_lines(f"Look at: {' and '.join(drawn)}")

    def kept(self) -> str:
        """Message on what is kept of a stopped run."""
        rows = self.rows
        if not rows.rows:
            return NOTHING_KEPT
        if self.files.table is None:
            return f"{rows.rows} complete rows went to stdout; {_AGAIN} for all"
        if rows.partial.exists():
            return f"{rows.rows} complete rows are in {rows.partial}; {_AGAIN} for all"
        return f"all {rows.rows} rows are in {rows.path}"

    def _describe(self, path: Path, *, complete: bool) -> None:
        predictor = self.predictor
        content = describe(
            predictor.model,
            predictor.table,
            self.found,
            crop=predictor.crop,
            settings=self.settings,
            event_estimates=None if self.finder is None else predictor.table.final,
            rows=self.rows.rows,
            complete=complete,
        )
        write_description(path, content)
