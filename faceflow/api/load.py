"""`faceflow.load`: the built-in model or an exported one, ready to predict."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from faceflow.api.running import mistakes_raised
from faceflow.cli.extras import check_extra
from faceflow.config.composition import compose_config
from faceflow.config.located import local_values
from faceflow.config.overrides import override_texts, spell_overrides
from faceflow.config.path_arguments import literal_paths

if TYPE_CHECKING:
    from faceflow.inference.predictor import Predictor


def load(
    path: str | Path | None = None,
    *overrides: str | Sequence[str],
    model: str | None = None,
    selection: str | None = None,
    hold: int | None = None,
    selection_smooth: int | None = None,
    cuts: bool | None = None,
    every: int | None = None,
    start_s: float | None = None,
    end_s: float | None = None,
    crops: bool | None = None,
    align: str | None = None,
    detector: str | None = None,
    same_detector: bool | None = None,
    calibrate: str | Path | None = None,
    neutral_probability: float | None = None,
    smooth: int | None = None,
    alias: str | None = None,
    columns: Sequence[str] | None = None,
    provider: str | None = None,
    detectors: int | None = None,
    batch_size: int | None = None,
    threads: int | None = None,
) -> Predictor:
    """Open the built-in model or an exported one to predict images and videos.

    >>> with faceflow.load("model.onnx", crops=True) as model:  # your own model, on faces that are already cropped
    ...     rows = model.predict("crops/s0/0.jpg")
    >>> list(rows.filter(like="AU"))
    ['AU01_prob', 'AU01', 'AU06_prob', 'AU06', 'AU12_prob', 'AU12']

    >>> with faceflow.load() as model:  # the built-in model
    ...     rows = model.predict("video.mp4")
    ...     events = model.events("video.mp4")  # onset, apex, offset and end of every AU
    >>> list(rows)[:4], list(events)[:4]
    (['file', 'frame', 'time_s', 'face'], ['file', 'face', 'au', 'onset_frame'])

    A setting that you leave out has the default of `faceflow-infer`, which `faceflow-infer --cfg job` prints. Loading
    works in threads and inside other Hydra applications.

    Args:
        path: file written by `faceflow-export`; default: the built-in model, which is announced by a line on stderr.
        overrides: further settings, written as on the command line, such as "detector.min_score=0.7", or lists of them.
        model: which built-in model: "fused" (default), or "fast", which reads no pixels.
        selection: which faces of a frame to score: "largest", "center", "track" (one subject through a video) or "all".
        hold: number of frames for which a lost face keeps its last position.
        selection_smooth: frames on either side over which the alignment is smoothed in videos; default: as in training.
        cuts: whether to detect cuts in videos; faces after a cut get new numbers.
        every: 5 reads every fifth frame of a video.
        start_s: seconds to skip at the start of a video.
        end_s: second of a video at which to stop.
        crops: whether the images are already face crops, cut like those that the model was trained on.
        align: how faces are cut: "eyes", "box" or "jaanet"; default: as in training.
        detector: "mediapipe_landmarks" or "mediapipe_boxes".
        same_detector: whether to refuse a detector other than the one used for the training faces.
        calibrate: "median" (of a subject's video), "running" (median of the frames so far), "first:2s" (median of the
            first two seconds) or an image of the neutral face: adds columns corrected for the face at rest.
        neutral_probability: an AU with a lower probability than this at rest is not corrected.
        smooth: frames on either side over which estimates are averaged, in additional columns.
        alias: column names: "none" (FaceFlow's), "openface" or "pyfeat".
        columns: any of "aus", "pose", "gaze", "blendshapes" and "landmarks"; default: those of the first three that
            the detector supports.
        provider: where the network runs: "auto", "cuda", "coreml" or "cpu".
        detectors: number of frames searched in parallel; 0: one per core, at most 4.
        batch_size: number of faces scored at once.
        threads: CPU threads for the network; 0: one per core.

    Raises:
        ConfigError: a setting is unknown or out of range.
        ExportError: the file is damaged or was not exported by FaceFlow, or a file of the built-in model is missing.
    """
    check_extra("infer")
    from faceflow.inference.infer import described, open_predictor

    values = {
        "onnx": path,
        "model.name": model,
        "selection.policy": selection,
        "selection.hold": hold,
        "selection.smooth": selection_smooth,
        "selection.cuts": cuts,
        "frames.every": every,
        "frames.start_s": start_s,
        "frames.end_s": end_s,
        "crops": crops,
        "align": align,
        "detector": detector,
        "same_detector": same_detector,
        "calibrate": calibrate,
        "neutral_probability": neutral_probability,
        "smooth": smooth,
        "alias": alias,
        "columns": columns,
        "provider": provider,
        "detectors": detectors,
        "batch_size": batch_size,
        "threads": threads,
    }
    given = ([one] if isinstance(one, str) else override_texts(one) for one in overrides)
    texts = list(itertools.chain.from_iterable(given))
    with mistakes_raised("infer"):
        settings = compose_config("infer", ["output=-", *spell_overrides(values), *literal_paths(texts)])
        predictor = open_predictor(local_values(settings, "onnx", "calibrate"))
    if settings["onnx"] is None:
        sys.stderr.write(f"Running {described(predictor.model)}\n")
    return predictor
