from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from faceflow.errors import ConfigError
from faceflow.evaluation.outcome import describe, log_outcome, reopened, test_outcome
from faceflow.evaluation.run_context import label_files
from faceflow.evaluation.scoring import SplitScorer
from faceflow.evaluation.testing import TestScores
from faceflow.metrics.au_scores import Prediction
from faceflow.tracking.tracker import Outcome, TrackedRun, Tracker
from tests.helpers.contexts import run_context
from tests.helpers.networks import label_table, network_spec

NAN = math.nan


class Recording(Tracker):
    """Keeps what it was given."""

    samples = 0

    def begin(self, run: TrackedRun) -> None:
        self.run = run

    def log_outcome(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def close(self, code: int) -> None:
        self.code = code


def test_confusions_equal_scikit_learn_over_the_known_labels() -> None:
    spec = network_spec(levels=5)
    grades = {"AU1": [0, 1, 2, 3, 5, NAN], "AU12": [0.0] * 6}
    tables = [label_table("faces", grades)]
    prediction = Prediction(
        probability=np.array([[0.1, 0.7, 0.4, 0.9, 0.8, 0.9], [0.2] * 6]).T,
        intensity=np.array([[0.4, 1.5, 1.0, 3.2, 4.6, 2.0], [0.0] * 6]).T,
    )
    scorer = SplitScorer(tables, spec)
    evaluations = scorer.score(np.arange(6), prediction, {"AU1": 0.5})
    outcome = test_outcome(TestScores(tables=tables, scorer=scorer, evaluations=evaluations, prediction=prediction))
    first, second = outcome.curves
    occurs, found = [0, 0, 1, 1, 1], [0, 1, 0, 1, 1]  # from 2 on; probability of 0.5 and more
    assert first.confusion is not None
    assert first.grades is not None
    np.testing.assert_array_equal(first.confusion, confusion_matrix(occurs, found))
    np.testing.assert_array_equal(
        first.grades, confusion_matrix([0, 1, 2, 3, 5], [0, 2, 1, 3, 5], labels=list(range(6)))
    )
    assert first.prevalence == pytest.approx(3 / 5)
    assert first.recall[-1] == 1
    assert second.confusion is None, "no threshold was found for an AU that never occurs"
    assert len(second.recall) == 0
    assert outcome.scores["test/ap"] == pytest.approx(evaluations["faces"].summary["ap"])
    assert all(map(math.isfinite, outcome.scores.values()))


@pytest.mark.parametrize("log_images", [False, True])
def test_nothing_that_can_show_a_face_is_handed_over_unless_asked_for(log_images: bool, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    shown = ["pictures/hardest.png", "report.html", "results.png"]
    for name in (*shown, "config.yaml", "metrics.json"):
        (tmp_path / name).write_text("x")
    tracker = Recording()
    splits = {"train": [label_table("faces", {"AU1": [0, 5]})], "test": [label_table("other", {"AU1": [5]})]}
    context = run_context(tmp_path, log_images=log_images)
    log_outcome([tracker], Outcome(), context, checkpoint=None, splits=splits)  # type: ignore[list-item]
    files = {kind: [str(file.relative_to(tmp_path)) for file in found] for kind, found in tracker.outcome.files.items()}
    assert files == {
        "checkpoint": [],
        "config": ["config.yaml"],
        "split": ["split.csv"],
        "results": ["metrics.json", *(shown if log_images else [])],
    }
    assert (tmp_path / "split.csv").read_text().splitlines() == [
        "split,dataset,filename,subject",
        "train,faces,/faces/0.png,/faces/0.png",
        "train,faces,/faces/1.png,/faces/1.png",
        "test,other,/other/0.png,/other/0.png",
    ]


def test_a_fold_belongs_to_the_group_of_its_protocol_and_continues_where_its_checkpoint_lies(tmp_path: Path) -> None:
    output = tmp_path / "2026-01-31" / "fold_2"
    sources = {"disfa": {"labels": "a.csv", "train": None, "val": None, "test": None}}
    context = run_context(output, fold="2", label_files=label_files(sources))
    resume = str(tmp_path / "earlier" / "checkpoints" / "last.ckpt")
    fold = describe(context, resume=resume, fingerprints={"train": {}})
    assert fold.config["data_fingerprints"] == {"train": {}}
    assert (fold.name, fold.group, fold.job_type) == ("fold_2", "2026-01-31", "fold")
    assert fold.continues == tmp_path / "earlier"
    assert fold.datasets == {"disfa": [Path("a.csv")]}
    alone = describe(run_context(output), resume=None, fingerprints={})
    assert (alone.group, alone.job_type, alone.continues) == (None, "train", None)


def test_adding_to_an_untracked_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="track: expected a run that a tracker followed, got none in .*logger=wandb"):
        reopened(tmp_path / "checkpoints" / "best.ckpt")
