"""Folds: their names, their folders, and what a second start keeps from the first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from faceflow.data.protocols.protocol import Fold
from faceflow.data.splits import SplitConfig, make_splits
from faceflow.errors import ConfigError, DataError
from faceflow.evaluation.advice import silence_advice
from faceflow.training.folds import FoldPlan, fold_titles, folder_names, train_folds
from faceflow.training.run_data import Look
from tests.helpers.contexts import run_context
from tests.helpers.faces import read_folder, write_csv_dataset
from tests.helpers.runs import run_settings


def named(*names: str) -> list[Fold]:
    return [Fold(name=name, splits={}, rule="", alone={}, legacy=False) for name in names]


def test_folders_are_named_as_every_file_system_can_write_it() -> None:
    assert folder_names(named("fold1", "web cam/2", "..")) == ["fold1", "web_cam_2", "_"]


def test_two_folds_never_share_a_folder() -> None:
    with pytest.raises(DataError, match="expected names whose folders differ, got 'Lab' and 'lab'; rename one"):
        folder_names(named("Lab", "lab"))


def test_titles_count_folds_and_say_what_their_names_name() -> None:
    assert fold_titles(named("fold1", "fold2"), "fold") == ["Fold 1 of 2, fold1", "Fold 2 of 2, fold2"]
    assert fold_titles(named("infrared"), "domain") == ["Fold 1 of 1, domain infrared"]


@pytest.fixture(autouse=True)
def quiet() -> None:
    silence_advice()


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folds") / "faces"
    return write_csv_dataset(folder, aus=("AU1", "AU12"), subjects=5, frames=2)


def plans(faces: Path, output: Path, names: Sequence[str] = ("fold1", "fold2")) -> list[FoldPlan]:
    """Folds that differ in the seed of their split."""
    made = []
    for number, name in enumerate(names):
        splits = make_splits([read_folder(faces)], SplitConfig(val=0.2, test=0.2, seed=number, labeled=1.0))
        context = run_context(output / name, fold=name)
        fold = Fold(name=name, splits=splits, rule="by hand", alone={}, legacy=False)
        made.append(FoldPlan(title=name, fold=fold, context=context, settings=run_settings(output / name)))
    return made


def train(
    faces: Path, output: Path, look: Look | None = None, names: Sequence[str] = ("fold1", "fold2")
) -> float | None:
    return train_folds(
        plans(faces, output, names),
        command=run_context(output),
        unit="fold",
        rule="by hand",
        in_parts=False,
        look=look,
        mirror=None,
    )


@pytest.mark.slow
def test_finished_folds_are_kept_and_others_than_those_are_refused(
    faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best = train(faces, tmp_path)
    records = [json.loads((tmp_path / name / "metrics.json").read_text("utf-8")) for name in ("fold1", "fold2")]
    assert best == pytest.approx(sum(record["monitor"]["best"] for record in records) / 2)
    states = {path: path.stat().st_mtime_ns for path in tmp_path.glob("fold*/checkpoints/*")}
    assert states
    capsys.readouterr()
    assert train(faces, tmp_path) == best
    assert capsys.readouterr().out.count("finished earlier, kept") == 2
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("fold*/checkpoints/*")} == states
    with pytest.raises(ConfigError, match=r"expected the folds fold1, got '.*' with fold2 of other data"):
        train(faces, tmp_path, names=["fold1"])


def test_a_look_trains_nothing(faces: Path, tmp_path: Path) -> None:
    for name in ("fold1", "fold2"):
        (tmp_path / name).mkdir()
    assert train(faces, tmp_path, look=Look(faces=0)) is None
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["data.txt", "data.txt"]
