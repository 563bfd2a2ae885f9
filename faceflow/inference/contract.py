"""What an exported model says of itself: everything that running it on new pictures needs, inside the ONNX file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from faceflow.aus import check_aus, joined
from faceflow.encoding import cutpoints
from faceflow.errors import ExportError, FaceFlowError

FORMAT = 1
KEY = "faceflow"  # of the ONNX metadata; its value is one JSON object
_SIZES = 16, 2048  # pixels of `image_size`
INPUT = "images"  # uint8 (N, S, S, 3), RGB
PROBABILITY, INTENSITY = "probability", "intensity"  # float32 (N, A); intensity in FACS units 0-5, if there are levels


@dataclass(frozen=True, kw_only=True)
class ModelContract:
    """The metadata of an exported model.

    `aus` is the order of the outputs; `levels`, `cutpoints` and `occurrence_min` (FACS units) say what they mean and
    `label_meaning` says it in words; `thresholds` are tuned on validation, by AU, those of joined sides among them.
    Images are squares of `image_size` pixels; `mean` and `std` are applied inside the graph and kept for people. `crop`
    is the recipe (`align`, `detector` and `selection` of crops.json) by which training faces were cut, None where
    nobody said. The rest is provenance: `backbone`, `run` (id, FaceFlow version, git revision), `training_data` (name
    -> fingerprint), `metrics` with their `protocol`, `precision` (fp32, fp16, int8, int8_static), a `licence` note.
    """

    aus: tuple[str, ...]
    levels: int
    cutpoints: tuple[float, ...]
    occurrence_min: float
    label_meaning: str
    thresholds: Mapping[str, float]
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: Mapping[str, Any] | None
    backbone: str
    precision: str
    run: Mapping[str, str]
    training_data: Mapping[str, str]
    metrics: Mapping[str, float]
    protocol: Mapping[str, str]
    licence: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the graph's outputs."""
        return (PROBABILITY,) if self.levels == 1 else (PROBABILITY, INTENSITY)

    def to_json(self) -> str:
        """Text for the file."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, *, source: str) -> Self:
        """Read what `to_json` wrote.

        Args:
            text: value of the metadata key.
            source: file that it comes from, for messages.

        Raises:
            ExportError: no JSON, another format, missing keys, or values that cannot be.
        """
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ExportError(
                f"{source}: expected a model exported by FaceFlow, got damaged metadata; export it again"
            ) from error
        number = raw.get("format") if isinstance(raw, dict) else None
        if number != FORMAT:
            newer = isinstance(number, int) and number > FORMAT
            raise ExportError(
                f"{source}: expected model format {FORMAT}, got {number!r}; "
                + ("update FaceFlow" if newer else "export it again with faceflow-export")
            )
        known = {field.name for field in dataclasses.fields(cls)}
        if missing := sorted(known - raw.keys()):
            raise ExportError(f"{source}: expected '{missing[0]}' in the metadata, got none; export it again")
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in raw.items() if key in known
        }
        try:
            contract = cls(**values)
            check_aus(contract.aus, key="aus")
            if cutpoints(contract.levels, contract.cutpoints or None) != contract.cutpoints:
                raise ValueError(f"cutpoints {contract.cutpoints} of {contract.levels} levels")
            _check_values(contract)
        except (FaceFlowError, TypeError, ValueError, AttributeError) as error:
            raise ExportError(
                f"{source}: expected metadata that fits together, got {error}; export it again"
            ) from error
        return contract


def _check_values(contract: ModelContract) -> None:
    """Raise ValueError for values that running the model would stumble over; a file may come from anywhere."""
    size, thresholds = contract.image_size, contract.thresholds
    if not isinstance(size, int) or not _SIZES[0] <= size <= _SIZES[1]:
        raise ValueError(f"image_size {size!r}")
    scored = {*contract.aus, *map(joined, contract.aus)}
    for au, threshold in thresholds.items():
        if au not in scored or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
            raise ValueError(f"a threshold of {threshold!r} for {au}")
    for name in ("run", "training_data", "metrics", "protocol"):
        if not isinstance(getattr(contract, name), Mapping):
            raise ValueError(f"{name} {getattr(contract, name)!r}")
