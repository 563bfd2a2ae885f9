"""The files that a run of `faceflow-infer` writes, checked before anything is read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from faceflow.checks import check_boolean
from faceflow.errors import ConfigError
from faceflow.files import claimed
from faceflow.inference.frames import Source
from faceflow.inference.output import STDOUT, row_file
from faceflow.inference.render import PICTURE_SUFFIXES
from faceflow.report.timeline_files import check_timeline


@dataclass(frozen=True, kw_only=True)
class WrittenFiles:
    """Files for results; `table` and `description` are None if rows go to stdout, others if not requested."""

    table: Path | None
    description: Path | None
    render: Path | None
    plot: Path | None
    events: Path | None
    labels: Path | None = None

    @property
    def all(self) -> dict[str, Path]:
        """Files that are written, by config key."""
        keys = {"output": self.table, "output, its description": self.description}
        found = {**keys, "render": self.render, "plot": self.plot, "events": self.events, "labels": self.labels}
        return {key: path for key, path in found.items() if path is not None}

    def check_sources(self, sources: Sequence[Source]) -> None:
        """Check that the source fits: one video to render or plot, one image to render, or any video for events.

        Raises:
            ConfigError: several sources, or images.
        """
        one_picture = len(sources) == 1 and not sources[0].sequence and sources[0].count == 1
        as_picture = self.render is not None and self.render.suffix.lower() in PICTURE_SUFFIXES
        if as_picture and not one_picture:
            raise ConfigError(
                f"render: expected a single image as the source of '{self.render}', got other sources; for a video set "
                f"render={Path(str(self.render)).stem}.mp4, or leave render out"
            )
        if self.events is not None and not any(source.sequence for source in sources):
            raise ConfigError("events: expected a video or camera, got images; leave events out, or set source=VIDEO")
        for key, path in (("render", None if as_picture else self.render), ("plot", self.plot)):
            if path is not None and (len(sources) > 1 or not sources[0].sequence):
                kinds = "images" if len(sources) == 1 else f"{len(sources)} sources"
                instead = f", or set render={path.stem}.png" if key == "render" and one_picture else ""
                raise ConfigError(
                    f"{key}: expected one video or camera, got {kinds}; leave {key} out, or set source=VIDEO{instead}"
                )

    def check_new(self, *, overwrite: bool) -> None:
        """Check that nothing is replaced unless asked.

        Raises:
            ConfigError: a file exists.
        """
        for key, path in self.all.items():
            if path.exists() and not overwrite:
                raise ConfigError(f"{key}: expected a new file, got one that exists: '{path}'; add overwrite=true")

    @contextlib.contextmanager
    def claimed(self, *, overwrite: bool) -> Iterator[None]:
        """Keep other commands from writing these files while the block runs; see `files.claim`."""
        with contextlib.ExitStack() as claims:
            for key, path in self.all.items():
                claims.enter_context(claimed(path, key=key, folder=False))
            self.check_new(overwrite=overwrite)  # another command may have written it meanwhile
            yield


def choose_files(
    output: str,
    *,
    render: str | None,
    plot: str | None,
    events: str | bool | None,
    source: object,
    overwrite: bool,
    labels: str | None = None,
) -> WrittenFiles:
    """Check the names of all results.

    Args:
        output: name of the table; "-" is stdout.
        render: name of the rendered video; None for none.
        plot: name of the timeline; None for none.
        events: name of the table of events; true: beside the table; false or None for none.
        source: source of the predictions, which no result may replace.
        overwrite: whether existing results can be replaced.
        labels: name of the label CSV; None for none.

    Raises:
        ConfigError: an unknown format, a folder, the source itself, or an existing file.
    """
    row_file(output, [])  # an unknown format
    table = None if output == STDOUT else Path(output)
    files = WrittenFiles(
        table=table,
        description=None if table is None else table.with_suffix(".json"),
        render=None if render is None else Path(str(render)),
        plot=None if plot is None else Path(str(plot)),
        events=_events_file(events, table),
        labels=None if labels is None else Path(str(labels)),
    )
    if files.labels is not None and (files.labels.suffix.lower() != ".csv" or files.labels == table):
        raise ConfigError(f"labels: expected a separate .csv file, got '{labels}'; write labels=labels.csv")
    if files.plot is not None:
        check_timeline(files.plot)
    check_boolean(overwrite, key="overwrite")
    names = source if isinstance(source, list) else [source]
    sources = [Path(name) for name in names if isinstance(name, str) and Path(name).exists()]
    for key, path in files.all.items():
        if path.is_dir():
            raise ConfigError(f"{key}: expected the name of a file, got a folder: '{path}'; add a file name")
        if path.exists() and any(path.samefile(each) for each in sources):
            raise ConfigError(f"{key}: expected a file for results, got the source: '{path}'; choose another name")
    files.check_new(overwrite=overwrite)
    return files


def _events_file(events: str | bool | None, table: Path | None) -> Path | None:
    asked = str(events).lower()  # the command line quotes possible paths: "true"
    if asked in ("none", "false"):
        return None
    if asked != "true":
        row_file(str(events), [], key="events")
        if str(events) == STDOUT or (table is not None and Path(str(events)) == table):
            raise ConfigError(f"events: expected a separate file, got '{events}'; choose another name")
        return Path(str(events))
    if table is None:
        raise ConfigError("events: expected a file name, as rows go to stdout, got true; write events=events.csv")
    return table.with_name(f"{table.stem}_events{table.suffix}")
