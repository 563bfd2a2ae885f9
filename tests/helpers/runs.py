"""Training settings that do not come from a config, and small configs of commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from faceflow.calibration import ProbabilitySettings
from faceflow.config.composition import compose
from faceflow.data.decoded import ImageCache
from faceflow.data.loading import Loading
from faceflow.data.splits import SplitConfig
from faceflow.evaluation.intervals import Bootstrap
from faceflow.training.batches import BatchSettings
from faceflow.training.build import ModuleSettings
from faceflow.training.run_data import DataSettings
from faceflow.training.run_settings import RunSettings

RESIZE = {"resize": {"_target_": "albumentations.Resize", "height": 32, "width": 32}}
TRAINER = {
    "max_epochs": 1,
    "max_steps": -1,
    "accelerator": "cpu",
    "devices": 1,
    "enable_progress_bar": False,
    "log_every_n_steps": 1,
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
}
MODEL = {
    "backbone": "test_resnet",
    "pretrained": False,
    "weights": None,
    "image_size": 32,
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "dropout": 0.0,
    "drop_path": 0.0,
}


def data_settings(**changes: Any) -> DataSettings:
    """All AUs, occurrence only, supervised, with four of ten subjects held out."""
    values: dict[str, Any] = {
        "aus": None,
        "levels": 1,
        "cutpoints": None,
        "split": SplitConfig(val=0.2, test=0.2, seed=0, labeled=1.0),
        "views": {"labeled": "labeled"},
        "unlabeled": {},
        "include_labeled": True,
    }
    return DataSettings(**(values | changes))


def module_settings(**changes: Any) -> ModuleSettings:
    """A tiny network, binary cross-entropy, SGD at a constant rate."""
    bce = {"_target_": "faceflow.losses.bce.BCE", "weighting": "none", "max_weight": 1.0}
    values: dict[str, Any] = {
        "model": MODEL,
        "init_weights": None,
        "channels_last": False,
        "compile": False,
        "method": {"supervised": {"_target_": "faceflow.methods.supervised.Supervised", "criterion": bce}},
        "optimizer": {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.01},
        "scheduler": None,
        "warmup": 0.0,
        "layer_decay": 1.0,
        "head_lr_mult": 1.0,
        "average": None,
    }
    return ModuleSettings(**(values | changes))


def batch_settings(**changes: Any) -> BatchSettings:
    """Batches of eight 32 px faces, loaded in this process without augmentation."""
    values: dict[str, Any] = {
        "transforms": {"labeled": RESIZE, "weak": RESIZE, "strong": RESIZE, "eval": RESIZE},
        "feature_views": {},
        "flip": 0.0,
        "loading": Loading(batch_size=8, workers=0, timeout_s=0),
        "decode": "full",
        "mu": 1,
        "steps_per_epoch": None,
        "cache": ImageCache(place="none", gb=1, folder=None),
    }
    return BatchSettings(**(values | changes))


def run_settings(output: Path, **changes: Any) -> RunSettings:
    """One epoch and a test; checkpoints go to `output`."""
    best = {
        "_target_": "faceflow.training.best.BestCheckpoint",
        "dirpath": str(output / "checkpoints"),
        "filename": "best",
        "monitor": "val/f1_val",
        "mode": "max",
    }
    values: dict[str, Any] = {
        "data": data_settings(),
        "module": module_settings(),
        "batches": batch_settings(),
        "trainer": TRAINER,
        "callbacks": {"best": best},
        "loggers": {},
        "monitor": "val/f1_val",
        "test": True,
        "compare_start": False,
        "baseline": None,
        "center": None,
        "bootstrap": Bootstrap(resamples=0, seed=0),
        "audit": None,
        "probabilities": ProbabilitySettings(),
        "overwrite": False,
    }
    return RunSettings(**(values | changes))


def command_config(command: str, output: Path, *overrides: str) -> DictConfig:
    """Config of a command that writes to a folder, as its task receives it."""
    config = compose(command, [f"paths.output={output}", *overrides])
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
