from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from studies.parts import all_parts
from studies.run_scores import read_run, read_scores
from studies.runs import Conditions, Run

from faceflow.errors import DataError
from faceflow.metrics.subject_share import subject_share
from faceflow.report.result_files import write_json
from tests.helpers.study import CONDITIONS, evaluation, random_scores, write_test

HISTORY = """epoch,val/ap,val/subject_share,train/fixmatch/pseudo_precision,train/fixmatch/pseudo_precision/AU1
0,0.3,0.5,0.6,0.1
1,0.4,0.4,0.7,0.1
2,0.4,0.3,0.8,0.1
"""


def conditions(folder: Path) -> Conditions:
    return dataclasses.replace(CONDITIONS, output=folder)


def test_scores_are_read_as_they_were_scored(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    raw = random_scores(rng, "abc")
    raw = dataclasses.replace(raw, probability=rng.random(raw.truth.shape).astype(np.float32).astype(float))
    centred = dataclasses.replace(raw, probability=1 - raw.probability, thresholds=np.array([0.2, np.nan, 0.7]))
    write_test(tmp_path, raw, centred=centred)
    for written, found in ((raw, read_scores(tmp_path)), (centred, read_scores(tmp_path, centred=True))):
        assert found.aus == written.aus
        assert found.subjects.tolist() == written.subjects.tolist()
        np.testing.assert_allclose(found.thresholds, written.thresholds, rtol=1e-15)
        np.testing.assert_array_equal(found.observed, written.observed)
        np.testing.assert_array_equal(found.truth, written.truth & written.observed)
        np.testing.assert_array_equal(found.probability, written.probability.astype(np.float32).astype(float))
        assert evaluation(found).summary == pytest.approx(evaluation(written).summary, nan_ok=True)


def test_a_run_says_scores_the_subjects_share_and_pseudo_labels_of_the_epoch_that_was_kept(tmp_path: Path) -> None:
    run = Run(all_parts(Path("faces"), tmp_path)[0], "fixmatch", 1, 4)
    folder, scored = run.folder(conditions(tmp_path)), random_scores(np.random.default_rng(1), "abc")
    write_test(folder, scored)
    write_json(folder / "done.json", {"ap": 0.4, "seconds": 12.0})
    (folder / "metrics.csv").write_text(HISTORY, "utf-8")
    (found,) = read_run(run, conditions(tmp_path))
    summary, share = evaluation(scored).summary, np.mean(subject_share(scored.probability, scored.subjects))
    assert (found.method, found.seed, found.test, found.centred) == ("fixmatch", 4, "studio", None)
    assert found.numbers == {
        **{"candidate": 1, "val_ap": 0.4, "seconds": 12.0, "epoch": 1},
        **{"val_subject_share": 0.4, "pseudo_precision": 0.7, "subject_share": pytest.approx(share)},
        **{key: summary[key] for key in ("f1_val", "f1_0.5", "ap", "auroc")},
    }


def test_centred_scores_are_read_where_a_test_has_them(tmp_path: Path) -> None:
    run = Run(all_parts(Path("faces"), tmp_path)[0], "supervised", 0, 0)
    folder, raw = run.folder(conditions(tmp_path)), random_scores(np.random.default_rng(1), "abc")
    centred = dataclasses.replace(raw, probability=1 - raw.probability)
    write_test(folder, raw, centred=centred)
    write_json(folder / "done.json", {"ap": 0.4, "seconds": 12.0})
    (folder / "metrics.csv").write_text(HISTORY, "utf-8")
    (found,) = read_run(run, conditions(tmp_path))
    assert found.numbers["centred_ap"] == evaluation(centred).summary["ap"]
    assert found.numbers["ap"] == evaluation(raw).summary["ap"]
    assert found.centred is not None


def test_a_test_of_several_data_sets_is_refused(tmp_path: Path) -> None:
    write_test(tmp_path, random_scores(np.random.default_rng(1), "ab"))
    table = (tmp_path / "per_au.csv").read_text("utf-8").splitlines()
    (tmp_path / "per_au.csv").write_text("\n".join([*table, table[1].replace("studio", "office")]), "utf-8")
    with pytest.raises(DataError, match=r"per_au.csv: expected one data set, got several; test one label file"):
        read_scores(tmp_path)
