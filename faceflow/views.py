"""Views: which stream of faces a method sees, through which pipeline of `transforms`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

IMAGES, FEATURES = "images", "features"  # inputs of a network
EVAL = "eval"  # the pipeline of validation, test and inference
LABELED = "labeled"  # the view of labelled faces that supervised terms read, and its stream
_WEAK = "labeled/weak"


def stream_and_pipeline(view: str) -> tuple[str, str]:
    """Split a view such as "unlabeled/strong" into stream and pipeline; in "labeled", one name stands for both."""
    stream, _, pipeline = view.partition("/")
    return stream, pipeline or stream


def features_of(pipeline: str) -> str:
    """Name of the features in a batch; images are named by their pipeline alone."""
    return f"{pipeline}/{FEATURES}"


def in_order(views: Iterable[str]) -> list[str]:
    """Views in the order of their augmentation seeds and of their rows in a forward pass.

    A stream's own view comes last, so that separating it from the weak view changes no seed of the others.
    """

    def place(view: str) -> tuple[str, bool, str]:
        stream, pipeline = stream_and_pipeline(view)
        return stream, stream == pipeline, pipeline

    return sorted(set(views), key=place)


def with_labeled(transforms: Mapping[str, Any]) -> dict[str, Any]:
    """Steps by pipeline. Configs of earlier runs have none for labelled faces, which used the weak one."""
    return {LABELED: transforms["weak"], **transforms} if "weak" in transforms else dict(transforms)


def computed_views(views: Iterable[str], transforms: Mapping[str, Any]) -> dict[str, str]:
    """Map each view that a method reads to the view that is computed for it.

    If the weak view of labelled faces is also read and has the same steps, it serves as the labelled view too: both
    share one augmentation and one row of the forward pass.

    Args:
        views: read by the objectives, without the prefix of a teacher.
        transforms: pipeline -> its steps.
    """
    steps, read = with_labeled(transforms), in_order(views)
    shared = _WEAK in read and steps[LABELED] == steps["weak"]
    return {view: _WEAK if shared and view == LABELED else view for view in read}
