from __future__ import annotations

import dataclasses
import multiprocessing
import pickle
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from faceflow.data.dataset import FaceDataset, Reads
from faceflow.data.decoded import ImageCache
from faceflow.data.handing import Loader
from faceflow.data.sampling import EpochSampler
from faceflow.data.sources import FaceTable
from faceflow.data.transforms import Pipeline, build_pipeline
from faceflow.encoding import LabelScale
from faceflow.errors import ConfigError, DataError
from faceflow.images import encode_image, read_image
from tests.helpers.faces import read_folder, read_tables_of, smooth_image, write_csv_dataset, write_image
from tests.helpers.packs import packed_faces

AUS = ("AU12", "AU6_L", "AU6_R")
NAN = float("nan")
SIZE = 16


STEPS = {
    "resize": {"_target_": "albumentations.Resize", "height": SIZE, "width": SIZE, "interpolation": 3, "p": 1.0},
    "affine": {"_target_": "albumentations.Affine", "rotate": [-20, 20], "p": 1.0},
    "color": {"_target_": "albumentations.ColorJitter", "p": 1.0},
}


def resize() -> Pipeline:
    return build_pipeline({"resize": STEPS["resize"]}, key="transforms.eval")


def noisy() -> Pipeline:
    steps = {
        "resize": {"_target_": "albumentations.Resize", "height": SIZE, "width": SIZE},
        "affine": {"_target_": "albumentations.Affine", "rotate": [-20, 20], "p": 1.0},
        "color": {"_target_": "albumentations.ColorJitter", "p": 1.0},
    }
    return build_pipeline(steps, key="transforms.strong")


@pytest.fixture
def table(tmp_path: Path) -> FaceTable:
    folder = write_csv_dataset(tmp_path / "d", aus=AUS, subjects=3, frames=2)
    return read_folder(folder)


def dataset(*tables: FaceTable, flip: float = 0.0, points: tuple[float, ...] = (), **views: Pipeline) -> FaceDataset:
    return FaceDataset(tables, aus=AUS, points=points, views=views or {"eval": resize()}, flip=flip, numbers={})


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def as_image(view: Tensor) -> npt.NDArray[np.uint8]:
    return np.asarray(view.permute(1, 2, 0).numpy())


class TestItems:
    def test_an_item_holds_the_image_target_mask_and_row(self, table: FaceTable) -> None:
        item = dataset(table)[3, 0]
        assert set(item) == {"eval", "target", "mask", "index"}
        np.testing.assert_array_equal(as_image(item["eval"]), resize()(read_image(table.files[3]), 0))
        assert item["eval"].dtype == torch.uint8
        # frame 1 of s1: AU12 1 < 2 and AU6_L at 2 + 2, AU6_R (1 + 1) % 2 = 0
        assert item["target"].tolist() == [[0], [1], [0]]
        assert item["target"].dtype == torch.float32
        assert item["mask"].tolist() == [True] * 3
        assert item["index"].item() == 3

    def test_levels_make_ordinal_targets(self, table: FaceTable) -> None:
        item = dataset(table, points=(1, 2, 3, 4, 5))[3, 0]
        assert item["target"].tolist() == [[0, 0, 0, 0, 0], [1, 1, 1, 1, 0], [0, 0, 0, 0, 0]]

    def test_a_missing_label_is_zero_and_masked(self, tmp_path: Path) -> None:
        folder = write_csv_dataset(tmp_path / "d", aus=AUS, subjects=2, frames=1, columns={"AU12": ["", 5]})
        faces = dataset(read_folder(folder))
        assert [faces[row, 0]["mask"].tolist() for row in (0, 1)] == [[False, True, True], [True, True, True]]
        assert faces[0, 0]["target"][0].tolist() == [0]
        assert faces[1, 0]["target"][0].tolist() == [1]

    def test_tables_follow_one_another_each_in_its_own_units(self, table: FaceTable, tmp_path: Path) -> None:
        folder = write_csv_dataset(tmp_path / "unit", aus=["AU12"], subjects=2, frames=1, columns={"AU12": [0.4, 0.2]})
        faces = dataset(table, read_folder(folder), points=(1, 2, 3, 4, 5))
        assert len(faces) == 6 + 2
        item = faces[6, 0]
        assert item["target"].tolist() == [[1, 1, 0, 0, 0], [0] * 5, [0] * 5]
        assert item["mask"].tolist() == [True, False, False]
        np.testing.assert_array_equal(as_image(item["eval"]), resize()(read_image(folder / "images/s0/0.jpg"), 0))

    def test_file_names_can_hold_any_letter(self, tmp_path: Path) -> None:
        folder = write_csv_dataset(tmp_path / "d", aus=AUS, subjects=1, frames=2)
        (folder / "images/s0/0.jpg").rename(folder / "images/s0/jürgen 微笑.jpg")
        labels = (folder / "labels.csv").read_text("utf-8").replace("0.jpg", "jürgen 微笑.jpg")
        (folder / "labels.csv").write_text(labels, "utf-8")
        assert dataset(read_folder(folder))[0, 0]["eval"].shape == (3, SIZE, SIZE)

    def test_changing_an_item_does_not_change_the_data_set(self, table: FaceTable) -> None:
        faces = dataset(table)
        item = faces[3, 0]
        item["target"] += 1
        item["mask"][:] = False
        assert faces[3, 0]["target"].tolist() == [[0], [1], [0]]
        assert faces[3, 0]["mask"].tolist() == [True] * 3

    def test_an_image_that_vanished_is_an_error_that_names_it(self, table: FaceTable) -> None:
        Path(table.files[0]).unlink()
        with pytest.raises(DataError, match=r"s0/0\.jpg: expected an image, got no such file"):
            dataset(table)[0, 0]


class TestFlip:
    def test_a_flip_mirrors_the_image_and_swaps_the_sides(self, table: FaceTable) -> None:
        plain, flipped = dataset(table)[3, 0], dataset(table, flip=1)[3, 0]
        mirror = read_image(table.files[3])[:, ::-1]
        np.testing.assert_array_equal(as_image(flipped["eval"]), resize()(np.ascontiguousarray(mirror), 0))
        assert not torch.equal(plain["eval"], flipped["eval"])
        assert plain["target"].tolist() == [[0], [1], [0]]
        assert flipped["target"].tolist() == [[0], [0], [1]]

    def test_a_flip_swaps_the_mask_too(self, tmp_path: Path) -> None:
        folder = write_csv_dataset(
            tmp_path / "d", aus=AUS, subjects=1, frames=2, columns={"AU6_L": [4, 4], "AU6_R": ["", ""]}
        )
        table = read_folder(folder)
        plain, flipped = dataset(table)[0, 0], dataset(table, flip=1)[0, 0]
        assert plain["mask"].tolist() == [True, True, False]
        assert flipped["mask"].tolist() == [True, False, True]
        assert flipped["target"][:, 0].tolist() == [plain["target"][0, 0].item(), 0, 1]

    def test_all_views_share_the_decision(self, table: FaceTable) -> None:
        faces = dataset(table, flip=0.5, weak=resize(), strong=resize())
        flips = set()
        for seed in range(30):
            item = faces[3, seed]
            assert torch.equal(item["weak"], item["strong"])
            flipped = item["target"][2].item() == 1
            straight = dataset(table)[3, 0]["eval"]
            assert torch.equal(item["weak"], straight) is not flipped
            flips.add(flipped)
        assert flips == {True, False}

    def test_flips_come_as_often_as_asked(self, table: FaceTable) -> None:
        faces = dataset(table, flip=0.25)
        flipped = sum(faces[3, seed]["target"][2].item() for seed in range(400))
        assert 60 < flipped < 140  # mean 100, deviation 8.7

    def test_one_side_alone_cannot_be_flipped(self, table: FaceTable) -> None:
        with pytest.raises(ConfigError, match="expected both sides of AU6, got only AU6_L"):
            FaceDataset([table], aus=["AU6_L"], points=(), views={"eval": resize()}, flip=0.5, numbers={})
        FaceDataset([table], aus=["AU6_L"], points=(), views={"eval": resize()}, flip=0, numbers={})


def test_0_1_labels_are_missing_where_levels_are_asked_for(table: FaceTable) -> None:
    binary = LabelScale(score_max=1, occurrence_min=1)
    mixed = dataclasses.replace(table, scales=(table.scales[0], binary, binary))
    assert dataset(mixed, points=(2.0, 4.0))[0, 0]["mask"].tolist() == [True, False, False]
    assert dataset(mixed)[0, 0]["mask"].tolist() == [True, True, True]


class TestDeterminism:
    def test_an_item_depends_on_its_row_and_seed_alone(self, table: FaceTable) -> None:
        faces = dataset(table, flip=0.5, weak=noisy(), strong=noisy())
        first = faces[2, 11]
        np.random.seed(5)
        torch.manual_seed(5)
        for row, seed in ((0, 11), (2, 12), (5, 0)):
            faces[row, seed]
        assert same(faces[2, 11], first)
        assert same(dataset(table, flip=0.5, weak=noisy(), strong=noisy())[2, 11], first)
        assert not torch.equal(faces[2, 12]["weak"], first["weak"])

    def test_views_of_an_item_are_augmented_differently(self, table: FaceTable) -> None:
        item = dataset(table, weak=noisy(), strong=noisy())[2, 11]
        assert not torch.equal(item["weak"], item["strong"])

    def test_a_pickled_data_set_makes_the_same_items(self, table: FaceTable) -> None:
        faces = dataset(table, flip=0.5, weak=noisy())
        copy = pickle.loads(pickle.dumps(faces))  # what a spawned worker gets
        assert same(copy[2, 11], faces[2, 11])

    # A spawned worker imports torch anew, which takes seconds.
    @pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
    def test_worker_processes_make_the_same_items(self, table: FaceTable, method: str) -> None:
        if method not in multiprocessing.get_all_start_methods():
            pytest.skip(f"no {method} here")
        faces = dataset(table, flip=0.5, weak=noisy())
        settings: dict[str, Any] = {"batch_size": 2, "sampler": EpochSampler(len(faces), shuffle=True, seed=4)}
        here = list(Loader(faces, **settings))
        there = list(Loader(faces, **settings, num_workers=2, multiprocessing_context=method))
        assert len(here) == len(there) == 3
        assert all(same(first, second) for first, second in zip(here, there, strict=True))

    @pytest.mark.slow
    def test_spawned_processes_read_a_packed_set(self, tmp_path: Path) -> None:
        source, packed = packed_faces(tmp_path)
        tables = (read_folder(source), *read_tables_of("packed", labels=packed))
        first, second = (dataset(table, flip=0.5, weak=noisy()) for table in tables)
        settings: dict[str, Any] = {"batch_size": 4, "sampler": EpochSampler(len(first), shuffle=True, seed=4)}
        here = list(Loader(first, **settings))
        there = list(Loader(second, **settings, num_workers=2, multiprocessing_context="spawn"))
        assert len(here) == 3
        assert all(same(one, other) for one, other in zip(here, there, strict=True))


class CountingPipeline(Pipeline):
    """A real pipeline that counts its calls."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(pipeline._compose)
        self.calls = 0

    def __call__(self, image: npt.NDArray[np.uint8], seed: int) -> npt.NDArray[np.uint8]:
        self.calls += 1
        return super().__call__(image, seed)


class TestViews:
    def test_every_view_is_computed_once(self, table: FaceTable) -> None:
        weak, strong = CountingPipeline(resize()), CountingPipeline(resize())
        item = dataset(table, weak=weak, strong=strong)[0, 0]
        assert {"weak", "strong"} < set(item)
        assert (weak.calls, strong.calls) == (1, 1)

    @pytest.mark.parametrize("cached", [False, True])
    def test_resizing_once_for_all_views_changes_no_pixel(self, table: FaceTable, *, cached: bool) -> None:
        rng = np.random.default_rng(5)
        views = {"weak": build_pipeline(STEPS, key="transforms.weak"), "strong": resize()}
        for _ in range(40):
            write_image(Path(table.files[0]), rng.integers(0, 256, (*rng.integers(3, 90, 2), 3), np.uint8))
            straight = read_image(table.files[0])
            mirror = np.ascontiguousarray(straight[:, ::-1])
            decoded = ImageCache(place="ram", gb=1, folder=None).open(1.0) if cached else None
            faces = FaceDataset([table], aus=AUS, points=(), views=views, flip=0.5, numbers={}, decoded=decoded)
            assert faces.side == SIZE
            for seed in range(4):  # decoded, then from the cache
                item = faces[0, seed]
                for number, (view, pipeline) in enumerate(views.items()):
                    shown = mirror if random.Random(seed).random() < 0.5 else straight
                    np.testing.assert_array_equal(as_image(item[view]), pipeline(shown, seed + 1 + number))
            if decoded is not None:
                assert decoded._images.size == 2 * SIZE * SIZE * 3

    def test_views_that_start_with_other_steps_get_the_image_as_it_is(self, table: FaceTable) -> None:
        assert dataset(table, weak=resize(), strong=noisy()).side is None  # which resizes by linear interpolation
        for change in ({"p": 0.5}, {"height": 2 * SIZE}):
            steps = {"first": {**STEPS["resize"], **change}, "resize": STEPS["resize"]}
            assert build_pipeline(steps, key="transforms.weak").side is None

    def test_large_images_can_be_decoded_smaller(self, table: FaceTable) -> None:
        file = Path(table.files[0]).with_suffix(".jpg")
        large = smooth_image(np.random.default_rng(2), 8 * SIZE)
        file.write_bytes(encode_image(large, ".jpg"))
        one = dataclasses.replace(table.select(np.arange(1), None), files=np.asarray([str(file)]))
        reads = Reads(shortest=SIZE)
        for decoded in (None, ImageCache(place="ram", gb=1, folder=None).open(1.0)):
            faces = FaceDataset(
                [one],
                aus=AUS,
                points=(),
                views={"eval": resize()},
                flip=0,
                numbers={},
                reads=reads,
                decoded=decoded,
            )
            shown = as_image(faces[0, 0]["eval"])
            np.testing.assert_array_equal(shown, read_image(file, shortest=SIZE))  # an eighth: nothing to resize
            np.testing.assert_array_equal(as_image(faces[0, 0]["eval"]), shown)

    def test_images_of_any_size_become_one(self, table: FaceTable, tmp_path: Path) -> None:
        write_image(Path(table.files[1]), smooth_image(np.random.default_rng(1), 50)[:20])
        batch = next(iter(Loader(dataset(table), batch_size=6, sampler=EpochSampler(6, shuffle=False, seed=0))))
        assert batch["eval"].shape == (6, 3, SIZE, SIZE)
        assert batch["target"].shape == (6, 3, 1)
        assert batch["mask"].shape == (6, 3)
        assert batch["index"].tolist() == list(range(6))
