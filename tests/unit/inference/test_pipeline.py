"""Frames in threads: all come out, in order, with the same scores as alone."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Iterator

import numpy as np
import pytest

from faceflow.faces.selection import NO_FACE, Face
from faceflow.faces.video import Frame
from faceflow.inference.face_crops import CutFace, CutFrame, whole_pictures
from faceflow.inference.frames import Source
from faceflow.inference.onnx_model import OnnxModel
from faceflow.inference.pipeline import predict
from tests.helpers.exported import write_model

SIZE = 16


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> OnnxModel:
    return OnnxModel(write_model(tmp_path_factory.mktemp("model") / "m.onnx"), threads=1)


def picture(value: int) -> np.ndarray:
    return np.full((SIZE, SIZE, 3), value, np.uint8)


def source(frames: Iterator[Frame], *, live: bool = False) -> Source:
    return Source(
        name="s", read=lambda: frames, file=lambda number: f"{number}.png", sequence=live, count=0, fps=None, live=live
    )


def grey_frames(count: int) -> Iterator[Frame]:
    return (Frame(n, n / 10, picture(n)) for n in range(count))


def crowd(frames: Iterator[Frame]) -> Generator[CutFrame]:
    """Frame n has n % 4 faces, of grey levels n, n + 1, n + 2."""
    for frame in frames:
        count = frame.number % 4
        faces = [
            CutFace(face=Face(number=n, status="ok", detection=None), pixels=picture(frame.number + n))
            for n in range(count)
        ]
        nobody = [CutFace(face=NO_FACE, pixels=None)]
        yield CutFrame(number=frame.number, time_s=frame.time_s, picture=None, faces=faces or nobody)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
@pytest.mark.parametrize("live", [False, True])
def test_every_face_gets_its_own_scores(model: OnnxModel, batch_size: int, live: bool) -> None:
    stop = threading.Event()
    found = list(predict(source(grey_frames(50), live=live), crowd, model, batch_size=batch_size, stop=stop))
    assert [frame.number for frame in found] == list(range(50))
    assert [frame.file for frame in found[1:]] == [f"{n}.png" for n in range(1, 50)]
    for frame in found:
        assert frame.time_s == frame.number / 10
        scores = [face.estimates[""].probability for face in frame.faces if face.estimates]
        assert len(scores) == frame.number % 4
        expected = [[(frame.number + n) / 255] * 3 for n in range(frame.number % 4)]
        assert np.array(scores).reshape(-1, 3) == pytest.approx(np.array(expected).reshape(-1, 3), abs=1e-6)


def test_only_few_frames_are_read_ahead(model: OnnxModel) -> None:
    read = 0

    def counted() -> Iterator[Frame]:
        nonlocal read
        for frame in grey_frames(250):
            read += 1
            yield frame

    def whole(frames: Iterator[Frame]) -> Generator[CutFrame]:
        return whole_pictures(frames, SIZE)

    with contextlib.closing(
        predict(source(counted()), whole, model, batch_size=4, stop=threading.Event())
    ) as predictions:
        for done, _ in enumerate(predictions, start=1):
            assert read - done <= 30  # three queues of 4, what each stage holds, and two batches
    assert read == 250


def test_closing_early_ends_all_threads(model: OnnxModel) -> None:
    ended = threading.Event()

    def endless() -> Iterator[Frame]:
        try:
            while True:
                yield Frame(1, None, picture(1))
        finally:
            ended.set()

    predictions = predict(source(endless()), crowd, model, batch_size=4, stop=threading.Event())
    assert next(predictions).number == 1
    predictions.close()
    assert ended.wait(5)
    assert "prefetch" not in {thread.name for thread in threading.enumerate()}


def test_a_stop_finishes_what_was_read(model: OnnxModel) -> None:
    stop = threading.Event()
    numbers = []
    for frame in predict(source(grey_frames(10_000)), crowd, model, batch_size=4, stop=stop):
        numbers.append(frame.number)
        if frame.number == 20:
            stop.set()
    assert numbers == list(range(len(numbers)))
    assert 20 < len(numbers) < 100


@pytest.mark.parametrize("where", ["source", "cut"])
def test_an_error_in_a_thread_is_raised_after_the_frames_before_it(model: OnnxModel, where: str) -> None:
    def frames() -> Iterator[Frame]:
        yield from grey_frames(6)
        if where == "source":
            raise RuntimeError("broken")

    def cut(read: Iterator[Frame]) -> Generator[CutFrame]:
        yield from crowd(read)
        raise RuntimeError("broken")

    found = []
    with pytest.raises(RuntimeError, match="broken"):  # noqa: PT012
        for frame in predict(source(frames()), cut, model, batch_size=2, stop=threading.Event()):
            found.append(frame.number)
    assert found == list(range(len(found)))
    assert len(found) >= 4
    assert "prefetch" not in {thread.name for thread in threading.enumerate()}


def test_a_camera_does_not_wait_for_a_batch(model: OnnxModel) -> None:
    shown = threading.Semaphore(1)

    def shots() -> Iterator[Frame]:
        for n in range(1, 10):
            assert shown.acquire(timeout=5), "the next shot comes when the last one was predicted"
            yield Frame(n, n / 10, picture(n))

    found = []
    for frame in predict(source(shots(), live=True), crowd, model, batch_size=16, stop=threading.Event()):
        found.append(frame.number)
        shown.release()
    assert found == list(range(1, 10))
