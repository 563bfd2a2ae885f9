from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from faceflow.errors import DataError
from faceflow.files import whole_file
from faceflow.metrics.au_scores import Evaluation
from faceflow.report.result_files import per_au_frame, write_json, write_table


def evaluation(aus: tuple[str, ...], **columns: list[float]) -> Evaluation:
    arrays = {name: np.array(values) for name, values in columns.items()}
    return Evaluation(aus=aus, rows=4, columns=arrays, summary={})


def test_json_keeps_key_order_and_makes_undefined_numbers_null(tmp_path: Path) -> None:
    path = tmp_path / "new" / "metrics.json"
    content = {
        "z": np.float32(0.5),
        "a": [float("nan"), np.inf, np.int64(3), np.bool_(True)],
        "array": np.array([[1.0, np.nan]]),
        "nested": {"path": Path("runs") / "a", "tuple": (1, None), "name": "Zoë"},
    }
    write_json(path, content)
    text = path.read_text(encoding="utf-8")
    read = json.loads(text)
    assert read == {
        "z": 0.5,
        "a": [None, None, 3, True],
        "array": [[1.0, None]],
        "nested": {"path": str(Path("runs") / "a"), "tuple": [1, None], "name": "Zoë"},
    }
    assert list(read) == ["z", "a", "array", "nested"]
    assert text.startswith('{\n  "z": 0.5,\n')
    assert "Zoë" in text


def test_content_that_json_cannot_hold_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_table_has_no_index_and_empty_cells_for_nan(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    write_table(path, pd.DataFrame({"au": ["AU1", "AU2"], "f1": [0.25, np.nan]}))
    assert path.read_text() == "au,f1\nAU1,0.25\nAU2,\n"
    assert list(tmp_path.iterdir()) == [path]


def test_frame_has_a_row_per_data_set_and_au_and_every_metric_of_any() -> None:
    frame = per_au_frame(
        {
            "graded": evaluation(
                ("AU1", "AU12_L"), positives=[3, 0], observed=[4, 4], ap=[0.5, np.nan], icc=[0.25, 0.75]
            ),
            "binary": evaluation(("AU12_L",), positives=[2], observed=[4], ap=[1.0]),
        }
    )
    scores = ["positives", "observed", "ap", "icc", "f1_always", "f1_prior"]
    assert list(frame.columns) == ["dataset", "au", "description", *scores]
    assert frame["f1_always"].tolist() == pytest.approx([1.5 / 1.75, np.nan, 2 / 3], nan_ok=True)
    assert frame["f1_prior"].tolist() == pytest.approx([0.75, np.nan, 0.5], nan_ok=True)
    assert frame["dataset"].tolist() == ["graded", "graded", "binary"]
    assert frame["au"].tolist() == ["AU1", "AU12_L", "AU12_L"]
    assert frame["description"].tolist() == ["inner brow raiser", "lip corner puller, left", "lip corner puller, left"]
    assert frame["positives"].tolist() == [3, 0, 2]
    np.testing.assert_array_equal(frame["ap"], [0.5, np.nan, 1.0])
    np.testing.assert_array_equal(frame["icc"], [0.25, 0.75, np.nan])


def test_frame_of_nothing_still_has_its_columns() -> None:
    assert list(per_au_frame({}).columns) == ["dataset", "au", "description"]


def write_half(path: Path) -> None:
    with whole_file(path) as partial:
        partial.write_text("half")
        raise KeyError


def test_failure_midway_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(KeyError):
        write_half(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_full_disk_is_one_line_with_path_and_reason_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    # The name under which the file is prepared leads to a full disk.
    with whole_file(path) as partial:
        partial.write_text("old")
    partial.symlink_to("/dev/full")
    with pytest.raises(DataError) as caught:
        write_json(path, {"a": 1})
    message = str(caught.value)
    assert str(path) in message
    assert "No space left on device" in message
    assert "\n" not in message
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_directory_in_the_way_is_reported_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.mkdir()
    with pytest.raises(DataError, match=r"metrics\.json: expected a writable file"):
        write_json(path, {})
    assert path.is_dir()
    assert list(tmp_path.iterdir()) == [path]


def test_file_where_a_folder_should_be_is_reported_and_untouched(tmp_path: Path) -> None:
    blocker = tmp_path / "runs"
    blocker.write_text("a file")
    with pytest.raises(DataError, match="expected a writable file"):
        write_table(blocker / "deep" / "a.csv", pd.DataFrame({"a": [1]}))
    assert blocker.read_text() == "a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_folder_is_reported(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(DataError, match="Permission denied"):
            write_json(tmp_path / "a.json", {})
    finally:
        tmp_path.chmod(0o700)
