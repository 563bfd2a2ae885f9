"""What a run takes from its fold: AUs, streams, counts and their names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from faceflow.data.protocols.protocol import Fold
from faceflow.data.sources import FaceTable
from faceflow.errors import ConfigError, DataError
from faceflow.training.run_data import Look, RunData, choose_data, show_data
from tests.helpers.faces import read_folder, write_csv_dataset
from tests.helpers.networks import label_table
from tests.helpers.runs import RESIZE, data_settings

TRAIN = {"AU1": [0.0, 5, 5, 1], "AU12": [3.0, 0, float("nan"), 0]}


def fold(train: FaceTable | None = None, *, legacy: bool = False) -> Fold:
    others = {split: [label_table(split, {"AU1": [0, 5], "AU12": [0, 5]})] for split in ("val", "test")}
    splits = {"train": [train or label_table("train", TRAIN)], **others}
    return Fold(name=None, splits=splits, rule="by hand", alone={}, legacy=legacy)


def test_all_labelled_aus_are_learned_unless_some_are_named() -> None:
    assert choose_data(fold(), data_settings()).aus == ("AU1", "AU12")
    assert choose_data(fold(), data_settings(aus=["AU12"])).aus == ("AU12",)
    with pytest.raises(ConfigError, match="aus.names: expected AUs that the training data label, got AU4"):
        choose_data(fold(), data_settings(aus=["AU4"]))


def test_labels_are_counted_by_level() -> None:
    counts = choose_data(fold(), data_settings()).count()
    assert counts.positives.tolist() == [[2], [1]]  # from 2 on
    assert counts.observed.tolist() == [4, 3]
    graded = choose_data(fold(), data_settings(levels=5, cutpoints=[1, 2, 3, 4, 5])).count()
    assert graded.positives.tolist() == [[3, 2, 2, 2, 2], [1, 1, 1, 0, 0]]


def test_labels_that_nothing_can_be_learned_from_are_refused() -> None:
    nothing = choose_data(fold(label_table("train", {"AU1": [0, 1], "AU12": [0, 0]})), data_settings())
    with pytest.raises(DataError, match="training labels: expected positive labels, got none"):
        nothing.count()


def test_the_protocol_says_how_data_were_split_and_whether_numbers_are_legacy() -> None:
    protocol = choose_data(fold(), data_settings()).protocol
    assert protocol["split"] == "by hand"
    assert protocol["train"] == "train (4 images, 4 subjects)"
    assert "legacy" not in protocol
    legacy = choose_data(fold(legacy=True), data_settings())
    assert legacy.legacy
    assert next(iter(legacy.protocol)) == "legacy", "said before anything else"


def test_data_fingerprints_are_computed_once() -> None:
    data = choose_data(fold(), data_settings())
    assert data.fingerprints["train"]["train"]["rows"] == 4
    assert data.fingerprints is data.fingerprints
    assert data.faces is data.faces
    assert len(data.faces["train"]["pictures"]) == 4
    assert not any("/test/" in subject for subject in data.seen), "the test is not seen"
    assert len(data.seen) == 6


@pytest.fixture
def real(tmp_path: Path) -> RunData:
    table = read_folder(write_csv_dataset(tmp_path / "faces", aus=("AU1", "AU12"), subjects=2, frames=2))
    return choose_data(fold(table), data_settings())


def test_data_are_printed_and_for_a_look_written_and_drawn(
    real: RunData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run"
    output.mkdir()
    show_data(real, {"eval": RESIZE}, folder=output, look=None)
    assert re.search(r"AU12 +lip corner puller", capsys.readouterr().out)
    assert list(output.iterdir()) == []
    show_data(real, {"eval": RESIZE}, folder=output, look=Look(faces=0))
    assert [path.name for path in output.iterdir()] == ["data.txt"]
    show_data(real, {"eval": RESIZE}, folder=output, look=Look(faces=2))
    assert (output / "transforms.png").read_bytes().startswith(b"\x89PNG")
    assert f"Picture: {output / 'transforms.png'}" in capsys.readouterr().out
