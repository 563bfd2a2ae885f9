"""All recordings that are not finished, in this process or in several."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import cv2

from faceflow.errors import DataError
from faceflow.interruption import await_sigterm
from faceflow.progress import progress_bar
from faceflow.rendering.recording import Recording, Renderer, RenderSettings

log = logging.getLogger(__name__)

_POLL_S = 0.2


def record_all(recordings: Sequence[Recording], settings: RenderSettings, output: Path, *, workers: int) -> None:
    """Render the recordings that are not finished.

    Args:
        recordings: of the whole data set.
        settings: what is rendered.
        output: folder of all results.
        workers: processes; 0 and 1 render in this one.

    Raises:
        DataError: a result cannot be written, or a worker was killed.
        Terminated: it ended with the whole run.
    """
    left = [recording for recording in recordings if not recording.progress_file(output).exists()]
    if len(left) < len(recordings):
        log.info("%d of %d persons were finished before", len(recordings) - len(left), len(recordings))
    with progress_bar("Rendering", len(left) * settings.frames, unit="images") as bar:
        if len(left) > 1 and workers > 1:
            _record_in_workers(left, settings, output, min(workers, len(left)), bar.advance)
        elif left:
            threads = cv2.getNumThreads()
            cv2.setNumThreads(1)  # images are too small for more
            try:
                renderer = Renderer(settings)
                for recording in left:
                    renderer.record(recording, output, bar.advance)
            finally:
                cv2.setNumThreads(threads)


def _record_in_workers(
    recordings: Sequence[Recording],
    settings: RenderSettings,
    output: Path,
    workers: int,
    advance: Callable[[int], None],
) -> None:
    context = multiprocessing.get_context("spawn")
    done = context.Value("Q", 0)
    told = 0
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(settings, done))
    try:
        running = {pool.submit(_record_in_worker, recording, output) for recording in recordings}
        while running:
            finished, running = wait(running, timeout=_POLL_S, return_when=FIRST_COMPLETED)
            count = int(done.get_obj().value)  # a worker that was killed may hold the lock for ever
            advance(count - told)
            told = count
            for future in finished:
                future.result()
        pool.shutdown()
    except BrokenProcessPool as error:
        await_sigterm()
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

    renderer: Renderer
    done: Synchronized[int]


def _start_worker(settings: RenderSettings, done: Synchronized[int]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends workers without a traceback; the parent reports
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    _Worker.renderer, _Worker.done = Renderer(settings), done


def _end_with_parent() -> None:
    """End this process when the parent is gone, killed perhaps; it would render on, and then wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _record_in_worker(recording: Recording, output: Path) -> None:
    def tell(images: int) -> None:
        with _Worker.done.get_lock():
            _Worker.done.value += images

    _Worker.renderer.record(recording, output, tell)
