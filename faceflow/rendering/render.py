"""The render command: builds the face model from its config, then writes recordings, tables, sheets and data card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faceflow
from faceflow.checks import check_whole
from faceflow.config.instantiate import instantiate
from faceflow.config.result_settings import differing_setting, write_settings
from faceflow.console import plain_table, print_lines, print_tables
from faceflow.errors import ConfigError
from faceflow.faces.detector import FaceDetector
from faceflow.files import claimed, remove_leftovers
from faceflow.interruption import kept
from faceflow.rendering.build import build_settings
from faceflow.rendering.data_card import CARD, write_data_card
from faceflow.rendering.facekit_files import find_facekit
from faceflow.rendering.recording import CROPS, PROGRESS, RenderSettings, plan_recordings
from faceflow.rendering.sequence import VideoSettings
from faceflow.rendering.sheets import FOLDER, draw_aus, draw_domains
from faceflow.rendering.tables import EVENTS, FRAMES, LABELS, Counts, write_tables
from faceflow.rendering.video import VIDEOS
from faceflow.rendering.workers import record_all

FORMAT = 1
_RECORD = "render.json"
# Where MediaPipe finds the eyes in these crops: medians over 1,500 benchmark images from five domains.
_EYE_DISTANCE, _EYE_HEIGHT = 0.333, 0.36
_MAX_ENLARGEMENT = 1.1  # the renderer keeps a turned head at its size; this value brings `align=eyes` closest to that
# Settings that decide what is rendered; the others set where and how fast.
_DECIDING = (
    *("domains", "expression", "skin", "age", "glasses", "hair", "beard", "strength", "rest"),
    *("subjects", "frames", "seed", "image", "video"),
)


@dataclass(frozen=True, kw_only=True)
class RenderResult:
    """A rendered data set: its folder, and what it holds."""

    folder: Path
    counts: Counts


def render(cfg: Mapping[str, Any]) -> RenderResult:
    """Render what a config describes.

    Args:
        cfg: plain values of `configs/render.yaml`.

    Raises:
        ConfigError, DataError: a setting is out of range, the face model is missing, the folder holds results of other
            settings, or a result cannot be written.
    """
    if cfg["output"] is None:
        raise ConfigError("output: expected a folder for the results, got null; add output=FOLDER")
    output, sheet = Path(str(cfg["output"])), cfg["sheet"]
    with kept(lambda: f"finished recordings are kept in {output}; rerun the same command to resume"):
        check_whole(sheet, key="sheet", lowest=0)
        check_whole(cfg["workers"], key="workers", lowest=0)
        explicit = None if cfg["facekit"] is None else str(cfg["facekit"])
        model, kit = find_facekit(explicit, cache=Path(cfg["paths"]["cache"]) / "models")
        settings = build_settings(cfg, model)
        domains = list(settings.domains)
        enough = f"a whole number >= {len(domains)}, at least one subject per domain"
        check_whole(cfg["subjects"], key="subjects", lowest=len(domains), expected=enough)
        video = settings.video
        disfa = video is not None and video.layout == "disfa"
        recordings = plan_recordings(domains, cfg["subjects"], prefix="SN" if disfa else "S")
        detector = instantiate(cfg["detector"], key="detector")
        wanted = {"facekit": kit.sha256} | {key: cfg[key] for key in _DECIDING}
        with claimed(output, key="output", folder=True):
            _store_settings(output, wanted)
            if video is None:
                _store_recipe(output, settings, detector)
            record_all(recordings, settings, output, workers=cfg["workers"])
            remove_leftovers(output, older_than_s=0)
            counts = write_tables(recordings, output, videos=video is not None)
            write_data_card(output, counts, wanted, faceflow.__version__)
            if sheet and video is None:
                draw_domains(output, domains, sheet)
            if sheet:
                draw_aus(output, settings)
            _summarise(output, counts, video)
    return RenderResult(folder=output, counts=counts)


def _store_settings(output: Path, wanted: Mapping[str, Any]) -> None:
    """Write render.json, or compare with the existing one: a folder never mixes two data sets."""
    path = output / _RECORD
    if path.exists():
        difference = differing_setting(path, wanted, results="faces")
        if not difference:
            return
        if any((output / PROGRESS).rglob("*.json")) or any(output.rglob("*.jpg")) or any(output.rglob("*.avi")):
            raise ConfigError(difference)
    write_settings(path, wanted, number=FORMAT)


def _store_recipe(output: Path, settings: RenderSettings, detector: FaceDetector) -> None:
    """Write crops.json as faceflow-crop does: where faces are in the images, so that other faces can be cut alike."""
    share = 1 / (1 + 2 * settings.margin)  # of the image, taken by an aligned crop
    align = {
        "preset": "eyes",
        "size": settings.size,
        "eye_distance": _EYE_DISTANCE * share,
        "eye_height": 0.5 + (_EYE_HEIGHT - 0.5) * share,
        "roll": True,
        "max_enlargement": _MAX_ENLARGEMENT,
        "padding": "replicate",
        "interpolation": "area",
    }
    recipe = {
        "detector": {"name": detector.name, **detector.settings},  # a hash would need its model file
        "align": align,
        "selection": {"policy": "largest", "hold": 0, "smooth": 0, "cuts": False},
    }
    write_settings(output / "crops.json", recipe, number=1)


def _summarise(output: Path, counts: Counts, video: VideoSettings | None) -> None:
    table = plain_table("Faces", ["domain"], ["subjects", "images"])
    for name, images in counts.images.items():
        table.add_row(name, str(counts.subjects[name]), str(images))
    print_tables(table)
    if video is None:
        print_lines(f"Images: {output / CROPS}", f"Labels: {output / LABELS}")
        following = f"To train on them: faceflow-train data=csv data.labels={output / LABELS}"
    else:
        print_lines(f"Labels: {output / FRAMES}", f"Events: {output / EVENTS}")
        source = f"dataset=disfa root={output}" if video.layout == "disfa" else f"source={output / VIDEOS}"
        following = f"To crop them: faceflow-crop {source} output=FOLDER"
    if (output / FOLDER).is_dir():
        print_lines(f"Contact sheets: {output / FOLDER}")
    print_lines(f"Card: {output / CARD}")
    print_lines(following)
