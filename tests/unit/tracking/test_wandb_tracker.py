from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wandb

from faceflow.errors import ConfigError
from faceflow.tracking.tracker import AUCurve, Outcome, Samples, TrackedRun, tracked
from faceflow.tracking.wandb_login import choose_mode
from faceflow.tracking.wandb_tracker import WandbTracker
from tests.helpers.wandb_files import OfflineRun, offline_runs

AUS = ("AU6", "AU12")
FACE = np.full((8, 8, 3), 90, np.uint8)


@pytest.fixture(scope="module", autouse=True)
def nobody_is_logged_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep W&B away from the account and the home folder of whoever runs the tests."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            patch.delenv(name)
        patch.setenv("WANDB_ERROR_REPORTING", "false")
        for name in ("DATA_DIR", "CACHE_DIR", "CONFIG_DIR"):
            patch.setenv(f"WANDB_{name}", str(home))
        patch.setenv("NETRC", str(home / "netrc"))
        yield


def tracker(folder: Path, **changes: Any) -> WandbTracker:
    settings: dict[str, Any] = {
        "save_dir": str(folder),
        "project": "tests",
        "entity": None,
        "mode": "auto",
        "name": None,
        "group": None,
        "tags": ["fast"],
        "samples": 3,
        "artifacts": ["config", "results", "data"],
        "references": {},
        "init_timeout": 30.0,
        "finish_timeout": 30.0,
    }
    return WandbTracker(**settings | changes)


def described(folder: Path, **changes: Any) -> TrackedRun:
    labels = folder / "labels.csv"
    labels.write_text("AU6,filename\n1,a.png\n")
    settings: dict[str, Any] = {
        "name": "fold_1",
        "group": "sweep_7/kfold",
        "job_type": "fold",
        "folder": folder,
        "continues": None,
        "config": {"seed": 3, "model": {"backbone": "test_resnet"}},
        "datasets": {"disfa": [labels]},
        "log_images": False,
    }
    return TrackedRun(**settings | changes)


def samples(*, pictures: bool) -> Samples:
    return Samples(
        faces=["disfa 0", "disfa 5", "disfa 9"],
        aus=AUS,
        probability=np.array([[0.9, 0.5], [0.25, 0.75], [0.5, 0.5]]),
        occurrence=np.array([[True, False], [True, True], [False, False]]),
        observed=np.array([[True, False], [True, True], [False, False]]),
        pictures=[FACE] * 3 if pictures else None,
    )


def outcome(folder: Path) -> Outcome:
    (folder / "config.yaml").write_text("seed: 3\n")
    (folder / "split.csv").write_text("split,subject\n")
    curve = AUCurve(
        au="AU6",
        precision=np.array([1.0, 1.0, 0.5]),
        recall=np.array([0.0, 0.5, 1.0]),
        prevalence=0.25,
        confusion=np.array([[5, 1], [2, 4]]),
        grades=None,
    )
    files = {"config": [folder / "config.yaml"], "split": [folder / "split.csv"]}
    return Outcome(scores={"test/f1_val": 0.75}, curves=[curve], files=files)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> OfflineRun:
    """A run of two epochs that ended well, without pictures."""
    folder = tmp_path_factory.mktemp("finished")
    opened = tracker(folder)
    with tracked([opened], described(folder)):
        for epoch in range(2):
            opened.log_samples(samples(pictures=False), epoch=epoch, step=10 * epoch + 9)
        opened.log_outcome(outcome(folder))
    (run,) = offline_runs(folder)
    return run


def test_without_a_login_the_run_stays_offline_and_carries_its_name_group_and_config(finished: OfflineRun) -> None:
    assert (finished.run.display_name, finished.run.run_group, finished.run.job_type) == (
        "fold_1",
        "sweep_7/kfold",
        "fold",
    )
    assert finished.config["model"] == {"backbone": "test_resnet"}
    assert finished.exit_codes == [0]
    noted = json.loads((finished.folder.parents[1] / "tracking.json").read_text())
    assert noted["wandb"]["id"] == finished.run.run_id


def test_samples_of_every_epoch_are_a_table_with_the_worst_face_first(finished: OfflineRun) -> None:
    tables = finished.tables("samples")
    assert tables[0]["columns"] == [
        *("epoch", "face", "loss", "AU6 probability", "AU6 label", "AU12 probability", "AU12 label")
    ]
    # -(ln 0.25 + ln 0.75) / 2 = 0.8370, -ln 0.9 = 0.1054; nothing is known of the last
    assert tables[1]["data"] == [
        [1, "disfa 5", 0.837, 0.25, 1, 0.75, 1],
        [1, "disfa 0", 0.1054, 0.9, 1, 0.5, None],
        [1, "disfa 9", None, 0.5, None, 0.5, None],
    ]
    assert [table["data"][0][0] for table in tables] == [0, 1]


def test_plots_scores_and_chosen_artifacts_are_kept(finished: OfflineRun) -> None:
    assert finished.charts() == {"test/precision_recall", "test/prevalence", "test/confusion/AU6"}
    (cells,) = finished.tables("test/confusion/AU6_table")
    assert ["absent", "present", 1] in cells["data"]
    assert ["present", "absent", 2] in cells["data"]
    (curve,) = finished.tables("test/precision_recall_table")
    assert curve["data"] == [["AU6", 0.0, 1.0], ["AU6", 0.5, 1.0], ["AU6", 1.0, 0.5]]
    assert finished.summary()["test/f1_val"] == 0.75
    (config,) = finished.artifacts("config")
    assert [entry.path for entry in config.manifest.contents] == ["config.yaml"]
    assert finished.artifacts("split") == []


def test_label_files_are_referred_to_and_not_copied(finished: OfflineRun) -> None:
    (data,) = finished.artifacts("dataset")
    (entry,) = data.manifest.contents
    assert data.name == "data-disfa"
    assert entry.ref.startswith("file://")
    assert entry.ref.endswith("labels.csv")
    assert entry.local_path == ""
    assert finished.pictures() == []


def test_an_interrupted_run_is_closed_with_its_pictures_and_continues_under_its_id(tmp_path: Path) -> None:
    first = tracker(tmp_path)
    with pytest.raises(KeyboardInterrupt), tracked([first], described(tmp_path)):  # noqa: PT012
        first.log_samples(samples(pictures=True), epoch=0, step=0)
        raise KeyboardInterrupt
    resumed = tmp_path / "resumed"
    resumed.mkdir()
    with tracked([tracker(resumed)], described(resumed, continues=tmp_path)):
        pass
    (stopped,), (again,) = offline_runs(tmp_path), offline_runs(resumed)
    assert stopped.exit_codes == [130]
    assert any(path.endswith(".png") for path in stopped.pictures())
    assert again.run.run_id == stopped.run.run_id
    assert again.exit_codes == [0]


AGENT = {  # what `wandb agent` sets for each of its runs, and what a user may add
    "WANDB_RUN_ID": "k3x9",
    "WANDB_PROJECT": "their-project",
    "WANDB_ENTITY": "their-team",
    "WANDB_SWEEP_ID": "s7w2",
}
NAMED = {
    "WANDB_NAME": "my name",
    "WANDB_RUN_GROUP": "my group",
    "WANDB_JOB_TYPE": "my type",
    "WANDB_NOTES": "my notes",
    "WANDB_TAGS": "a,b",
}


def place(run: Any) -> tuple[str, str, str, str]:
    return run.run_id, run.project, run.entity, run.sweep_id


@pytest.mark.parametrize("swept", [True, False])
def test_the_environment_of_an_agent_decides_where_the_run_goes_and_what_is_noted(
    swept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = AGENT if swept else {name: text for name, text in AGENT.items() if name != "WANDB_SWEEP_ID"}
    for name, text in (agent | NAMED | {"WANDB_DIR": str(tmp_path / "theirs")}).items():
        monkeypatch.setenv(name, text)
    (tmp_path / "theirs").mkdir()
    wandb.teardown()
    with tracked([tracker(tmp_path)], described(tmp_path, group=None)):
        pass
    (run,) = offline_runs(tmp_path / "theirs")
    expected = ("k3x9", "their-project", "their-team", "s7w2" if swept else "")
    assert place(run.run) == expected
    assert (run.run.display_name, run.run.run_group, run.run.job_type) == ("my name", "my group", "my type")
    assert (run.run.notes, list(run.run.tags)) == ("my notes", ["a", "b"])
    noted = json.loads((tmp_path / "tracking.json").read_text())["wandb"]
    assert noted == {
        **{"id": "k3x9", "project": "their-project", "entity": "their-team", "mode": "auto"},
        **{"name": "my name", "group": "my group", "job_type": "my type"},
    }

    for name in (*agent, *NAMED, "WANDB_DIR"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_PROJECT", "of-the-next-run")  # of the shell in which the model is exported
    wandb.teardown()
    again = WandbTracker.reopen(tmp_path)
    assert again is not None
    with tracked([again], described(tmp_path, group=None, continues=tmp_path)):
        pass
    assert place(offline_runs(tmp_path)[-1].run) == ("k3x9", "their-project", "their-team", "")


@pytest.fixture
def forgotten_environment() -> Iterator[None]:
    yield
    wandb.teardown()  # it remembers the environment of its first run


def test_a_run_is_not_opened_again_in_the_environment_of_a_sweeps_other_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tracking.json").write_text(json.dumps({"wandb": {"id": "mine", "project": "p", "mode": "auto"}}))
    for name, text in AGENT.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(ConfigError, match="track: expected the run 'mine' of .*, got another in WANDB_RUN_ID"):
        WandbTracker.reopen(tmp_path)
    monkeypatch.setenv("WANDB_RUN_ID", "mine")
    assert WandbTracker.reopen(tmp_path) is not None


def test_several_runs_do_not_share_the_id_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", "k3x9")
    with (
        pytest.raises(ConfigError, match="WANDB_RUN_ID: expected a command that trains one run, .*fold_1.*; unset"),
        tracked([tracker(tmp_path)], described(tmp_path)),
    ):
        pass


def test_a_resumed_run_stays_in_its_project(tmp_path: Path) -> None:
    with tracked([tracker(tmp_path, project="first")], described(tmp_path)):
        pass
    resumed = tmp_path / "resumed"
    resumed.mkdir()
    with tracked([tracker(resumed, project="second")], described(resumed, continues=tmp_path)):
        pass
    (before,), (after,) = offline_runs(tmp_path), offline_runs(resumed)
    assert (after.run.run_id, after.run.project) == (before.run.run_id, "first")


@pytest.mark.parametrize("variable", ["WANDB_RUN_ID", "WANDB_INIT_TIMEOUT"])
def test_variables_that_wandb_cannot_read_are_one_line(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten_environment: None
) -> None:
    wandb.teardown()
    monkeypatch.setenv(variable, "a/b")
    with (
        pytest.raises(ConfigError, match=r"logger.wandb: (expected WANDB_... variables|W&B refused the run)"),
        tracked([tracker(tmp_path)], described(tmp_path, group=None)),
    ):
        pass


@pytest.fixture
def forgotten_logins() -> Iterator[None]:
    yield
    wandb.teardown()  # it remembers a login


def test_the_mode_depends_on_the_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, forgotten_logins: None) -> None:
    assert choose_mode("auto") == "offline"
    with pytest.raises(ConfigError, match="logger.wandb.mode: expected a login for mode=online, got none; run: wandb"):
        choose_mode("online")
    with pytest.raises(ConfigError, match="got 'onlin'; .*online"):
        choose_mode("onlin")
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine api.wandb.ai login user password {'0' * 40}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert choose_mode("auto") == choose_mode("online") == "online"
    wandb.teardown()
    monkeypatch.setenv("WANDB_API_KEY", "short")
    with pytest.raises(ConfigError, match=r"logger.wandb: expected an API key of W&B, got a malformed one \(.*has 5"):
        choose_mode("auto")
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert choose_mode("auto") == choose_mode("online") == "offline"
    monkeypatch.setenv("WANDB_MODE", "dryrun")
    assert choose_mode("auto") == "offline"
    monkeypatch.setenv("WANDB_MODE", "ofline")
    with pytest.raises(ConfigError, match="WANDB_MODE: expected auto, online, offline, disabled, got .ofline."):
        choose_mode("offline")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"artifacts": ["resluts"]}, "logger.wandb.artifacts: expected some of .*, got 'resluts'; .*results"),
        ({"samples": -1}, "logger.wandb.samples: expected a count of faces, got -1"),
        ({"init_timeout": 0}, "logger.wandb.init_timeout: expected seconds above 0, got 0"),
    ],
)
def test_settings_are_checked(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        tracker(tmp_path, **change)


def test_references_to_unknown_data_or_without_their_package_are_refused_and_close_the_run(tmp_path: Path) -> None:
    for references, message in (
        ({"bp4d": "s3://bucket/bp4d"}, "logger.wandb.references: expected data sets of this run, got 'bp4d'"),
        ({"disfa": "nonsense://x/y"}, "logger.wandb.references.disfa: expected an address"),
    ):
        with (
            pytest.raises(ConfigError, match=message),
            tracked([tracker(tmp_path, references=references)], described(tmp_path)),
        ):
            pass
    assert [run.exit_codes for run in offline_runs(tmp_path)] == [[1], [1]]


def test_folders_that_cannot_be_written_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for name in ("DATA_DIR", "CACHE_DIR"):
        monkeypatch.setenv(f"WANDB_{name}", str(tmp_path / "file" / "below"))
    with (
        pytest.raises(
            ConfigError, match="logger.wandb: expected folders that W&B can write, got .*below.*; set HOME, or"
        ),
        tracked([tracker(tmp_path)], described(tmp_path)),
    ):
        pass
