"""Results of a sweep from its folder: rows, means and spread, worked out by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import cv2
import pandas as pd
import pytest

from faceflow.errors import ConfigError, DataError
from faceflow.sweep.job import Job, read_job
from faceflow.sweep.job_results import aggregate, read_sweep, sweep_frame, varied_keys
from faceflow.sweep.overview import summarize_sweep

COST = {"parameters": 1_000_000, "images_per_second": 200.0, "updates": 60}


def write(folder: Path, number: int, overrides: list[str], *, f1: float | None, status: str = "finished") -> None:
    """Write a job as a run leaves it; without a score it has no metrics."""
    job: dict[str, Any] = {"number": number, "overrides": overrides, "status": status, "seconds": 10.0 + number}
    error = "ConfigError: no | such | thing" if status == "failed" else None
    own = folder / f"{number}_job"
    own.mkdir(parents=True)
    (own / "job.json").write_text(json.dumps({**job, "value": None if f1 is None else f1 + 0.1, "error": error}))
    if f1 is not None:
        monitor = {"metric": "val/f1_val", "best": f1 + 0.1}
        test = {"mine": {"summary": {"f1_val": 0.0}}, "all": {"summary": {"f1_val": f1, "ap": None}}}
        (own / "metrics.json").write_text(json.dumps({"monitor": monitor, "training": COST, "test": test}))


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two AU sets with two seeds each, of which one failed, and a job that was killed."""
    write(tmp_path, 0, ["aus=a", "seed=0", "loss=bce"], f1=0.4)
    write(tmp_path, 1, ["aus=a", "seed=1", "loss=bce"], f1=0.6)
    write(tmp_path, 2, ["aus=b", "seed=0", "loss=bce"], f1=0.3)
    write(tmp_path, 3, ["aus=b", "seed=1", "loss=bce"], f1=None, status="failed")
    write(tmp_path, 10, ["aus=c", "seed=0", "loss=bce"], f1=None, status="running")
    return tmp_path


def test_jobs_come_by_number_and_the_keys_that_tell_them_apart_seed_last(sweep: Path) -> None:
    jobs = [job for _, job in read_sweep(sweep)]
    assert [job.number for job in jobs] == [0, 1, 2, 3, 10]
    assert varied_keys(jobs) == ["aus", "seed"]
    assert jobs[0].described(["seed", "aus"]) == "aus=a seed=0"


def test_the_pool_of_all_test_sets_is_a_jobs_score(sweep: Path) -> None:
    frame = sweep_frame(read_sweep(sweep))
    assert frame["f1_val"].tolist()[:3] == [0.4, 0.6, 0.3]
    assert frame["f1_val"].isna().tolist() == [False, False, False, True, True]
    assert frame["best"].tolist()[:3] == pytest.approx([0.5, 0.7, 0.4])
    assert frame["status"].tolist() == ["finished"] * 3 + ["failed", "running"]
    assert frame["error"].iloc[3] == "ConfigError: no | such | thing"


def test_jobs_that_differ_in_their_seed_alone_are_averaged(sweep: Path) -> None:
    means = aggregate(sweep_frame(read_sweep(sweep)), ["aus", "seed"], "f1_val")
    assert means["aus"].tolist() == ["a", "b"]
    assert means["mean"].tolist() == pytest.approx([0.5, 0.3])
    assert means["std"].iloc[0] == pytest.approx(math.sqrt(0.02))  # (0.1^2 + 0.1^2) / (2 - 1)
    assert math.isnan(means["std"].iloc[1])
    assert means["jobs"].tolist() == [2, 1]
    assert means["seconds"].tolist() == [10.5, 12.0]


def test_folds_of_a_job_give_the_mean_of_their_scores_and_costs(tmp_path: Path) -> None:
    write(tmp_path, 0, ["seed=0"], f1=0.1)
    own = tmp_path / "0_job"
    (own / "metrics.json").write_text(json.dumps({"monitor": {"metric": "val/icc", "best": 1}, "mean": {"icc": 0.7}}))
    for fold, rate in ("x", 100.0), ("y", 300.0):
        (own / fold).mkdir()
        (own / fold / "metrics.json").write_text(json.dumps({"training": {**COST, "images_per_second": rate}}))
    frame = sweep_frame(read_sweep(tmp_path))
    assert (frame["icc"].item(), frame["images_per_second"].item(), frame["parameters"].item()) == (0.7, 200, 1e6)


def test_f1_of_guessing_is_shown_beside_that_of_jobs(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rates = {"0_job": 0.5, "1_job": 0.2, "2_job": 0.25}  # of AU1; AU2 never occurs and has no F1
    for name, rate in rates.items():
        file = sweep / name / "metrics.json"
        content = json.loads(file.read_text())
        per_au = {"AU1": {"positives": 40 * rate, "observed": 40.0}, "AU2": {"positives": 0.0, "observed": 40.0}}
        content["test"]["all"]["per_au"] = per_au
        file.write_text(json.dumps(content))
    summarize_sweep(sweep, metric=None)
    table = pd.read_csv(sweep / "sweep.csv")
    assert table["f1_prior"].tolist()[:3] == pytest.approx([0.5, 0.2, 0.25])
    assert table["f1_always"].tolist()[:3] == pytest.approx([1 / 1.5, 0.4 / 1.2, 0.5 / 1.25])
    markdown = (sweep / "sweep.md").read_text("utf-8")
    assert "| job | aus | seed | status | best | f1_val | always | prior | updates |" in markdown
    assert "| a | 0.500 | 0.141 | 0.500 | 0.350 | 2 | 60 |" in markdown  # means of 2/3 and 1/3, of 0.5 and 0.2
    assert "always, prior: F1 of predicting the AU" in " ".join(capsys.readouterr().out.split())
    summarize_sweep(sweep, metric="ap")
    assert "always" not in (sweep / "sweep.md").read_text("utf-8"), "they are no AP"
    with pytest.raises(ConfigError, match="metric: expected one of the sweep's scores, got 'f1_prior'"):
        summarize_sweep(sweep, metric="f1_prior")


def test_legacy_numbers_are_called_so(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "protocol" not in sweep_frame(read_sweep(sweep))
    file = sweep / "1_job" / "metrics.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "protocol": {"legacy": "chosen on the test"}}))
    summarize_sweep(sweep, metric=None)
    assert "legacy test f1_val" in capsys.readouterr().out
    table = pd.read_csv(sweep / "sweep.csv")
    assert table["protocol"].fillna("").tolist() == ["", "legacy", "", "", ""]
    assert table.columns[-1] == "error"


def test_without_a_test_nothing_is_called_its_score(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in sweep.glob("*/metrics.json"):
        path.unlink()
    summarize_sweep(sweep, metric=None)
    text = capsys.readouterr().out
    assert "best of monitor" in text
    assert "test best" not in text


def test_table_and_picture_are_written_and_failures_listed(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(summarize_sweep(sweep, metric=None)) == 5
    text = capsys.readouterr().out
    assert "3 of 5 jobs finished" in text
    assert "Job 3 (aus=b seed=1) failed: ConfigError: no | such | thing" in text
    assert "Job 10 (aus=c seed=0) running: no result" in text
    assert pd.read_csv(sweep / "sweep.csv")["job"].tolist() == [0, 1, 2, 3, 10]
    picture = cv2.imread(str(sweep / "sweep.png"))
    assert picture is not None
    assert picture.std() > 10
    markdown = (sweep / "sweep.md").read_text("utf-8")
    assert "| a | 0.500 | 0.141 | 2 | 60 | 10 | 200 | 1.00 M |" in markdown


def test_jobs_that_differ_in_their_updates_are_named(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summarize_sweep(sweep, metric=None)
    assert "updates (" not in capsys.readouterr().out
    file = sweep / "1_job" / "metrics.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "training": {**COST, "updates": 90}}))
    summarize_sweep(sweep, metric=None)
    warning = (
        "Warning: the jobs made different numbers of updates (60 to 90), so their scores also depend on the length of"
    )
    assert warning in " ".join(capsys.readouterr().out.split())
    assert warning in (sweep / "sweep.md").read_text("utf-8")
    assert pd.read_csv(sweep / "sweep.csv")["updates"].tolist()[:3] == [60, 90, 60]


def test_jobs_of_before_updates_were_counted_have_none(sweep: Path) -> None:
    for file in sweep.glob("*/metrics.json"):
        cost = {key: value for key, value in COST.items() if key != "updates"}
        file.write_text(json.dumps({**json.loads(file.read_text()), "training": cost}))
    summarize_sweep(sweep, metric=None)
    assert pd.read_csv(sweep / "sweep.csv")["updates"].isna().all()


def test_jobs_that_never_started_are_counted(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    basic = "{_target_: hydra._internal.core_plugins.Basic%s}"
    overrides = "{task: ['aus=a,b,c', 'seed=0,1', loss=bce]}"
    text = f"hydra:\n  sweeper: {basic % 'Sweeper'}\n  launcher: {basic % 'Launcher'}\n  overrides: {overrides}\n"
    (sweep / "multirun.yaml").write_text(text)
    summarize_sweep(sweep, metric=None)
    text = capsys.readouterr().out
    assert "3 of 6 jobs finished" in text
    assert f"1 not started; run the jobs without a result: faceflow-train resume_sweep={sweep}" in text


def test_an_unknown_metric_gets_a_suggestion(sweep: Path) -> None:
    with pytest.raises(ConfigError, match=r"metric: expected one .* got 'f1val'; did you mean 'f1_val'"):
        summarize_sweep(sweep, metric="f1val")


def test_a_folder_without_jobs_and_a_broken_record_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected the folder of a sweep"):
        read_sweep(tmp_path)
    (tmp_path / "job.json").write_text("{")
    with pytest.raises(DataError, match=r"job\.json: expected a job's record"):
        read_job(tmp_path)


def test_a_value_can_hold_equals_signs() -> None:
    job = Job(number=0, overrides=("+a.b=c=d",), status="finished", seconds=0, value=None, error=None)
    assert job.settings == {"a.b": "c=d"}
