"""How a predictor finds, cuts and scores faces: the values of `configs/infer.yaml`, checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from faceflow.checks import check_boolean, check_number, check_parallel, check_whole
from faceflow.errors import ConfigError
from faceflow.faces.align import Recipe
from faceflow.faces.detector import FaceDetector
from faceflow.faces.video import FrameRange
from faceflow.inference.face_crops import Selection

MEDIAN, NONE = "median", "none"


@dataclass(frozen=True, kw_only=True)
class PredictorSettings:
    """What a `Predictor` needs besides its model.

    `crops`: pictures are face crops already, so that nothing is searched and `detector` may be None. `recipe` None
    stands for that of the model's training crops; `same_detector` refuses another detector than theirs, and
    `detectors` are opened at once, 0 for one per core. `calibrate` is none, median or the picture of a neutral face,
    whose AUs below `neutral_probability` stay as they are; `smooth` counts frames on either side.

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

    def __post_init__(self) -> None:
        """Check the values."""
        check_whole(self.batch_size, key="batch_size", lowest=1)
        check_parallel(self.detectors, key="detectors")
        check_whole(self.smooth, key="smooth", lowest=0, expected="frames on either side >= 0")
        check_number(
            self.neutral_probability,
            key="neutral_probability",
            expected="a probability in 0..1, neither 0 nor 1",
            valid=lambda p: 0 < p < 1,
        )
        check_boolean(self.crops, key="crops")
        if self.calibrate not in (NONE, MEDIAN) and not Path(self.calibrate).is_file():
            raise ConfigError(
                f"calibrate: expected none, median, or a picture of a neutral face, got '{self.calibrate}', which is "
                "no file; check the path"
            )

    @property
    def neutral(self) -> str | None:
        """Picture of the neutral face, if there is one."""
        return None if self.calibrate in (NONE, MEDIAN) else self.calibrate
