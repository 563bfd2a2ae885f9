"""Results of a run that ends normally, early, or before its first row."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import faceflow
from faceflow.errors import DataError
from faceflow.inference.frames import search_sources
from faceflow.inference.run_results import NOTHING_KEPT, Results
from faceflow.inference.written_files import choose_files
from tests.helpers.exported import write_model
from tests.helpers.markers import moving_faces, write_video
from tests.helpers.predictions import face, frame


@pytest.fixture
def results(tmp_path: Path) -> Results:
    video = write_video(tmp_path / "a.avi", moving_faces(3))
    predictor = faceflow.load(write_model(tmp_path / "m.onnx"), crops=True)
    plot, output = str(tmp_path / "out/a.html"), str(tmp_path / "out/a.csv")
    files = choose_files(output, render=None, plot=plot, events=False, source=str(video), overwrite=False)
    return Results(files, predictor, search_sources(video, predictor.settings.frames), {"smooth": 0})


def written(folder: Path) -> set[str]:
    return {path.name for path in (folder / "out").iterdir()}


def test_a_run_that_ends_well_leaves_table_description_and_timeline(
    results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert results.kept() == NOTHING_KEPT
    with results.open():
        results.add(frame(1, face([0.5, 1, 0]), time_s=0.0))
        results.add(frame(2, time_s=0.1))
        assert results.kept() == f"2 complete rows are in {tmp_path}/out/a.partial.csv; rerun the same command for all"
    results.finish()
    results.report()
    assert written(tmp_path) == {"a.csv", "a.json", "a.html"}
    assert pd.read_csv(tmp_path / "out/a.csv")["status"].tolist() == ["ok", "no_face"]
    says = json.loads((tmp_path / "out/a.json").read_text("utf-8"))
    assert (says["rows"], says["complete"], says["settings"]) == (2, True, {"smooth": 0})
    assert results.kept() == f"all 2 rows are in {tmp_path}/out/a.csv"
    assert f"Look at: {tmp_path}/out/a.html" in capsys.readouterr().out


def end_early(results: Results) -> None:
    with results.open():
        results.add(frame(1, face([0.5, 1, 0]), time_s=0.0))
        raise DataError("disk")


def test_a_run_that_ends_early_keeps_its_rows_and_says_what_they_are(
    results: Results, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DataError):
        end_early(results)
    assert written(tmp_path) == {"a.partial.csv", "a.partial.json"}
    says = json.loads((tmp_path / "out/a.partial.json").read_text("utf-8"))
    assert (says["rows"], says["complete"]) == (1, False)
    assert caplog.messages == [f"Ended early: 1 complete rows are in {tmp_path}/out/a.partial.csv"]


def test_a_run_without_a_row_leaves_nothing(results: Results, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), results.open():
        raise KeyboardInterrupt
    assert written(tmp_path) == set()
    assert results.kept() == NOTHING_KEPT


def test_no_face_at_all_draws_no_timeline(results: Results, tmp_path: Path) -> None:
    with results.open():
        results.add(frame(1, time_s=0.0))
    results.finish()
    assert written(tmp_path) == {"a.csv", "a.json"}


def test_events_are_written_at_the_end_of_each_video_and_shown_on_the_timeline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = write_video(tmp_path / "a.avi", moving_faces(3))
    predictor = faceflow.load(write_model(tmp_path / "m.onnx"), crops=True)
    plot, output = str(tmp_path / "a.html"), str(tmp_path / "a.csv")
    files = choose_files(output, render=None, plot=plot, events=True, source=str(video), overwrite=False)
    results = Results(files, predictor, search_sources(video, predictor.settings.frames), {})
    with results.open():
        for number, smile in enumerate((0, 1, 1, 1, 0)):
            results.add(frame(number + 1, face([0, 0, smile]), time_s=number / 10))
        results.end_source()
    results.finish()
    results.report()
    found = pd.read_csv(tmp_path / "a_events.csv")
    assert found[["au", "onset_frame", "end_frame", "peak"]].to_numpy().tolist() == [["AU12_L", 2, 4, 1]]
    assert f"Events: 1, in {tmp_path}/a_events.csv" in capsys.readouterr().out
    assert "bars: events" in (tmp_path / "a.html").read_text("utf-8")
    says = json.loads((tmp_path / "a.json").read_text("utf-8"))["events"]
    assert (says["of"], says["meaning"]["onset_frame"]) == ("AU..", "first frame of the rise")
