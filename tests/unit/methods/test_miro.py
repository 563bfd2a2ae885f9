from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor, nn

from faceflow.config.instantiate import instantiate
from faceflow.config.paths import config_dir
from faceflow.errors import CheckpointError, ConfigError
from faceflow.methods.miro import MIRO, chosen_stages
from faceflow.methods.objective import Outputs
from faceflow.models.network import AUNetwork
from faceflow.training.optim import parameter_groups
from tests.helpers.networks import label_counts, network_spec, random_images

FAMILIES = ["test_resnet", "test_vit", "test_convnext", "test_efficientnet", "test_mambaout", "test_nfnet"]


def make_network(name: str = "test_resnet", *, seed: int = 0, levels: int = 1, drop_path: float = 0.0) -> AUNetwork:
    torch.manual_seed(seed)
    network = AUNetwork(network_spec(name, levels=levels), drop_path=drop_path)
    network.backbone.pretrained = True
    return network.eval()


def make_miro(network: AUNetwork | None = None, **changes: Any) -> MIRO:
    """MIRO as the YAML has it, with changes, bound to a network if given."""
    settings: dict[str, Any] = {
        **{"weight": 0.1, "lr_mult": 10.0, "variance_init": 0.1, "epsilon": 1e-5},
        **{"normalize": "none", "freeze_batch_norm": True},
    }
    miro = MIRO(**(settings | changes))
    if network is not None:
        miro.bind(network, label_counts([[5]] * 2, [10] * 2))
    return miro


def outputs_of(network: AUNetwork, images: Tensor) -> Outputs:
    return {"labeled": network(images, maps=True)}


def reg_loss(miro: MIRO, network: AUNetwork, images: Tensor) -> Tensor:
    terms = miro(outputs_of(network, images), {"labeled": {"labeled": images}})
    assert list(terms) == ["reg_loss"]
    return terms["reg_loss"]


def disturb(network: nn.Module, seed: int = 1) -> None:
    """Move all weights a little, as training does."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))


def train(network: AUNetwork, miro: MIRO, steps: int) -> None:
    """Steps of both terms in training mode."""
    run = nn.ModuleList([network, miro]).train()
    optimizer = torch.optim.SGD([p for p in run.parameters() if p.requires_grad], lr=0.01)
    for step in range(steps):
        images = random_images(4, seed=step)
        outputs = outputs_of(network, images)
        loss = outputs["labeled"].logits.square().mean() + miro(outputs, {"labeled": {"labeled": images}})["reg_loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("levels", [1, 5])
@pytest.mark.parametrize(("name", "stages"), list(zip(FAMILIES, [5, 4, 4, 5, 4, 5], strict=True)))
def test_untouched_network_has_the_log_of_the_variance_alone(name: str, stages: int, levels: int) -> None:
    network = make_network(name, levels=levels)
    loss = reg_loss(make_miro(network, weight=2.0), network, random_images(2))
    assert loss.item() == pytest.approx(2.0 * 0.5 * stages * math.log(0.1), rel=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_loss_is_torchs_gaussian_likelihood_summed_over_stages(name: str) -> None:
    network = make_network(name)
    miro = make_miro(network, weight=0.3)
    oracle = copy.deepcopy(network)
    disturb(network)
    disturb(miro.raw_variances, seed=2)
    images = random_images(3)
    with torch.no_grad():
        ours, theirs = network(images, maps=True).maps, oracle(images, maps=True).maps
    stages = {6: (0, 2, 3, 5)}.get(len(ours), range(len(ours)))
    expected = 0.0
    for stage, b in zip(stages, miro.raw_variances, strict=True):
        variance = (torch.log1p(b.detach().exp()) + 1e-5).expand_as(ours[stage])
        expected += torch.nn.GaussianNLLLoss(full=False)(ours[stage], theirs[stage], variance).item()
    assert reg_loss(miro, network, images).item() == pytest.approx(0.3 * expected, rel=1e-4)


def test_weight_zero_switches_the_term_off() -> None:
    network = make_network()
    miro = make_miro(network, weight=0)
    disturb(network)
    loss = reg_loss(miro, network, random_images(2))
    loss.backward()
    assert loss.item() == 0
    assert not any(b.grad.any() for b in miro.raw_variances)


@pytest.mark.parametrize(
    ("count", "stages"),
    [(4, (0, 1, 2, 3)), (5, (0, 1, 2, 3, 4)), (6, (0, 2, 3, 5)), (12, (2, 5, 8, 11)), (24, (5, 11, 17, 23))],
)
def test_many_blocks_are_compared_at_four_equal_distances(count: int, stages: tuple[int, ...]) -> None:
    assert chosen_stages(count) == stages


@pytest.mark.parametrize("name", FAMILIES)
def test_gradient_reaches_backbone_and_variances_never_the_oracle(name: str) -> None:
    network = make_network(name)
    miro = make_miro(network)
    disturb(network)
    network.train()
    reg_loss(miro.train(), network, random_images(2)).backward()
    first = next(network.backbone.parameters())
    assert first.grad is not None
    assert first.grad.any()
    assert all(b.grad is not None and b.grad.any() for b in miro.raw_variances)
    assert all(p.grad is None and not p.requires_grad for p in miro.oracle.parameters())


def test_variance_settles_at_the_mean_squared_difference_of_its_channel() -> None:
    network = make_network("test_mambaout")  # without ReLU every channel differs from the oracle's
    miro = make_miro(network)
    disturb(network)
    images = random_images(4)
    with torch.no_grad():
        maps = zip(network(images, maps=True).maps, miro.oracle(images, maps=True)[1], strict=True)
        optimum = [(f - f0).square().mean(dim=(0, 2, 3), keepdim=True) for f, f0 in maps]
        for b, s in zip(miro.raw_variances, optimum, strict=True):
            b.copy_((s - 1e-5).expm1().log())
    reg_loss(miro, network, images).backward()
    assert all(b.grad.abs().max() < 1e-6 for b in miro.raw_variances)
    expected = {f"variance_{stage}": s.mean().item() for stage, s in enumerate(optimum)}
    assert miro.statistics(("AU1", "AU12")) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("name", "drop_path"), [("test_efficientnet", 0.5), ("test_convnext", 0.5), ("resnet18", 0.0)])
def test_training_leaves_the_oracle_as_it_was(name: str, drop_path: float) -> None:
    network = make_network(name, drop_path=drop_path).train()
    before = copy.deepcopy(network.backbone).eval()
    miro = make_miro(network)
    assert not any(part.training for part in miro.oracle.modules())
    train(network, miro, steps=4)
    assert not any(part.training for part in miro.oracle.modules())
    tensors = [(*oracle.parameters(), *oracle.buffers()) for oracle in (miro.oracle, before)]
    assert all(map(torch.equal, *tensors))
    images = random_images(4)
    expected = before.feature_maps(images)
    for _ in range(2):  # no stochastic depth
        assert all(map(torch.equal, miro.oracle.feature_maps(images), expected))
    trained = (*network.backbone.parameters(), *network.backbone.buffers())
    assert sum(not torch.equal(a, b) for a, b in zip(trained, tensors[1], strict=True)) > len(tensors[1]) // 2


def test_oracle_keeps_the_memory_layout_of_the_network() -> None:
    network = make_network()
    network.to(memory_format=torch.channels_last)
    miro = make_miro(network)
    assert miro.oracle.model.layer1[0].conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(miro.oracle_digest, make_miro(make_network()).oracle_digest)


def test_order_of_the_batch_changes_nothing() -> None:
    network = make_network()
    miro = make_miro(network)
    disturb(network)
    images = random_images(6)
    shuffled = images[torch.tensor([3, 0, 5, 1, 4, 2])]
    torch.testing.assert_close(reg_loss(miro, network, images), reg_loss(miro, network, shuffled))


def test_loss_is_computed_in_single_precision_under_autocast() -> None:
    miro = make_miro(make_network(seed=0), variance_init=1e-3)  # the squared differences outweigh the logarithm
    network = make_network(seed=1)
    images = random_images(2)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        outputs = outputs_of(network, images)
        found = miro(outputs, {"labeled": {"labeled": images}})["reg_loss"]
        oracle = miro.oracle.feature_maps(images)
    assert any(stage.dtype == torch.bfloat16 for stage in oracle)
    pairs = zip(outputs["labeled"].maps, oracle, strict=True)
    by_hand = [((f.double() - f0.double()).square() / 1e-3).mean() / 2 + math.log(1e-3) / 2 for f, f0 in pairs]
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(0.1 * torch.stack(by_hand).sum().item(), rel=1e-6)


def scale_last_map(network: AUNetwork, miro: MIRO, factor: float) -> None:
    """Multiply the last feature map of network and oracle by a factor."""

    def scaled(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        return output * factor

    for backbone in (network.backbone, miro.oracle):
        backbone.model.layer4.register_forward_hook(scaled)


@pytest.mark.parametrize(("normalize", "invariant"), [("layer", True), ("none", False)])
def test_units_of_the_features_do_not_matter_once_normalized(normalize: str, invariant: bool) -> None:
    losses = []
    for factor in (1.0, 50.0):
        network = make_network()
        miro = make_miro(network, normalize=normalize).train()
        disturb(network)
        scale_last_map(network, miro, factor)
        losses.append([reg_loss(miro, network, random_images(4, seed=seed)).item() for seed in range(3)])
    assert (losses[0] == pytest.approx(losses[1], rel=1e-4)) is invariant


def test_features_are_measured_over_the_first_sixteen_training_batches_only() -> None:
    network = make_network()
    miro = make_miro(network, normalize="layer").train()
    batches = [random_images(2, seed=seed) for seed in range(16)]
    variances = []
    for images in batches:
        reg_loss(miro, network, images)
        variances.append([stage.numpy().astype("f8").var() for stage in miro.oracle.feature_maps(images)])
    expected = torch.tensor(variances).mean(dim=0).float()
    torch.testing.assert_close(miro.feature_variance, expected, rtol=1e-4, atol=0)
    fixed = miro.feature_variance.clone()
    reg_loss(miro, network, torch.zeros(2, 3, 64, 64))
    assert torch.equal(miro.feature_variance, fixed)


def test_evaluation_measures_nothing() -> None:
    network = make_network()
    miro = make_miro(network, normalize="layer").eval()
    reg_loss(miro, network, random_images(2))
    assert torch.equal(miro.feature_variance, torch.ones(5))


@pytest.mark.parametrize("normalize", ["none", "layer"])
def test_checkpoint_restores_strictly_without_the_weights_of_the_oracle(tmp_path: Path, normalize: str) -> None:
    network = make_network()
    trained = nn.ModuleDict({"network": network, "miro": make_miro(network, normalize=normalize).train()})
    disturb(network)
    disturb(trained["miro"].raw_variances)  # type: ignore[arg-type]
    reg_loss(trained["miro"], network, random_images(2))  # type: ignore[arg-type]
    state = trained.state_dict()
    scale = {"miro.measured", "miro.feature_variance"} if normalize == "layer" else set()
    kept = {key for key in state if key.startswith("miro.")}
    assert kept == {"miro.oracle_digest", *scale, *(f"miro.raw_variances.{stage}" for stage in range(5))}
    torch.save(state, tmp_path / "run.ckpt")

    again = make_network()
    oracle = copy.deepcopy(again.backbone.state_dict())
    resumed = nn.ModuleDict({"network": again, "miro": make_miro(again, normalize=normalize)})
    resumed.load_state_dict(torch.load(tmp_path / "run.ckpt", weights_only=True), strict=True)
    assert all(torch.equal(value, state[key]) for key, value in resumed.state_dict().items())
    restored: Any = resumed["miro"]
    assert all(torch.equal(value, oracle[key]) for key, value in restored.oracle.state_dict().items())


def test_missing_variances_are_still_refused() -> None:
    miro = make_miro(make_network())
    state = miro.state_dict()
    del state["raw_variances.2"]
    with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict: \"raw_variances.2\"\."):
        miro.load_state_dict(state)


def test_checkpoint_of_another_pretrained_backbone_is_refused() -> None:
    state = nn.ModuleDict({"miro": make_miro(make_network(seed=0))}).state_dict()
    other = nn.ModuleDict({"miro": make_miro(make_network(seed=1))})
    with pytest.raises(CheckpointError, match=r"^resume: expected the pretrained .*set model\.weights") as caught:
        other.load_state_dict(state)
    assert "\n" not in str(caught.value)


def test_digest_sees_weights_and_statistics_but_not_how_many_batches_made_them() -> None:
    def digest(change: Callable[[Any], object]) -> Tensor:
        network = make_network()
        with torch.no_grad():
            change(network.backbone.model)
        return make_miro(network).oracle_digest

    plain = digest(lambda model: None)
    assert plain.dtype == torch.uint8
    assert plain.shape == (32,)
    assert torch.equal(plain, digest(lambda model: model.bn1.num_batches_tracked.add_(7)))
    assert torch.equal(plain, digest(lambda model: model.double()))
    assert not torch.equal(plain, digest(lambda model: model.bn1.running_mean.add_(1e-3)))
    assert not torch.equal(plain, digest(lambda model: model.layer1[0].conv1.weight[0, 0, 0, 0].add_(1e-3)))


def test_random_backbone_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    network = make_network()
    with caplog.at_level(logging.WARNING):
        make_miro(network)
        assert caplog.messages == []
        network.backbone.pretrained = False
        make_miro(network)
    (message,) = caplog.messages
    assert "test_resnet starts from random weights" in message
    assert "model.pretrained=true, or model.weights=FILE" in message


def test_config_joins_the_supervised_term_and_trains_the_variances_faster() -> None:
    with initialize_config_dir(config_dir(), version_base="1.3"):
        method = compose("method/miro").method
    assert list(method) == ["supervised", "miro"]
    miro: Any = instantiate(method.miro, key="method.miro")
    assert (miro.weight, miro.variance_init, miro.epsilon) == (0.01, 0.1, 1e-5)
    assert (miro.normalize, miro.freeze_batch_norm) == ("none", False)
    network = make_network()
    miro.bind(network, label_counts([[5]] * 2, [10] * 2))
    groups = parameter_groups(network, {"miro": miro}, lr=0.01, weight_decay=0.05, layer_decay=1.0, head_lr_mult=1.0)
    settings = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    assert {settings[id(b)] for b in miro.raw_variances} == {(0.1, 0.0)}
    assert not any(id(p) in settings for p in miro.oracle.parameters())


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("weight", -0.1, "a number >= 0"),
        ("weight", "0.1", "a number >= 0"),
        ("weight", math.inf, "a number >= 0"),
        ("epsilon", 0, "a number > 0"),
        ("variance_init", 1e-5, "a number > epsilon (1e-05)"),
        ("variance_init", True, "a number > epsilon (1e-05)"),
        ("normalize", 1, "none or layer"),
        ("freeze_batch_norm", 1, "true or false"),
    ],
)
def test_setting_out_of_range_names_its_key(key: str, value: Any, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_miro(**{key: value})
    assert str(caught.value) == f"{key}: expected {expected}, got {value!r}"
