"""All clips: what is left of them, in worker processes, and the tables at the end."""

from __future__ import annotations

import contextlib
import json
import logging
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from faceflow.config.checks import check_number
from faceflow.errors import ConfigError, DataError
from faceflow.files import remove_leftovers, whole_file
from faceflow.preprocess.clips import Clip
from faceflow.preprocess.cropping import CropSettings, crop_clip, rows_file
from faceflow.preprocess.detector import FaceDetector
from faceflow.preprocess.rows import join_rows
from faceflow.preprocess.video import count_frames

log = logging.getLogger(__name__)

FORMAT = 1
_POLL_S = 0.2
_SHARD_WRITES_S = 600  # another shard may still be writing what is younger


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Part of the clips for one of several machines: every `count`-th one, from `index` on."""

    index: int
    count: int

    def __post_init__(self) -> None:
        """Check the values."""
        check_number(self.count, key="shard.count", expected="a whole number >= 1", valid=lambda n: n >= 1, whole=True)
        check_number(
            self.index,
            key="shard.index",
            expected=f"a whole number from 0 to shard.count - 1 = {self.count - 1}",
            valid=lambda n: 0 <= n < self.count,
            whole=True,
        )


def store_recipe(output: Path, settings: CropSettings, detector: FaceDetector, version: str) -> None:
    """Write `crops.json`, or hold it against what is there: one folder never mixes two ways to crop.

    Raises:
        ConfigError: the folder holds crops of other settings.
    """
    path = output / "crops.json"
    wanted = {"detector": {"name": detector.name, "sha256": detector.identity}} | settings.to_dict()
    if path.exists():
        try:
            stored = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise DataError(
                f"{path}: expected the settings of these crops, got no JSON; take another output"
            ) from error
        ours, theirs = dict(_flat(wanted)), dict(_flat(stored))
        for key in ours.keys() | theirs.keys() - {"format", "faceflow"}:
            if ours.get(key) != theirs.get(key):
                raise ConfigError(
                    f"{key}: expected {theirs.get(key)!r} as for the crops in '{output}', got {ours.get(key)!r}; "
                    "repeat those settings, or choose another output"
                )
        return
    with whole_file(path) as partial:
        content = {"format": FORMAT, "faceflow": version} | wanted
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def crop_clips(
    clips: Sequence[Clip], settings: CropSettings, detector: FaceDetector, output: Path, *, shard: Shard, workers: int
) -> bool:
    """Crop the clips of a shard that are not finished, then join the rows of all into `crops.csv`.

    Args:
        clips: of all shards.
        settings: see `CropSettings`.
        detector: not yet open; every worker opens its own.
        output: folder of all results.
        shard: which of the clips.
        workers: processes; 0 and 1 crop in this one.

    Returns:
        Whether every clip is finished, also those of the other shards.

    Raises:
        DataError: a result cannot be written, or a worker was killed.
    """
    check_number(workers, key="workers", expected="a whole number >= 0", valid=lambda n: n >= 0, whole=True)
    mine = clips[shard.index :: shard.count]
    left = [clip for clip in mine if not rows_file(output, clip).exists()]
    if len(left) < len(mine):
        log.info("%d of %d clips were finished before", len(mine) - len(left), len(mine))
    with _progress_bar(left, settings.frames.every) as advance:
        if workers <= 1 or len(left) == 1:
            _crop_here(left, settings, detector, output, advance)
        elif left:
            _crop_in_workers(left, settings, detector, output, min(workers, len(left)), advance)
    rows = [rows_file(output, clip) for clip in clips]
    if waiting := [path for path in rows if not path.exists()]:
        log.info("%d clips of other shards are not finished; crops.csv is written when all are", len(waiting))
        return False
    remove_leftovers(output, older_than_s=_SHARD_WRITES_S if shard.count > 1 else 0)
    join_rows(rows, output / "crops.csv")
    return True


def _crop_here(
    clips: Sequence[Clip], settings: CropSettings, detector: FaceDetector, output: Path, advance: Callable[[int], None]
) -> None:
    if clips:
        with detector:
            for clip in clips:
                crop_clip(clip, settings, detector, output, advance)


def _crop_in_workers(
    clips: Sequence[Clip],
    settings: CropSettings,
    detector: FaceDetector,
    output: Path,
    workers: int,
    advance: Callable[[int], None],
) -> None:
    context = multiprocessing.get_context("spawn")
    done = context.Value("Q", 0)
    told = 0
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(detector, done))
    try:
        running: set[Future[None]] = {pool.submit(_crop_in_worker, clip, settings, output) for clip in clips}
        while running:
            finished, running = wait(running, timeout=_POLL_S, return_when=FIRST_COMPLETED)
            count = int(done.value)
            advance(count - told)
            told = count
            for future in finished:
                future.result()
        pool.shutdown()
    except BrokenProcessPool as error:
        raise DataError(
            f"workers: expected {workers} processes to live, got one that was killed, perhaps for want of memory; "
            "what is finished is kept: start the same command again, or with fewer workers"
        ) from error
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()
        raise


class _Worker:
    """State of a worker process."""

    detector: FaceDetector
    done: Synchronized[int]


def _start_worker(detector: FaceDetector, done: Synchronized[int]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends workers without a traceback; the parent reports
    cv2.setNumThreads(1)
    _Worker.detector, _Worker.done = detector.__enter__(), done


def _crop_in_worker(clip: Clip, settings: CropSettings, output: Path) -> None:
    def tell(frames: int) -> None:
        with _Worker.done.get_lock():
            _Worker.done.value += frames

    crop_clip(clip, settings, _Worker.detector, output, tell)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


@contextlib.contextmanager
def _progress_bar(clips: Sequence[Clip], every: int) -> Iterator[Callable[[int], None]]:
    """Show frames, frames per second and the time left; yields what is called with the frames done."""
    announced = sum(len(clip.images) if clip.images is not None else _announced(clip) for clip in clips)
    columns = (TextColumn("Cropping"), BarColumn(), MofNCompleteColumn(), _Speed(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not clips) as progress:
        task = progress.add_task("", total=-(-announced // every) or None)
        yield lambda frames: progress.advance(task, frames)


def _announced(clip: Clip) -> int:
    return count_frames(clip.file) if isinstance(clip.file, Path) else 0


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} frames/s" if task.speed else "")
