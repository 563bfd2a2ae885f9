"""`test` needs only a config, not a command line."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import DictConfig
from sklearn.metrics import f1_score

from faceflow.errors import ConfigError, DataError
from faceflow.evaluation.test import test as score_checkpoint
from faceflow.models.checkpoint import PAYLOAD, Payload
from faceflow.models.network import AUNetwork
from tests.helpers.faces import read_folder, write_csv_dataset
from tests.helpers.networks import network_spec
from tests.helpers.runs import command_config

SPEC = network_spec(image_size=32)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four subjects on two images each."""
    return write_csv_dataset(tmp_path_factory.mktemp("data") / "faces", aus=SPEC.aus, subjects=4, frames=2)


def checkpoint(folder: Path, *seen: str) -> Path:
    """An untrained network that claims to have seen some subjects' pictures."""
    payload = Payload(spec=SPEC, protocol={"split": "by subject"}, seen=[], config={}, versions={})
    payload.thresholds = {"AU1": 0.5, "AU12": 0.5}
    table = read_folder(folder)
    known = np.array([subject.rpartition("/")[2] in seen for subject in table.subjects.tolist()])
    payload.faces = {"train": {"pictures": torch.from_numpy(table.pictures[known])}}
    torch.manual_seed(0)
    state = {f"network.{name}": value for name, value in AUNetwork(SPEC).state_dict().items()}
    path = folder.parent / f"{'_'.join(seen) or 'nobody'}.ckpt"
    torch.save({"state_dict": state, PAYLOAD: payload.to_dict()}, path)
    return path


def config(faces: Path, output: Path, *overrides: str) -> DictConfig:
    data = ("data=csv", f"data.labels={faces}/labels.csv", f"data.images={faces}/images")
    plain = ("accelerator=cpu", "loader.workers=0", "pictures=false", "bootstrap.resamples=0")
    return command_config("test", output, *data, *plain, *overrides)


def metrics(output: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((output / "metrics.json").read_text("utf-8"))
    return content


def test_the_result_names_the_folder_and_holds_what_is_written_there(faces: Path, tmp_path: Path) -> None:
    given = config(faces, tmp_path, f"checkpoint={checkpoint(faces)}")
    before = copy.deepcopy(given)
    result = score_checkpoint(given)
    assert given == before, "the config is its caller's"
    assert result.folder == tmp_path
    assert result.scores["faces"].rows == 8
    written = metrics(tmp_path)
    assert written["test"]["faces"] == json.loads(json.dumps(result.scores["faces"].to_dict()))
    assert written["test"]["faces"]["summary"]["f1_val"] == pytest.approx(result.f1_val)
    assert (tmp_path / "data.txt").is_file()


def test_subjects_of_the_training_are_left_out_unless_all_are_asked_for(faces: Path, tmp_path: Path) -> None:
    known = f"checkpoint={checkpoint(faces, 's0', 's3')}"
    unseen = score_checkpoint(config(faces, tmp_path / "unseen", known))
    assert unseen.scores["faces"].rows == 4
    assert metrics(tmp_path / "unseen")["protocol"]["left out"] == "4 images of seen subjects"
    everybody = score_checkpoint(config(faces, tmp_path / "all", known, "subset=all"))
    assert everybody.scores["faces"].rows == 8
    assert "caution" in metrics(tmp_path / "all")["protocol"]


def test_views_are_measured_where_they_are_asked_for(faces: Path, tmp_path: Path) -> None:
    views = ("views=[weak,medium]", "views.medium.color=null", "views.medium.camera=null", "view_faces=4")
    score_checkpoint(config(faces, tmp_path, f"checkpoint={checkpoint(faces)}", *views))
    rows = metrics(tmp_path)["views"]
    assert [(row["view"], row["step"], row["faces"]) for row in rows] == [
        ("eval", "", 4),
        ("weak", "", 4),
        ("medium", "", 4),
    ]
    assert len((tmp_path / "views.csv").read_text("utf-8").splitlines()) == 4


def test_groups_are_scored_where_they_are_asked_for(faces: Path, tmp_path: Path) -> None:
    labels = pd.read_csv(faces / "labels.csv", dtype=str)
    labels["sex"] = labels["subject"].map({"s0": "f", "s1": "m", "s2": "f", "s3": "m"})
    labels["camera"] = labels["subject"].map({"s0": "1", "s1": "1", "s2": "1", "s3": "2"})
    labels.to_csv(tmp_path / "more.csv", index=False)
    chosen = ("audit=[sex,camera]", "audit_least_subjects=2", f"data.labels={tmp_path}/more.csv", "pictures=true")
    output = tmp_path / "test"
    score_checkpoint(config(faces, output, f"checkpoint={checkpoint(faces)}", *chosen))
    groups, frame = metrics(output)["groups"], pd.read_csv(output / "groups.csv", dtype={"group": str})
    assert {name: (each["subjects"], each["faces"]) for name, each in groups["sex"]["groups"].items()} == {
        "f": (2, 4),
        "m": (2, 4),
    }
    assert groups["camera"]["too_small"] == {"2": 1}
    predictions = pd.read_csv(output / "predictions.csv", dtype={"camera": str})
    assert predictions["sex"].tolist() == labels["sex"].tolist()
    women = predictions[predictions["sex"] == "f"]
    row = frame[(frame["group"] == "f") & (frame["au"] == "AU12")].iloc[0]
    assert row["base_rate"] == pytest.approx(women["AU12_occurs"].mean())
    assert row["f1_val"] == pytest.approx(f1_score(women["AU12_occurs"], women["AU12_prob"] >= 0.5))
    assert (output / "pictures" / "groups.png").is_file()
    page = (output / "report.html").read_text("utf-8")
    assert "Groups: Test of" in page
    assert "scores by group of faces" in page


def test_a_test_without_an_audit_leaves_no_groups(faces: Path, tmp_path: Path) -> None:
    score_checkpoint(config(faces, tmp_path, f"checkpoint={checkpoint(faces)}"))
    assert "groups" not in metrics(tmp_path)
    assert not (tmp_path / "groups.csv").exists()


def test_a_refused_test_leaves_no_results(faces: Path, tmp_path: Path) -> None:
    everybody = checkpoint(faces, "s0", "s1", "s2", "s3")
    with pytest.raises(DataError, match="data: expected subjects that the checkpoint has not seen, got none"):
        score_checkpoint(config(faces, tmp_path, f"checkpoint={everybody}"))
    with pytest.raises(ConfigError, match="subset: expected .*unseen.*, got 'seen'"):
        score_checkpoint(config(faces, tmp_path, f"checkpoint={everybody}", "subset=seen"))
    assert list(tmp_path.iterdir()) == []
