"""Nothing on the device must need fp64, because Apple GPUs lack it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy

from faceflow.evaluation.predictors import TorchPredictor
from faceflow.evaluation.scoring import EpochPredictions
from faceflow.losses.bce import BCE
from faceflow.methods.defixmatch import DeFixMatch
from faceflow.methods.fixmatch import FixMatch
from faceflow.methods.miro import MIRO
from faceflow.methods.objective import Objective
from faceflow.methods.supervised import Supervised
from faceflow.models.network import AUNetwork
from faceflow.training.averages import EMA, SWA
from tests.helpers.device import DEVICE, NoDoubles, ValuelessAccelerator
from tests.helpers.methods import UNCENTRED
from tests.helpers.networks import label_counts, network_spec, random_images
from tests.helpers.training import fit, make_module


def bce() -> BCE:
    return BCE(weighting="inverse_frequency", max_weight=10.0)


def semi(kind: type[FixMatch], **changes: Any) -> FixMatch:
    settings: dict[str, Any] = {
        **UNCENTRED,
        "p_cutoff": 0.95,
        "n_cutoff": None,
        "coverage": None,
        "rank_consistent": True,
    }
    settings |= {"lambda_u": 0.5, "ramp_up": 0.1, "teacher": "student"}
    return kind(criterion=bce(), **(settings | changes))


def miro() -> MIRO:
    settings = {"weight": 0.1, "lr_mult": 10.0, "variance_init": 0.1, "epsilon": 1e-5}
    return MIRO(**settings, normalize="layer", freeze_batch_norm=False)


METHODS: dict[str, tuple[dict[str, Objective], Any]] = {
    "supervised": ({"supervised": Supervised(criterion=bce())}, SWA(start=0.0)),
    "fixmatch": ({"fixmatch": semi(FixMatch, coverage=0.3, teacher="ema")}, EMA(decay=0.9)),
    "defixmatch and miro": ({"defixmatch": semi(DeFixMatch), "miro": miro()}, None),
}


@pytest.mark.slow
@pytest.mark.parametrize("levels", [1, 5])
@pytest.mark.parametrize("method", METHODS)
def test_training_and_validation_need_no_fp64(method: str, levels: int) -> None:
    objectives, average = METHODS[method]
    spec = network_spec(levels=levels, image_size=32)
    counts = label_counts([[5] * levels] * 2, [10, 10])
    module = make_module(spec=spec, objectives=objectives, average=average, counts=counts)
    images, target = random_images(4, 32), torch.zeros(4, 2, levels)
    views = {"labeled": images, "weak": images, "strong": images}
    rows = {**views, "target": target, "mask": torch.ones(4, 2, dtype=torch.bool)}
    step = {"labeled": rows, "unlabeled": rows}
    validation = [{"eval": images[:2], "index": torch.arange(2)}]
    device = {"accelerator": ValuelessAccelerator(), "strategy": SingleDeviceStrategy(device=DEVICE)}
    used: set[torch.device] = set()
    with NoDoubles():
        trainer = fit(module, [step] * 2, validation=validation, after_batch=lambda: used.add(module.device), **device)
    assert used == {DEVICE}
    assert "val/valid_aus" in trainer.callback_metrics


def test_testing_needs_no_fp64() -> None:
    predictor = TorchPredictor(AUNetwork(network_spec(levels=5, image_size=32)), accelerator="cpu")
    predictor.device = DEVICE
    predictor.network.to(DEVICE)
    with NoDoubles():
        prediction = predictor(random_images(3, 32))
    assert prediction.probability.shape == (3, 2)
    assert prediction.probability.dtype == "float64"


def test_predictions_of_an_epoch_become_doubles_on_the_cpu_alone() -> None:
    collected = EpochPredictions().to(DEVICE)
    with NoDoubles():
        collected.update(torch.zeros(2, dtype=torch.int64, device=DEVICE), torch.zeros(2, 2, 5, device=DEVICE))
        rows, probabilities = collected.compute()
    assert (rows.tolist(), probabilities.shape, probabilities.dtype) == ([0], (1, 2, 5), "float64")
