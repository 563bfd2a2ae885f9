from __future__ import annotations

from pathlib import Path

import pytest

from faceflow.data.groups import number_groups
from faceflow.data.sources import FaceTable
from faceflow.data.splits import SplitConfig, make_splits
from faceflow.data.streams import training_streams
from faceflow.errors import ConfigError
from tests.helpers.faces import read_folder, unlabeled_settings, write_csv_dataset

VIEWS = {"labeled/weak", "unlabeled/strong"}


def split(labeled: float = 1.0) -> SplitConfig:
    return SplitConfig(val=0.2, test=0.2, seed=0, labeled=labeled)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> FaceTable:
    return read_folder(write_csv_dataset(tmp_path_factory.mktemp("d") / "d", aus=("AU1",), subjects=10, frames=2))


def streams(faces: FaceTable, *, labeled: float = 1.0, **changes: object) -> dict[str, list[FaceTable]]:
    settings: dict[str, object] = {"views": VIEWS, "sets": {}, "include_labeled": True, "prefer": "occurrence"}
    config = split(labeled)
    return training_streams(make_splits([faces], config), config, **(settings | changes))  # type: ignore[arg-type]


def people(tables: list[FaceTable]) -> set[str]:
    return {str(subject) for table in tables for subject in table.subjects}


def test_a_method_without_unlabelled_views_opens_nothing(faces: FaceTable) -> None:
    missing = {"own": unlabeled_settings("/does/not/exist")}
    found = streams(faces, views={"labeled/weak"}, sets=missing)
    assert set(found) == {"train", "val", "test"}


def test_hidden_and_labelled_training_faces_make_the_pool(faces: FaceTable) -> None:
    found = streams(faces, labeled=0.5)
    assert [table.name for table in found["unlabeled"]] == ["d:hidden", "d:labelled"]
    assert number_groups(found).domains == ("d",)
    assert len(people(found["train"])) == 3
    assert len(people(found["unlabeled"])) == 6
    assert not people(found["unlabeled"]) & people([*found["val"], *found["test"]])
    alone = streams(faces, labeled=0.5, include_labeled=False)
    assert not people(alone["unlabeled"]) & people(alone["train"])


def test_a_folder_joins_without_validation_and_test_faces(faces: FaceTable, tmp_path: Path) -> None:
    images = Path(str(faces.files[0])).parents[1]
    found = streams(faces, sets={"own": unlabeled_settings(images)}, include_labeled=False)
    held_out = {str(file) for name in ("val", "test") for table in found[name] for file in table.files}
    pool = {str(file) for table in found["unlabeled"] for file in table.files}
    assert len(pool) == 12
    assert not pool & held_out


def test_nothing_to_learn_from_is_an_error_that_says_what_to_set(faces: FaceTable) -> None:
    with pytest.raises(ConfigError, match=r"unlabeled: expected unlabelled faces.*unlabeled=FOLDER.*split\.labeled"):
        streams(faces)
