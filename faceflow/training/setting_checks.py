"""Settings of a run that can be checked before its data are read."""

from __future__ import annotations

from faceflow.calibration import METHODS, PROTOCOL
from faceflow.checks import check_boolean, check_choice, check_number
from faceflow.config.instantiate import instantiate
from faceflow.conformal import COVERAGE
from faceflow.data.datamodule import check_flip
from faceflow.training.build import build_objectives, check_trainer
from faceflow.training.monitor import check_monitor_name
from faceflow.training.optim import check_rates
from faceflow.training.run_settings import RunSettings


def check_values(settings: RunSettings) -> None:
    """Check what can be checked without data: a data report does not build the parts that would check it.

    Raises:
        ConfigError: no training could use a value.
    """
    module = settings.module
    check_trainer(settings.trainer)
    check_monitor_name(settings.monitor)
    check_flip(settings.batches.flip)
    check_choice(settings.probabilities.calibration, key=PROTOCOL, options=METHODS)
    if (coverage := settings.probabilities.coverage) is not None:
        check_number(coverage, key=COVERAGE, expected="null or a share such as 0.9", valid=lambda share: 0 < share < 1)
    check_boolean(settings.compare_start, key="compare_start")
    rates = (module.optimizer.get(key, 0.0) for key in ("lr", "weight_decay"))
    check_rates(*rates, layer_decay=module.layer_decay, head_lr_mult=module.head_lr_mult)
    average = instantiate(module.average, key="average") if module.average else None
    if module.model["backbone"] is None:
        for name, objective in build_objectives(module.method).items():
            objective.key = f"method.{name}"
            objective.check_without_backbone()
        if average is not None:
            average.check_without_backbone()
