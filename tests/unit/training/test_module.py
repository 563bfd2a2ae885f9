from __future__ import annotations

import copy
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import timm.scheduler
import torch
from lightning.pytorch.loggers import CSVLogger
from sklearn.metrics import f1_score
from torch import Tensor

from faceflow.calibration import NONE, PLATT, PROTOCOL, TEMPERATURE, ProbabilitySettings
from faceflow.centring import Centring
from faceflow.errors import CheckpointError, ConfigError
from faceflow.evaluation.predictors import TorchPredictor
from faceflow.evaluation.scoring import SplitScorer
from faceflow.losses.bce import BCE
from faceflow.methods.fixmatch import FixMatch
from faceflow.methods.objective import Batch, Objective, Outputs, images_of
from faceflow.models.checkpoint import PAYLOAD
from faceflow.models.network import AUNetwork
from faceflow.training.averages import EMA
from faceflow.training.checkpoint_io import AtomicCheckpointIO
from faceflow.training.resume import check_resume
from tests.helpers.methods import UNCENTRED
from tests.helpers.networks import label_counts, label_table, network_spec, random_images
from tests.helpers.training import fit, make_module


class TwoViews(Objective):
    """Keeps what it was given."""

    views = frozenset({"labeled", "unlabeled/strong"})
    maps = True

    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        self.seen = {view: (out.logits.detach(), [m.detach() for m in out.maps]) for view, out in outputs.items()}
        return {"mean": sum(out.logits.square().mean() for out in outputs.values())}  # type: ignore[dict-item]


def labeled(rows: int = 2, *, seed: int = 0, size: int = 64, aus: int = 2, levels: int = 1) -> dict[str, Any]:
    target = torch.randint(0, 2, (rows, aus, levels), generator=torch.Generator().manual_seed(seed)).float()
    mask = torch.ones(rows, aus, dtype=torch.bool)
    images = random_images(rows, size, seed)
    return {"labeled": {"labeled": images, "target": target, "mask": mask, "index": torch.arange(rows)}}


def test_two_views_of_different_length_share_one_pass_that_equals_separate_ones() -> None:
    network = AUNetwork(network_spec("test_convnext"))  # LayerNorm: rows do not see each other
    alone = copy.deepcopy(network).train()
    objective = TwoViews()
    module = make_module(spec=network.spec, network=network, objectives={"two": objective})
    alone.head.load_state_dict(network.head.state_dict())  # with the prior
    batch = labeled(2) | {"unlabeled": {"strong": random_images(3, seed=5)}}
    fit(module, [batch])
    for view in objective.views:
        expected = alone(images_of(batch, view), maps=True)
        logits, maps = objective.seen[view]
        torch.testing.assert_close(logits, expected.logits, rtol=1e-4, atol=1e-5)
        for found, stage in zip(maps, expected.maps, strict=True):
            torch.testing.assert_close(found, stage, rtol=1e-4, atol=1e-5)


def test_views_and_maps_are_the_union_over_objectives() -> None:
    supervised = make_module().objectives["supervised"]
    module = make_module(objectives={"supervised": supervised, "two": TwoViews()})
    assert module.views == ["labeled", "unlabeled/strong"]
    assert module.maps
    assert not make_module().maps


def test_head_starts_at_the_base_rates_of_the_training_labels() -> None:
    spec = network_spec(levels=2)
    module = make_module(spec=spec, counts=label_counts([[40, 10], [0, 0]], [50, 0]))
    rates = module.network.head.linear.bias.sigmoid()
    torch.testing.assert_close(rates, torch.tensor([0.8, 0.2, 0.001, 0.001]))


def test_warm_start_keeps_the_bias_that_its_head_has_learned() -> None:
    network = AUNetwork(network_spec())
    network.head.set_prior(torch.tensor([[0.3], [0.4]]))
    learned = network.head.linear.bias.clone()
    assert torch.equal(make_module(network=network).network.head.linear.bias, learned)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_average_equals_the_lerp_by_hand_over_optimizer_steps(accumulate: int) -> None:
    module = make_module(average=EMA(decay=0.15), optimizer=partial(torch.optim.SGD, lr=0.5))
    assert isinstance(module.average, EMA)
    by_hand = [p.detach().clone() for p in module.network.parameters()]
    states: list[list[Tensor]] = []
    batches = [labeled(seed=seed) for seed in range(5)]
    fit(
        module,
        batches,
        after_batch=lambda: states.append([p.detach().clone() for p in module.network.parameters()]),
        accumulate_grad_batches=accumulate,
    )
    steps = states if accumulate == 1 else [states[1], states[3], states[4]]  # the rest of an epoch is a step too
    for count, state in enumerate(steps):
        decay = min(0.15, (1 + count) / (10 + count))
        by_hand = [decay * old + (1 - decay) * new for old, new in zip(by_hand, state, strict=True)]
    assert module.average.count == len(steps)
    for average, expected in zip(module.average.network.parameters(), by_hand, strict=True):
        torch.testing.assert_close(average, expected)


def test_average_is_evaluated_and_never_optimised() -> None:
    module = make_module(average=EMA(decay=0.9))
    assert isinstance(module.average, EMA)
    trainer = fit(module, [labeled()])
    optimised = {id(p) for group in trainer.optimizers[0].param_groups for p in group["params"]}
    assert optimised == {id(p) for p in module.network.parameters()}
    assert module.evaluated is module.average.network
    assert make_module().evaluated.training is True


@pytest.mark.parametrize("accumulate", [1, 2])
def test_rate_of_every_update_is_the_cosine_by_hand(accumulate: int) -> None:
    module = make_module(
        scheduler=partial(timm.scheduler.CosineLRScheduler, lr_min=0.0, warmup_lr_init=0.0),
        warmup=0.2,
        head_lr_mult=4.0,
        optimizer=partial(torch.optim.SGD, lr=0.08),
    )
    head = module.network.head.linear.weight
    rates: list[tuple[float, float]] = []

    def note(optimizer: torch.optim.Optimizer) -> None:
        groups = optimizer.param_groups
        (top,) = [group["lr"] for group in groups if any(p is head for p in group["params"])]
        rates.append((groups[0]["lr"], top))

    batches = [labeled(seed=seed) for seed in range(5 * accumulate)]
    fit(module, batches, before_step=note, max_epochs=2, accumulate_grad_batches=accumulate)
    by_hand = [0.0, 0.04] + [0.08 * (1 + math.cos(math.pi * k / 8)) / 2 for k in range(8)]
    assert [backbone for backbone, _ in rates] == pytest.approx(by_hand)
    assert [top for _, top in rates] == pytest.approx([4 * rate for rate in by_hand])


def test_constant_schedule_trains_at_the_scaled_rates() -> None:
    module = make_module(head_lr_mult=4.0)
    rates: list[set[float]] = []
    fit(module, [labeled(), labeled()], before_step=lambda o: rates.append({g["lr"] for g in o.param_groups}))
    assert [sorted(step) for step in rates] == [pytest.approx([0.01, 0.04])] * 2


def test_batch_of_one_trains_where_the_norms_allow_it() -> None:
    module = make_module(spec=network_spec("test_convnext"))
    before = module.network.head.linear.weight.clone()
    fit(module, [labeled(1)])
    assert not torch.equal(module.network.head.linear.weight, before)


def test_batch_of_one_that_batchnorm_refuses_names_the_key() -> None:
    module = make_module(spec=network_spec(image_size=32))  # the last map is 1 x 1
    with pytest.raises(ConfigError, match=r"^loader\.batch_size: expected at least 2 images"):
        fit(module, [labeled(1, size=32)])


def test_batch_without_any_label_changes_no_weight() -> None:
    module = make_module(spec=network_spec("test_convnext"))
    batch = labeled(2)
    batch["labeled"]["mask"][:] = False
    before = copy.deepcopy(module.network.state_dict())
    fit(module, [batch])
    assert all(torch.equal(value, before[name]) for name, value in module.network.state_dict().items())


def test_validation_scores_the_whole_epoch_of_the_evaluated_network() -> None:
    spec, rows = network_spec("test_convnext"), 9
    scores = {"AU1": [0.0, 3, 0, 5, 1, 2, 0, 0, 4], "AU12": [2.0, 0, 0, 5, 0, 2, 3, 0, 0]}
    module = make_module(
        spec=spec, scorer=SplitScorer([label_table("faces", scores)], spec), optimizer=partial(torch.optim.SGD, lr=0.5)
    )
    images = random_images(rows)
    uneven = [torch.tensor([0, 1, 2, 3]), torch.tensor([4]), torch.tensor([5, 6, 7, 8, 0])]  # row 0 twice, as in DDP
    validation = [{"eval": images[index], "index": index} for index in uneven]
    logged = fit(module, [labeled(4)], validation=validation).callback_metrics
    with torch.no_grad():
        positive = module.evaluated.eval()(images).logits[..., 0].sigmoid().numpy() >= 0.5
    f1 = [
        f1_score([value >= 2 for value in values], positive[:, column], zero_division=0)
        for column, values in enumerate(scores.values())
    ]
    assert logged["val/f1_0.5"].item() == pytest.approx(sum(f1) / 2)
    assert logged["val/valid_aus"] == 2
    assert {"val/f1_val/AU1", "val/f1_val/AU12"} <= logged.keys()
    assert set(module.payload.thresholds) == {"AU1", "AU12"}


def test_predictions_that_are_not_finite_end_the_run_in_one_line() -> None:
    module = make_module(spec=network_spec("test_convnext"), optimizer=partial(torch.optim.SGD, lr=1e30))
    validation = [{"eval": random_images(2), "index": torch.tensor([0, 1])}]
    with pytest.raises(ConfigError, match=r"^optimizer\.lr: expected finite predictions after epoch 0, got NaN"):
        fit(module, [labeled(seed=seed) for seed in range(3)], validation=validation)


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        (partial(torch.optim.AdamW, lr=0.1, betas=[2.0, 0.9]), "Invalid beta"),
        (partial(torch.optim.AdamW, lr=0.1, decay=1), "unexpected keyword argument 'decay'"),
    ],
)
def test_optimizer_that_refuses_its_arguments_names_its_key(factory: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=rf"^optimizer: .*{reason}"):
        fit(make_module(optimizer=factory), [labeled()])


def test_optimizer_without_a_rate_names_the_key() -> None:
    with pytest.raises(ConfigError, match=r"^optimizer\.lr: expected a number > 0"):
        fit(make_module(optimizer=partial(torch.optim.AdamW)), [labeled()])


def test_noise_of_a_step_repeats_with_the_seed_and_differs_between_steps() -> None:
    draws = []
    for seed, step in ((3, 7), (3, 7), (4, 7), (3, 8)):
        make_module(seed=seed).on_train_batch_start(None, step)
        draws.append(torch.rand(4))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], draws[3])


def test_checkpoint_carries_the_payload_and_gives_the_thresholds_back() -> None:
    module = make_module()
    module.payload.thresholds = {"AU1": 0.25}
    constants = {"AU1": -1.5, "AU12": 0.5}
    module.payload.centring = Centring(thresholds={"AU1": 0.75}, logit=constants, intensity={})
    checkpoint: dict[str, Any] = {}
    module.on_save_checkpoint(checkpoint)
    resumed = make_module()
    resumed.on_load_checkpoint(checkpoint)
    assert checkpoint[PAYLOAD]["spec"] == module.payload.spec.to_dict()
    assert resumed.payload.thresholds == {"AU1": 0.25}
    assert resumed.payload.centring == module.payload.centring


@pytest.mark.parametrize("method", [PLATT, TEMPERATURE])
def test_calibration_of_a_validation_changes_no_decision(method: str) -> None:
    spec, rows = network_spec("test_convnext"), 12
    rng = np.random.default_rng(0)
    table = label_table("faces", {au: (5 * (rng.random(rows) < 0.5)).tolist() for au in spec.aus})
    payloads, logged = [], []
    for calibration in (NONE, method):
        torch.manual_seed(0)
        scorer = SplitScorer([table], spec, probabilities=ProbabilitySettings(calibration=calibration))
        module = make_module(spec=spec, scorer=scorer, optimizer=partial(torch.optim.SGD, lr=0.5))
        images = random_images(rows)
        validation = [{"eval": images, "index": torch.arange(rows)}]
        logged.append(fit(module, [labeled(4)], validation=validation).callback_metrics)
        payloads.append(module.payload)
    plain, mapped = payloads
    assert plain.calibration is None
    assert PROTOCOL not in plain.protocol
    assert mapped.calibration is not None
    assert mapped.protocol[PROTOCOL].startswith(f"{method}, fitted on ")
    assert mapped.thresholds == mapped.calibration.thresholds(plain.thresholds)
    assert {key: value.item() for key, value in logged[0].items()} == {k: v.item() for k, v in logged[1].items()}
    with torch.no_grad():
        network = module.evaluated.eval()
        before = TorchPredictor(network, accelerator="cpu")(images)
        network.calibration = mapped.calibration
        after = TorchPredictor(network, accelerator="cpu")(images)
    for column, au in enumerate(spec.aus):
        decided = before.probability[:, column] >= plain.thresholds[au]
        assert ((after.probability[:, column] >= mapped.thresholds[au]) == decided).all()
    checkpoint: dict[str, Any] = {}
    module.on_save_checkpoint(checkpoint)
    resumed = make_module(spec=spec)
    resumed.on_load_checkpoint(checkpoint)
    assert resumed.payload.calibration == mapped.calibration


def test_checkpoint_of_another_network_is_not_resumed() -> None:
    checkpoint: dict[str, Any] = {}
    make_module(spec=network_spec(aus=("AU1", "AU2"))).on_save_checkpoint(checkpoint)
    with pytest.raises(CheckpointError, match=r"^resume: expected .* another aus: \['AU1', 'AU2'\] instead of"):
        make_module().on_load_checkpoint(checkpoint)


def test_a_run_whose_levels_were_cut_elsewhere_is_resumed_with_its_own_cutpoints(tmp_path: Path) -> None:
    spec = network_spec(levels=3, cutpoints=(1.25, 2.5, 5.0))
    path = str(tmp_path / "last.ckpt")
    checkpoint: dict[str, Any] = {"state_dict": {}}
    make_module(spec=spec).on_save_checkpoint(checkpoint)
    AtomicCheckpointIO().save_checkpoint(checkpoint, path)
    with pytest.raises(
        CheckpointError, match=r"^resume: expected cutpoints=\[1\.25, 2\.5, 5\.0\] as in .*, got \[2\.0, 3\.0"
    ):
        check_resume(path, make_module(spec=network_spec(levels=3)))


class Counting(Objective):
    """Counts its epochs."""

    views = frozenset({"labeled"})
    epochs = 0

    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        return {"mean_loss": outputs["labeled"].logits.square().mean()}

    def statistics(self, aus: tuple[str, ...]) -> dict[str, float]:
        self.epochs += 1
        return {"mask_positive": self.epochs / 4}


def test_statistics_of_every_epoch_reach_the_loggers_however_many_steps_it_has(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path, name="", version="")
    module = make_module(objectives={"counting": Counting()})
    trainer = fit(module, [labeled()] * 3, logger=logger, log_every_n_steps=50, max_epochs=2)
    rates = pd.read_csv(tmp_path / "metrics.csv")["train/counting/mask_positive"]
    assert rates.dropna().tolist() == [0.25, 0.5]
    assert trainer.callback_metrics["train/counting/mask_positive"] == 0.5


def test_what_an_objective_refuses_when_it_is_bound_is_named_by_its_own_key() -> None:
    settings: dict[str, Any] = {
        **UNCENTRED,
        "n_cutoff": None,
        "coverage": None,
        "rank_consistent": True,
        "ramp_up": 0.0,
    }
    criterion = BCE(weighting="none", max_weight=1.0)
    objective = FixMatch(criterion=criterion, p_cutoff={"AU12": 0.9}, lambda_u=1.0, teacher="student", **settings)
    with pytest.raises(ConfigError, match=r"^method\.my_fix\.p_cutoff: expected a value for AU1, got none"):
        make_module(objectives={"my_fix": objective})
