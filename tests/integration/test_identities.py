"""Identities across commands: data that were renamed, moved or copied after a checkpoint was trained."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from faceflow.models.weights import load_file
from tests.helpers.faces import write_csv_dataset
from tests.integration.command import AUS, SMALL, Faces, Outcome, evaluate, run, train

ALIKE = "8 subjects with ids of training subjects"
ALIKE = "8 subjects with ids of training subjects"
LEFT_OUT = "WARNING left out 32 images of subjects that the checkpoint was trained or validated on"


@pytest.fixture
def moved(faces: Faces, tmp_path: Path) -> Faces:
    """The same faces in another folder, with another label file and other file names."""
    shutil.copytree(faces.images, tmp_path / "elsewhere" / "images")
    frame = faces.read()
    for name in frame["filename"]:
        image = tmp_path / "elsewhere" / "images" / name
        image.rename(image.with_name(f"x{image.name}"))
    frame["filename"] = [name.replace("/", "/x") for name in frame["filename"]]
    copied = Faces(tmp_path / "elsewhere")
    copied.write(frame, "labels.csv")
    return copied


def test_renamed_and_moved_faces_of_training_are_left_out(trained: Outcome, moved: Faces, tmp_path: Path) -> None:
    tested = evaluate(trained, tmp_path / "run", *moved.overrides)
    assert tested.stderr.splitlines() == [LEFT_OUT]
    for metric, value in trained.metrics()["test"]["faces"]["summary"].items():
        assert tested.metrics()["test"]["elsewhere"]["summary"][metric] == pytest.approx(value, abs=1e-9)


def test_copies_of_training_faces_are_left_out_where_nobody_is_named(
    trained: Outcome, moved: Faces, tmp_path: Path
) -> None:
    moved.write(moved.read().drop(columns="subject"))
    tested = evaluate(trained, tmp_path / "run", *moved.overrides)
    assert LEFT_OUT in tested.stderr.splitlines()
    assert len(tested.table("predictions.csv")) == 8


def test_other_ids_do_not_hide_training_faces(trained: Outcome, moved: Faces, tmp_path: Path) -> None:
    frame = moved.read()
    moved.write(frame.assign(subject="p" + frame["subject"]))
    tested = evaluate(trained, tmp_path / "run", *moved.overrides)
    assert tested.stderr.splitlines() == [LEFT_OUT]


@pytest.mark.parametrize(
    ("stated", "images", "protocol"),
    [
        ((), 40, ("caution", f"{ALIKE} counted as other people")),
        (
            ("same_subjects=false",),
            40,
            ("subjects", f"{ALIKE} counted as other subjects, as stated"),
        ),
        (("same_subjects=true",), 8, ("left out", "32 images of seen subjects")),
        (("data.sources.csv.identities=another_study",), 40, None),
    ],
)
def test_ids_alone_are_counted_until_one_key_decides(
    trained: Outcome, tmp_path: Path, stated: tuple[str, ...], images: int, protocol: tuple[str, str] | None
) -> None:
    strangers = Faces(write_csv_dataset(tmp_path / "strangers", aus=AUS, subjects=10, frames=4, seed=7))
    tested = evaluate(trained, tmp_path / "run", *strangers.overrides, *stated)
    assert len(tested.table("predictions.csv")) == images
    assert ("same_subjects=true or false" in tested.stderr) is (stated == ())
    said = {
        key: text for key, text in tested.metrics()["protocol"].items() if key in ("caution", "subjects", "left out")
    }
    assert said == (dict([protocol]) if protocol else {})
    assert ("protocol" in tested.table("per_au.csv")) is (stated == ())


def test_every_table_of_a_test_on_training_subjects_says_so(trained: Outcome, faces: Faces, tmp_path: Path) -> None:
    tested = evaluate(trained, tmp_path / "run", *faces.overrides, "subset=all", "pictures=true")
    caution = "includes subjects seen in training or validation"
    assert set(tested.table("per_au.csv")["protocol"]) == {caution}
    assert caution in " ".join(tested.stdout.split())
    assert caution in (tested.folder / "report.html").read_text("utf-8")


@pytest.mark.slow
def test_a_run_continues_with_its_data_elsewhere(faces: Faces, moved: Faces, tmp_path: Path) -> None:
    longer = ("trainer.max_epochs=3", "scheduler=constant")
    whole = train(tmp_path / "whole", *faces.overrides, *longer)
    broken = train(tmp_path / "broken", *faces.overrides, "scheduler=constant")
    resumed = train(tmp_path / "resumed", *moved.overrides, *longer, f"resume={broken.checkpoint('last')}")
    ours, theirs = (load_file(run.checkpoint("last"), key="")["state_dict"] for run in (resumed, whole))
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), name


@pytest.mark.parametrize(
    ("column", "said"), [("AU12", "got other labels for 1 of them"), ("subject", " other faces and ")]
)
def test_a_run_does_not_continue_with_other_labels_or_subjects(
    trained: Outcome, moved: Faces, tmp_path: Path, column: str, said: str
) -> None:
    frame = moved.read()
    last = trained.checkpoint("last")
    known = load_file(last, key="")["faceflow"]["seen"]
    row = int(np.flatnonzero([f"own/{subject}" in known for subject in frame["subject"]])[0])
    if column == "AU12":
        frame.loc[row, column] = str((int(frame.loc[row, column]) + 3) % 6)
    else:
        frame[column] = [f"{subject}{number % 2}" for number, subject in enumerate(frame[column])]
    moved.write(frame)
    outcome = run("train", tmp_path / "run", *SMALL, *moved.overrides, "trainer.max_epochs=3", f"resume={last}")
    assert outcome.code == 2
    assert f"resume: expected the train faces of '{last}', got" in outcome.error
    assert said in outcome.error


def test_subjects_of_the_pool_and_of_the_labels_are_the_same_people(faces: Faces, tmp_path: Path) -> None:
    frame = faces.read()
    first = frame.groupby("subject").cumcount() < 2
    labelled = Faces(tmp_path).write(frame[first], "labelled.csv")
    pool = Faces(tmp_path).write(frame[~first][["filename", "subject"]], "pool.csv")
    found = train(
        tmp_path / "run",
        *("data=csv", f"data.labels={labelled}", f"data.images={faces.images}", "method=fixmatch", "report_only=true"),
        *(f"unlabeled={pool}", f"data.unlabeled.own.images={faces.images}"),
    )
    assert "own: left out 10 of 20 unlabelled faces: their subjects or images are in val or test" in found.stderr


def test_three_spellings_are_one_subject_and_named(faces: Faces, tmp_path: Path) -> None:
    frame = faces.read()
    spelled = ("{:03d}", "{}", "{}.0", "{} ")
    number = frame["subject"].str.removeprefix("s").astype(int)
    frame["subject"] = [spelled[row % 4].format(subject) for row, subject in enumerate(number)]
    labels = Faces(tmp_path).write(frame, "labels.csv")
    found = train(tmp_path / "run", "data=csv", f"data.labels={labels}", f"data.images={faces.images}")
    assert "subject: '0', '0.0' and '000' are treated as one subject (10 such cases)" in found.stderr
    assert found.table("predictions.csv")["subject"].nunique() == 2
