from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor, nn

from faceflow.errors import ConfigError
from faceflow.models.network import AUNetwork
from faceflow.training.averages import EMA, SWA, NetworkAverage, WiseFT
from tests.helpers.networks import network_spec, random_images
from tests.helpers.training import fit, make_module

Average = TypeVar("Average", bound=NetworkAverage)
ALL: list[Callable[[], NetworkAverage]] = [lambda: EMA(decay=0.9), lambda: SWA(start=0.5), lambda: WiseFT(alpha=0.5)]
each = pytest.mark.parametrize("build", ALL, ids=["EMA", "SWA", "WiseFT"])


def make_network() -> AUNetwork:
    network = AUNetwork(network_spec())
    network.backbone.pretrained = True
    return network


def bound(average: Average, network: AUNetwork) -> Average:
    average.bind(network)
    return average


def floats(module: nn.Module) -> list[Tensor]:
    return [tensor for tensor in (*module.parameters(), *module.buffers()) if tensor.is_floating_point()]


def integers(module: nn.Module) -> list[Tensor]:
    return [buffer for buffer in module.buffers() if not buffer.is_floating_point()]


@torch.no_grad()
def fill(network: AUNetwork, value: float) -> None:
    """Set every parameter and every buffer."""
    for tensor in (*network.parameters(), *network.buffers()):
        tensor.fill_(value)


def assert_filled(tensors: list[Tensor], value: float) -> None:
    assert tensors
    for tensor in tensors:
        torch.testing.assert_close(tensor, torch.full_like(tensor, value))


def values(average: NetworkAverage) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in average.state_dict().items()}


class TestEveryAverage:
    @each
    def test_copy_is_frozen_and_independent_of_the_network(self, build: Callable[[], NetworkAverage]) -> None:
        network = make_network()
        average = bound(build(), network)
        before = values(average)
        fill(network, 7.0)
        assert all(torch.equal(value, before[name]) for name, value in average.state_dict().items())
        assert not any(parameter.requires_grad for parameter in average.parameters())
        assert all(parameter.requires_grad for parameter in network.parameters())

    @each
    def test_copy_starts_as_the_network_and_stays_in_evaluation_mode(self, build: Callable[[], NetworkAverage]) -> None:
        network = make_network()
        average = bound(build(), network)
        nn.ModuleList([average]).train()
        assert not any(module.training for module in average.modules())
        assert network.training
        assert torch.equal(average.network(random_images(2)).logits, network.eval()(random_images(2)).logits)

    @each
    def test_updates_leave_the_network_alone(self, build: Callable[[], NetworkAverage]) -> None:
        network = make_network()
        average = bound(build(), network)
        fill(network, 3.0)
        average.update(network, 1.0)
        assert_filled(floats(network), 3.0)
        assert integers(network)
        assert all(torch.equal(a, b) for a, b in zip(integers(average.network), integers(network), strict=True))

    @each
    @pytest.mark.parametrize("interruption", [1, 3])
    def test_restored_average_continues_where_it_stopped(
        self, build: Callable[[], NetworkAverage], interruption: int
    ) -> None:
        network = make_network()
        unbroken = bound(build(), network)
        resumed = unbroken
        for step in range(1, 6):
            fill(network, step)
            unbroken.update(network, step / 5)
            if resumed is not unbroken:
                resumed.update(network, step / 5)
            if step == interruption:
                resumed = bound(build(), make_network())  # another backbone to start from
                resumed.load_state_dict(values(unbroken))
        ours, theirs = resumed.state_dict(), unbroken.state_dict()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)

    @each
    def test_its_network_is_that_of_a_checkpoint_without_anything_else(
        self, build: Callable[[], NetworkAverage]
    ) -> None:
        network = make_network()
        state = bound(build(), network).state_dict()
        own = {name.removeprefix("network.") for name in state if name.startswith("network.")}
        assert own == set(network.state_dict())

    @each
    @pytest.mark.parametrize("accumulate", [1, 2])
    def test_is_updated_after_every_optimizer_step_with_the_share_of_the_run(
        self, build: Callable[[], NetworkAverage], accumulate: int
    ) -> None:
        average = build()
        module = make_module(network=make_network(), average=average, optimizer=partial(torch.optim.SGD, lr=0.5))
        by_hand = bound(build(), module.network)
        states: list[AUNetwork] = []
        batch = {
            "labeled": random_images(2),
            "target": torch.tensor([[[0.0], [1.0]], [[1.0], [1.0]]]),
            "mask": torch.ones(2, 2, dtype=torch.bool),
            "index": torch.arange(2),
        }
        fit(
            module,
            [{"labeled": batch}] * 4,
            after_batch=lambda: states.append(copy.deepcopy(module.network)),
            accumulate_grad_batches=accumulate,
        )
        steps = states[accumulate - 1 :: accumulate]
        for number, state in enumerate(steps, start=1):
            by_hand.update(state, number / len(steps))
        for found, expected in zip(floats(average.network), floats(by_hand.network), strict=True):
            assert torch.equal(found, expected)
        assert module.evaluated is average.network


class TestEMA:
    def test_equals_the_lerp_by_hand_with_its_warm_up(self) -> None:
        network = make_network()
        fill(network, 0.0)
        ema = bound(EMA(decay=0.25), network)
        by_hand = 0.0
        for value, decay in ((1.0, 1 / 10), (2.0, 2 / 11), (3.0, 3 / 12), (4.0, 0.25), (5.0, 0.25)):
            fill(network, value)
            ema.update(network, 0.0)
            by_hand = decay * by_hand + (1 - decay) * value
            assert_filled(list(ema.network.parameters()), by_hand)
        assert ema.count == 5

    def test_warm_up_ends_at_the_decay_not_before(self) -> None:
        network = make_network()
        ema = bound(EMA(decay=0.9), network)
        ema.count = 80  # (1 + 80) / (10 + 80) is 0.9
        fill(network, 1.0)
        fill(ema.network, 0.0)
        ema.update(network, 0.0)
        assert_filled(list(ema.network.parameters()), 0.1)

    def test_buffers_are_copied_not_averaged(self) -> None:
        network = make_network()
        ema = bound(EMA(decay=0.999), network)
        with torch.no_grad():
            for buffer in network.buffers():
                buffer.add_(3)
        ema.update(network, 0.0)
        copies = dict(ema.network.named_buffers())
        assert any("running_mean" in name for name in copies)
        assert all(torch.equal(copies[name], buffer) for name, buffer in network.named_buffers())


class TestSWA:
    def test_follows_the_network_until_its_start_and_averages_uniformly_from_there(self) -> None:
        network = make_network()
        swa = bound(SWA(start=0.5), network)
        steps = ((8.0, 0.2, 8.0), (5.0, 0.4, 5.0), (1.0, 0.6, 1.0), (3.0, 0.8, 2.0), (8.0, 1.0, 4.0))
        for value, progress, by_hand in steps:  # (1 + 3) / 2 = 2 and (1 + 3 + 8) / 3 = 4
            fill(network, value)
            swa.update(network, progress)
            assert_filled(floats(swa.network), by_hand)  # batch statistics too
        assert swa.count == 3

    def test_follows_to_the_last_bit(self) -> None:
        network = make_network()
        swa = bound(SWA(start=0.5), make_network())
        for progress in (0.1, 0.5):  # the first step of the mean is the mean
            swa.update(network, progress)
            ours, theirs = swa.network.state_dict(), network.state_dict()
            assert all(torch.equal(ours[name], theirs[name]) for name in theirs)

    def test_start_0_averages_all_steps_but_not_what_there_was_before_them(self) -> None:
        network = make_network()
        swa = bound(SWA(start=0), network)
        for value in (2.0, 4.0):
            fill(network, value)
            swa.update(network, value / 4)
        assert_filled(floats(swa.network), 3.0)

    def test_run_that_is_continued_for_longer_restarts_its_mean(self) -> None:
        network = make_network()
        swa = bound(SWA(start=0.5), network)
        for value, progress, by_hand in ((2.0, 0.5, 2.0), (4.0, 1.0, 3.0), (9.0, 0.45, 9.0), (1.0, 0.6, 1.0)):
            fill(network, value)
            swa.update(network, progress)
            assert_filled(floats(swa.network), by_hand)


class TestWiseFT:
    @pytest.mark.parametrize(("alpha", "by_hand"), [(0.25, 1.5), (0.5, 2.0), (1.0, 3.0)])
    def test_backbone_lies_between_start_and_now_and_the_head_is_the_current_one(
        self, alpha: float, by_hand: float
    ) -> None:
        network = make_network()
        fill(network, 1.0)
        wise = bound(WiseFT(alpha=alpha), network)
        for value in (8.0, 3.0):  # only the current backbone counts, whatever came before it
            fill(network, value)
            wise.update(network, 1.0)
        assert_filled(floats(wise.network.backbone), by_hand)
        assert_filled(floats(wise.network.head), 3.0)

    def test_interpolation_is_that_of_every_tensor(self) -> None:
        start, network = make_network(), make_network()
        wise = bound(WiseFT(alpha=0.3), start)
        wise.update(network, 0.5)
        found = wise.network.backbone.state_dict()
        for name, value in network.backbone.state_dict().items():
            if value.is_floating_point():
                torch.testing.assert_close(found[name], 0.7 * start.backbone.state_dict()[name] + 0.3 * value)

    @pytest.mark.parametrize("pretrained", [True, False])
    def test_backbone_without_pretraining_is_warned_about(
        self, pretrained: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        network = make_network()
        network.backbone.pretrained = pretrained
        with caplog.at_level(logging.WARNING):
            WiseFT(alpha=0.5).bind(network)
        warned = [record.getMessage() for record in caplog.records]
        assert [text.partition(":")[0] for text in warned] == ([] if pretrained else ["average=wise_ft"])


@pytest.mark.parametrize(
    ("build", "values", "expected"),
    [
        (
            lambda x: EMA(decay=x),
            [0, 1, 1.5, -0.1, True, "0.9"],
            r"^average\.decay: expected a number in \(0, 1\), got",
        ),
        (lambda x: SWA(start=x), [1, -0.1, None], r"^average\.start: expected a share of the run in \[0, 1\), got"),
        (lambda x: WiseFT(alpha=x), [0, 1.1, "half"], r"^average\.alpha: expected a share in \(0, 1\], got"),
    ],
)
def test_value_out_of_range_names_its_key(build: Callable[[Any], Any], values: list[Any], expected: str) -> None:
    for value in values:
        with pytest.raises(ConfigError, match=expected):
            build(value)
