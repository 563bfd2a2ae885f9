"""Views: which stream's faces a method sees, and through which pipeline of `transforms`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

IMAGES, FEATURES = "images", "features"  # what a network reads of a face
EVAL = "eval"  # the pipeline of validation, test and inference
LABELED = "labeled"  # the view of labelled faces that supervised terms read, and its stream
_WEAK = "labeled/weak"


def stream_and_pipeline(view: str) -> tuple[str, str]:
    """Split a view: "unlabeled/strong" into both names; the view "labeled" has a pipeline named like its stream."""
    stream, _, pipeline = view.partition("/")
    return stream, pipeline or stream


def features_of(pipeline: str) -> str:
    """Name of the features in a batch, beside the images that are named by their pipeline."""
    return f"{pipeline}/{FEATURES}"


def in_order(views: Iterable[str]) -> list[str]:
    """Views in the order of their augmentation seeds and of their rows in a forward pass.

    A stream's own view is its last one, so that setting it apart from the weak view moves no seed of the others.
    """

    def place(view: str) -> tuple[str, bool, str]:
        stream, pipeline = stream_and_pipeline(view)
        return stream, stream == pipeline, pipeline

    return sorted(set(views), key=place)


def with_labeled(transforms: Mapping[str, Any]) -> dict[str, Any]:
    """Steps by pipeline. Configs of earlier runs have none for labelled faces, which saw the weak one."""
    return {LABELED: transforms["weak"], **transforms} if "weak" in transforms else dict(transforms)


def computed_views(views: Iterable[str], transforms: Mapping[str, Any]) -> dict[str, str]:
    """Name the view that is computed for each view that a method reads.

    Where the weak view of labelled faces is read too and has the same steps, it serves as the labelled view as well:
    one augmentation and one row of the forward pass for both.

    Args:
        views: that the objectives read, without the prefix of a teacher.
        transforms: pipeline -> its steps.
    """
    steps, read = with_labeled(transforms), in_order(views)
    shared = _WEAK in read and steps[LABELED] == steps["weak"]
    return {view: _WEAK if shared and view == LABELED else view for view in read}
