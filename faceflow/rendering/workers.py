"""Renders all unfinished recordings, in this process or in several."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import cv2

from faceflow.progress import progress_bar
from faceflow.rendering.recording import Recording, Renderer, RenderSettings
from faceflow.worker_pool import run_in_workers, tell_done

log = logging.getLogger(__name__)


def record_all(recordings: Sequence[Recording], settings: RenderSettings, output: Path, *, workers: int) -> None:
    """Render the unfinished recordings.

    Args:
        recordings: of the whole data set.
        settings: what is rendered.
        output: folder of all results.
        workers: number of processes; 0 and 1 render in this one.

    Raises:
        DataError: a result cannot be written, or a worker was killed.
        Terminated: a worker was terminated along with the whole run.
    """
    left = [recording for recording in recordings if not recording.progress_file(output).exists()]
    if len(left) < len(recordings):
        log.info("%d of %d subjects already finished", len(recordings) - len(left), len(recordings))
    with progress_bar("Rendering", len(left) * settings.frames, unit="images") as bar:
        if len(left) > 1 and workers > 1:
            run_in_workers(
                _record_in_worker,
                [(recording, output) for recording in left],
                workers=min(workers, len(left)),
                start=_start_worker,
                state=(settings,),
                advance=bar.advance,
            )
        elif left:
            threads = cv2.getNumThreads()
            cv2.setNumThreads(1)  # images are too small for more
            try:
                renderer = Renderer(settings)
                for recording in left:
                    renderer.record(recording, output, bar.advance)
            finally:
                cv2.setNumThreads(threads)


class _Worker:
    """State of a worker process."""

    renderer: Renderer


def _start_worker(settings: RenderSettings) -> None:
    cv2.setNumThreads(1)
    _Worker.renderer = Renderer(settings)


def _record_in_worker(recording: Recording, output: Path) -> None:
    _Worker.renderer.record(recording, output, tell_done)
