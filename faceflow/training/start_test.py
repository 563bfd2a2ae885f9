"""The network that a run started from, tested beside the trained one: did training help, and on which faces?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from faceflow.console import print_lines, print_tables
from faceflow.data.loading import Loading
from faceflow.data.sources import UNLABELED, FaceTable
from faceflow.data.splits import Tables
from faceflow.data.transforms import Pipeline
from faceflow.errors import ConfigError
from faceflow.evaluation.comparison import Comparison, compare, comparison_table, labelled_pool
from faceflow.evaluation.intervals import Bootstrap
from faceflow.evaluation.predictors import TorchPredictor
from faceflow.evaluation.testing import TestScores, test_network
from faceflow.models.network import AUNetwork
from faceflow.training.warm_start import Start

_OWN_THRESHOLDS = "F1@val: each at its own thresholds, of the start those that its file brings"


def check_comparable(start: Start | None, *, image_size: int, tested: bool) -> None:
    """Check that there is a network to compare with, which sees what the trained one sees.

    Raises:
        ConfigError: there is none, it takes images of another size, or nothing is tested.
    """
    if start is None or start.payload is None or start.head is None:
        raise ConfigError("compare_start: expected init_weights=PATH, whose network is compared, got none; add it")
    if not tested:
        raise ConfigError("compare_start: expected test=true, as networks are compared on test subjects, got false")
    theirs = start.payload.spec
    if theirs.backbone is not None and theirs.image_size != image_size:
        raise ConfigError(
            f"compare_start: expected model.image_size={theirs.image_size} as in '{start.weights.path}', got "
            f"{image_size}; set it, or take model=start"
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
    """Compare on the test subjects, and on the unlabelled faces as far as they have labels, which training never sees.

    Args:
        start: what the run started from.
        trained: its best network.
        thresholds: of the trained network.
        scores: of its test.
        streams: of the run.
        accelerator, pipeline, loading, bootstrap: of the test.
    """
    assert start.payload is not None, "see check_comparable"
    network, cuts = TorchPredictor(start.network(), accelerator=accelerator), start.payload.thresholds

    def tested(predictor: TorchPredictor, at: Mapping[str, float], tables: Sequence[FaceTable]) -> TestScores:
        return test_network(predictor, at, tables, pipeline=pipeline, loading=loading, bootstrap=None)

    test = streams["test"]
    found = [compare(tested(network, cuts, test), scores, bootstrap, faces=f"test subjects of {_names(test)}")]
    if pool := labelled_pool(streams.get(UNLABELED, [])):
        before, after = (
            tested(network, cuts, pool),
            tested(TorchPredictor(trained, accelerator=accelerator), thresholds, pool),
        )
        found.append(
            compare(before, after, bootstrap, faces=f"unlabelled faces of {_names(pool)}, by their hidden labels")
        )
    return found


def report_start(comparisons: Sequence[Comparison], start: Start, streams: Tables) -> None:
    """Print the differences, what they say, and on which faces nothing is known."""
    caption = f"start: {start.weights.path}; {_OWN_THRESHOLDS}"
    print_tables(comparison_table(comparisons, caption=caption))
    unknown = [table for table in streams.get(UNLABELED, []) if table.split == UNLABELED]
    unknown = [table for table in unknown if table not in labelled_pool(unknown)]
    not_measured = [f"On {_names(unknown)}, which has no labels, the difference is not known."] if unknown else []
    print_lines(*(each.line for each in comparisons), *not_measured)


def _names(tables: Sequence[FaceTable]) -> str:
    return ", ".join(dict.fromkeys(table.name for table in tables))
