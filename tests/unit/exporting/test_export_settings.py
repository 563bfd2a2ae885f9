from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faceflow.errors import ConfigError
from faceflow.exporting.export_settings import ExportSettings, check_new, check_output

PLAIN = {"precision": "fp32", "max_drop": 0.01, "max_drop_au": None, "calibration": 200, "simplify": True}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"precision": "int4"},
            "precision: expected fp32, fp16, fp16_stored, int8_stored, int8, int8_static, got 'int4'",
        ),
        ({"precision": "fp16_stored"}, "simplify: expected false with precision=fp16_stored"),
        ({"simplify": "yes"}, "simplify: expected true or false, got 'yes'"),
        ({"max_drop": 1.5}, "max_drop: expected a share in 0..1, or null, got 1.5"),
        ({"max_drop_au": -0.1}, "max_drop_au: expected a share in 0..1, or null, got -0.1"),
        ({"calibration": 0}, "calibration: expected a count of faces, got 0"),
        ({"calibration": 1.5}, "calibration: expected a count of faces, got 1.5"),
    ],
)
def test_values_out_of_range_are_refused(changes: dict[str, Any], line: str) -> None:
    ExportSettings(**PLAIN)  # type: ignore[arg-type]
    with pytest.raises(ConfigError) as caught:
        ExportSettings(**(PLAIN | changes))  # type: ignore[arg-type]
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (None, "output: expected the name of a .onnx file, got 'None'; write output=model.onnx"),
        ("a.pt", "output: expected the name of a .onnx file, got '{}/a.pt'"),
        ("folder.onnx", "output: expected the name of a file, got a folder: '{}/folder.onnx'; write output="),
        ("old.onnx", "output: expected a new file, got one that exists: '{}/old.onnx'; add overwrite=true"),
        ("old.onnx/a.onnx", "output: expected a writable folder, got '{}/old.onnx'; choose another folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_the_work(name: str | None, line: str, tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "old.onnx").write_text("mine")
    with pytest.raises(ConfigError) as caught:
        check_output(name and tmp_path / name, overwrite=False)
    assert str(caught.value).startswith(line.format(tmp_path))


def test_a_new_file_and_one_to_be_replaced_are_taken(tmp_path: Path) -> None:
    assert check_output(str(tmp_path / "new/a.onnx"), overwrite=False) == tmp_path / "new/a.onnx"
    (tmp_path / "old.onnx").write_text("mine")
    assert check_output(str(tmp_path / "old.onnx"), overwrite=True) == tmp_path / "old.onnx"
    check_new(tmp_path / "old.onnx", overwrite=True)
