"""The report page of a run agrees with its files: headline, warnings, links, config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from faceflow.console import plain_table
from faceflow.evaluation.run_context import RunContext
from faceflow.evaluation.run_report import report_protocol, report_run
from tests.helpers.contexts import run_context

LOG = """\
2026-01-02 03:04:05 INFO faceflow.training.folds: nothing to see
2026-01-02 03:04:05 WARNING faceflow.data.sources: no subject column
2026-01-02 03:04:06 WARNING faceflow.data.sources: no subject column
2026-01-02 03:04:06 ERROR faceflow.data.sources: WARNING that is none
"""


def context(output: Path) -> RunContext:
    output.mkdir(parents=True, exist_ok=True)
    return run_context(output, config={"optimizer": {"lr": 0.00123}})


def content(**more: Any) -> dict[str, Any]:
    record = {"started": "2026-01-02T03:04:05", "seed": 7, "versions": {"torch": "2.9"}}
    return {"run": record, "protocol": {"split": "by subject"}, **more}


def test_a_test_is_headed_by_its_means_and_their_intervals(tmp_path: Path) -> None:
    summary = {"valid_aus": 1.0, "f1_val": 0.625, "f1_val_low": 0.5, "f1_val_high": 0.75, "ap": 0.4, "auroc": None}
    scores = {"rows": 40, "summary": summary, "per_au": {"AU1": {}, "AU12": {}}}
    first = {"rows": 30, "summary": {"valid_aus": 1.0, "f1_val": 0.1}, "per_au": {"AU1": {}}}
    found = content(test={"disfa": first, "all": scores}, checkpoint="best.ckpt")
    table = plain_table("Test", ["AU"], ["thr"])
    path = report_run(context(tmp_path / "run"), found, title="Test", aus=["AU1", "AU12"], splits={}, results=[table])
    page = path.read_text("utf-8")
    assert "<dt>split</dt><dd>by subject</dd><dt>thresholds</dt><dd>@val: the AU&#39;s own (thr)" in page
    for part in ("<b>0.625</b>", "95 %: 0.500 to 0.750", "<b>40</b>", "<b>1 of 2</b>", "best.ckpt", "lr: 0.00123"):
        assert part in page
    assert "AUROC" not in page
    assert "ICC" not in page
    assert "Warnings" not in page
    assert "versions.torch" in page


def test_the_count_of_aus_behind_icc_is_reported_where_it_is_another(tmp_path: Path) -> None:
    summary = {"valid_aus": 2.0, "valid_aus_icc": 1.0, "f1_val": 0.625, "icc": 0.5}
    found = content(test={"disfa": {"rows": 40, "summary": summary, "per_au": {"AU1": {}, "AU12": {}}}})
    page = report_run(context(tmp_path / "run"), found, title="Test", aus=["AU1", "AU12"], splits={}).read_text("utf-8")
    assert "<b>2 of 2</b>" in page
    assert "ICC: 1" in page


def test_a_training_without_a_test_shows_its_curves(tmp_path: Path) -> None:
    run = context(tmp_path / "run")
    (tmp_path / "run" / "metrics.csv").write_text("epoch,train/loss,val/f1_val\n0,0.5,0.2\n1,0.4,0.3\n", "utf-8")
    found = content(monitor={"metric": "val/f1_val", "best": 0.3})
    page = report_run(run, found, title="Training", aus=["AU1"], splits={}).read_text("utf-8")
    assert (tmp_path / "run" / "pictures" / "training.png").is_file()
    assert 'href="pictures/training.png"' in page
    assert "thresholds" not in page
    assert "<b>0.300</b>" in page


def test_legacy_numbers_are_called_so_at_the_top_of_both_pages(tmp_path: Path) -> None:
    run = context(tmp_path / "run")
    found = content(mean={"f1_0.5": 0.9}, std={"f1_0.5": 0.1}, monitor={"metric": "val/f1_0.5", "best": 0.9})
    found["protocol"] = {"legacy": "chosen on the test faces"}
    fold = report_run(run, found, title="Legacy test", aus=["AU1"], splits={}).read_text("utf-8")
    folds = report_protocol(run, found, tables=[plain_table("By fold", ["fold"], [])], folds={}).read_text("utf-8")
    for page in (fold, folds):
        warnings = page.partition('<div class="warnings">')[2].partition("</div>")[0]
        assert "<li>Legacy numbers: chosen on the test faces</li>" in warnings
        assert page.index("Legacy numbers") < page.index("<h2>")


def test_a_fold_shows_the_warnings_of_its_protocol_once(tmp_path: Path) -> None:
    run = context(tmp_path / "kfold" / "fold1")
    (tmp_path / "kfold" / "train.log").write_text(LOG, "utf-8")
    found = content(monitor={"metric": "val/f1_val", "best": 0.3})
    page = report_run(run, found, title="Test", aus=["AU1"], splits={}).read_text("utf-8")
    assert page.count("no subject column") == 1
    assert "WARNING" not in page
    assert "<h1>kfold/fold1</h1>" in page


def test_folds_are_linked_where_they_have_a_page(tmp_path: Path) -> None:
    run = context(tmp_path / "kfold")
    for name in ("one", "two"):
        (tmp_path / "kfold" / name).mkdir()
    (tmp_path / "kfold" / "one" / "report.html").touch()
    found = content(mean={"f1_val": 0.5, "icc": 0.25}, std={"f1_val": float("nan"), "icc": 0.125})
    folds = {name: tmp_path / "kfold" / name for name in ("one", "two")}
    page = report_protocol(run, found, tables=[plain_table("By fold", ["fold"], [])], folds=folds).read_text("utf-8")
    assert '<a href="one/report.html">one</a>' in page
    assert "two/report.html" not in page
    assert "<b>0.500</b></div>" in page
    assert "<b>0.250</b><span>± 0.125 over folds</span>" in page
