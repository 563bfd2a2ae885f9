"""A model with everything needed to run it on images and videos: the Python interface of inference."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from faceflow.errors import ConfigError, DataError
from faceflow.faces.detector import FaceDetector, describe_detector
from faceflow.faces.parallel import Detectors
from faceflow.faces.video import Frame
from faceflow.images import Image, read_image
from faceflow.inference.cells import Cell, Field
from faceflow.inference.columns import AUS, Table
from faceflow.inference.crop_features import CropFeatures
from faceflow.inference.event_table import EVENT_FIELDS, EventFinder
from faceflow.inference.face_crops import CutFrame, Picture, aligned_faces, whole_pictures
from faceflow.inference.frames import Source, find_sources
from faceflow.inference.onnx_model import OnnxModel
from faceflow.inference.per_process import PerProcess
from faceflow.inference.pipeline import Estimates, FramePrediction, predict, warn_of_outside
from faceflow.inference.predictor_settings import MEDIAN, NONE, RUNNING, PredictorSettings
from faceflow.inference.recipe import check_detector, choose_recipe, choose_selection
from faceflow.inference.score_smoothing import SUFFIX as SMOOTHED
from faceflow.inference.score_smoothing import smoothed
from faceflow.inference.subject_calibration import SUFFIX as CALIBRATED
from faceflow.inference.subject_calibration import (
    calibrated_to,
    calibrated_to_median,
    calibrated_to_running_median,
    calibration,
)
from faceflow.views import FEATURES, IMAGES

if TYPE_CHECKING:
    from pandas import DataFrame

_DTYPES = {"text": "string", "whole": "Int64", "number": "float64"}


class Predictor:
    """Predicts AUs for any source that `faceflow-infer` accepts; `faceflow.load` returns one.

    The face detector is opened when it is first needed and stays open until `close()`, the end of `with predictor:`, or
    the end of the object. A predictor can be pickled, and used in forked and spawned processes: each opens model and
    detector for itself.

    Args:
        model: an exported model.
        settings: how faces are found, cut and scored.

    Raises:
        ConfigError: neither model nor settings define how faces are cut, or the detector differs from that of training.
    """

    def __init__(self, model: OnnxModel, settings: PredictorSettings) -> None:
        self.model, self.settings = model, settings
        contract = model.contract
        suffixes = ["", *([] if settings.calibrate == NONE else [CALIBRATED])]
        suffixes += [suffix + SMOOTHED for suffix in suffixes] if settings.smooth else []
        centring = contract.centring if settings.calibrate in (MEDIAN, RUNNING) else None
        centred = [] if centring is None else [suffix for suffix in suffixes if CALIBRATED in suffix]
        self.table = Table(contract, alias=settings.alias, suffixes=suffixes, groups=settings.groups, centred=centred)
        self._calibration = calibration(
            usual=None if centring is None else centring.usual(contract.aus),
            neutral_probability=settings.neutral_probability,
        )
        self.selection = choose_selection(contract, settings.selection)
        if settings.crops and settings.neutral and FEATURES in contract.inputs:
            raise ConfigError(
                "calibrate: expected none or median with crops=true and a model that reads features, got "
                f"'{settings.neutral}', an image without features; leave crops out, or use a model that "
                "reads pixels only"
            )
        self.recipe = None if settings.crops else choose_recipe(contract, settings.recipe)
        if settings.detector is not None:
            check_detector(contract, settings.detector, same=settings.same_detector)
        self._opened: PerProcess[Detectors] = PerProcess(close=Detectors.close)
        # At interpreter exit MediaPipe could no longer close an open detector and would print an error.
        weakref.finalize(self, self._opened.close)

    def __reduce__(self) -> tuple[Any, ...]:
        """Arguments for a copy in another process, which opens its own detector when needed."""
        return type(self), (self.model, self.settings)

    def predict(self, source: str | Path | int | Image | Sequence[str | Path | Image]) -> DataFrame:
        """Predict images and videos.

        Args:
            source: RGB images of type uint8 and any size: one (H, W, 3), a list of these, or an array (N, H, W, 3); or
                a path, folder or pattern of images and videos, or a list of these.

        Returns:
            One row per frame and face, also for frames without a face, with the columns of `faceflow-infer`;
            `frame` counts from 1.

        Raises:
            DataError, ConfigError: there is nothing to predict, or no detector.
        """
        rows: list[list[Cell]] = []
        for found in find_sources(source, self.settings.frames):
            with closing(self.stream(found)) as frames:
                rows += [cells for frame in frames for cells in self.table.cells(frame)]
        return _data_frame(rows, self.table.columns)

    def events(self, source: str | Path | int | Sequence[str | Path]) -> DataFrame:
        """Find when AUs come and go in videos; see `inference.events`.

        Args:
            source: a path, folder or pattern of videos, or a list of these.

        Returns:
            One row per event, with the columns of `faceflow-infer events=true`, from the estimates after calibration
            and smoothing.

        Raises:
            DataError, ConfigError: there is nothing to predict, the sources are images, or there is no detector.
        """
        finder = self.event_finder()
        rows: list[list[Cell]] = []
        for found in find_sources(source, self.settings.frames):
            if not found.sequence:
                raise ConfigError(f"source: expected videos, got images: '{found.name}'; images have no events")
            with closing(self.stream(found)) as frames:
                for frame in frames:
                    finder.add(frame)
            rows += [event.cells() for event in finder.end_video()]
        return _data_frame(rows, EVENT_FIELDS)

    def event_finder(self) -> EventFinder:
        """Finds events in frames from `stream`, in the estimates after calibration and smoothing."""
        suffix = self.table.final
        return EventFinder(self.table.contract_of(suffix), suffix=suffix, rule=self.settings.event_rule)

    def stream(
        self,
        source: Source,
        *,
        stop: threading.Event | None = None,
        picture: Callable[[Image], Picture] | None = None,
        watch: Callable[[Iterator[FramePrediction]], Iterator[FramePrediction]] | None = None,
    ) -> Generator[FramePrediction, None, None]:
        """Predict one source frame by frame, in bounded memory (but see `calibrated_to_median`).

        Close the returned generator, as its threads use the detector.

        Args:
            source: see `find_sources`.
            stop: ends the prediction early, see `pipeline.predict`.
            picture: what to keep of a frame for `watch`.
            watch: receives every frame as soon as it is scored, before calibration and smoothing.
        """
        settings = self.settings
        running = settings.calibrate == RUNNING or (settings.calibrate == MEDIAN and source.live)  # no end
        if (settings.rest_s is not None or running) and not source.sequence:
            raise ConfigError(
                f"calibrate: expected a video for the median of a subject's frames, got images: '{source.name}'; "
                "set calibrate=FILE, an image of the neutral face"
            )
        if self.recipe is not None:
            _ = self.detectors  # opened here, not in the thread that uses it, so that its output is caught
        neutral = self._neutral if settings.neutral else None
        with closing(self._predict(source, stop=stop, picture=picture, batch_size=settings.batch_size)) as frames:
            derived = warn_of_outside(frames, self.model.contract.crop_statistics, name=source.name)
            derived = derived if watch is None else watch(derived)
            if neutral is not None:
                derived = calibrated_to(derived, neutral, neutral_probability=settings.neutral_probability)
            elif running:
                derived = calibrated_to_running_median(derived, calibration=self._calibration)
            elif settings.rest_s is not None:
                derived = calibrated_to_median(derived, seconds=settings.rest_s, calibration=self._calibration)
            if settings.smooth:
                derived = smoothed(derived, radius=settings.smooth if source.sequence else 0)
            yield from derived

    @property
    def crop(self) -> dict[str, Any] | None:
        """How faces are found, chosen and cut, as in crops.json; None if the images are crops already."""
        if self.recipe is None or self.settings.detector is None:
            return None
        detector, align = describe_detector(self.settings.detector), self.recipe.to_dict()
        return {"detector": detector, "align": align, "selection": asdict(self.selection)}

    def cut(
        self,
        frames: Iterator[Frame],
        *,
        sequence: bool,
        file: Callable[[int], str] = lambda number: "",
        picture: Callable[[Image], Picture] | None = None,
    ) -> Generator[CutFrame, None, None]:
        """Find, choose and cut the faces of frames; arguments as in `whole_pictures` and `aligned_faces`.

        `file` returns the file name of a frame that is a crop.
        """
        contract = self.model.contract
        if self.recipe is None:
            stored = CropFeatures() if FEATURES in contract.inputs else None
            return whole_pictures(
                frames,
                contract.image_size if IMAGES in contract.inputs else None,
                features=None if stored is None else lambda number: stored.of(file(number)),
                picture=picture,
            )
        return aligned_faces(
            frames,
            self.detectors,
            self.recipe,
            self.selection,
            contract.image_size,
            sequence=sequence,
            inputs=contract.inputs,
            picture=picture,
        )

    @property
    def detectors(self) -> Sequence[FaceDetector]:
        """Open face detectors, one for each frame that is searched in parallel."""
        detector = self.settings.detector
        assert detector is not None, "crops need no detector"
        features = FEATURES in self.model.contract.inputs or self.settings.groups != (AUS,)
        return self._opened.get(lambda: Detectors(detector, self.settings.detectors, features=features)).open

    def close(self) -> None:
        """Close the detector, if it was opened."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _predict(
        self,
        source: Source,
        *,
        stop: threading.Event | None = None,
        picture: Callable[[Image], Picture] | None = None,
        batch_size: int,
    ) -> Generator[FramePrediction, None, None]:
        def cut(frames: Iterator[Frame]) -> Generator[CutFrame, None, None]:
            return self.cut(frames, sequence=source.sequence, file=source.file, picture=picture)

        return predict(source, cut, self.model, batch_size=batch_size, stop=stop or threading.Event())

    @cached_property
    def _neutral(self) -> Estimates:
        """Estimates of the neutral image."""
        picture = self.settings.neutral
        assert picture is not None
        (source,) = find_sources([read_image(picture)], self.settings.frames)
        with closing(self._predict(source, batch_size=1)) as frames:
            faces = [face.estimates[""] for frame in frames for face in frame.faces if face.estimates]
        if len(faces) != 1:
            raise DataError(
                f"calibrate: expected one face in '{picture}', got {len(faces) or 'none'}; use an image of one subject"
            )
        return faces[0]


def _data_frame(rows: Sequence[Sequence[Cell]], fields: Sequence[Field]) -> DataFrame:
    import pandas as pd

    columns = {
        field.name: pd.Series([row[place] for row in rows], dtype=_DTYPES[field.kind])
        for place, field in enumerate(fields)
    }
    return pd.DataFrame(columns)
