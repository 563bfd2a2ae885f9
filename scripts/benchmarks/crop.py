"""`crop`: `faceflow-crop` on a video against the slower of decoding and detecting alone, and the cost of features."""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import shutil
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.command import command_seconds
from benchmarks.composition import whole_numbers
from benchmarks.memory import resident_mib
from benchmarks.opencv_reader import read_by_opencv
from benchmarks.report import Comparison, Report, announced, ratio_note
from faceflow.api.running import mistakes_raised
from faceflow.config.composition import compose_config
from faceflow.config.instantiate import instantiate
from faceflow.cropping.clips import find_clips
from faceflow.cropping.crop_clip import CropSettings, crop_clip
from faceflow.errors import DataError
from faceflow.faces.align import Recipe
from faceflow.faces.detector import FaceDetector
from faceflow.faces.video import Frame, FrameRange, read_video
from faceflow.images import Image

_ALL = FrameRange(every=1, start_s=0.0, end_s=None)
_KEPT = 200  # frames in memory for timing the detector


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the subcommand's parser."""
    parser: argparse.ArgumentParser = commands.add_parser("crop", help="cropping of videos, and its memory use")
    parser.add_argument("--source", type=Path, required=True, metavar="VIDEO", help="video to repeat")
    parser.add_argument("--frames", type=int, default=500, help="per video, one video per worker; default: %(default)s")
    parser.add_argument(
        "--workers", type=whole_numbers, default="1,2", metavar="N,N", help="numbers of workers; default: 1,2"
    )
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds; default: %(default)s")
    parser.add_argument(
        "--memory",
        type=whole_numbers,
        default="1000,5000",
        metavar="N,N",
        help="frames after which memory is measured; 0: never",
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="further overrides of faceflow-crop")
    return parser


def measure(options: argparse.Namespace) -> Report:
    """Time decoding and detecting alone and cropping, alternately; then track the memory over one long video."""
    with mistakes_raised("crop"):
        cfg = compose_config("crop", [f"source={_quoted(options.source)}", "output=-", *options.overrides])
    settings = CropSettings(recipe=Recipe.from_dict(cfg["align"]), **cfg["selection"], frames=_ALL, **cfg["image"])
    detector: FaceDetector = instantiate(cfg["detector"], key="detector")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shape = _write(folder / "0.avi", options.source, options.frames)
        rows = [_compare(folder, detector, workers, options) for workers in announced(options.workers)]
        notes = [ratio_note("decoding, ours / OpenCV's", rows[0].series["decode"], rows[0].series["OpenCV"])]
        notes += _features(folder / "0.avi", detector, options.rounds)
        notes += _memory(folder, settings, detector, options)
    title = (
        f"Cropping, {shape[1]} x {shape[0]}, {options.frames} frames per video, one video per worker, {detector.name}"
    )
    return Report(title=title, unit="frames/s", comparisons=rows, notes=notes)


def _compare(folder: Path, detector: FaceDetector, workers: int, options: argparse.Namespace) -> Comparison:
    videos = [folder / f"{n}.avi" for n in range(workers)]
    for other in videos[1:]:
        shutil.copy(videos[0], other)
    frames = _frames(videos[0])
    given = (f"workers={workers}", *options.overrides)
    series: dict[str, list[float]] = {"ours": [], "decode": [], "OpenCV": [], "detector": [], "start_s": []}
    for _ in range(options.rounds + 1):
        series["decode"].append(_decode_rate(read_video(videos[0], _ALL)))
        series["OpenCV"].append(_decode_rate(read_by_opencv(videos[0])))
        series["detector"].append(_detector_rate(detector, frames))
        start = _seconds(videos, folder, *given, "frames.end_s=0.001")
        series["start_s"].append(start)
        series["ours"].append(workers * (options.frames - 1) / (_seconds(videos, folder, *given) - start))
    counted = {name: values[1:] for name, values in series.items()}
    return Comparison(
        case=f"workers {workers}",
        ours=counted.pop("ours"),
        reference=[min(rates) for rates in zip(counted["decode"], counted["detector"], strict=True)],
        per=workers,
        details={
            "decode": f"{np.median(counted['decode']):.0f}",
            "OpenCV": f"{np.median(counted['OpenCV']):.0f}",
            "detector": f"{np.median(counted['detector']):.0f}",
            "start, s": f"{np.median(counted['start_s']):.1f}",
        },
        series=counted,
    )


def _features(video: Path, detector: FaceDetector, rounds: int) -> list[str]:
    """A line with the cost of features for the detector; empty if it has none."""
    if not detector.features:
        return []
    plain = copy.deepcopy(detector)
    plain.features = False
    frames = _frames(video)
    with detector, plain:
        pairs = [(_cpu_ms(detector, frames), _cpu_ms(plain, frames)) for _ in range(rounds + 1)][1:]
    return [ratio_note("CPU time of 100 frames with / without features, ms", *zip(*pairs, strict=True))]


def _frames(video: Path) -> list[Image]:
    return [frame.image for frame in itertools.islice(read_video(video, _ALL), _KEPT) if frame.image is not None]


def _cpu_ms(detector: FaceDetector, frames: list[Image]) -> float:
    started = time.process_time()
    for image in frames:
        detector.detect(image)
    return 1e5 * (time.process_time() - started) / len(frames)


def _memory(folder: Path, settings: CropSettings, detector: FaceDetector, options: argparse.Namespace) -> list[str]:
    """Lines with the memory of this process while it crops one video."""
    if not any(options.memory):
        return []
    _write(folder / "long.avi", options.source, max(options.memory))
    (clip,) = find_clips([str(folder / "long.avi")])
    done, lines = itertools.count(1), []

    def tell(frames: int) -> None:
        number = next(done)
        if number in options.memory:
            lines.append(f"memory after {number} frames of one video: {resident_mib():.0f} MiB")

    with detector:
        crop_clip(clip, settings, [detector], folder / "long", tell)
    return lines


def _write(path: Path, source: Path, count: int) -> tuple[int, ...]:
    """Write the repeated frames of a video as motion JPEG; returns the shape of a frame."""
    with closing(_endless(source)) as frames:
        first = next(frames)
        height, width = first.shape[:2]
        code: Any = cv2.VideoWriter.fourcc(*"MJPG")
        writer = cv2.VideoWriter(str(path), code, 25, (width, height))
        for image in itertools.chain([first], itertools.islice(frames, count - 1)):
            writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        writer.release()
    return first.shape


def _endless(source: Path) -> Generator[Image, None, None]:
    while True:
        images = (frame.image for frame in read_video(source, _ALL) if frame.image is not None)
        first = next(images, None)
        if first is None:
            raise DataError(f"--source: expected a readable video, got no frame from '{source}'; choose another video")
        yield first
        yield from images


def _decode_rate(frames: Iterator[Frame]) -> float:
    started = time.perf_counter()
    count = sum(1 for _ in frames)
    return count / (time.perf_counter() - started)


def _detector_rate(detector: FaceDetector, frames: list[Image]) -> float:
    with detector:
        started = time.perf_counter()
        for image in frames:
            detector.detect(image)
        return len(frames) / (time.perf_counter() - started)


def _seconds(videos: Sequence[Path], folder: Path, *overrides: str) -> float:
    """Time of the command in seconds; its results are removed."""
    output = folder / "out"
    sources = f"source=[{','.join(map(_quoted, videos))}]"
    seconds = command_seconds("crop", [sources, f"output={_quoted(output)}", *overrides])
    shutil.rmtree(output)
    return seconds


def _quoted(path: Path) -> str:
    return json.dumps(str(path), ensure_ascii=False)
