"""Output and accuracy of an export: checked values of `configs/export.yaml`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from faceflow.checks import check_boolean, check_choice, check_number, check_whole
from faceflow.errors import ConfigError
from faceflow.exporting.quantization import PRECISIONS, STORED


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """How a network is converted, and what the conversion may cost.

    `max_drop` limits how much a lower precision may lower the mean score over AUs, `max_drop_au` the score of any AU;
    both are shares, None for no limit. int8_static measures activations on `calibration` faces. `simplify` fuses
    operators; None fuses them if the precision allows it.

    Raises:
        ConfigError: a value out of range.
    """

    precision: str
    max_drop: float | None
    max_drop_au: float | None
    calibration: int
    simplify: bool | None

    def __post_init__(self) -> None:
        """Check the values."""
        check_choice(self.precision, key="precision", options=PRECISIONS)
        for key, share in (("max_drop", self.max_drop), ("max_drop_au", self.max_drop_au)):
            if share is not None:
                check_number(share, key=key, expected="a share in 0..1, or null", valid=lambda x: 0 <= x <= 1)
        if self.simplify is not None:
            check_boolean(self.simplify, key="simplify")
        if self.simplify and self.precision in STORED:
            raise ConfigError(
                f"simplify: expected false with precision={self.precision}, which keeps the names of weights, got "
                "true; leave it out"
            )
        check_whole(self.calibration, key="calibration", lowest=1, expected="a count of faces")

    @property
    def fuses(self) -> bool:
        """Whether operators are fused, which drops the names of the weights."""
        return self.precision not in STORED if self.simplify is None else self.simplify


def check_output(output: object, *, overwrite: bool) -> Path:
    """Check the name of the file, and that it can be written.

    Raises:
        ConfigError: not an .onnx file, a folder, an existing file, or a folder that cannot be written.
    """
    path = Path(str(output))
    if output is None or path.suffix != ".onnx":
        raise ConfigError(f"output: expected the name of a .onnx file, got '{output}'; write output=model.onnx")
    if path.is_dir():
        raise ConfigError(
            f"output: expected the name of a file, got a folder: '{path}'; write output={path}/model.onnx"
        )
    check_new(path, overwrite=overwrite)
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(f"output: expected a writable folder, got '{folder}'; choose another folder")
    return path


def check_new(path: Path, *, overwrite: bool, key: str = "output") -> None:
    """Check that no file is replaced unless asked; `key` names it in messages.

    Raises:
        ConfigError: it exists.
    """
    if path.exists() and not overwrite:
        raise ConfigError(f"{key}: expected a new file, got one that exists: '{path}'; add overwrite=true")
