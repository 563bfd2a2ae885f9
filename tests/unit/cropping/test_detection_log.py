"""Detections kept on disk while a clip is cropped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from faceflow.cropping.detection_log import DetectionLog
from faceflow.errors import DataError
from faceflow.faces.detector import Detection
from faceflow.faces.features import FaceFeatures


def faces(seed: int, count: int) -> list[Detection]:
    rng = np.random.default_rng(seed)
    return [
        Detection(box=rng.normal(0, 300, 4), points=rng.normal(0, 300, (5, 2)), score=float(rng.random()))
        for _ in range(count)
    ]


def same(one: list[Detection] | None, other: list[Detection]) -> bool:
    """Whether detections are equal bit for bit."""
    assert one is not None
    return [_bits(face) for face in one] == [_bits(face) for face in other]


def _bits(face: Detection) -> bytes:
    return np.array([face.score, *face.box, *face.points.ravel()]).tobytes()


def test_numbers_come_back_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "new/detections.jsonl"
    unknown = Detection(box=np.array([0.1, -0.0, 1e-300, 1 / 3]), points=np.full((5, 2), np.nan), score=float("nan"))
    written = {1: faces(1, 2), 2: [], 40: [unknown]}
    with DetectionLog(path) as log:
        for frame, found in written.items():
            assert log.get(frame) is None
            log.add(frame, found)
    with DetectionLog(path) as log:
        for frame, found in written.items():
            assert same(log.get(frame), found)
        assert log.get(3) is None


def test_features_come_back_as_the_numbers_that_are_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    features = FaceFeatures(
        landmarks=rng.normal(300, 99, (478, 3)), blendshapes=rng.random(52), pose=rng.normal(0, 9, 3)
    )
    with DetectionLog(tmp_path / "detections.jsonl") as log:
        for frame in range(3):
            log.add(frame, [replace(faces(frame, 1)[0], features=features if frame else None), *faces(9, 1)])
    with DetectionLog(tmp_path / "detections.jsonl") as log:
        for frame in (2, 0, 1):
            log.add(frame + 10, faces(frame, 1))
            first, second = log.get(frame) or []
            assert same([first, second], [*faces(frame, 1), *faces(9, 1)])
            assert second.features is None
            if frame:
                assert first.features is not None
                np.testing.assert_array_equal(first.features.vector(), features.vector())


@pytest.mark.parametrize("cut", [1, 5, 200])
def test_a_line_that_was_not_finished_is_written_again(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "detections.jsonl"
    with DetectionLog(path) as log:
        log.add(1, faces(1, 1))
        log.add(2, faces(2, 2))
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    with DetectionLog(path) as log:
        assert same(log.get(1), faces(1, 1))
        assert log.get(2) is None
        log.add(2, faces(2, 2))
    assert path.read_bytes() == whole


@pytest.mark.parametrize("damage", [b"\0" * 50 + b"\n", b"[3, [[0.5, 1.0]]]\n", b"17\n", b"\xff\xfe\n"])
def test_frames_after_a_damaged_line_are_detected_again(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "detections.jsonl"
    with DetectionLog(path) as log:
        log.add(1, faces(1, 1))
    kept = path.read_bytes()
    path.write_bytes(kept + damage + b"[4, []]\n")
    with DetectionLog(path) as log:
        assert same(log.get(1), faces(1, 1))
        assert log.get(3) is None
        assert log.get(4) is None
    assert path.read_bytes() == kept


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "detections.jsonl"
    with DetectionLog(path) as log:
        log._file.close()
        log._file = Path("/dev/full").open("ab")  # noqa: SIM115
        with pytest.raises(DataError) as caught:
            log.add(1, faces(1, 1))
    assert str(caught.value).startswith(f"{path}: expected a writable file, got 'No space left on device'; ")


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"expected a writable file, got '.*'; check disk and path"):
        DetectionLog(tmp_path / "file/clip/detections.jsonl").__enter__()
