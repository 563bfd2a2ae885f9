"""Complete runs of the methods that learn from unlabelled faces or from a pretrained backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest
import torch

from faceflow.losses.elementwise import LabelCounts
from faceflow.methods.objective import Batch, Objective, Outputs
from faceflow.models.network import AUNetwork
from faceflow.views import LABELED
from tests.helpers.faces import write_csv_dataset
from tests.integration.command import AUS, SMALL, Faces, Outcome, run, train
from tests.integration.test_repeat import InterruptIn, assert_equal, load

# "Twice as many unlabelled faces": the pool is small.
SEMI = ("loader.mu=2", "loader.steps_per_epoch=3", "test=false")


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of unlabelled images, with one file that is not an image."""
    folder = write_csv_dataset(tmp_path_factory.mktemp("unlabeled") / "u", aus=("AU1",), subjects=4, frames=3, seed=9)
    return folder / "images"


def states(outcome: Outcome, name: str = "last") -> dict[str, Any]:
    content: dict[str, Any] = load(outcome.checkpoint(name))["state_dict"]
    return content


def network(outcome: Outcome) -> dict[str, torch.Tensor]:
    return {key: value for key, value in states(outcome).items() if key.startswith("network.")}


@pytest.mark.slow
def test_lambda_zero_equals_supervised_training_bit_for_bit(faces: Faces, frames: Path, tmp_path: Path) -> None:
    plain = train(tmp_path / "plain", *faces.overrides, "test=false")
    off = ("method=fixmatch", "method.fixmatch.lambda_u=0", f"unlabeled={frames}")
    other = run("train", tmp_path / "other", *SMALL, *faces.overrides, *off, "test=false")
    assert "is not used" in other.stderr
    assert_equal(network(other), network(plain))


@pytest.mark.slow
def test_a_weight_of_zero_makes_miro_equal_supervised_training_bit_for_bit(faces: Faces, tmp_path: Path) -> None:
    plain = train(tmp_path / "plain", *faces.overrides, "test=false")
    off = ("method=miro", "method.miro.weight=0", "method.miro.freeze_batch_norm=false", "test=false")
    assert_equal(network(train(tmp_path / "other", *faces.overrides, *off)), network(plain))


@pytest.mark.parametrize(
    ("method", "backbone"),
    [
        pytest.param("fixmatch", "test_vit", marks=pytest.mark.slow),
        pytest.param("defixmatch", "test_resnet", marks=pytest.mark.slow),
        pytest.param("fixmatch_miro", "test_resnet", marks=pytest.mark.slow),
        ("defixmatch_miro", "test_vit"),
    ],
)
def test_every_combination_trains_and_logs_its_terms(
    method: str, backbone: str, faces: Faces, frames: Path, tmp_path: Path
) -> None:
    levels = "levels=5" if backbone == "test_vit" else "levels=1"
    size = "model.image_size=64" if backbone == "test_vit" else "model.image_size=32"
    aus = "aus.names=[AU12]" if backbone == "test_vit" else "aus=all"
    settings = (f"method={method}", f"model.backbone={backbone}", size, levels, aus, f"unlabeled={frames}", *SEMI)
    logged = train(tmp_path, *faces.overrides, *settings).table("metrics.csv").iloc[-1]
    base = method.removesuffix("_miro")
    names = [f"train/{base}/task_loss", f"train/{base}/consistency_loss", f"train/{base}/mask_negative/AU12"]
    names += [f"train/{base}/debias_loss"] if base == "defixmatch" else []
    names += ["train/miro/reg_loss", "train/miro/variance_0"] if "miro" in method else []
    assert logged[names].notna().all()
    terms = [name for name in logged.index if name.endswith("_loss")]
    assert logged["train/loss"] == pytest.approx(logged[terms].sum(), abs=1e-5)


class Domains(Objective):
    """Records the domains and subjects that it receives, and sums the logits of the first domain."""

    views = frozenset({LABELED, "unlabeled/strong"})
    told: ClassVar[list[tuple[tuple[str, ...], int, Batch]]] = []

    def bind(self, network: AUNetwork, counts: LabelCounts) -> None:
        self.counts = counts

    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, torch.Tensor]:
        self.told.append((self.counts.domains, self.counts.subjects, batch))
        first = (batch["labeled"]["domain"] == 0)[:, None, None]
        return {"loss": (outputs[LABELED].logits * first).square().mean()}


@pytest.mark.slow
def test_an_objective_of_ones_own_is_told_domains_and_subjects(frames: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"aus": AUS, "subjects": 10, "frames": 4, "domains": ["studio", "webcam"]}
    faces = Faces(write_csv_dataset(tmp_path / "faces", **settings))
    method = (f"+method.own._target_={__name__}.Domains", "~method.supervised", f"unlabeled={frames}")
    Domains.told.clear()
    train(tmp_path / "run", *faces.overrides, *method, *SEMI, "include_labeled=false")
    for domains, subjects, batch in Domains.told:
        assert domains == ("studio", "webcam", "own")
        assert subjects == 5
        assert set(batch["labeled"]["domain"].tolist()) == {0, 1}
        assert set(batch["labeled"]["subject"].tolist()) <= {0, 1, 2, 3, 4}
        assert set(batch["unlabeled"]["domain"].tolist()) == {2}
        assert set(batch["unlabeled"]["subject"].tolist()) == {-1}
    assert len(Domains.told) == 3


@pytest.mark.slow
def test_unlabelled_faces_change_what_is_learned(faces: Faces, frames: Path, tmp_path: Path) -> None:
    sure = ("method=fixmatch", "method.fixmatch.p_cutoff=0.51", "method.fixmatch.ramp_up=0", f"unlabeled={frames}")
    first = train(tmp_path / "first", *faces.overrides, *sure, *SEMI)
    second = train(tmp_path / "second", *faces.overrides, *sure, *SEMI, "include_labeled=false")
    assert any(not torch.equal(a, b) for a, b in zip(network(first).values(), network(second).values(), strict=True))


def test_hidden_labels_judge_the_pseudo_labels(faces: Faces, tmp_path: Path) -> None:
    settings = ("method=fixmatch", "split.labeled=0.4", "method.fixmatch.p_cutoff=0.51", *SEMI)
    outcome = train(tmp_path, *faces.overrides, *settings)
    logged = outcome.table("metrics.csv").iloc[-1]
    assert 0 <= logged["train/fixmatch/pseudo_precision"] <= 1
    assert "hidden: " in outcome.stdout  # in the data report


def test_labels_are_hidden_from_supervised_training_too(faces: Faces, tmp_path: Path) -> None:
    few = train(tmp_path / "few", *faces.overrides, "split.labeled=0.4", "report_only=true")
    rows = [line.split() for line in few.stdout.splitlines() if line.startswith("train ")]
    assert rows[0][2:4] == ["8", "2"]  # of five training subjects with four images each
    assert "unlabeled" not in few.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    [
        ("method=fixmatch_miro", "average=ema", "method.fixmatch.teacher=ema", "method.fixmatch.coverage=0.8"),
        (
            *("method=defixmatch", "method.defixmatch.teacher=student", "method.defixmatch.ramp_up=1"),
            *("average=swa", "average.start=0.3"),
        ),
        ("method=defixmatch", "method.defixmatch.center=subject", "method.defixmatch.targets=soft"),
    ],
    ids=["fixmatch_miro", "defixmatch", "centred"],
)
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(
    method: tuple[str, ...], faces: Faces, frames: Path, tmp_path: Path
) -> None:
    settings = (*faces.overrides, *method, f"unlabeled={frames}", *SEMI, "trainer.max_epochs=3", "optimizer.lr=0.01")
    whole = train(tmp_path / "whole", *settings)
    interrupt = (f"+callbacks.stop._target_={InterruptIn.__module__}.InterruptIn", "+callbacks.stop.epoch=2")
    broken = run("train", tmp_path / "broken", *SMALL, *settings, *interrupt)
    assert broken.code == 130
    assert broken.stderr.splitlines()[-1].endswith(f"resume={broken.checkpoint('last')}")
    resumed = train(tmp_path / "resumed", *settings, f"resume={broken.checkpoint('last')}")
    for part in ("state_dict", "optimizer_states", "epoch", "global_step"):
        assert_equal(load(resumed.checkpoint("last"))[part], load(whole.checkpoint("last"))[part], part)
    pd.testing.assert_frame_equal(resumed.table("metrics.csv")[-1:], whole.table("metrics.csv")[-1:], check_exact=True)


@pytest.mark.slow
def test_the_oracle_is_in_no_checkpoint_and_must_be_the_same_in_a_resumed_run(faces: Faces, tmp_path: Path) -> None:
    settings = (*faces.overrides, "method=miro", "test=false")
    broken = train(tmp_path / "broken", *settings)
    for name in ("best", "last"):
        assert not any("oracle." in key for key in states(broken, name))
    torch.save(_other_weights(), tmp_path / "other.pth")
    other = (f"model.weights={tmp_path / 'other.pth'}", f"resume={broken.checkpoint('last')}", "trainer.max_epochs=2")
    outcome = run("train", tmp_path / "other", *SMALL, *settings, *other)
    assert outcome.code == 2
    assert "CheckpointError: resume: expected the pretrained backbone that the run started from" in outcome.stderr


def _other_weights() -> dict[str, torch.Tensor]:
    import timm

    torch.manual_seed(99)
    return dict(timm.create_model("test_resnet", num_classes=0).state_dict())


@pytest.mark.slow
def test_a_network_trained_with_miro_starts_and_tests_like_any_other(faces: Faces, tmp_path: Path) -> None:
    first = train(tmp_path / "first", *faces.overrides, "method=miro", "split.test=0.2")
    assert first.metrics()["test"]
    train(tmp_path / "second", *faces.overrides, f"init_weights={first.checkpoint()}", "test=false")
