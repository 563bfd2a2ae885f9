"""The crop command from plain values of its config: what to crop, cropping it, tables and pictures."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import faceflow
from faceflow.checks import check_whole
from faceflow.config.instantiate import instantiate
from faceflow.console import print_lines, print_tables
from faceflow.crop.clips import Clip, clips_of, find_clips
from faceflow.crop.crop_rows import read_rows
from faceflow.crop.crop_summary import Failure, draw_crops, draw_failures, statuses, summary_table
from faceflow.crop.cropping import CROPS, CropSettings, rows_file
from faceflow.crop.label_tables import annotated_aus, choose_folds, labelled_crops, write_folds, write_labels
from faceflow.crop.workers import Shard, crop_clips, store_recipe
from faceflow.datasets.published import Dataset
from faceflow.errors import ConfigError, DataError
from faceflow.faces.align import Recipe
from faceflow.faces.video import FrameRange
from faceflow.files import claimed
from faceflow.interruption import kept

log = logging.getLogger(__name__)

_PICTURES = ("contact_sheet.png", "failures.png")
_NAMED = 5  # of the clips that a message is about


def crop(cfg: Mapping[str, Any]) -> None:
    """Crop what a config names.

    Raises:
        ConfigError, DataError: a setting out of range, nothing to crop, no face in it, or a result that cannot be
            written.
    """
    if cfg["output"] is None:
        raise ConfigError("output: expected a folder for the results, got null; add output=FOLDER")
    output = Path(str(cfg["output"]))
    with kept(lambda: f"what is cropped is kept in {output}; start the same command again, and it goes on there"):
        _crop(cfg, output)


def _crop(cfg: Mapping[str, Any], output: Path) -> None:
    settings = CropSettings(
        recipe=Recipe.from_dict(cfg["align"]),
        **cfg["selection"],
        frames=FrameRange(**cfg["frames"]),
        **cfg["image"],
    )
    shard = Shard(**cfg["shard"])
    check_whole(cfg["sheet"], key="sheet", lowest=0)
    dataset, clips = _what(cfg, output)
    folds = _folds(cfg["folds"], dataset, clips)
    _check_use(settings, dataset, clips)
    detector = instantiate(cfg["detector"], key="detector")
    part = output if shard.count == 1 else output / f"shard_{shard.index}_of_{shard.count}"
    with claimed(part, key="output", folder=shard.count == 1):
        store_recipe(output, settings, detector, faceflow.__version__)
        if not crop_clips(clips, settings, detector, output, shard=shard, workers=cfg["workers"]):
            return
        crops, failures = _summarize(output, clips)
        if dataset is not None:
            _write_labels(output, clips, folds, settings.frames)
        pictures = [output / name for name in _PICTURES]
        draw_crops(output, crops, cfg["sheet"], pictures[0])
        draw_failures(failures, cfg["sheet"], pictures[1])
        print_lines(f"Crops: {output / CROPS}", f"Every frame: {output / 'crops.csv'}")
        if drawn := [str(path) for path in pictures if path.exists()]:
            print_lines(f"Look at: {' and '.join(drawn)}")
        if not crops:
            raise DataError(
                f"source: expected a face in some frame, got none in {len(clips)} clips; see {output}/crops.csv"
            )


def _what(cfg: Mapping[str, Any], output: Path) -> tuple[Dataset | None, list[Clip]]:
    if cfg["dataset"]:
        if cfg["source"] is not None:
            raise ConfigError("source: expected either source or dataset, got both; drop one of them")
        dataset: Dataset = instantiate(cfg["dataset"], key="dataset")
        return dataset, clips_of(dataset.recordings())
    sources = cfg["source"] if isinstance(cfg["source"], list) else [cfg["source"]]
    if not sources or None in sources:
        raise ConfigError("source: expected files to crop, got none; add source=PATH, or dataset=NAME root=FOLDER")
    if cfg["root"] is not None:
        raise ConfigError("root: expected the folder of a data set, got one without its name; add dataset=NAME")
    results = [output / name for name in (CROPS, *_PICTURES)]
    return None, find_clips([str(source) for source in sources], skip=results)


def _check_use(settings: CropSettings, dataset: Dataset | None, clips: Sequence[Clip]) -> None:
    if dataset is not None and settings.policy == "all":
        raise ConfigError(
            "selection.policy: expected largest, center or track with a data set, whose labels are those of one person "
            "in the frame, got 'all'"
        )
    frames = settings.frames
    images = [str(clip.file) for clip in clips if clip.images is not None]
    if images and (frames.start_s > 0 or frames.end_s is not None):
        log.warning(
            "frames.start_s, frames.end_s: images have no times, so all are cropped: %s", ", ".join(images[:_NAMED])
        )


def _folds(wanted: Any, dataset: Dataset | None, clips: Sequence[Clip]) -> dict[str, list[str]]:
    if wanted is not None and dataset is None:
        raise ConfigError("folds: expected a data set with labels, got files; drop it, or add dataset=NAME root=FOLDER")
    subjects = [clip.recording.subject for clip in clips if clip.recording]
    return choose_folds(wanted, dataset.folds if dataset else {}, subjects)


def _summarize(output: Path, clips: Sequence[Clip]) -> tuple[list[str], list[Failure]]:
    counts: list[tuple[str, Counter[str]]] = []
    failures: list[Failure] = []
    for clip in clips:
        found, failed = statuses(output, clip)
        counts.append((clip.name, found))
        failures += failed
    print_tables(summary_table(counts))
    return [row["crop"] for clip in clips for row in read_rows(rows_file(output, clip)) if row["crop"]], failures


def _write_labels(output: Path, clips: Sequence[Clip], folds: Mapping[str, Sequence[str]], frames: FrameRange) -> None:
    joined = [labelled_crops(clip, rows_file(output, clip), frames) for clip in clips]
    crops = [crop for found, _ in joined for crop in found]
    counts = [count for _, count in joined]
    aus = annotated_aus(clips)
    write_labels(output / "labels.csv", crops, aus)
    write_folds(output / "folds", folds, crops, aus)
    if mismatches := [text for count in counts if (text := count.mismatch)]:
        shown = "; ".join(mismatches[:_NAMED])
        log.warning("labels and frames differ in number: %s (%d of %d clips)", shown, len(mismatches), len(counts))
    labelled, excluded = sum(count.labelled for count in counts), sum(count.excluded for count in counts)
    print_lines(
        f"Labels: {output / 'labels.csv'}: {len(crops)} crops of {labelled} labelled frames"
        + (f", {excluded} excluded as bad frames" if excluded else "")
    )
    for name, tested in folds.items():
        print_lines(f"Fold {name} tests {', '.join(tested)}")
