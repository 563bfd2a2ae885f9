"""The infer command, run from its config: writes a table and, if requested, a rendered video and a timeline."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from faceflow.built_in.models import CARD, TRAINED_ON, built_in_model, built_in_name
from faceflow.checks import check_boolean
from faceflow.config.instantiate import instantiate
from faceflow.config.located import local_values, stored_sources
from faceflow.cropping.clips import SUFFIXES
from faceflow.errors import ConfigError, DataError
from faceflow.faces.align import Recipe
from faceflow.faces.video import FrameRange
from faceflow.inference.events import EventRule
from faceflow.inference.face_crops import Selection
from faceflow.inference.frames import FoundSources, Source, search_sources
from faceflow.inference.machine_labels import MachineLabels
from faceflow.inference.onnx_model import OnnxModel
from faceflow.inference.predictor import Predictor
from faceflow.inference.predictor_settings import MEDIAN, NONE, RUNNING, PredictorSettings
from faceflow.inference.render import shown
from faceflow.inference.run_results import NOTHING_KEPT, Results
from faceflow.inference.shared import SharedCorpus, check_shared, finished_earlier
from faceflow.inference.subject_calibration import RUNNING_FRAMES
from faceflow.inference.written_files import WrittenFiles, choose_files
from faceflow.interruption import kept, stop_on_interrupt
from faceflow.progress import progress_bar
from faceflow.views import FEATURES

log = logging.getLogger(__name__)


def infer(cfg: Mapping[str, Any]) -> None:
    """Predict the sources in a config and write the results.

    Ctrl-C and SIGTERM end a live source regularly, with complete results.

    Args:
        cfg: plain values of `configs/infer.yaml`.

    Raises:
        ConfigError, ExportError, DataError: a setting, model or source cannot be used, no face was found, or a result
            cannot be written.
        KeyboardInterrupt: interrupted; rows predicted so far are kept under another name.
    """
    source, overwrite, shared = cfg["source"], cfg["overwrite"], cfg["shared"]
    settings = {key: value for key, value in cfg.items() if key not in ("task", "paths", "storage")}
    cfg = local_values(cfg, "onnx", "calibrate")
    check_boolean(shared, key="shared")
    if shared:
        check_shared(str(cfg["output"]), render=cfg["render"], plot=cfg["plot"], overwrite=overwrite)
        if finished_earlier(str(cfg["output"]), settings):
            log.info("All recordings are finished: %s", cfg["output"])
            return
    files = choose_files(
        str(cfg["output"]),
        render=cfg["render"],
        plot=cfg["plot"],
        events=cfg["events"],
        source=source,
        overwrite=overwrite,
        labels=cfg["labels"],
    )
    if files.labels is not None and cfg["crops"] is not True:
        raise ConfigError(
            "labels: expected crops=true, as labels are for face crops, got uncropped images; run faceflow-crop on "
            "them and set source to its folder of crops"
        )
    results: Results | None = None
    with kept(lambda: NOTHING_KEPT if results is None else results.kept()), open_predictor(cfg) as predictor:
        local, copies = stored_sources(cfg, SUFFIXES)
        found = search_sources(local, predictor.settings.frames, skip=[*files.all.values()], copies=copies)
        sources = found.sources
        files.check_sources(sources)
        if shared:
            _infer_shared(cfg, predictor, found, files, settings)
            return
        if sources[0].live and not isinstance(source, int):
            settings["source"] = sources[0].name  # an address can contain a password
        labels = None
        if files.labels is not None:
            labels = MachineLabels(predictor.model, files.labels, margin=cfg["labels_margin"])
        results = Results(files, predictor, found, settings, labels)
        with files.claimed(overwrite=overwrite):
            log.info("Running %s", described(predictor.model))
            for line in _notes(predictor, sources):
                log.info("calibrate: %s", line)
            with results.open(), stop_on_interrupt() as stop:
                _predict(predictor, sources, results, stop)
                if not sources[0].live:
                    stop.raise_if_set()
                if not results.tally.frames:
                    raise DataError(
                        "source: expected frames, got none; check frames.start_s and frames.end_s, and that the video "
                        "is complete"
                    )
            results.finish()
            results.report()
            if not results.tally.scored:
                advice = "if the images are face crops already, add crops=true"
                if FEATURES in predictor.model.contract.inputs:  # which bare crops lack
                    advice = "check that faces are upright and not tiny"
                raise DataError(
                    f"source: expected a face in at least one frame, got none in {results.tally.seen()}; {advice}"
                )


def _infer_shared(
    cfg: Mapping[str, Any],
    predictor: Predictor,
    found: FoundSources,
    files: WrittenFiles,
    settings: Mapping[str, Any],
) -> None:
    corpus = SharedCorpus(
        predictor=predictor,
        found=found,
        files=files,
        settings=settings,
        labels=lambda path: MachineLabels(predictor.model, path, margin=cfg["labels_margin"]),
    )
    log.info("Running %s", described(predictor.model))
    with (
        kept(lambda: f"finished recordings are kept in {corpus.folder}; rerun the same command to resume"),
        stop_on_interrupt() as stop,
    ):
        corpus.predict(stop)
        stop.raise_if_set()


def open_predictor(cfg: Mapping[str, Any]) -> Predictor:
    """Open the model that a config names.

    Raises:
        ExportError, ConfigError: the model or a setting cannot be used.
    """
    crops, align = cfg["crops"], cfg.get("align")
    settings = PredictorSettings(
        crops=crops,
        recipe=None if crops or align is None else Recipe.from_dict(align),
        detector=None if crops else instantiate(cfg["detector"], key="detector"),
        same_detector=cfg["same_detector"],
        detectors=cfg["detectors"],
        selection=Selection(**cfg["selection"]),
        frames=FrameRange(**cfg["frames"]),
        calibrate=str(cfg["calibrate"] or NONE),
        neutral_probability=cfg["neutral_probability"],
        smooth=cfg["smooth"],
        batch_size=cfg["batch_size"],
        alias=cfg["alias"],
        columns=cfg["columns"],
        event_rule=EventRule(**cfg["event_rule"]),
    )
    onnx, name = cfg["onnx"], cfg["model"]["name"]
    if onnx is not None and name is not None:
        raise ConfigError(f"onnx: expected a file or the built-in model={name}, got both; leave one out")
    path, key = (built_in_model(name), "model") if onnx is None else (onnx, "onnx")
    return Predictor(OnnxModel(path, provider=cfg["provider"], threads=cfg["threads"], key=key), settings)


def described(model: OnnxModel) -> str:
    """Which model runs where; for a built-in one also its training data, and the file with its card."""
    name = built_in_name(model.path)
    if name is None:
        return f"{model.path} on {model.provider}"
    return f"the built-in model '{name}' on {model.provider}; it was trained on {TRAINED_ON}, see {CARD}"


def _notes(predictor: Predictor, sources: Sequence[Source]) -> Iterator[str]:
    """Notes on unexpected effects of the median of a face."""
    calibrate = predictor.settings.calibrate
    if calibrate not in (MEDIAN, RUNNING):
        return
    if predictor.model.contract.centring is None:
        yield (
            "the model has no thresholds for centred scores; what a face shows at rest above neutral_probability is "
            "subtracted, and the usual thresholds are used"
        )
    if calibrate == MEDIAN and sources[0].live:
        yield (
            "the source is live, so the median of each face is taken over its frames so far; columns .._cal are empty "
            f"before its frame {RUNNING_FRAMES}"
        )


def _predict(predictor: Predictor, sources: Sequence[Source], results: Results, stop: threading.Event) -> None:
    total = sum(source.count for source in sources) if all(source.count for source in sources) else 0
    picture, watch = (None, None) if results.renderer is None else (shown, results.renderer.draw)
    visible = results.files.table is not None or not sys.stdout.isatty()
    with progress_bar("Predicting", total, unit="frames", visible=visible) as bar:
        for source in sources:
            if stop.is_set():
                return
            with contextlib.closing(predictor.stream(source, stop=stop, picture=picture, watch=watch)) as frames:
                for frame in frames:
                    results.add(frame, sequence=source.sequence)
                    bar.advance()
            results.end_source()
