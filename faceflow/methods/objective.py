"""The interface of training methods: named loss terms over views that share one forward pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from faceflow.losses.elementwise import LabelCounts
from faceflow.models.faces import Faces
from faceflow.models.network import AUNetwork, NetworkOutput
from faceflow.views import stream_and_pipeline

Outputs = Mapping[str, NetworkOutput]  # view, such as "labeled" or "unlabeled/strong" -> output of those rows
Batch = Mapping[str, Mapping[str, Tensor]]  # stream -> pipeline, or name of `FaceDataset`'s items -> rows

TEACHER = "teacher:"  # prefix of a view: the teacher's output for the same rows, without a gradient


class Objective(nn.Module):
    """The training loss of a paper.

    The module runs one forward pass over the union of all objectives' views and sums their terms, so objectives can be
    combined in YAML. Parameters that an objective owns (its own head, MIRO's encoders) are trained at `lr_mult` times
    the base learning rate, without weight decay.

    A view is "stream/pipeline"; `LABELED`, which is just "labeled", is the view of labelled faces for supervised terms.
    A view "teacher:unlabeled/weak" is for pseudo-labels only: no gradient flows into it. The `teacher` is the network
    itself, or its average.
    """

    views: frozenset[str]  # for example {LABELED, "unlabeled/strong", "teacher:unlabeled/weak"}
    maps: ClassVar[bool] = False  # whether it reads the backbone's feature maps
    lr_mult: float = 1.0
    teacher: str = "student"  # or "ema"
    freeze_batch_norm: bool = False  # keep the backbone's batch statistics as they are
    progress: float = 0.0  # share of the run that is done, in updates; set before every step
    key: str = "method"  # its config key, for messages; set before it is bound
    paced: str | None = None  # its setting that depends on `progress`, if any: the length of the run must be known

    def check_without_backbone(self) -> None:
        """Raise ConfigError if it cannot train a model that reads only face features."""

    def bind(self, network: AUNetwork, counts: LabelCounts) -> None:
        """Build state that depends on the network or the training labels; before any checkpoint is restored."""

    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return scalar terms by name, already weighted."""
        raise NotImplementedError

    def statistics(self, aus: tuple[str, ...]) -> dict[str, float]:
        """Values of the finished epoch for the log, by name; resets them. Runs in all processes."""
        return {}


def faces_of(batch: Batch, view: str) -> Faces:
    """Images and features of a view, if the batch has them."""
    stream, pipeline = stream_and_pipeline(view)
    return Faces.of(batch[stream], pipeline)


def images_of(batch: Batch, view: str) -> Tensor:
    """Images of a view, uint8 (B, 3, S, S)."""
    stream, pipeline = stream_and_pipeline(view)
    return batch[stream][pipeline]
