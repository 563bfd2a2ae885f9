from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from faceflow.errors import DataError
from faceflow.faces.feature_file import FeatureSpool, feature_file, open_records, pack, unpack
from faceflow.faces.features import BLENDSHAPES, LANDMARKS


def vector(seed: int, *, size: float = 200.0) -> NDArray[np.float32]:
    """Features of a face so many pixels wide, far from the middle of its picture."""
    rng = np.random.default_rng(seed)
    landmarks = rng.uniform(-size / 2, size / 2, (LANDMARKS, 3)) + np.array([3000, 1700, 0])
    shapes = rng.uniform(0, 1, len(BLENDSHAPES)) ** rng.integers(1, 40, len(BLENDSHAPES))
    return np.concatenate([landmarks.ravel(), shapes, rng.uniform(-90, 90, 3)]).astype(np.float32)


def store(folder: Path, count: int, *, name: str = "{:06d}.jpg") -> Path:
    with FeatureSpool(folder) as spool:
        for number in range(count):
            spool.add(name.format(number), pack(vector(number), picture=number))
        spool.store(feature_file(folder, "a/b"))
    return folder / "features/a/b.npy"


@pytest.mark.parametrize(("size", "largest"), [(20, 1 / 64), (2000, 1 / 64), (4000, 1 / 32), (9000, 1 / 8)])
def test_numbers_come_back_to_a_sixty_fourth_of_a_pixel(size: float, largest: float) -> None:
    before, after = vector(1, size=size), unpack(pack(vector(1, size=size), picture=5))
    float32 = 2.5e-4  # of coordinates above 2048
    np.testing.assert_allclose(after[:1434], before[:1434], rtol=0, atol=largest + float32)
    np.testing.assert_allclose(after[1434:], before[1434:], rtol=0, atol=2e-4)


def test_small_blendshapes_keep_their_log_odds() -> None:
    before = vector(1)
    before[1434:1486] = np.logspace(-9, np.log10(0.999), 52)
    after = unpack(pack(before, picture=0)).astype(np.float64)[1434:1486]
    odds = [np.log(shapes / (1 - shapes)) for shapes in (before.astype(np.float64)[1434:1486], after)]
    np.testing.assert_allclose(odds[1], odds[0], rtol=0, atol=6e-4)


def test_blendshapes_of_none_and_all_stay_within_their_range() -> None:
    before = vector(1)
    before[1434:1436] = 0, 1
    np.testing.assert_allclose(unpack(pack(before, picture=0))[1434:1436], [0, 1], atol=1e-6)


def test_a_file_holds_every_crop_in_its_order_in_little_room(tmp_path: Path) -> None:
    path = store(tmp_path, 1500)
    records = open_records(path)
    assert records["crop"].tolist() == [f"{number:06d}.jpg".encode() for number in range(1500)]
    for number in (0, 1023, 1024, 1499):
        assert records["picture"][number] == number
        np.testing.assert_array_equal(unpack(records[number]), unpack(pack(vector(number), picture=0)))
    assert path.stat().st_size < 3100 * 1500


def test_names_in_any_script_come_back(tmp_path: Path) -> None:
    records = open_records(store(tmp_path, 1, name="Zoë 你好 {}.png"))
    assert records["crop"][0].decode() == "Zoë 你好 0.png"


def test_without_a_face_there_is_no_file(tmp_path: Path) -> None:
    assert not store(tmp_path, 0).exists()


def test_crops_at_the_top_have_their_features_beside_the_folder(tmp_path: Path) -> None:
    assert feature_file(tmp_path, "") == tmp_path / "features.npy"
    assert feature_file(tmp_path, "a.b/c") == tmp_path / "features/a.b/c.npy"


def zeroed(content: bytes) -> bytes:
    return content[:4000] + bytes(4096) + content[8096:]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[:-1], ".*"),
        (lambda content: content + b"x", "12329 bytes instead of 12328"),
        (lambda content: content[:5], ".*"),
        (lambda _: b"", ".*"),
        (lambda _: b"dear diary", ".*"),
        (zeroed, r"no face in record 3 of 4"),
    ],
    ids=["last byte", "one more", "header", "empty", "text", "block"],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, damage: object, reason: str) -> None:
    path = store(tmp_path, 4)
    assert callable(damage)
    path.write_bytes(damage(path.read_bytes()))
    message = rf"^{path}: expected a feature file of faceflow-crop, got {reason}; crop again to another output$"
    with pytest.raises(DataError, match=message):
        open_records(path)


def test_an_array_of_something_else_is_one_line(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 4)))
    with pytest.raises(DataError, match="got an array of another type; crop again to"):
        open_records(tmp_path / "a.npy")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with FeatureSpool(tmp_path) as spool:
        spool._file.close()
        spool._file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115
        with pytest.raises(DataError) as caught:
            spool.add("a.jpg", pack(vector(1), picture=0))
    assert str(caught.value) == (
        f"{tmp_path}: expected writable files, got 'No space left on device'; check disk and path"
    )
