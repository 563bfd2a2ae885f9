"""Test of the network that a run started from, beside the trained one: did training help, and on which faces?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from faceflow.console import print_lines, print_tables
from faceflow.data.loading import Loading
from faceflow.data.sources import UNLABELED, FaceTable
from faceflow.data.splits import Tables
from faceflow.data.transforms import Pipeline
from faceflow.errors import ConfigError
from faceflow.evaluation.comparison import Comparison, compare, comparison_table
from faceflow.evaluation.intervals import Bootstrap
from faceflow.evaluation.predictors import TorchPredictor
from faceflow.evaluation.testing import TestScores, test_network
from faceflow.models.network import AUNetwork
from faceflow.training.warm_start import Start

_OWN_THRESHOLDS = "F1@val: each network at its own thresholds; those of the start are in its file"


def check_comparable(start: Start | None, *, image_size: int, tested: bool) -> None:
    """Check that there is a network to compare with, and that it has the same inputs as the trained one.

    Raises:
        ConfigError: there is none, it reads images of another size, or nothing is tested.
    """
    if start is None or start.payload is None or start.head is None:
        raise ConfigError("compare_start: expected init_weights=PATH, the network to compare with, got none; add it")
    if not tested:
        raise ConfigError("compare_start: expected test=true, as networks are compared on test subjects, got false")
    theirs = start.payload.spec
    if theirs.backbone is not None and theirs.image_size != image_size:
        raise ConfigError(
            f"compare_start: expected model.image_size={theirs.image_size} as in '{start.weights.path}', got "
            f"{image_size}; set it, or use model=start"
        )


def compare_start(
    start: Start,
    trained: AUNetwork,
    thresholds: Mapping[str, float],
    scores: TestScores,
    streams: Tables,
    *,
    accelerator: str,
    pipeline: Pipeline,
    loading: Loading,
    bootstrap: Bootstrap,
) -> list[Comparison]:
    """Compare on the test subjects, and on unlabelled faces that have labels which training never sees.

    Args:
        start: start of the run.
        trained: its best network.
        thresholds: of the trained network.
        scores: of its test.
        streams: of the run.
        accelerator: of the test.
        pipeline: of the test.
        loading: of the test.
        bootstrap: of the test.
    """
    assert start.payload is not None, "see check_comparable"
    before = TorchPredictor(start.network(), accelerator=accelerator), start.payload.thresholds
    after = TorchPredictor(trained, accelerator=accelerator), thresholds

    def tested(model: tuple[TorchPredictor, Mapping[str, float]], tables: Sequence[FaceTable]) -> TestScores:
        return test_network(*model, tables, pipeline=pipeline, loading=loading, bootstrap=None, center=None)

    test, pool = streams["test"], _unlabelled(streams, hidden=True)
    found = [compare(tested(before, test), scores, bootstrap, faces=f"test subjects of {_names(test)}")]
    if pool:
        faces = f"unlabelled faces of {_names(pool)}, by labels that training did not see"
        found.append(compare(tested(before, pool), tested(after, pool), bootstrap, faces=faces))
    return found


def report_start(comparisons: Sequence[Comparison], start: Start, streams: Tables) -> None:
    """Print the differences, their conclusions, and the faces without labels."""
    caption = f"start: {start.weights.path}; {_OWN_THRESHOLDS}"
    print_tables(comparison_table(comparisons, caption=caption))
    unknown = _unlabelled(streams, hidden=False)
    not_measured = f"{_names(unknown)}: no labels, so the effect of training on these faces is not known"
    print_lines(*(each.line for each in comparisons), *([not_measured] if unknown else []))


def _unlabelled(streams: Tables, *, hidden: bool) -> list[FaceTable]:
    """Sets of the unlabelled pool outside the labelled data: those with hidden labels, or those without labels."""
    pool = [table for table in streams.get(UNLABELED, []) if table.split == UNLABELED]
    return [table for table in pool if bool(np.isfinite(table.scores).any()) == hidden]


def _names(tables: Sequence[FaceTable]) -> str:
    named = (f"{table.name} (labels by a model)" if table.labelled_by else table.name for table in tables)
    return ", ".join(dict.fromkeys(named))
