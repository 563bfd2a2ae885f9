"""Which commands can write to which folders, tested on small configs and real files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.conf import HydraConf, JobConf, RunDir
from hydra.core.utils import setup_globals
from omegaconf import DictConfig, OmegaConf

from faceflow.config.run_folder import claim_fold, enter_folder, leave_folder, settle
from faceflow.errors import ConfigError
from tests.helpers.claims import claimed_elsewhere, contents

KFOLD = {"_target_": "KFold", "k": 3, "only": None}
RUN = ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "metrics.json", "pictures/a.png", "config.yaml", "train.log")


@pytest.fixture(autouse=True)
def _leave() -> Iterator[None]:
    setup_globals()  # of Hydra: ${now:...}
    yield
    leave_folder()


def config(folder: Path | str, **values: Any) -> DictConfig:
    """What `enter_folder` reads of a config of faceflow-train."""
    hydra = HydraConf(run=RunDir(str(folder)), job=JobConf(name="train"))
    trainer = {"devices": 1, "num_nodes": 1}
    keys = {"resume": None, "overwrite": False, "protocol": {"_target_": "Holdout"}, "trainer": trainer}
    made = OmegaConf.create({"hydra": hydra, **keys, **values})
    OmegaConf.set_struct(made, True)
    return made


def entered(folder: Path | str, **values: Any) -> Path:
    """Enter a folder as Hydra then finds it."""
    made = config(folder, **values)
    enter_folder(made)
    return Path(made.hydra.run.dir)


def refused(folder: Path, **values: Any) -> str:
    before = contents(folder)
    with pytest.raises(ConfigError) as error:
        enter_folder(config(folder, **values))
    leave_folder()
    assert contents(folder) == before
    return str(error.value)


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("old\n")
    return folder


def write_folds(folder: Path) -> Path:
    write(folder, "train.log", *(f"fold{number}/checkpoints/last.ckpt" for number in (1, 2)), "fold1/metrics.json")
    (folder / "config.yaml").write_text(OmegaConf.to_yaml({"protocol": KFOLD}))
    return folder


def test_a_timed_folder_that_is_taken_becomes_another_one(tmp_path: Path) -> None:
    timed = f"{tmp_path}/${{now:%Y}}"
    first = entered(timed)
    leave_folder()
    assert entered(timed) == first.with_name(f"{first.name}_2")


def test_a_named_folder_is_refused_while_another_command_runs_in_it_and_is_free_without_results(tmp_path: Path) -> None:
    write(tmp_path, "config.yaml", "data.txt", "train.log", ".hydra/config.yaml")  # it failed before its first epoch
    with claimed_elsewhere(tmp_path, folder=True) as other:
        assert f"hydra.run.dir: expected a place that no other command is writing to, got '{tmp_path}'" in refused(
            tmp_path
        )
        assert f"(process {other.pid} on " in refused(tmp_path, overwrite=True)
    assert entered(tmp_path) == tmp_path


@pytest.mark.parametrize("result", [RUN[0], "metrics.json", "predictions.csv", "hpc_ckpt_1.ckpt", "report.html"])
def test_any_result_is_kept(result: str, tmp_path: Path) -> None:
    write(tmp_path, result)
    line = (
        f"expected a folder without results, got '{tmp_path}' with {result} of an earlier run; choose another folder, "
    )
    assert line in refused(tmp_path)


def test_a_refusal_names_the_checkpoint_to_continue_from(tmp_path: Path) -> None:
    write(tmp_path, *RUN)
    assert f"; resume it with resume={tmp_path}/checkpoints/last.ckpt, choose another folder, or " in refused(tmp_path)
    last = tmp_path / "checkpoints/last.ckpt"
    assert entered(tmp_path, resume=str(last)) == tmp_path
    leave_folder()
    other = write(tmp_path / "other", *RUN)
    assert "expected a folder without results" in refused(other, resume=str(last))
    assert "overwrite: expected false with resume=" in refused(tmp_path, resume=str(last), overwrite=True)
    for key in ("preview", "report_only"):
        assert f"expected a folder without results with {key}" in refused(tmp_path, overwrite=True, **{key: 1})


def test_nothing_changes_before_the_checks_are_passed_and_then_nothing_stale_is_left(tmp_path: Path) -> None:
    write(tmp_path, *RUN, ".hydra/config.yaml", "model.onnx", "fold1/notes.txt", "test/.hydra/a", "test/metrics.json")
    before = contents(tmp_path)
    for passes in (False, True):
        made = config(tmp_path, overwrite=True)
        enter_folder(made)
        write(tmp_path / made.hydra.output_subdir, "config.yaml")  # as Hydra does, and a task that is refused
        with (tmp_path / "train.log").open("a") as log:
            log.write("new\n")
        if not passes:
            leave_folder()
            assert contents(tmp_path) == before
    settle()
    leave_folder()
    assert contents(tmp_path) == {
        **{name: b"old\n" for name in ("model.onnx", "fold1/notes.txt", "test/.hydra/a", "test/metrics.json")},
        ".hydra/config.yaml": b"old\n",
        "train.log": b"new\n",
    }


def test_a_resumed_run_keeps_its_checkpoints_and_log_but_not_the_scores_of_fewer_epochs(tmp_path: Path) -> None:
    write(tmp_path, *RUN, ".hydra/config.yaml")
    enter_folder(config(tmp_path, resume=str(tmp_path / RUN[1])))
    settle()
    leave_folder()
    assert set(contents(tmp_path)) == {*RUN, ".hydra/config.yaml"} - {"metrics.json", "pictures/a.png"}


@pytest.mark.parametrize("key", ["init_weights", "unlabeled"])
def test_an_input_that_overwrite_would_remove_is_refused(key: str, tmp_path: Path) -> None:
    write(tmp_path, *RUN)
    assert f"{key}: expected a file that overwrite=true does not remove" in refused(
        tmp_path, overwrite=True, **{key: str(tmp_path / RUN[0])}
    )


def test_a_test_neither_replaces_checkpoints_nor_is_told_to_resume(tmp_path: Path) -> None:
    def tested(folder: Path, **values: Any) -> DictConfig:
        made = config(folder, checkpoint="x.ckpt", **values)
        return OmegaConf.masked_copy(made, [str(key) for key in made if key not in ("resume", "protocol", "trainer")])

    write(tmp_path, *RUN)
    for overwrite in (False, True):
        with pytest.raises(ConfigError) as error:
            enter_folder(tested(tmp_path, overwrite=overwrite))
        leave_folder()
        assert "resume" not in str(error.value)
    assert "expected a folder without checkpoints, which a test cannot write again" in str(error.value)
    enter_folder(tested(write(tmp_path / "test", "metrics.json", "per_au.csv"), overwrite=True))
    settle()
    assert not (tmp_path / "test/metrics.json").exists()


def test_folds_continue_by_themselves_but_not_with_another_protocol(tmp_path: Path) -> None:
    write_folds(tmp_path)
    assert "protocol._target_: expected KFold as for the folds" in refused(tmp_path)
    assert "protocol.k: expected 3 as for the folds in " in refused(tmp_path, protocol={**KFOLD, "k": 5})
    assert "expected a folder without" in refused(tmp_path, resume=f"{tmp_path}/fold1/checkpoints/last.ckpt", preview=1)
    assert entered(tmp_path, protocol={**KFOLD, "only": ["fold2"]}) == tmp_path
    leave_folder()
    assert "overwrite: expected false when only some folds run" in refused(
        tmp_path, protocol={**KFOLD, "only": ["fold2"]}, overwrite=True
    )
    assert entered(tmp_path, protocol=KFOLD, overwrite=True) == tmp_path
    settle()
    leave_folder()
    assert list(contents(tmp_path)) == ["train.log"]


def test_parts_of_a_protocol_run_side_by_side_but_not_the_same_fold_twice(tmp_path: Path) -> None:
    with claimed_elsewhere(tmp_path / "fold2", folder=False):
        entered(tmp_path, protocol={**KFOLD, "only": ["fold1"]})
        claim_fold(tmp_path / "fold1")
        with pytest.raises(ConfigError, match=r"hydra.run.dir: expected a place that .* got '.*/fold2', in use "):
            claim_fold(tmp_path / "fold2")


def test_runs_stay_out_of_sweeps(tmp_path: Path) -> None:
    write(tmp_path, "multirun.yaml", "0_a/job.json")
    assert "expected the folder of one run, got the sweep" in refused(tmp_path, overwrite=True)
    assert f"resume the sweep with resume_sweep={tmp_path}, or" in refused(tmp_path / "0_a")


def test_a_job_that_slurm_starts_again_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, *RUN)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "0")
    assert "expected a folder without results" in refused(tmp_path)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    made = config(tmp_path)
    enter_folder(made)
    assert made.resume == str(tmp_path / "checkpoints/last.ckpt")


@pytest.mark.parametrize("newest", ["checkpoints/last.ckpt", "hpc_ckpt_1.ckpt"])
def test_a_job_that_slurm_starts_again_takes_its_newest_checkpoint_and_overwrites_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newest: str
) -> None:
    write(tmp_path, *RUN, "hpc_ckpt_1.ckpt")
    os.utime(tmp_path / newest, (2e9, 2e9))
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    made = config(tmp_path, overwrite=True, resume="/elsewhere/last.ckpt")
    enter_folder(made)
    settle()
    assert (made.resume, made.overwrite) == (str(tmp_path / newest), False)
    assert (tmp_path / "checkpoints/last.ckpt").is_file()


def test_further_processes_of_a_run_use_its_folder_and_leave_none_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ddp = {"devices": 2, "num_nodes": 1}
    enter_folder(config(write(tmp_path / "named", "checkpoints/last.ckpt"), trainer=ddp, overwrite=True))
    leave_folder()
    monkeypatch.setenv("LOCAL_RANK", "1")
    follower = config(tmp_path / "named", trainer=ddp)
    with claimed_elsewhere(tmp_path / "named", folder=True):
        enter_folder(follower)  # Hydra must not write into the records of the first process
    assert follower.hydra.output_subdir is None
    own = entered(f"{tmp_path}/${{now:%Y}}", trainer=ddp)  # torchrun starts every process alike
    write(own, ".hydra/config.yaml", "train.log")
    leave_folder()
    assert not own.exists()
    entered(f"{tmp_path}/${{now:%Y}}")  # numbered by srun, but on its own
    write(own, "data.txt")
    leave_folder()
    assert (own / "data.txt").exists()
