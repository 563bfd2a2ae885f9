"""`faceflow.render`: labelled faces of subjects who do not exist, from Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from faceflow.api.result_tables import domains_table
from faceflow.api.running import run_command

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, kw_only=True, eq=False)
class RenderedFaces:
    """A rendered data set.

    Attributes:
        folder: where all results are.
        labels: labels.csv, ready for `faceflow.train`.
        labels_by_side: the same with separate labels for the left and the right side of the face.
        table: number of subjects and images per domain.
    """

    folder: Path
    labels: Path
    labels_by_side: Path
    table: DataFrame = field(repr=False)


def render(
    overrides: Sequence[str] = (),
    *,
    output: str | Path | None = None,
    facekit: str | Path | None = None,
    experiment: str | None = None,
    domains: Sequence[str] | None = None,
    expression: str | None = None,
    subjects: int | None = None,
    frames: int | None = None,
    seed: int | None = None,
    size: int | None = None,
    workers: int | None = None,
    config_dir: str | Path | None = None,
) -> RenderedFaces:
    """Render labelled faces, as `faceflow-render` does.

    >>> rendered = faceflow.render(output="rendered", domains=["studio", "webcam"], subjects=8, frames=5)
    >>> list(rendered.table["domain"])
    ['studio', 'webcam']
    >>> run = faceflow.train(data="csv", labels=rendered.labels, max_epochs=1)

    If a call was interrupted, repeat it with the same settings: it resumes.

    Args:
        overrides: any settings, written as on the command line.
        output: folder for the results.
        facekit: clone of ICT-FaceKit, or its converted file.
        experiment: a named set of settings, such as "benchmark".
        domains: how subjects are recorded, such as "studio" and "webcam".
        expression: how often AUs occur: "sparse" or "frequent".
        subjects: number of subjects, divided among the domains.
        frames: number of images per subject.
        seed: seed of all random draws.
        size: side of the images in pixels.
        workers: number of processes; each takes one subject at a time. They import the calling program, so a script
            needs `if __name__ == "__main__":`.
        config_dir: folder with your own configs, as `--config-dir`.

    Raises:
        ConfigError: a setting is unknown or out of range, or there is no face model.
        DataError: a file cannot be read or written.
    """
    values = {
        "output": output,
        "facekit": facekit,
        "experiment": experiment,
        "domains": domains,
        "expression": expression,
        "subjects": subjects,
        "frames": frames,
        "seed": seed,
        "image.size": size,
        "workers": workers,
    }

    def task(config: DictConfig) -> RenderedFaces:
        from faceflow.config.instantiate import plain_dict
        from faceflow.rendering.render import render

        done = render(plain_dict(config))
        return RenderedFaces(
            folder=done.folder,
            labels=done.folder / "labels.csv",
            labels_by_side=done.folder / "labels_by_side.csv",
            table=domains_table(done.counts.subjects, done.counts.images),
        )

    return run_command("render", values, overrides, config_dir, task)
