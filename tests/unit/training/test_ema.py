from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from faceflow.errors import ConfigError
from faceflow.models.network import AUNetwork
from faceflow.training.ema import NetworkEma
from tests.helpers.networks import network_spec


def make_network() -> AUNetwork:
    return AUNetwork(network_spec())


def fill(network: AUNetwork, value: float) -> None:
    """Set every parameter and every floating-point buffer."""
    with torch.no_grad():
        for tensor in (*network.parameters(), *(b for b in network.buffers() if b.is_floating_point())):
            tensor.fill_(value)


def test_average_equals_the_lerp_by_hand_with_its_warm_up() -> None:
    network = make_network()
    fill(network, 0.0)
    ema = NetworkEma(network, 0.25)
    by_hand = 0.0
    for value, decay in ((1.0, 1 / 10), (2.0, 2 / 11), (3.0, 3 / 12), (4.0, 0.25), (5.0, 0.25)):
        fill(network, value)
        ema.update(network)
        by_hand = decay * by_hand + (1 - decay) * value
        for parameter in ema.network.parameters():
            torch.testing.assert_close(parameter, torch.full_like(parameter, by_hand))
    assert int(ema.updates) == 5


def test_warm_up_ends_at_the_decay_not_before() -> None:
    network = make_network()
    ema = NetworkEma(network, 0.9)
    ema.load_state_dict(ema.state_dict() | {"updates": torch.tensor(80)})  # (1 + 80) / (10 + 80) is 0.9
    fill(network, 1.0)
    fill(ema.network, 0.0)
    ema.update(network)
    torch.testing.assert_close(ema.network.head.linear.weight[0, 0].item(), 0.1)


def test_buffers_are_copied_not_averaged() -> None:
    network = make_network()
    ema = NetworkEma(network, 0.999)
    with torch.no_grad():
        for buffer in network.buffers():
            buffer.add_(3)
    ema.update(network)
    copies = dict(ema.network.named_buffers())
    assert any("running_mean" in name for name in copies)
    assert all(torch.equal(copies[name], buffer) for name, buffer in network.named_buffers())


def test_average_is_frozen_and_independent_of_the_network() -> None:
    network = make_network()
    ema = NetworkEma(network, 0.5)
    before = copy.deepcopy(ema.network.state_dict())
    fill(network, 7.0)
    assert all(torch.equal(value, before[name]) for name, value in ema.network.state_dict().items())
    assert not any(parameter.requires_grad for parameter in ema.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_average_stays_in_evaluation_mode() -> None:
    ema = NetworkEma(make_network(), 0.5)
    torch.nn.ModuleList([ema]).train()
    assert not any(module.training for module in ema.modules())


def test_restored_average_goes_on_where_it_stopped() -> None:
    torch.manual_seed(0)
    network = make_network()
    unbroken, first = NetworkEma(network, 0.9), NetworkEma(network, 0.9)
    for value in (1.0, 2.0):
        fill(network, value)
        unbroken.update(network)
        first.update(network)
    resumed = NetworkEma(make_network(), 0.9)
    resumed.load_state_dict(first.state_dict())
    fill(network, 3.0)
    unbroken.update(network)
    resumed.update(network)
    assert all(torch.equal(a, b) for a, b in zip(unbroken.parameters(), resumed.parameters(), strict=True))


@pytest.mark.parametrize("decay", [0, 1, 1.5, -0.1, True, "0.9"])
def test_decay_out_of_range_names_its_key(decay: Any) -> None:
    with pytest.raises(ConfigError, match=r"^ema_decay: expected a number in \(0, 1\), or null"):
        NetworkEma(make_network(), decay)
