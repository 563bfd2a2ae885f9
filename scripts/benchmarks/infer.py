"""`infer`: `faceflow-infer` on a video against its slowest part alone."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.composition import whole_numbers
from benchmarks.memory import resident_mib
from benchmarks.opencv_reader import read_by_opencv
from benchmarks.report import Comparison, Report, ratio_note
from faceflow.api.running import mistakes_raised
from faceflow.config.composition import compose_config
from faceflow.config.overrides import spell_overrides
from faceflow.faces.video import Frame
from faceflow.images import Image
from faceflow.inference.face_crops import CutFace
from faceflow.inference.frames import Source, find_sources
from faceflow.inference.infer import open_predictor
from faceflow.inference.onnx_model import OnnxModel
from faceflow.inference.output import row_file
from faceflow.inference.pipeline import network_inputs
from faceflow.inference.predictor import Predictor

_KEPT = 200  # frames and faces in memory for timing detector and network
_PARTS = ("decode", "detector", "network")
_OPENCV = ("decode by OpenCV", "all with OpenCV's reader")


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the subcommand's parser."""
    parser: argparse.ArgumentParser = commands.add_parser("infer", help="inference, and its memory use")
    parser.add_argument("--onnx", type=Path, metavar="FILE", help="exported model; default: the built-in model")
    parser.add_argument("--source", type=Path, required=True, metavar="VIDEO", help="video to repeat")
    parser.add_argument("--frames", type=int, default=300, help="frames per round; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds; default: %(default)s")
    parser.add_argument(
        "--memory",
        type=whole_numbers,
        default="1000,5000",
        metavar="N,N",
        help="frames after which memory is measured; 0: never",
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="further overrides of faceflow-infer")
    return parser


def measure(options: argparse.Namespace) -> Report:
    """Time every part alone and all parts together, alternately; then track the memory over one long video."""
    named = {"onnx": options.onnx, "source": options.source}
    with mistakes_raised("infer"):
        cfg = compose_config("infer", [*spell_overrides(named), "output=-", *options.overrides])
    rates: dict[str, list[float]] = {part: [] for part in (*_PARTS, *_OPENCV)}
    ours: list[float] = []
    with open_predictor(cfg) as predictor, tempfile.TemporaryDirectory() as folder:
        (found,) = find_sources(cfg["source"], predictor.settings.frames)
        source = _repeated(found, options.frames)
        by_opencv = _repeated(dataclasses.replace(found, read=lambda: read_by_opencv(options.source)), options.frames)
        frames = [frame.image for frame in itertools.islice(source.read(), _KEPT) if frame.image is not None]
        faces = _faces(predictor, found)
        alone = OnnxModel(predictor.model.path, provider="cpu", threads=1)
        one_face: list[float] = []
        cpu: list[float] = []
        detector_cpu: list[float] = []
        for _ in range(options.rounds + 1):
            rates["decode"].append(_decode_rate(source))
            rates[_OPENCV[0]].append(_decode_rate(by_opencv))
            before = time.process_time()
            rates["detector"].append(_detector_rate(predictor, frames))
            detector_cpu.append((time.process_time() - before) / len(frames))
            rates["network"].append(_network_rate(predictor.model, faces, cfg["batch_size"], options.frames))
            one_face.append(1000 / _network_rate(alone, faces, 1, options.frames))
            before = time.process_time()
            ours.append(_whole_rate(predictor, source, Path(folder) / "rows.csv"))
            cpu.append((time.process_time() - before) / options.frames)
            rates[_OPENCV[1]].append(_whole_rate(predictor, by_opencv, Path(folder) / "rows.csv"))
        notes = [
            f"one face on one core: {np.median(one_face[1:]):.2f} ms ({min(one_face[1:]):.2f}-{max(one_face[1:]):.2f})",
            f"CPU time per frame: {1000 * np.median(cpu[1:]):.1f} ms, detector alone "
            f"{1000 * np.median(detector_cpu[1:]):.1f} ms",
            ratio_note("decoding, ours / OpenCV's", rates["decode"][1:], rates[_OPENCV[0]][1:]),
            ratio_note("all, ours / with OpenCV's reader", ours[1:], rates[_OPENCV[1]][1:]),
            *_memory(predictor, found, options.memory),
        ]
        provider = predictor.model.provider
    counted = {part: values[1:] for part, values in rates.items()}
    slowest = [min(values) for values in zip(*(counted[part] for part in _PARTS), strict=True)]
    row = Comparison(
        case=provider,
        ours=ours[1:],
        reference=slowest,
        details={part: f"{np.median(counted[part]):.0f}" for part in _PARTS},
        series=counted,
    )
    height, width = frames[0].shape[:2]
    title = f"Inference, {width} x {height}, {options.frames} frames per round, batches of {cfg['batch_size']}"
    return Report(title=title, unit="frames/s", comparisons=[row], notes=notes)


def _memory(predictor: Predictor, source: Source, points: Sequence[int]) -> list[str]:
    """Lines with the memory of this process while it reads one video."""
    lines = []
    with contextlib.closing(predictor.stream(_repeated(source, max(points, default=0)))) as stream:
        for count, _ in enumerate(stream, start=1):
            if count in points:
                lines.append(f"memory after {count} frames of one video: {resident_mib():.0f} MiB")
    return lines


def _repeated(source: Source, count: int) -> Source:
    def read() -> Iterator[Frame]:
        passes = (source.read() for _ in itertools.count())
        for number, frame in enumerate(itertools.islice(itertools.chain.from_iterable(passes), count), start=1):
            yield dataclasses.replace(frame, number=number)

    return dataclasses.replace(source, read=read, count=count)


def _faces(predictor: Predictor, source: Source) -> list[CutFace]:
    """Faces as the network receives them."""
    with contextlib.closing(predictor.cut(source.read(), sequence=True)) as frames:
        return [face for frame in itertools.islice(frames, _KEPT) for face in frame.faces if face.scored]


def _decode_rate(source: Source) -> float:
    started = time.perf_counter()
    count = sum(1 for _ in source.read())
    return count / (time.perf_counter() - started)


def _detector_rate(predictor: Predictor, frames: list[Image]) -> float:
    if predictor.settings.crops:
        return float("inf")
    started = time.perf_counter()
    for image in frames:
        predictor.detectors[0].detect(image)
    return len(frames) / (time.perf_counter() - started)


def _network_rate(model: OnnxModel, faces: list[CutFace], size: int, count: int) -> float:
    parts = [faces[start : start + size] for start in range(0, len(faces), size)]
    batches = [(len(part), *network_inputs(part)) for part in parts]
    started = time.perf_counter()
    done = 0
    for count_of_faces, pixels, features in itertools.cycle(batches):
        model.run(pixels, features)
        done += count_of_faces
        if done >= count:
            return done / (time.perf_counter() - started)
    raise AssertionError("no face in the video")


def _whole_rate(predictor: Predictor, source: Source, path: Path) -> float:
    started = time.perf_counter()
    with row_file(str(path), predictor.table.columns) as rows, contextlib.closing(predictor.stream(source)) as stream:
        count = 0
        for frame in stream:
            for cells in predictor.table.cells(frame):
                rows.write(cells)
            count += 1
    return count / (time.perf_counter() - started)
