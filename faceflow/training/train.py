"""`faceflow-train`: from a composed config to a trained and tested network, or one for every fold of a protocol."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from faceflow.built_in.models import BUILT_IN, FAST, FUSED, built_in_model
from faceflow.calibration import NONE, ProbabilitySettings
from faceflow.checks import check_whole
from faceflow.config.instantiate import instantiate
from faceflow.config.job_transfer import packed_job
from faceflow.config.located import located, located_file
from faceflow.config.reuse import runs_in_parts
from faceflow.config.running_job import overridden
from faceflow.config.stored import stored_config
from faceflow.config.values import plain, with_values
from faceflow.data.decoded import ImageCache
from faceflow.data.loading import Loading
from faceflow.data.protocols.protocol import EvaluationProtocol, Fold
from faceflow.data.sources import UNLABELED
from faceflow.data.splits import SplitConfig
from faceflow.data.transforms import Pipeline
from faceflow.encoding import cutpoints
from faceflow.errors import ConfigError
from faceflow.evaluation.advice import silence_advice
from faceflow.evaluation.baseline import Baseline, open_baseline
from faceflow.evaluation.evaluation_data import eval_pipeline, read_faces
from faceflow.evaluation.intervals import Bootstrap
from faceflow.evaluation.run_context import RunContext, label_files
from faceflow.methods.objective import TEACHER
from faceflow.metrics.audited import asked_audit
from faceflow.storage.urls import is_url
from faceflow.training.batches import BatchSettings
from faceflow.training.build import ModuleSettings, build_objectives
from faceflow.training.companions import companions
from faceflow.training.folds import FoldPlan, fold_titles, folder_names, train_folds
from faceflow.training.mirroring import bring_back, run_mirror
from faceflow.training.monitor import default_monitor
from faceflow.training.rank import settle_rank
from faceflow.training.run import prepare_run, train_run
from faceflow.training.run_data import DataSettings, Look, choose_data, show_data
from faceflow.training.run_settings import RunSettings
from faceflow.training.setting_checks import check_values
from faceflow.training.warm_start import read_start, start_settings
from faceflow.views import LABELED, computed_views, stream_and_pipeline

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """Results of a training.

    Attributes:
        folder: folder of the results.
        monitor: metric that chose the checkpoint.
        best: best value of `monitor`, or its mean over folds; None after a preview or a data report, and in all
            processes but the first.
        checkpoint: the best checkpoint; None if `best` is None or there are several folds.
        folds: folder of every fold by name; empty if the protocol has only one.
    """

    folder: Path
    monitor: str
    best: float | None
    checkpoint: Path | None
    folds: dict[str, Path]


def train(config: DictConfig) -> TrainResult:
    """Train as a config says and test the best checkpoint, once for every fold of its protocol.

    Raises:
        ConfigError, DataError, CheckpointError: settings, data or files cannot be used.
    """
    settle_rank(config.trainer)
    silence_advice()
    with companions(lambda: packed_job(config)):
        return _train(config)


def _train(config: DictConfig) -> TrainResult:
    started = time.time()
    config = _with_start(config)
    if config.monitor is None:
        config = with_values(config, {"monitor": default_monitor(config.levels)})
    views = _views(config)
    check_whole(config.preview, key="preview", lowest=0, expected="a count of faces")
    look = Look(faces=config.preview) if config.preview or config.report_only else None
    local = located(config)
    settings, command = _settings(local, views), _context(config, local)
    check_values(settings)
    protocol = _protocol(config)
    faces = read_faces(plain(local.data), levels=config.levels, audit=settings.audit)
    folds = protocol.folds(faces, settings.data.split)
    in_folds = folds[0].name is not None
    if in_folds and is_url(config.resume) and look is None:
        bring_back(config.resume, command.output, plain(config.storage))
        local = with_values(local, {"resume": None})
    store = None if look else config.get("mirror")
    replaces = settings.overwrite or bool(config.resume)
    with run_mirror(store, command.output, plain(config.get("storage")), replaces=replaces) as mirror:
        trained, best, done = None, None, {}
        if in_folds:
            plans = _plans(config, local, protocol, folds, views)
            rule, in_parts = protocol.describe(settings.data.split), runs_in_parts(config)
            best = train_folds(
                plans, command=command, unit=protocol.unit, rule=rule, in_parts=in_parts, look=look, mirror=mirror
            )
            done = {str(plan.context.fold): plan.context.output for plan in plans}
        else:
            data = choose_data(folds[0], settings.data)
            show_data(data, settings.batches.transforms, folder=command.output, look=look)
            if look is None:
                start = read_start(settings.module.init_weights, settings.module.model["weights"])
                run = prepare_run(command, settings, data, start)
                resume = located_file(config, "resume")
                trained = train_run(run, command=command, started=started, resume=resume, mirror=mirror)
    return TrainResult(
        folder=command.output,
        monitor=settings.monitor,
        best=trained.best if trained else best,
        checkpoint=trained.checkpoint if trained else None,
        folds=done,
    )


def _start_file(config: DictConfig) -> str | None:
    """File of `init_weights`; for built_in, the built-in model with the inputs of the network."""
    if config.init_weights != BUILT_IN:
        return located_file(config, "init_weights")
    features_alone = config.model.backbone is None and not config.model.get("of_start")
    return str(built_in_model(FAST if features_alone else FUSED))


def _with_start(config: DictConfig) -> DictConfig:
    """Take the settings of `model` from the network of `init_weights` if the config asks for it.

    Raises:
        ConfigError: `init_weights` names no network.
    """
    if not config.model.get("of_start"):
        return config
    file = _start_file(config)
    if file is None:
        raise ConfigError(
            "init_weights: expected the network that model=start takes over, got none; add init_weights=built_in, or a "
            "checkpoint or an exported model"
        )
    values = start_settings(file)
    return with_values(config, {key: value for key, value in values.items() if not overridden(key)})


def _views(config: DictConfig) -> dict[str, str]:
    """Views that the method reads, see `computed_views`; warn of settings for other views."""
    objectives = build_objectives(plain(config.method), loss=plain(config.loss))
    read = {view.removeprefix(TEACHER) for objective in objectives.values() for view in objective.views}
    views = computed_views(read, plain(config.transforms))
    if config.unlabeled is not None and not any(view.startswith(UNLABELED) for view in views):
        log.warning("unlabeled=%s is not used: no view of this method reads it; see method=fixmatch", config.unlabeled)
    pipelines = {stream_and_pipeline(view)[1] for view in views}
    if LABELED in pipelines and LABELED not in config.transforms:  # a config of an earlier version, see `with_labeled`
        pipelines.add("weak")
    if overridden("transforms.weak") and "weak" not in pipelines:
        raise ConfigError(
            "transforms.weak: expected a view that this method reads, got one that only FixMatch's teacher reads; set "
            "the augmentation of labelled faces with augment=light|medium|strong"
        )
    if overridden("transforms.strong") and "strong" not in pipelines:
        log.warning(
            "transforms.strong is not used: no view of this method reads it; labelled faces use transforms.labeled, "
            "see augment=light|medium|strong"
        )
    return views


def _settings(config: DictConfig, views: Mapping[str, str]) -> RunSettings:
    cutpoints(config.levels, plain(config.cutpoints))  # checks them
    return RunSettings(
        data=DataSettings(
            aus=plain(config.aus.names),
            levels=config.levels,
            cutpoints=plain(config.cutpoints),
            split=SplitConfig(**config.split),
            views=views,
            unlabeled=plain(config.data).get(UNLABELED, {}),
            include_labeled=config.include_labeled,
        ),
        module=ModuleSettings(
            model=plain(config.model),
            init_weights=_start_file(config),
            channels_last=config.channels_last,
            compile=config.compile,
            method=plain(config.method),
            optimizer=plain(config.optimizer),
            scheduler=plain(config.scheduler.factory),
            warmup=config.scheduler.warmup,
            layer_decay=config.layer_decay,
            head_lr_mult=config.head_lr_mult,
            average=plain(config.average),
        ),
        batches=BatchSettings(
            transforms=plain(config.transforms),
            feature_views=plain(config.get("feature_views", {})),
            flip=config.flip,
            loading=Loading(
                batch_size=config.loader.batch_size, workers=config.loader.workers, timeout_s=config.loader.timeout_s
            ),
            decode=config.loader.decode,
            mu=config.loader.mu,
            steps_per_epoch=config.loader.steps_per_epoch,
            cache=ImageCache(place=config.loader.cache, gb=config.loader.cache_gb, folder=config.loader.cache_folder),
        ),
        trainer=plain(config.trainer),
        callbacks=plain(config.callbacks),
        loggers=plain(config.logger),
        monitor=config.monitor,
        test=config.test,
        compare_start=config.get("compare_start", False),
        baseline=_baseline(config),
        probabilities=ProbabilitySettings(
            calibration=config.get("probability_calibration", NONE), coverage=config.get("conformal_coverage")
        ),
        center=config.get("center"),
        bootstrap=Bootstrap(resamples=config.bootstrap.resamples, seed=config.bootstrap.seed),
        audit=asked_audit(plain(config.get("audit")), config.get("audit_least_subjects")),
        overwrite=bool(config.get("overwrite")),
    )


def _baseline(config: DictConfig) -> Baseline | None:
    """The model to compare with; it gets crops of its own size."""
    if not config.test or config.get("baseline") is None:
        return None

    def pipeline(pixels: int) -> Pipeline:
        return eval_pipeline(plain(with_values(config, {"model.image_size": pixels}).transforms))

    return open_baseline(config.baseline, pipeline=pipeline)


def _context(config: DictConfig, local: DictConfig, fold: str | None = None) -> RunContext:
    expected = "a whole number in 0..4294967295"
    check_whole(config.seed, key="seed", lowest=0, highest=2**32 - 1, expected=expected)
    return RunContext(
        task=config.task,
        output=Path(config.paths.output),
        fold=fold,
        seed=config.seed,
        pictures=config.pictures,
        log_images=config.log_images,
        label_files=label_files(plain(local.data.sources)),
        config=stored_config(config),
    )


def _protocol(config: DictConfig) -> EvaluationProtocol:
    protocol = instantiate(config.protocol, key="protocol")
    if not isinstance(protocol, EvaluationProtocol):
        raise ConfigError(f"protocol: expected an EvaluationProtocol, got {type(protocol).__name__}")
    return protocol


def _plans(
    config: DictConfig,
    local: DictConfig,
    protocol: EvaluationProtocol,
    folds: Sequence[Fold],
    views: Mapping[str, str],
) -> list[FoldPlan]:
    """Plan of each fold: the config that would train it alone, and a folder of its own.

    In `local`, addresses on a store are replaced by local copies; `config` is what the run stores as its config.

    Raises:
        ConfigError: `resume` is set.
        DataError: two folds would share a folder.
    """
    if local.resume:
        raise ConfigError(
            f"resume: expected null with one network per {protocol.unit}, got '{config.resume}'; to continue, repeat "
            "the command with hydra.run.dir=FOLDER of the interrupted run"
        )
    plans = []
    for title, fold, name in zip(fold_titles(folds, protocol.unit), folds, folder_names(folds), strict=True):
        alone = {f"protocol.{key}": value for key, value in fold.alone.items()}
        changes = {"paths.output": str(Path(config.paths.output) / name), **alone}
        own = with_values(local, changes)
        context = _context(with_values(config, changes), own, fold.name)
        plans.append(FoldPlan(title=title, fold=fold, context=context, settings=_settings(own, views)))
    return plans
