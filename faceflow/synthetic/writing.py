"""The drawn faces: procedural faces with known AUs, written once as an ordinary CSV data set."""

from __future__ import annotations

import csv
import json
import logging
import secrets
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from faceflow.checks import check_whole
from faceflow.errors import ConfigError, DataError, suggest
from faceflow.images import encode_image
from faceflow.progress import progress_bar
from faceflow.synthetic.face import (
    ACTION_UNITS,
    DOMAINS,
    Subject,
    draw_face,
    sample_labels,
    sample_subject,
    sample_view,
)

log = logging.getLogger(__name__)

HEADER = (*ACTION_UNITS, "filename", "subject", "frame", "domain")
_DRAWN = "drawn.json"  # settings of the faces in a folder
LIMITS = {"subjects": (1, 10_000), "frames": (1, 10_000), "size": (32, 1024), "seed": (0, 2**31 - 1)}


@dataclass(frozen=True)
class Portrait:
    """One subject to draw; the seeds of its frames are children of `seed`."""

    name: str
    domain: str
    seed: np.random.SeedSequence
    look: Subject


def write_faces(*, folder: str | Path, subjects: int, frames: int, size: int, domains: list[str], seed: int) -> Path:
    """Draw `frames` faces of each of `subjects` subjects per domain, unless they exist already.

    Writes `labels.csv` (intensities 0..5 of 12 AUs, filename, subject, frame, domain) and
    `images/<domain>/<subject>_<frame>.jpg`. Every image depends on the seed, its domain, subject and frame
    alone, so a larger data set contains the smaller one. The folder appears when it is complete; of
    several processes that write it at once, the first wins. `drawn.json` records the settings.

    Returns:
        The folder.

    Raises:
        ConfigError: a value out of range, an unknown or repeated domain, a folder of faces drawn with other
            settings, or one with other files in it.
        DataError: the folder cannot be written.
    """
    for key, value in (("subjects", subjects), ("frames", frames), ("size", size), ("seed", seed)):
        low, high = LIMITS[key]
        check_whole(value, key=f"data.prepare.{key}", lowest=low, highest=high)
    _check_domains(domains)
    target = Path(folder).expanduser()
    settings = {"subjects": subjects, "frames": frames, "size": size, "domains": list(domains), "seed": seed}
    if (target / "labels.csv").exists():
        _check_drawn(target, settings)
        return target
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(
            f"data.prepare.folder: expected a new folder, got {target} with other content; empty it or choose another"
        )
    log.info("Drawing %d synthetic faces into %s", len(domains) * subjects * frames, target)
    unfinished = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(unfinished, _people(domains, subjects, seed), frames, size, len(domains) * subjects)
        (unfinished / _DRAWN).write_text(json.dumps(settings) + "\n", encoding="utf-8")
        _publish(unfinished, target)
    except OSError as error:
        raise DataError(
            f"data.folder: expected a writable folder, got '{target}' ({error.strerror or error}); set "
            "paths.cache=FOLDER or the variable FACEFLOW_CACHE, or data.folder=FOLDER"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def _check_drawn(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse a folder of faces that were drawn with other settings; folders of FaceFlow 0.1 do not record theirs."""
    try:
        drawn = json.loads((folder / _DRAWN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    for key, value in settings.items():
        if drawn.get(key, value) != value:
            raise ConfigError(
                f"data.prepare.{key}: expected {_shown(drawn[key])}, as the faces in '{folder}' were drawn, got "
                f"{_shown(value)}; draw others with data.folder=FOLDER, or remove '{folder}'"
            )


def _shown(value: object) -> str:
    return f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)


def _check_domains(domains: list[str]) -> None:
    for domain in domains:
        if domain not in DOMAINS:
            raise ConfigError(
                f"data.prepare.domains: expected visual domains, got '{domain}'; {suggest(domain, DOMAINS)}"
            )
    if not domains or len(set(domains)) < len(domains):
        raise ConfigError(
            f"data.prepare.domains: expected at least one domain and none twice, got {list(domains)}; "
            f"choose from {', '.join(DOMAINS)}"
        )


def _people(domains: list[str], subjects: int, seed: int) -> Iterator[Portrait]:
    for domain in domains:
        for number in range(subjects):
            own_seed = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(domain.encode()), number))
            look = sample_subject(np.random.default_rng(own_seed))
            yield Portrait(f"{domain}{number:03d}", domain, own_seed, look)


def _write(folder: Path, people: Iterator[Portrait], frames: int, size: int, count: int) -> None:
    (folder / "images").mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(HEADER)
        with progress_bar("Drawing", count * frames, unit="faces") as bar:
            for portrait in people:
                (folder / "images" / portrait.domain).mkdir(exist_ok=True)
                for frame in range(frames):
                    filename = f"{portrait.domain}/{portrait.name}_{frame:04d}.jpg"
                    labels = _write_frame(folder / "images" / filename, portrait, frame, size)
                    table.writerow((*labels.values(), filename, portrait.name, frame, portrait.domain))
                    bar.advance()


def _write_frame(path: Path, portrait: Portrait, frame: int, size: int) -> dict[str, int]:
    """Draw and store one image; return its labels."""
    domain = DOMAINS[portrait.domain]
    seed = np.random.SeedSequence(portrait.seed.entropy, spawn_key=(*portrait.seed.spawn_key, frame))
    rng = np.random.default_rng(seed)
    labels = sample_labels(rng)
    view = sample_view(rng, domain.unevenness)
    image = draw_face(portrait.look, labels, size=size, domain=portrait.domain, view=view, rng=rng)
    path.write_bytes(encode_image(image, ".jpg", quality=domain.jpeg_quality))
    return labels


def _publish(unfinished: Path, target: Path) -> None:
    """Move the complete folder into place, unless another process was faster."""
    try:
        unfinished.rename(target)
    except OSError:
        if not (target / "labels.csv").exists():
            raise
        log.info("Another process drew %s in the meantime; using its copy", target)
