"""Cropping all clips in worker processes and several jobs, and joining their rows at the end."""

from __future__ import annotations

import contextlib
import functools
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from faceflow.checks import check_parallel, check_whole
from faceflow.config.result_settings import differing_setting, write_settings
from faceflow.cropping.clips import Clip
from faceflow.cropping.crop_clip import CROPS, FORMATS, PROGRESS, ROWS, CropSettings, crop_clip, rows_file, tidy
from faceflow.cropping.crop_rows import join_rows
from faceflow.cropping.source_state import check_source
from faceflow.errors import ConfigError
from faceflow.faces.detector import FaceDetector, describe_detector
from faceflow.faces.parallel import Detectors
from faceflow.faces.video_file import describe_video
from faceflow.files import remove_leftovers
from faceflow.leases import leased
from faceflow.progress import progress_bar
from faceflow.worker_pool import run_in_workers, tell_done

log = logging.getLogger(__name__)

FORMAT = 1
_EARLIER = {"detector.features": False, "selection.cuts": False}  # settings missing in earlier versions
_OTHERS_WRITE_S = 600  # another job may still be writing younger files


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Share of the clips for one of several machines: every `count`-th one, from `index` on."""

    index: int
    count: int

    def __post_init__(self) -> None:
        """Check the values."""
        check_whole(self.count, key="shard.count", lowest=1)
        last = self.count - 1
        expected = f"a whole number from 0 to shard.count - 1 = {last}"
        check_whole(self.index, key="shard.index", lowest=0, highest=last, expected=expected)


def store_recipe(output: Path, settings: CropSettings, detector: FaceDetector) -> None:
    """Write `crops.json`, or compare with an existing one: a folder never mixes two ways to crop.

    Raises:
        ConfigError: the folder has crops made with other settings.
    """
    path = output / "crops.json"
    wanted = {"detector": describe_detector(detector)} | settings.to_dict()
    if path.exists():
        difference = differing_setting(path, wanted, results="crops", earlier=_EARLIER)
        if not difference:
            return
        crops = (file for file in (output / CROPS).rglob("*") if file.suffix[1:] in FORMATS)
        if any(crops) or any((output / PROGRESS).rglob(ROWS)):
            raise ConfigError(difference)
        shutil.rmtree(output / PROGRESS, ignore_errors=True)  # detections of a run that failed before its first crop
    write_settings(path, wanted, number=FORMAT)


def crop_clips(
    clips: Sequence[Clip],
    settings: CropSettings,
    detector: FaceDetector,
    output: Path,
    *,
    shard: Shard,
    workers: int,
    detectors: int,
) -> bool:
    """Crop the clips of a shard that are not finished and that no other job is cropping.

    Args:
        clips: of all shards.
        settings: see `CropSettings`.
        detector: not yet open; every worker opens its own copies.
        output: folder of all results.
        shard: which of the clips.
        workers: processes; 0 and 1 crop in this one.
        detectors: frames that each worker searches at once; 0 divides the cores among workers, at most 4 each.

    Returns:
        Whether every clip is finished, including those of other shards.

    Raises:
        DataError: a result cannot be written, or a worker was killed.
        Terminated: the whole run was terminated.
    """
    check_parallel(workers, key="workers")
    check_parallel(detectors, key="detectors")
    mine = clips[shard.index :: shard.count]
    for clip in mine:
        check_source(clip, rows_file(output, clip).parent)
    left = [clip for clip in mine if not rows_file(output, clip).exists()]
    if len(left) < len(mine):
        log.info("%d of %d clips were already finished", len(mine) - len(left), len(mine))

    def announced() -> int:
        return sum(_announced(clip, settings.frames.every) for clip in left)

    with progress_bar("Cropping", announced, unit="frames") as bar:
        if left and (workers <= 1 or len(left) == 1):
            with contextlib.closing(Detectors(detector, detectors)) as opened:
                for clip in left:
                    _crop_alone(clip, settings, opened.open, output, bar.advance)
        elif left:
            workers = min(workers, len(left))
            run_in_workers(
                _crop_in_worker,
                [(clip, settings, output) for clip in left],
                workers=workers,
                start=_start_worker,
                state=(detector, detectors, workers, log.getEffectiveLevel()),
                advance=bar.advance,
                receive=_log_lines,
            )
    rows = [rows_file(output, clip) for clip in clips]
    if waiting := [path for path in rows if not path.exists()]:
        others = "shards" if shard.count > 1 else "jobs"
        log.info("%d clips of other %s are not finished; crops.csv is written when all clips are", len(waiting), others)
        return False
    return True


def join_clips(clips: Sequence[Clip], output: Path, *, alone: bool) -> None:
    """Join the rows of finished clips into `crops.csv`; `alone` if no other command writes to the folder."""
    for clip in clips:
        tidy(clip, output)
    remove_leftovers(output, older_than_s=0 if alone else _OTHERS_WRITE_S)
    join_rows([rows_file(output, clip) for clip in clips], output / "crops.csv")


def _crop_alone(
    clip: Clip, settings: CropSettings, detectors: Sequence[FaceDetector], output: Path, tell: Callable[[int], None]
) -> None:
    """Crop a clip, unless another job is cropping it or has finished it."""
    done = rows_file(output, clip)
    with leased(done.parent) as lease:
        if lease is None or done.exists():
            return

        def told(count: int) -> None:
            if lease.lost:
                raise _LostLeaseError
            tell(count)

        try:
            crop_clip(clip, settings, detectors, output, told)
        except _LostLeaseError:  # this process, or its machine, was suspended for minutes
            log.warning("%s: taken over by another job", clip.file)


class _LostLeaseError(Exception):
    """Another job has taken over the clip."""


class _Worker:
    """State of a worker process."""

    open_detectors: Callable[[], Detectors]
    detectors: Detectors | None
    lines: list[tuple[int, str]]


class _Keep(logging.Handler):
    """Keeps log records of a worker, which has no terminal, for the parent."""

    def emit(self, record: logging.LogRecord) -> None:
        _Worker.lines.append((record.levelno, record.getMessage()))


def _log_lines(lines: Sequence[tuple[int, str]]) -> None:
    for level, line in lines:
        log.log(level, "%s", line)


def _start_worker(detector: FaceDetector, detectors: int, workers: int, level: int) -> None:
    logging.basicConfig(level=level, handlers=[_Keep()])
    cv2.setNumThreads(1)
    _Worker.open_detectors = functools.partial(Detectors, detector, detectors, processes=workers)
    _Worker.detectors, _Worker.lines = None, []


def _crop_in_worker(clip: Clip, settings: CropSettings, output: Path) -> list[tuple[int, str]]:
    """Crop a clip; return level and text of the log records."""
    _Worker.lines = []
    if _Worker.detectors is None:  # an error in the pool's initializer would look like a killed worker
        _Worker.detectors = _Worker.open_detectors()
    _crop_alone(clip, settings, _Worker.detectors.open, output, tell_done)
    return _Worker.lines


def _announced(clip: Clip, every: int) -> int:
    if clip.images is not None and not clip.sequence:
        return len(clip.images)
    frames = len(clip.images) if clip.images is not None else 0
    if clip.images is None and isinstance(clip.file, Path):
        frames = describe_video(clip.file).frames
    return -(-frames // every)
