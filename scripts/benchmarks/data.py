"""`data`: the training loader against decoding and augmenting alone, or with a cache against without."""

from __future__ import annotations

import argparse
import gc
import random
import time
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from lightning.pytorch.utilities import CombinedLoader
from omegaconf import DictConfig

from benchmarks.composition import add_data_options, compose_config, whole_numbers
from benchmarks.memory import resident_mib
from benchmarks.report import Comparison, Report, announced, cores
from faceflow.config.instantiate import instantiate, plain_dict
from faceflow.data.assembly import choose_aus, read_tables
from faceflow.data.datamodule import AUDataModule
from faceflow.data.dataset import FaceDataset
from faceflow.data.decoded import DISK, NONE, RAM, ImageCache
from faceflow.data.groups import number_groups
from faceflow.data.sampling import EpochSampler
from faceflow.data.transforms import Pipeline
from faceflow.encoding import cutpoints
from faceflow.errors import ConfigError
from faceflow.training.batches import build_pipelines
from faceflow.views import LABELED

_CHECKED = 8  # rows for which both loops must give the same pixels


class Draw(NamedTuple):
    """Everything that determines the pixels of one image."""

    file: str
    flipped: bool
    seed: int


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the subcommand's parser."""
    parser: argparse.ArgumentParser = commands.add_parser("data", help="the training loader, and its memory use")
    add_data_options(parser)
    parser.add_argument("--view", default="labeled", help="augmentation: labeled, weak or strong; default: %(default)s")
    parser.add_argument(
        "--workers", type=whole_numbers, default="0,1,2", help="numbers of workers; default: %(default)s"
    )
    parser.add_argument(
        "--cache", choices=(RAM, DISK), help="compare the loader with this cache of decoded images to the one without"
    )
    parser.add_argument("--epochs", type=int, default=5, help="counted rounds; default: %(default)s")
    return parser


def measure(options: argparse.Namespace) -> Report:
    """Compare each number of workers with one bare process, or with the same loader without a cache."""
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")  # Lightning 2.6 with torch 2.15
    warnings.filterwarnings("ignore", message="This DataLoader will create .* worker processes")  # a note reports it
    torch.set_num_threads(1)
    cv2.setNumThreads(0)  # as in the workers
    cfg = compose_config(options)
    rows = [
        _compare_cached(cfg, options, workers)
        if options.cache
        else _compare(_data_module(cfg, options.view, workers), options)
        for workers in announced(options.workers)
    ]
    notes = [
        f"workers {workers}: more than the {cores()} cores, which they share"
        for workers in options.workers
        if workers > cores()
    ]
    for row in rows:
        epochs = " ".join(f"{mib:.1f}" for mib in row.series.get("memory_mib", []))
        notes += [f"MiB after each epoch, {row.case}: {epochs}"] if epochs else []
    title = f"Loader, labelled faces, transforms.{options.view}, {options.size} px, batches of {options.batch}"
    return Report(title=title, unit="images/s", comparisons=rows, notes=notes)


def _data_module(cfg: DictConfig, view: str, workers: int, cache: str = NONE) -> AUDataModule:
    """Build the data module of a training run without a split, so that every row is read."""
    data, transforms = plain_dict(cfg.data), plain_dict(cfg.transforms)
    if view not in transforms:
        raise ConfigError(f"--view: expected one of {', '.join(transforms)}, got '{view}'")
    if data.get("prepare"):
        instantiate(data["prepare"], key="data.prepare")
    tables = read_tables(data["sources"], levels=cfg.levels)
    views = [LABELED if view == LABELED else f"{LABELED}/{view}"]
    return AUDataModule(
        {"train": tables},
        groups=number_groups({"train": tables}),
        aus=choose_aus(cfg.aus.names, tables),
        points=cutpoints(cfg.levels, cfg.cutpoints),
        views=views,
        pipelines=build_pipelines(transforms, views),
        flip=cfg.flip,
        batch_size=cfg.loader.batch_size,
        mu=cfg.loader.mu,
        steps_per_epoch=None,
        workers=workers,
        timeout_s=cfg.loader.timeout_s,
        seed=cfg.seed,
        cache=ImageCache(place=cache, gb=cfg.loader.cache_gb, folder=cfg.loader.cache_folder),
    )


def _compare_cached(cfg: DictConfig, options: argparse.Namespace, workers: int) -> Comparison:
    modules = [_data_module(cfg, options.view, workers, place) for place in (options.cache, NONE)]
    loaders = [module.train_dataloader() for module in modules]
    rates: tuple[list[float], list[float]] = ([], [])
    for epoch in range(options.epochs + 1):  # the first one fills the cache
        for module, loader, found in zip(modules, loaders, rates, strict=True):
            stream: Any = loader.iterables["labeled"]
            stream.sampler.set_epoch(epoch)
            if epoch == 1:
                _check_same(stream.dataset, stream.sampler, module.pipelines[options.view], options.view)
            found.append(_loader_rate(loader))
    ours, reference = rates
    return Comparison(case=f"workers {workers}, cache {options.cache}", ours=ours[1:], reference=reference[1:])


def _compare(data: AUDataModule, options: argparse.Namespace) -> Comparison:
    combined = data.train_dataloader()
    loader: Any = combined.iterables["labeled"]
    dataset, sampler, pipeline = loader.dataset, loader.sampler, data.pipelines[options.view]
    _check_same(dataset, sampler, pipeline, options.view)
    ours, reference, memory = [], [], []
    for epoch in range(options.epochs + 1):
        sampler.set_epoch(epoch)
        reference.append(_bare_rate(_draws(dataset, sampler)[: len(loader) * data.batch_sizes["labeled"]], pipeline))
        ours.append(_loader_rate(combined))
        memory.append(resident_mib())
    del combined, loader
    gc.collect()  # ends the workers, so that the next case does not count them
    growth = np.polyfit(range(options.epochs), memory[1:], 1)[0] if options.epochs > 1 else float("nan")
    return Comparison(
        case=f"workers {data.workers}",
        ours=ours[1:],
        reference=reference[1:],
        per=max(1, data.workers),
        details={"memory, MiB": f"{memory[-1]:.0f}", "growth, MiB/epoch": f"{growth:+.2f}"},
        series={"memory_mib": memory[1:], "growth_mib_per_epoch": [float(growth)]},
    )


def _loader_rate(loader: CombinedLoader) -> float:
    started = time.perf_counter()
    images = sum(len(batch["labeled"]["index"]) for batch, _, _ in loader)
    return images / (time.perf_counter() - started)


def _bare_rate(draws: Sequence[Draw], pipeline: Pipeline) -> float:
    started = time.perf_counter()
    for draw in draws:
        _bare_image(draw, pipeline)
    return len(draws) / (time.perf_counter() - started)


def _bare_image(draw: Draw, pipeline: Pipeline) -> Any:
    image: Any = cv2.imread(draw.file, cv2.IMREAD_COLOR_RGB)
    return pipeline(cv2.flip(image, 1) if draw.flipped else image, draw.seed)


def _draws(dataset: FaceDataset, sampler: EpochSampler) -> list[Draw]:
    """Make the data set's random choices for each image before the clock starts."""
    return [
        Draw(dataset.files[row].decode("utf-8"), random.Random(seed).random() < dataset.flip, seed + 1)
        for row, seed in sampler
    ]


def _check_same(dataset: FaceDataset, sampler: EpochSampler, pipeline: Pipeline, view: str) -> None:
    """Check that both loops do the same work."""
    for (row, seed), draw in list(zip(sampler, _draws(dataset, sampler), strict=True))[:_CHECKED]:
        ours = dataset[row, seed][view].permute(1, 2, 0).numpy()
        assert np.array_equal(ours, _bare_image(draw, pipeline)), f"row {row}: the bare loop gives a different image"
