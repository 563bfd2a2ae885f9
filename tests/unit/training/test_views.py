"""Which rows share the forward pass, which get a gradient, and what the teacher sees."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from faceflow.errors import ConfigError
from faceflow.methods.objective import TEACHER, Batch, Objective, Outputs, images_of
from faceflow.models.network import AUNetwork, NetworkOutput
from faceflow.training.averages import EMA
from faceflow.views import LABELED
from tests.helpers.networks import network_spec, random_images
from tests.helpers.training import fit, make_module


class Watcher(Objective):
    """Keeps the outputs of a step."""

    views = frozenset({"labeled/weak", "unlabeled/strong", f"{TEACHER}unlabeled/weak", f"{TEACHER}labeled/weak"})

    def __init__(self, *, teacher: str = "student", freeze_batch_norm: bool = False) -> None:
        super().__init__()
        self.teacher, self.freeze_batch_norm = teacher, freeze_batch_norm
        self.seen: list[Outputs] = []
        self.shares: list[float] = []

    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        self.seen.append(outputs)
        self.shares.append(self.progress)
        return {"loss": outputs["labeled/weak"].logits.square().mean() + outputs["unlabeled/strong"].logits.mean()}


class CountedNetwork(AUNetwork):
    """Notes how many rows each pass has, and whether they keep activations."""

    def __init__(self, backbone: str) -> None:
        super().__init__(network_spec(backbone))
        self.passes: list[tuple[int, bool, bool]] = []

    def forward(
        self, images: Tensor | None = None, features: Tensor | None = None, *, maps: bool = False
    ) -> NetworkOutput:
        assert images is not None
        output = super().forward(images, maps=maps)
        self.passes.append((len(images), torch.is_grad_enabled(), self.training))
        return output


def batch() -> dict[str, dict[str, Tensor]]:
    target, known = torch.zeros(2, 2, 1), torch.ones(2, 2, dtype=torch.bool)
    return {
        "labeled": {"weak": random_images(2), "target": target, "mask": known, "index": torch.arange(2)},
        "unlabeled": {"weak": random_images(3, seed=1), "strong": random_images(3, seed=2)},
    }


def step(network: AUNetwork, watcher: Watcher, **changes: Any) -> Outputs:
    fit(make_module(network=network, spec=network.spec, objectives={"watcher": watcher}, **changes), [batch()])
    return watcher.seen[0]


def test_with_batch_statistics_all_rows_share_one_pass() -> None:
    network = CountedNetwork("test_resnet")
    outputs = step(network, Watcher())
    assert network.passes == [(8, True, True)]
    assert not outputs[f"{TEACHER}unlabeled/weak"].logits.requires_grad
    assert torch.equal(outputs[f"{TEACHER}labeled/weak"].logits, outputs["labeled/weak"].logits)


@pytest.mark.parametrize(("backbone", "frozen"), [("test_vit", False), ("test_resnet", True)])
def test_without_them_the_teachers_rows_keep_no_activations(backbone: str, frozen: bool) -> None:
    network = CountedNetwork(backbone)
    outputs = step(network, Watcher(freeze_batch_norm=frozen))
    assert network.passes == [(5, True, True), (3, False, True)]
    assert not outputs[f"{TEACHER}unlabeled/weak"].logits.requires_grad
    assert outputs["unlabeled/strong"].logits.requires_grad


def test_an_averaged_teacher_sees_all_of_its_views_in_evaluation_mode() -> None:
    network = CountedNetwork("test_resnet")
    average = EMA(decay=0.9)
    module = make_module(network=network, objectives={"watcher": (watcher := Watcher(teacher="ema"))}, average=average)
    with torch.no_grad():
        for parameter in average.network.head.parameters():
            parameter.zero_()  # tells the teacher's logits from the student's
    fit(module, [batch()])
    assert network.passes == [(5, True, True)]
    assert average.network.passes == [(5, False, False)]
    assert watcher.seen[0][f"{TEACHER}labeled/weak"].logits.abs().max() == 0
    assert watcher.seen[0]["labeled/weak"].logits.abs().max() > 0


def test_rows_of_a_view_are_those_of_its_images() -> None:
    network = AUNetwork(network_spec("test_vit"))
    network.eval()
    rows = batch()
    expected = {view: network(rows[view[0]][view[1]]).logits for view in (("labeled", "weak"), ("unlabeled", "strong"))}
    module = make_module(network=network, spec=network.spec, objectives={"watcher": (watcher := Watcher())})
    network.eval()
    fit(module, [rows])
    for (stream, view), logits in expected.items():
        torch.testing.assert_close(watcher.seen[0][f"{stream}/{view}"].logits, logits, atol=1e-5, rtol=1e-4)


def test_frozen_batch_statistics_stay_as_they_were_and_weights_still_learn() -> None:
    network = AUNetwork(network_spec("test_resnet"))
    before = {name: value.clone() for name, value in network.named_buffers()}
    before_weight = next(network.backbone.model.parameters()).clone()
    step(network, Watcher(freeze_batch_norm=True))
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())
    assert not torch.equal(next(network.backbone.model.parameters()), before_weight)


class Labelled(Objective):
    """Keeps the images and outputs of the labelled view."""

    views = frozenset({LABELED, f"{TEACHER}{LABELED}"})

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Tensor, Outputs]] = []

    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        self.seen.append((images_of(batch, LABELED), outputs))
        return {"loss": outputs[LABELED].logits.square().mean()}


def test_a_weak_view_that_serves_as_the_labelled_one_passes_through_the_network_once() -> None:
    network, rows = CountedNetwork("test_resnet"), batch()
    objectives = {"watcher": (watcher := Watcher()), "labelled": (labelled := Labelled())}
    fit(make_module(network=network, objectives=objectives, computed={LABELED: "labeled/weak"}), [rows])
    assert network.passes == [(8, True, True)]  # two labelled rows and six unlabelled ones
    ((images, outputs),) = labelled.seen
    assert images is rows["labeled"]["weak"]
    assert outputs[LABELED] is watcher.seen[0]["labeled/weak"]
    assert outputs[LABELED].logits.requires_grad
    assert torch.equal(outputs[f"{TEACHER}{LABELED}"].logits, outputs[LABELED].logits)
    assert not outputs[f"{TEACHER}{LABELED}"].logits.requires_grad


def test_a_labelled_view_of_its_own_has_rows_of_its_own() -> None:
    network, rows = CountedNetwork("test_vit"), batch()
    rows["labeled"][LABELED] = random_images(2, seed=3)
    network.eval()
    expected = network(rows["labeled"][LABELED]).logits
    network.passes.clear()
    objectives = {"watcher": Watcher(), "labelled": (labelled := Labelled())}
    module = make_module(network=network, spec=network.spec, objectives=objectives)
    network.eval()
    fit(module, [rows])
    assert [(count, graded) for count, graded, _ in network.passes] == [(7, True), (3, False)]
    ((images, outputs),) = labelled.seen
    assert images is rows["labeled"][LABELED]
    torch.testing.assert_close(outputs[LABELED].logits, expected, atol=1e-5, rtol=1e-4)


def test_objectives_know_the_share_of_the_run_that_is_done() -> None:
    module = make_module(objectives={"watcher": (watcher := Watcher())})
    fit(module, [batch() for _ in range(4)])
    assert watcher.shares == [0, 0.25, 0.5, 0.75]


def test_an_averaged_teacher_needs_an_average() -> None:
    with pytest.raises(ConfigError, match="teacher=ema needs the network's average, got none; add average=ema"):
        make_module(objectives={"watcher": Watcher(teacher="ema")})


def test_all_objectives_have_one_teacher() -> None:
    both = {"first": Watcher(), "second": Watcher(teacher="ema")}
    with pytest.raises(ConfigError, match="expected one teacher for all objectives"):
        make_module(objectives=both, average=EMA(decay=0.9))
