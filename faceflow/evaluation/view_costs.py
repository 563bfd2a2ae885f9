"""Cost of views: scores of a network on the same faces as in evaluation, in a view, and in each of its steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from faceflow.checks import check_whole
from faceflow.data.loading import Loading
from faceflow.data.sources import FaceTable
from faceflow.data.transforms import Pipeline, build_pipeline
from faceflow.errors import ConfigError
from faceflow.evaluation.finding import Finding
from faceflow.evaluation.predictors import Predictor
from faceflow.evaluation.testing import test_network
from faceflow.images import read_image
from faceflow.progress import progress_bar
from faceflow.report.contact_sheet import contact_sheet
from faceflow.report.figure_page import save
from faceflow.report.pictures import FOLDER, VIEW_COSTS, VIEW_FACES
from faceflow.report.view_costs import ViewScores, draw_views, views_frame, views_table
from faceflow.views import EVAL, IMAGES

_SHOWN_FACES, _NAME_LETTERS = 8, 18
_DPI = 100

Steps = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ViewCosts:
    """Scores of some faces in every view and step, with the measured faces and the pipelines."""

    tables: Sequence[FaceTable]
    pipelines: Mapping[tuple[str, str], Pipeline]
    scores: Sequence[ViewScores]


class MeasuredViews:
    """The pipelines to measure, by view and step: evaluation, then every view and each of its steps alone."""

    def __init__(self, views: Mapping[str, Steps], evaluation: Steps, *, faces: int, inputs: Sequence[str]) -> None:
        """Build them.

        Args:
            views: name -> steps, as `build_pipeline` takes them.
            evaluation: steps of evaluation, to which each single step is added.
            faces: maximum number of measured faces, spread over the data.
            inputs: of the network.

        Raises:
            ConfigError: a step cannot be built, there are no faces, or the network reads no pixels.
        """
        check_whole(faces, key="view_faces", lowest=1)
        if IMAGES not in inputs:
            raise ConfigError(
                "views: expected a model that reads pixels, got one that reads only features; leave it out"
            )
        self.faces = faces
        self.pipelines = {(EVAL, ""): build_pipeline(evaluation, key=f"transforms.{EVAL}")}
        for view, steps in views.items():
            self.pipelines[view, ""] = build_pipeline(steps, key=f"views.{view}")
            for name, step in _alone(steps, evaluation):
                self.pipelines[view, name] = build_pipeline({**evaluation, f"{name} alone": step}, key=f"views.{view}")

    def measure(
        self, predictor: Predictor, thresholds: Mapping[str, float], tables: Sequence[FaceTable], *, loading: Loading
    ) -> ViewCosts:
        """Score a network in each of them, at thresholds tuned on validation."""
        chosen, scores = _spread(tables, self.faces), []
        faces = sum(len(table) for table in chosen)
        with progress_bar("Measuring views", faces * len(self.pipelines), unit="faces") as bar:
            for (view, step), pipeline in self.pipelines.items():
                found = test_network(
                    predictor,
                    thresholds,
                    chosen,
                    pipeline=pipeline,
                    loading=loading,
                    bootstrap=None,
                    center=None,
                    bar=bar,
                )
                scores.append(ViewScores(view=view, step=step, evaluation=found.pooled))
        return ViewCosts(tables=chosen, pipelines=self.pipelines, scores=scores)


def views_finding(costs: ViewCosts, *, title: str, protocol: Mapping[str, str]) -> Finding:
    """Cost of views for a network."""
    frame = views_frame(costs.scores)
    return Finding(
        tables=[views_table(costs.scores, protocol=protocol)],
        file="views.csv",
        frame=frame,
        entry="views",
        content=frame.to_dict("records"),
        draw=lambda output: draw_costs(costs, title=title, protocol=protocol, output=output),
    )


def draw_costs(costs: ViewCosts, *, title: str, protocol: Mapping[str, str], output: Path) -> list[Path]:
    """Draw the scores as bars, and some faces in every view; return the files.

    Raises:
        DataError: a file cannot be written.
    """
    bars = draw_views(costs.scores, f"What views cost: {title}", protocol)
    files = [Path(file) for table in _spread(costs.tables, _SHOWN_FACES) for file in table.files]
    images = [read_image(str(file)) for file in files]
    rows = [[pipeline(image, seed) for seed, image in enumerate(images)] for pipeline in costs.pipelines.values()]
    return [
        save(bars, output / FOLDER / VIEW_COSTS, dpi=_DPI),
        contact_sheet(
            rows,
            path=output / FOLDER / VIEW_FACES,
            columns=[file.name[-_NAME_LETTERS:] for file in files],
            row_names=[f"{view}: {step}" if step else view for view, step in costs.pipelines],
        ),
    ]


def _spread(tables: Sequence[FaceTable], count: int) -> list[FaceTable]:
    """At most `count` faces, evenly spread over all tables."""
    sizes = [len(table) for table in tables]
    chosen = np.zeros(sum(sizes), np.bool_)
    chosen[np.linspace(0, len(chosen) - 1, min(count, len(chosen))).astype(int)] = True
    parts = zip(tables, np.split(chosen, np.cumsum(sizes)[:-1]), strict=True)
    return [table.select(rows, table.split) for table, rows in parts if rows.any()]


def _alone(steps: Steps, evaluation: Steps) -> Iterator[tuple[str, Steps]]:
    """Steps of a view that evaluation lacks, and each choice of steps with choices, always applied."""
    own = {name: step for name, step in steps.items() if step is not None and step != evaluation.get(name)}
    for name, step in own.items():
        choices = step.get("transforms", {})
        choices = dict(enumerate(choices)) if isinstance(choices, list) else choices
        if len(own) > 1:
            yield name, step
        for choice, node in choices.items():
            if node is not None:
                yield f"{name}.{choice}", {**node, "p": 1.0}
