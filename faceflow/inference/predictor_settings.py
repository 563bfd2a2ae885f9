"""How a predictor finds, cuts and scores faces: checked values of `configs/infer.yaml`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from faceflow.checks import check_boolean, check_choice, check_number, check_parallel, check_whole
from faceflow.errors import ConfigError
from faceflow.faces.align import Recipe
from faceflow.faces.detector import FaceDetector
from faceflow.faces.video import FrameRange
from faceflow.inference.columns import AUS, COLUMNS
from faceflow.inference.events import EventRule
from faceflow.inference.face_crops import Selection

MEDIAN, RUNNING, NONE = "median", "running", "none"
_FIRST = re.compile(r"first:(\d+(?:\.\d+)?)s", re.ASCII)
_UNASKED = (AUS, "pose", "gaze")  # columns by default, which cost nothing


@dataclass(frozen=True, kw_only=True)
class PredictorSettings:
    """Settings of a `Predictor`.

    `crops`: images are face crops already, so no face is searched and `detector` can be None. `recipe` None means that
    of the model's training crops; `same_detector` refuses a detector other than that of the training crops, and
    `detectors` is the number opened, 0 for one per core. `calibrate` is none, median, running (the median so far),
    first:2s or an image of a neutral face; AUs below `neutral_probability` in it are not corrected. `smooth` is the
    number of frames on either side. `columns` are groups of columns, None for those of aus, pose and gaze that the
    detector supports; `event_rule` defines what `Predictor.events` finds.

    Raises:
        ConfigError: a value out of range.
    """

    crops: bool
    recipe: Recipe | None
    detector: FaceDetector | None
    same_detector: bool
    detectors: int
    selection: Selection
    frames: FrameRange
    calibrate: str
    neutral_probability: float
    smooth: int
    batch_size: int
    alias: str
    columns: Sequence[str] | None
    event_rule: EventRule

    def __post_init__(self) -> None:
        """Check the values."""
        check_whole(self.batch_size, key="batch_size", lowest=1)
        check_parallel(self.detectors, key="detectors")
        check_whole(self.smooth, key="smooth", lowest=0, expected="frames on either side >= 0")
        check_number(
            self.neutral_probability,
            key="neutral_probability",
            expected="a probability above 0 and below 1",
            valid=lambda p: 0 < p < 1,
        )
        check_boolean(self.crops, key="crops")
        if self.neutral is not None and not Path(self.neutral).is_file():
            raise ConfigError(
                "calibrate: expected none, median, running, first:2s, or an image of a neutral face, got "
                f"'{self.neutral}', which is not a file; check the path"
            )
        if self.columns is not None:
            self._check_columns(self.columns)

    @property
    def rest_s(self) -> float | None:
        """Seconds from a face's first frame over which its median is the face at rest; None if no median is used."""
        if self.calibrate == MEDIAN:
            return math.inf
        found = _FIRST.fullmatch(self.calibrate)
        return float(found[1]) if found and float(found[1]) > 0 else None

    @property
    def neutral(self) -> str | None:
        """Image of the neutral face, if there is one."""
        return None if self.calibrate in (NONE, RUNNING) or self.rest_s is not None else self.calibrate

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups of columns that are written."""
        if self.columns is not None:
            return tuple(self.columns)
        return _UNASKED if self._gives_features else (AUS,)

    @property
    def _gives_features(self) -> bool:
        return self.detector is not None and not self.crops and self.detector.features

    def _check_columns(self, columns: Sequence[str]) -> None:
        for group in [] if isinstance(columns, str) else columns:
            check_choice(group, key="columns", options=COLUMNS)
        if isinstance(columns, str) or not columns or len(set(columns)) < len(columns):
            raise ConfigError(
                f"columns: expected a list of {', '.join(COLUMNS)}, each at most once, got {columns!r}; for example "
                "columns=[aus,pose]"
            )
        wanted = [group for group in columns if group != AUS]
        if wanted and not self._gives_features:
            by, instead = (
                ("crops=true, which runs no detector", "leave crops out")
                if self.crops
                else ("a detector without features", "add detector=mediapipe_landmarks detector.features=true")
            )
            raise ConfigError(
                f"columns: expected only aus with {by}, got {', '.join(wanted)}; leave them out, or {instead}"
            )
