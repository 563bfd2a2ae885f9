"""The infer command from plain values of its config: a table, and if asked a rendered video and a timeline."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceflow.checks import check_boolean
from faceflow.console import print_lines, print_tables
from faceflow.errors import ConfigError, DataError
from faceflow.files import claimed
from faceflow.inference.activity import Tally
from faceflow.inference.description import describe, write_description
from faceflow.inference.frames import Source, find_sources
from faceflow.inference.output import STDOUT, RowFile, partial_name, row_file
from faceflow.inference.predictor import Predictor
from faceflow.inference.render import Renderer, shown
from faceflow.inference.traces import Traces
from faceflow.interruption import kept, stop_on_interrupt
from faceflow.progress import progress_bar
from faceflow.report.timeline_files import check_timeline, draw_timeline

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Files:
    """Where results go; `table` and `description` are None where the table goes to stdout, others if not asked for."""

    table: Path | None
    description: Path | None
    render: Path | None
    plot: Path | None

    @property
    def all(self) -> dict[str, Path]:
        """Those that are written, by config key."""
        keys = {"output": self.table, "output, its description": self.description}
        found = {**keys, "render": self.render, "plot": self.plot}
        return {key: path for key, path in found.items() if path is not None}


def infer(cfg: Mapping[str, Any]) -> None:
    """Predict what a config names and write it.

    Ctrl-C and SIGTERM are how a live source ends, in order and with its results complete.

    Raises:
        ConfigError, ExportError, DataError: a setting, a model or a source that cannot work, no face anywhere, or a
            result that cannot be written.
        KeyboardInterrupt: interrupted; what was predicted is written under another name.
    """
    files = _choose_files(cfg)
    rows: RowFile | None = None
    with kept(lambda: _kept(rows)), Predictor(cfg) as predictor, contextlib.ExitStack() as claims:
        sources = find_sources(cfg["source"], predictor.frames, skip=[*files.all.values()])
        for key in ("render", "plot"):
            if cfg[key] is not None:
                _check_one_video(key, sources)
        contract = predictor.model.contract
        renderer = None if files.render is None else Renderer(files.render, contract, sources[0].fps)
        traces = None if files.plot is None else Traces(contract, Path(sources[0].name).name)
        for key, path in files.all.items():
            claims.enter_context(claimed(path, key=key, folder=False))
        _check_new(files, overwrite=cfg["overwrite"])  # what another command has just written
        rows = row_file(str(cfg["output"]), predictor.table.columns)
        tally = Tally(contract)
        log.info("Running %s on %s", predictor.model.path, predictor.model.provider)

        def describe_rows(path: Path | None, *, complete: bool) -> None:
            if path is not None:
                settings = {key: value for key, value in cfg.items() if key not in ("task", "paths")}
                content = describe(
                    predictor.model,
                    predictor.table,
                    sources,
                    crop=predictor.crop,
                    settings=settings,
                    rows=rows.rows,
                    complete=complete,
                )
                write_description(path, content)

        try:
            with rows, renderer or contextlib.nullcontext(), stop_on_interrupt() as stop:
                _predict(predictor, sources, rows, renderer, traces, tally, stop)
                if not sources[0].live:
                    stop.raise_if_set()
                if not tally.frames:
                    raise DataError(
                        "source: expected frames, got none; check frames.start_s and frames.end_s, and that the video "
                        "is whole"
                    )
        except BaseException as error:
            if rows.rows and files.description is not None:
                with contextlib.suppress(DataError):  # on a full disk: what happened first is what is reported
                    describe_rows(partial_name(files.description), complete=False)
                if not isinstance(error, KeyboardInterrupt):  # which says it by itself
                    log.warning("Ended early: %d complete rows are in %s", rows.rows, rows.partial)
            raise
        describe_rows(files.description, complete=True)
        if files.description is not None:
            partial_name(files.description).unlink(missing_ok=True)  # of an interrupted run before
        if traces is not None and files.plot is not None and tally.scored:
            draw_timeline(files.plot, traces.timeline())
        _report(files, tally)
        if not tally.scored:
            raise DataError(
                f"source: expected a face in some frame, got none in {tally.seen()}; "
                "if pictures are face crops already, add crops=true"
            )


def _kept(rows: RowFile | None) -> str:
    """Say what is kept of a run that was stopped."""
    again = "start the same command again"
    if rows is None or not rows.rows:
        return f"no rows were written; {again}"
    if rows.path == Path(STDOUT):
        return f"{rows.rows} complete rows went to stdout; {again} for all"
    if rows.partial.exists():
        return f"{rows.rows} complete rows are in {rows.partial}; {again} for all"
    return f"all {rows.rows} rows are in {rows.path}"


def _predict(
    predictor: Predictor,
    sources: Sequence[Source],
    rows: RowFile,
    renderer: Renderer | None,
    traces: Traces | None,
    tally: Tally,
    stop: threading.Event,
) -> None:
    total = sum(source.count for source in sources) if all(source.count for source in sources) else 0
    visible = rows.path != Path(STDOUT) or not sys.stdout.isatty()
    with progress_bar("Predicting", total, unit="frames", visible=visible) as bar:
        for source in sources:
            if stop.is_set():
                return
            picture, watch = (shown, renderer.draw) if renderer is not None else (None, None)
            with contextlib.closing(predictor.stream(source, stop=stop, picture=picture, watch=watch)) as frames:
                for frame in frames:
                    for cells in predictor.table.cells(frame):
                        rows.write(cells)
                    if traces is not None:
                        traces.add(frame)
                    tally.add(frame)
                    bar.advance()


def _choose_files(cfg: Mapping[str, Any]) -> _Files:
    output = str(cfg["output"])
    row_file(output, [])  # an unknown format
    table = None if output == STDOUT else Path(output)
    render, plot = (None if cfg[key] is None else Path(str(cfg[key])) for key in ("render", "plot"))
    description = None if table is None else table.with_suffix(".json")
    files = _Files(table=table, description=description, render=render, plot=plot)
    if plot is not None:
        check_timeline(plot)
    check_boolean(cfg["overwrite"], key="overwrite")
    for key, path in files.all.items():
        if path.is_dir():
            raise ConfigError(f"{key}: expected the name of a file, got a folder: '{path}'; add a name to it")
        if path.exists() and _is_source(path, cfg["source"]):
            raise ConfigError(f"{key}: expected a file for results, got the source: '{path}'; choose another name")
    _check_new(files, overwrite=cfg["overwrite"])
    return files


def _check_new(files: _Files, *, overwrite: bool) -> None:
    for key, path in files.all.items():
        if path.exists() and not overwrite:
            raise ConfigError(f"{key}: expected a new file, got one that exists: '{path}'; add overwrite=true")


def _is_source(path: Path, source: object) -> bool:
    names = source if isinstance(source, list) else [source]
    return any(Path(name).exists() and path.samefile(name) for name in names if isinstance(name, str))


def _check_one_video(key: str, sources: Sequence[Source]) -> None:
    if len(sources) > 1 or not sources[0].sequence:
        kinds = "pictures" if len(sources) == 1 else f"{len(sources)} sources"
        raise ConfigError(f"{key}: expected one video or camera, got {kinds}; leave {key} out, or name one video")


def _report(files: _Files, tally: Tally) -> None:
    to_stderr = files.table is None
    with contextlib.redirect_stdout(sys.stderr) if to_stderr else contextlib.nullcontext():
        if tally.scored:
            print_tables(tally.table())
        print_lines(tally.line())
        if files.table is not None:
            print_lines(f"Rows: {files.table}; what they mean: {files.description}")
        if drawn := [str(path) for path in (files.render, files.plot) if path is not None and path.exists()]:
            print_lines(f"Look at: {' and '.join(drawn)}")
