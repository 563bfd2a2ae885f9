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
    """Open the built-in model or an exported one to predict pictures and videos.

    >>> with faceflow.load("model.onnx", crops=True) as model:  # of your own; crops: faces that are cut already
    ...     rows = model.predict("crops/s0/0.jpg")
    >>> list(rows.filter(like="AU"))
    ['AU01_prob', 'AU01', 'AU06_prob', 'AU06', 'AU12_prob', 'AU12']

    >>> with faceflow.load() as model:  # the built-in one
    ...     rows = model.predict("video.mp4")
    ...     events = model.events("video.mp4")  # onset, apex, offset and end of every AU
    >>> list(rows)[:4], list(events)[:4]
    (['file', 'frame', 'time_s', 'face'], ['file', 'face', 'au', 'onset_frame'])

    A setting that is left out has its default of `faceflow-infer`, which `faceflow-infer --cfg job` prints. Loading
    works in threads, and inside other Hydra applications.

    Args:
        path: file of `faceflow-export`; default: the built-in model, and stderr says so in a line.
        overrides: further settings as on the command line, such as "detector.min_score=0.7", or a list of them.
        model: which built-in model: "fused" (default), or "fast", which reads no pixels.
        selection: which faces of a frame: "largest", "center", "track" (one subject through a video) or "all".
        hold: frames through which a lost face keeps its last place.
        selection_smooth: frames on either side that steady the alignment in videos; default: as the training crops.
        cuts: whether cuts of videos are found; faces after one have new numbers.
        every: 5 reads every fifth frame of a video.
        start_s: seconds of a video to leave out.
        end_s: second at which to stop.
        crops: whether pictures are face crops already, cut like those that the model was trained on.
        align: how faces are cut: "eyes", "box" or "jaanet"; default: as the training crops.
        detector: "mediapipe_landmarks" or "mediapipe_boxes".
        same_detector: whether to refuse another detector than the one that found the training faces.
        calibrate: "median" (of a subject's video), "running" (of its frames so far), "first:2s" (of its first two
            seconds) or a picture of the neutral face: adds columns without what the subject shows at rest.
        neutral_probability: an AU that is less probable than this at rest is left as it is.
        smooth: frames on either side over which estimates are averaged, in columns of their own.
        alias: column names: "none" (ours), "openface" or "pyfeat".
        columns: any of "aus", "pose", "gaze", "blendshapes" and "landmarks"; default: the first three, as far as the
            detector gives them.
        provider: where the network runs: "auto", "cuda", "coreml" or "cpu".
        detectors: frames that are searched at once; 0: one per core, at most 4.
        batch_size: faces that are scored at once.
        threads: of the CPU for the network; 0: one per core.

    Raises:
        ConfigError: a setting that is unknown or out of range.
        ExportError: the file is no model of ours, or is damaged; of a built-in one, or is missing.
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
