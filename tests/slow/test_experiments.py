"""The experiments that learn from unlabelled faces run on the drawn faces, without a network connection."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.command import evaluate, train

pytestmark = pytest.mark.slow

FACES = ("data.prepare.subjects=10", "data.prepare.frames=9", "data.prepare.size=64")
LEARNT = ("loader.steps_per_epoch=4", "loader.mu=2", "trainer.max_epochs=2")


def test_few_labels_are_helped_by_faces_centred_by_subject(tmp_path: Path) -> None:
    few = train(tmp_path / "few", "experiment=few_labels", "split.labeled=0.4", *FACES, *LEARNT)
    logged = few.table("metrics.csv").iloc[-1]
    for share in ("train/subject_share", "train/unlabeled_subject_share", "val/subject_share"):
        assert 0 < logged[share] <= 1
    assert logged["train/defixmatch/mask_positive"] >= 0
    alone = train(
        tmp_path / "alone", "experiment=few_labels", "method=supervised", "split.labeled=0.4", *FACES, *LEARNT
    )
    assert "train/unlabeled_subject_share" not in alone.table("metrics.csv")
    assert 0 < alone.table("metrics.csv")["train/subject_share"].iloc[-1] <= 1


def test_a_new_camera_is_learned_from_unlabelled_faces_and_tested_on_another(tmp_path: Path) -> None:
    trained = train(tmp_path / "run", "experiment=new_camera_unlabeled", "model=compact", *FACES, *LEARNT)
    assert "synthetic_unlabeled" in trained.stdout  # the webcam, in the data report
    tested = evaluate(trained, tmp_path / "test", "data=synthetic", "data.domains=[infrared]", *FACES)
    (scores,) = tested.metrics()["test"].values()
    assert scores["rows"] == 10 * 9
