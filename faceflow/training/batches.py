"""Batches of a run from values and nodes of its config: streams, views and how they are loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from faceflow.checks import check_choice
from faceflow.data.datamodule import AUDataModule
from faceflow.data.dataset import Reads
from faceflow.data.decoded import ImageCache
from faceflow.data.feature_views import feature_views
from faceflow.data.loading import Loading
from faceflow.data.transforms import Pipeline, build_pipeline
from faceflow.models.network import NetworkSpec
from faceflow.training.run_data import RunData
from faceflow.views import EVAL, stream_and_pipeline, with_labeled

_FULL, _SCALED = "full", "scaled"  # how images are decoded


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """Content of a batch, see `AUDataModule`; `transforms` and `feature_views` hold steps by view.

    `decode` is full or scaled: JPEGs are decoded no larger than the network takes them.
    """

    transforms: Mapping[str, Any]
    feature_views: Mapping[str, Any]
    flip: float
    loading: Loading
    decode: str
    mu: int
    steps_per_epoch: int | None
    cache: ImageCache

    def __post_init__(self) -> None:
        """Check what a user sets.

        Raises:
            ConfigError: names the key.
        """
        check_choice(self.decode, key="loader.decode", options=(_FULL, _SCALED))


def build_batches(settings: BatchSettings, data: RunData, *, spec: NetworkSpec, seed: int) -> AUDataModule:
    """Build the training streams and validation rows of a run for a network."""
    pipelines = build_pipelines(settings.transforms, data.views.values())
    return AUDataModule(
        data.streams,
        groups=data.groups,
        aus=data.aus,
        points=data.points,
        views=data.views.values(),
        pipelines=pipelines,
        reads=Reads(
            inputs=spec.inputs,
            shortest=spec.image_size if settings.decode == _SCALED else None,
            feature_views=feature_views(settings.feature_views, pipelines),
        ),
        flip=settings.flip,
        batch_size=settings.loading.batch_size,
        mu=settings.mu,
        steps_per_epoch=settings.steps_per_epoch,
        workers=settings.loading.workers,
        timeout_s=settings.loading.timeout_s,
        seed=seed,
        cache=settings.cache,
    )


def build_pipelines(transforms: Mapping[str, Any], views: Iterable[str]) -> dict[str, Pipeline]:
    """Pipelines of the views that are read, and of evaluation."""
    steps = with_labeled(transforms)
    wanted = sorted({stream_and_pipeline(view)[1] for view in views} | {EVAL})
    return {name: build_pipeline(steps[name], key=f"transforms.{name}") for name in wanted}
