"""`render`: `faceflow-render` against its own rasteriser and shader alone, and its memory use."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import command_seconds
from benchmarks.composition import whole_numbers
from benchmarks.memory import resident_mib
from benchmarks.report import Comparison, Report, announced
from faceflow.api.running import mistakes_raised
from faceflow.config.composition import compose_config
from faceflow.rendering.action_units import relaxed
from faceflow.rendering.build import build_settings
from faceflow.rendering.facekit_files import find_facekit
from faceflow.rendering.recording import Recording, Renderer
from faceflow.rendering.session import sample_session
from faceflow.rendering.subject import sample_subject

_TIMED = 60  # images for timing the bare renderer


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the subcommand's parser."""
    parser: argparse.ArgumentParser = commands.add_parser("render", help="rendering of faces, and its memory use")
    parser.add_argument("--facekit", type=Path, metavar="PATH", help="clone of ICT-FaceKit or converted file")
    parser.add_argument("--subjects", type=int, default=10, help="subjects per worker; default: %(default)s")
    parser.add_argument("--frames", type=int, default=40, help="images per subject; default: %(default)s")
    parser.add_argument(
        "--workers", type=whole_numbers, default="1,2", metavar="N,N", help="numbers of workers; default: 1,2"
    )
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds; default: %(default)s")
    parser.add_argument(
        "--memory",
        type=whole_numbers,
        default="2000,10000",
        metavar="N,N",
        help="images after which memory is measured; 0: never",
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="further overrides of faceflow-render")
    return parser


def measure(options: argparse.Namespace) -> Report:
    """Time the bare renderer and the command alternately; then track the memory over many images."""
    given = [f"facekit={json.dumps(str(options.facekit))}"] if options.facekit else []
    given += options.overrides
    with mistakes_raised("render"):
        cfg = compose_config("render", ["output=-", *given])
        model, _ = find_facekit(cfg["facekit"], cache=Path(cfg["paths"]["cache"]) / "models")
        renderer = Renderer(build_settings(cfg, model))
    with tempfile.TemporaryDirectory() as name:
        rows = [_compare(Path(name), renderer, workers, given, options) for workers in announced(options.workers)]
        notes = _memory(Path(name), renderer, options)
    size = renderer.settings.size
    title = f"Rendering, {size} x {size}, {options.subjects} subjects per worker, {options.frames} images each"
    return Report(title=title, unit="images/s", comparisons=rows, notes=notes)


def _compare(
    folder: Path, renderer: Renderer, workers: int, given: list[str], options: argparse.Namespace
) -> Comparison:
    domains = list(renderer.settings.domains)
    subjects = max(options.subjects * workers, len(domains))
    series: dict[str, list[float]] = {"ours": [], "bare": [], "start_s": []}
    for _ in range(options.rounds + 1):
        series["bare"].append(_bare_rate(renderer))
        fixed = [f"workers={workers}", "sheet=0", *given]
        start = _seconds(folder, [*fixed, f"subjects={len(domains)}", "frames=1"])
        series["start_s"].append(start)
        took = _seconds(folder, [*fixed, f"subjects={subjects}", f"frames={options.frames}"])
        series["ours"].append((subjects * options.frames - len(domains)) / (took - start))
    counted = {name: values[1:] for name, values in series.items()}
    return Comparison(
        case=f"workers {workers}",
        ours=counted.pop("ours"),
        reference=counted["bare"],
        per=workers,
        details={"start, s": f"{np.median(counted['start_s']):.1f}"},
        series=counted,
    )


def _bare_rate(renderer: Renderer) -> float:
    """Images per second of camera and shader alone, for one static subject."""
    settings = renderer.settings
    domain = next(iter(settings.domains.values()))
    subject = sample_subject(np.random.SeedSequence(0), renderer.face, settings.population, settings.strength)
    rng, rest = np.random.default_rng(0), relaxed()
    session = sample_session(rng)
    pose, lights = domain.head.sample(rng, session), domain.light.sample(rng, session)
    framing = domain.camera.sample_framing(rng)
    vertices, relief = subject.deformed(rest, rest), subject.relief(rest, rest)
    started = time.perf_counter()
    for _ in range(_TIMED):
        renderer.camera.take(subject, vertices, relief, pose, lights, field_of_view=20.0, framing=framing)
    return _TIMED / (time.perf_counter() - started)


def _memory(folder: Path, renderer: Renderer, options: argparse.Namespace) -> list[str]:
    """Lines with the memory of this process while it renders one subject after another."""
    lines: list[str] = []
    name, done = next(iter(renderer.settings.domains)), 0

    def tell(images: int) -> None:
        nonlocal done
        done += images
        if done in options.memory:
            lines.append(f"memory after {done} images: {resident_mib():.0f} MiB")

    number = 0
    while done < max(options.memory):
        renderer.record(Recording(f"S{number:03d}", name, number), folder / "memory", tell)
        shutil.rmtree(folder / "memory")
        number += 1
    return lines


def _seconds(folder: Path, overrides: list[str]) -> float:
    """Time of the command in seconds; its results are removed."""
    output = folder / "out"
    seconds = command_seconds("render", [f"output={json.dumps(str(output))}", *overrides])
    shutil.rmtree(output)
    return seconds
