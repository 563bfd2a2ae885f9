"""Metadata of an exported model: everything needed to run it on new images, stored inside the ONNX file."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from faceflow.aus import check_aus, joined
from faceflow.calibration import Calibration
from faceflow.centring import Centring
from faceflow.conformal import Conformal
from faceflow.crop_statistics import CropStatistics
from faceflow.encoding import FACS_MAX, cutpoints
from faceflow.errors import ExportError, FaceFlowError
from faceflow.formats import UPDATE, is_known, is_newer, known_fields
from faceflow.views import FEATURES, IMAGES

FORMAT = 2  # models that read features; others stay at 1
_PIXELS_ALONE = 1
_NEWER = ("calibration", "conformal", "crop_statistics")  # left out if None, as in earlier files
KEY = "faceflow"  # of the ONNX metadata; its value is one JSON object
# Prefix of an initializer that keeps the name of its torch weight, in single or half precision.
WEIGHTS = "network."
BYTES, SCALE = "_bytes", "_scale"  # or suffixes of that name: 8-bit integers, and one factor per output channel
_SIZES = 16, 2048  # pixels of `image_size`
# Inputs are named as in `faceflow.views`: "images", uint8 (N, S, S, 3), RGB; "features", float32 (N, FEATURES).
PROBABILITY, INTENSITY = "probability", "intensity"  # float32 (N, A); intensity in FACS units 0-5, if there are levels


@dataclass(frozen=True, kw_only=True)
class ModelContract:
    """The metadata of an exported model.

    `aus` is the order of the outputs; `levels`, `cutpoints` and `occurrence_min` (FACS units) define their meaning, and
    `label_meaning` describes it in words. `thresholds` by AU are tuned on validation and include those of joined sides;
    `centring` holds those of centred scores, None if validation had no subject names. `calibration` has been applied to
    the probabilities by the graph, and `conformal` defines which of them are unsure; None if there is none. `inputs`
    are those of the graph: "images", "features" (`FaceFeatures.vector`) or both; `features` and `fusion` define how
    they are read, see `NetworkSpec`. Images are squares of `image_size` pixels; `mean` and `std` are applied inside
    the graph and stored for information only. `crop` is the recipe (`align`, `detector` and `selection` of crops.json)
    by which training faces were cut, and `crop_statistics` describe what they look like; both None if unknown. The rest
    is provenance: `backbone`, `run` (id, FaceFlow version, git revision), `training_data` (name -> fingerprint),
    `metrics` with their `protocol`, `precision` (fp32, fp16, fp16_stored, int8_stored, int8, int8_static), a `licence`
    note.

    Fields without a default affect results; every file has them.
    """

    aus: tuple[str, ...]
    levels: int
    cutpoints: tuple[float, ...]
    occurrence_min: float
    thresholds: Mapping[str, float]
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    backbone: str | None
    centring: Centring | None = None
    calibration: Calibration | None = None
    conformal: Conformal | None = None
    inputs: tuple[str, ...] = (IMAGES,)
    features: Mapping[str, Any] = field(default_factory=dict)
    fusion: float = 0.5
    label_meaning: str = ""
    crop: Mapping[str, Any] | None = None
    crop_statistics: CropStatistics | None = None
    precision: str = "unknown"
    run: Mapping[str, str] = field(default_factory=dict)
    training_data: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    protocol: Mapping[str, str] = field(default_factory=dict)
    licence: str = ""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the graph's outputs."""
        return (PROBABILITY,) if self.levels == 1 else (PROBABILITY, INTENSITY)

    @property
    def shown(self) -> dict[str, int]:
        """AUs shown in images, events and summaries, and their numbers; without sides if the joined AU is an output."""
        return {au: index for index, au in enumerate(self.aus) if joined(au) == au or joined(au) not in self.aus}

    @property
    def centred(self) -> Self:
        """The same contract with the thresholds of centred scores, if it has them, instead of those of raw scores."""
        return self if self.centring is None else dataclasses.replace(self, thresholds=self.centring.thresholds)

    def to_json(self) -> str:
        """JSON text for the file."""
        number = FORMAT if FEATURES in self.inputs else _PIXELS_ALONE
        values = dataclasses.asdict(self)
        values = {key: value for key, value in values.items() if value is not None or key not in _NEWER}
        return json.dumps({"format": number, **values}, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, *, source: str) -> Self:
        """Read what `to_json` wrote.

        Args:
            text: value of the metadata key.
            source: name of the file, for messages.

        Raises:
            ExportError: not JSON, a newer format, missing fields, or invalid values.
        """
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ExportError(
                f"{source}: expected a model exported by FaceFlow, got damaged metadata; export it again"
            ) from error
        number = raw.get("format") if isinstance(raw, dict) else None
        if is_newer(number, FORMAT):
            raise ExportError(
                f"{source}: expected model format {FORMAT} or lower, got {number} of a newer FaceFlow; run: {UPDATE}"
            )
        if not is_known(number, FORMAT):
            raise ExportError(
                f"{source}: expected model format {FORMAT}, got {number!r}; export it again with faceflow-export"
            )
        try:
            found = known_fields(cls, raw)
        except LookupError as error:
            raise ExportError(
                f"{source}: expected '{error.args[0]}' in the metadata, got none; export it again"
            ) from error
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in found.items()
        }
        try:
            contract = cls(**values)
            check_aus(contract.aus, key="aus")
            if contract.centring is not None:
                centring = Centring.from_dict(contract.centring, aus=contract.aus, graded=contract.levels > 1)
                contract = dataclasses.replace(contract, centring=centring)
            if contract.calibration is not None:
                calibration = Calibration.from_dict(contract.calibration, aus=contract.aus)
                contract = dataclasses.replace(contract, calibration=calibration)
            if contract.conformal is not None:
                contract = dataclasses.replace(contract, conformal=Conformal.from_dict(contract.conformal))
            if contract.crop_statistics is not None:
                statistics = CropStatistics.from_dict(contract.crop_statistics)
                contract = dataclasses.replace(contract, crop_statistics=statistics)
            # Counted first, as `levels` in an untrusted file may be huge.
            counted = contract.levels == (len(contract.cutpoints) or 1)
            if not counted or cutpoints(contract.levels, contract.cutpoints or None) != contract.cutpoints:
                raise ValueError(f"cutpoints {contract.cutpoints} of {contract.levels} levels")
            _check_values(contract)
        except (FaceFlowError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise ExportError(f"{source}: expected consistent metadata, got {error}; export it again") from error
        return contract


def _check_values(contract: ModelContract) -> None:
    """Raise ValueError for values with which the model cannot run, as the file may be untrusted."""
    size, thresholds = contract.image_size, contract.thresholds
    if not isinstance(size, int) or not _SIZES[0] <= size <= _SIZES[1]:
        raise ValueError(f"image_size {size!r}")
    least = contract.occurrence_min
    if isinstance(least, bool) or not isinstance(least, int | float) or not 0 < least <= FACS_MAX:
        raise ValueError(f"occurrence_min {least!r}")
    for name in ("mean", "std"):
        values = getattr(contract, name)
        if not isinstance(values, tuple) or not all(isinstance(x, int | float) and math.isfinite(x) for x in values):
            raise ValueError(f"{name} {values!r}")
    if contract.inputs not in ((IMAGES,), (FEATURES,), (IMAGES, FEATURES)):
        raise ValueError(f"inputs {contract.inputs!r}")
    for name in ("backbone", "label_meaning", "precision", "licence"):
        absent = name == "backbone" and contract.inputs == (FEATURES,) and contract.backbone is None
        if not absent and not isinstance(getattr(contract, name), str):
            raise ValueError(f"{name} {getattr(contract, name)!r}")
    scored = {*contract.aus, *map(joined, contract.aus)}
    for au, threshold in thresholds.items():
        if au not in scored or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
            raise ValueError(f"a threshold of {threshold!r} for {au}")
    for name in ("features", "run", "training_data", "metrics", "protocol"):
        if not isinstance(getattr(contract, name), Mapping):
            raise ValueError(f"{name} {getattr(contract, name)!r}")
