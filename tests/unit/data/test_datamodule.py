from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.utilities import CombinedLoader
from torch import Tensor

from faceflow.data.datamodule import AUDataModule, evaluation_dataset
from faceflow.data.decoded import ImageCache
from faceflow.data.groups import number_groups
from faceflow.data.loading import Loading
from faceflow.data.sources import FaceTable
from faceflow.data.transforms import Pipeline, build_pipeline
from faceflow.errors import ConfigError
from tests.helpers.faces import read_folder, write_csv_dataset

# Lightning 2.6 with torch 2.15; gone when Lightning asks `is_leaf()`.
pytestmark = pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*:FutureWarning")

AUS = ("AU6", "AU12")
SIZE = 16


def pipeline(**steps: Any) -> Pipeline:
    resize = {"_target_": "albumentations.Resize", "height": SIZE, "width": SIZE}
    return build_pipeline({"resize": resize, **steps}, key="transforms.weak")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> FaceTable:
    folder = write_csv_dataset(tmp_path_factory.mktemp("faces") / "d", aus=AUS, subjects=5, frames=2)
    return read_folder(folder)


def settings(**changes: Any) -> dict[str, Any]:
    turn = {"_target_": "albumentations.Affine", "rotate": [-20, 20], "p": 1.0}
    return {
        "aus": AUS,
        "points": (),
        "views": {"labeled/weak"},
        "pipelines": {**dict.fromkeys(("labeled", "weak", "strong"), pipeline(turn=turn)), "eval": pipeline()},
        "flip": 0.5,
        "batch_size": 4,
        "mu": 2,
        "steps_per_epoch": None,
        "workers": 0,
        "timeout_s": 0,
        "seed": 0,
    } | changes


def module(table: FaceTable, **changes: Any) -> AUDataModule:
    pool = changes.pop("unlabeled", [])
    tables = {"train": [table], "unlabeled": pool, "val": [table.select(torch.arange(5).numpy(), "val")], "test": []}
    return AUDataModule(tables, groups=number_groups(tables), **settings(**changes))


def rows_of(loader: Any) -> list[list[int]]:
    batches = ((batch[0] if isinstance(batch, tuple) else batch) for batch in loader)
    return [(batch.get("labeled", batch))["index"].tolist() for batch in batches]


class TestTraining:
    def test_a_batch_holds_only_the_views_that_the_method_reads(self, table: FaceTable) -> None:
        batch, _, _ = next(iter(module(table).train_dataloader()))
        assert set(batch) == {"labeled"}
        assert set(batch["labeled"]) == {"weak", "target", "mask", "index", "domain", "subject", "origin"}
        assert batch["labeled"]["weak"].shape == (4, 3, SIZE, SIZE)
        both, _, _ = next(iter(module(table, views={"labeled/weak", "labeled/strong"}).train_dataloader()))
        assert {"weak", "strong"} < set(both["labeled"])

    def test_streams_have_their_own_views_and_the_unlabelled_one_mu_times_the_rows(self, table: FaceTable) -> None:
        data = module(table, views={"labeled/weak", "unlabeled/strong"}, unlabeled=[table], batch_size=2, mu=3)
        batch, _, _ = next(iter(data.train_dataloader()))
        assert "strong" not in batch["labeled"]
        assert "weak" not in batch["unlabeled"]
        assert (len(batch["labeled"]["weak"]), len(batch["unlabeled"]["strong"])) == (2, 6)

    def test_domains_and_subjects_of_both_streams_are_numbered_alike(self, tmp_path: Path) -> None:
        cameras = write_csv_dataset(tmp_path / "d", aus=AUS, subjects=4, frames=2, domains=["studio", "webcam"])
        faces = read_folder(cameras)
        studio = np.asarray(faces.domains) == "studio"
        labelled, pool = faces.select(studio, "train"), dataclasses.replace(faces, name="pool")
        streams = {"train": [labelled], "unlabeled": [pool]}
        given = settings(views={"labeled", "unlabeled/strong"}, batch_size=4, mu=2)
        data = AUDataModule(streams, groups=number_groups(streams), **given)
        assert data.groups.domains == ("studio", "webcam")
        assert data.groups.subjects == 4
        batch, _, _ = next(iter(data.train_dataloader()))
        for stream, tables in (("labeled", [labelled]), ("unlabeled", [pool])):
            part = batch[stream]
            assert part["domain"].dtype == part["subject"].dtype == torch.int64
            for row, domain, subject in zip(part["index"], part["domain"], part["subject"], strict=True):
                name = tables[0].subjects[row].partition("/s")[2]
                assert data.groups.domains[domain] == ["studio", "webcam"][int(name) % 2]
                assert subject == {"0": 0, "2": 1, "1": 2, "3": 3}[name]  # the labelled ones first

    @pytest.mark.parametrize(("steps", "expected"), [(None, 5), (3, 3), (8, 8)])
    def test_steps_are_those_asked_for_or_of_the_stream_that_takes_more(
        self, table: FaceTable, steps: int | None, expected: int
    ) -> None:
        views = {"labeled/weak", "unlabeled/strong"}
        data = module(table, views=views, unlabeled=[table], batch_size=2, mu=3, steps_per_epoch=steps)
        sizes = [
            (len(batch["labeled"]["index"]), len(batch["unlabeled"]["index"]))
            for batch, _, _ in data.train_dataloader()
        ]
        assert sizes == [(2, 6)] * expected

    def test_streams_draw_other_rows_and_other_flips(self, table: FaceTable) -> None:
        data = module(table, views={"labeled/weak", "unlabeled/weak"}, unlabeled=[table], batch_size=5, mu=1)
        labeled, unlabeled = zip(*[(b["labeled"], b["unlabeled"]) for b, _, _ in data.train_dataloader()], strict=True)
        rows = [torch.cat([part["index"] for part in stream]).tolist() for stream in (labeled, unlabeled)]
        assert sorted(rows[0]) == sorted(rows[1]) == list(range(10))
        assert rows[0] != rows[1]

    @pytest.mark.parametrize(("key", "value"), [("mu", 0), ("mu", 1.5), ("steps_per_epoch", 0)])
    def test_counts_are_checked(self, table: FaceTable, key: str, value: float) -> None:
        with pytest.raises(ConfigError, match=rf"loader\.{key}: expected a whole number >= 1"):
            module(table, **{key: value})

    @pytest.mark.filterwarnings("ignore:This DataLoader will create 6 worker processes:UserWarning")
    def test_workers_are_shared_by_what_the_streams_augment(self, table: FaceTable) -> None:
        views = {"labeled/weak", "unlabeled/strong", "unlabeled/weak"}
        loaders = module(table, views=views, unlabeled=[table], workers=7, mu=3).train_dataloader().iterables
        assert (loaders["labeled"].num_workers, loaders["unlabeled"].num_workers) == (1, 6)

    @pytest.mark.parametrize(
        ("batch_size", "sizes"),
        [
            (3, [3, 3, 3]),  # a rest of one row has no batch statistics
            (4, [4, 4]),
            (5, [5, 5]),
            (10, [10]),
            (11, [10]),  # no full batch: the rest is all there is
            (64, [10]),
        ],
    )
    def test_a_rest_is_dropped_only_where_a_full_batch_exists(
        self, table: FaceTable, batch_size: int, sizes: list[int]
    ) -> None:
        assert [len(rows) for rows in rows_of(module(table, batch_size=batch_size).train_dataloader())] == sizes

    def test_rows_are_shuffled_again_every_epoch(self, table: FaceTable) -> None:
        loader = module(table, batch_size=5).train_dataloader()
        sampler = loader.iterables["labeled"].sampler
        epochs = []
        for number in range(2):
            sampler.set_epoch(number)
            epochs.append([row for rows in rows_of(loader) for row in rows])
        assert all(sorted(rows) == list(range(10)) for rows in epochs)
        assert epochs[0] != epochs[1]

    def test_the_seed_decides_order_and_pixels_not_the_number_of_workers(self, table: FaceTable) -> None:
        def first_epoch(**changes: Any) -> list[dict[str, Tensor]]:
            return [batch["labeled"] for batch, _, _ in module(table, **changes).train_dataloader()]

        here, there, other = first_epoch(), first_epoch(workers=2), first_epoch(seed=1)
        for first, second in zip(here, there, strict=True):
            assert all(torch.equal(first[key], second[key]) for key in first)
        assert not torch.equal(here[0]["index"], other[0]["index"])

    @pytest.mark.parametrize("workers", [0, 2])
    def test_kept_images_are_those_that_are_decoded_again(self, table: FaceTable, workers: int) -> None:
        def two_epochs(**changes: Any) -> list[dict[str, Tensor]]:
            loader = module(table, workers=workers, **changes).train_dataloader()
            return [batch["labeled"] for _ in range(2) for batch, _, _ in loader]

        kept = two_epochs(cache=ImageCache(place="ram", gb=1, folder=None))
        for first, second in zip(two_epochs(), kept, strict=True):
            assert all(torch.equal(first[key], second[key]) for key in first)


class TestValidation:
    def test_all_rows_come_in_order_the_last_one_too(self, table: FaceTable) -> None:
        assert rows_of(module(table).val_dataloader()) == [[0, 1, 2, 3], [4]]

    def test_faces_are_neither_flipped_nor_augmented(self, table: FaceTable) -> None:
        data = module(table, flip=1.0)
        batch = next(iter(data.val_dataloader()))
        assert set(batch) == {"eval", "target", "mask", "index"}
        expected = evaluation_dataset([table], AUS, (), pipeline())
        for row in range(4):
            assert torch.equal(batch["eval"][row], expected[row, 99]["eval"])


class Recorder(L.LightningModule):
    """Notes the rows of every training step and trains nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[int, list[int]]] = []
        self.validated: list[int] = []

    def training_step(self, batch: dict[str, dict[str, Tensor]]) -> None:
        self.seen.append((self.current_epoch, batch["labeled"]["index"].tolist()))

    def validation_step(self, batch: dict[str, Tensor]) -> None:
        self.validated += batch["index"].tolist()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


def test_lightning_moves_the_epoch_on_and_keeps_the_samplers(table: FaceTable, tmp_path: Path) -> None:
    recorder = Recorder()
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=tmp_path,
        log_every_n_steps=1,
    )
    data = module(table, batch_size=5, workers=1)
    trainer.fit(recorder, datamodule=data)
    epochs = [[row for epoch, rows in recorder.seen if epoch == number for row in rows] for number in range(2)]
    assert all(sorted(rows) == list(range(10)) for rows in epochs)
    assert epochs[0] != epochs[1]
    loader: CombinedLoader = data.train_dataloader()
    sampler = loader.iterables["labeled"].sampler
    sampler.set_epoch(1)
    assert [row for row, _ in sampler] == epochs[1]
    assert recorder.validated == [0, 1, 2, 3, 4] * 2


@pytest.mark.parametrize(
    ("batch_size", "workers", "timeout_s", "message"),
    [
        (0, 0, 0, r"loader\.batch_size: expected a whole number >= 1, got 0"),
        (2.5, 0, 0, r"loader\.batch_size: .* got 2\.5"),
        (True, 0, 0, r"loader\.batch_size: .* got True"),
        (8, -1, 0, r"loader\.workers: expected a whole number >= 0, got -1"),
        (8, "auto", 0, r"loader\.workers: .* got 'auto'"),
        (8, 0, -1, r"loader\.timeout_s: expected a number of seconds >= 0; 0 waits forever, got -1"),
        (8, 0, None, r"loader\.timeout_s: .* got None"),
    ],
)
def test_a_wrong_loader_setting_is_named(batch_size: int, workers: int, timeout_s: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Loading(batch_size=batch_size, workers=workers, timeout_s=timeout_s)


@pytest.mark.parametrize("flip", [-0.1, 1.1, "half", float("nan"), None])
def test_flip_is_a_probability(table: FaceTable, flip: object) -> None:
    with pytest.raises(ConfigError, match=r"flip: expected a probability in \[0, 1\], got"):
        module(table, flip=flip)
