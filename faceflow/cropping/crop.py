"""The crop command: from its config to crops, tables and contact sheets."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceflow.cards import check_card
from faceflow.checks import check_boolean, check_whole
from faceflow.config.instantiate import instantiate
from faceflow.config.located import local_values, stored_sources
from faceflow.console import print_lines, print_tables
from faceflow.cropping.clips import SUFFIXES, Clip, FoundClips, clips_of, search
from faceflow.cropping.crop_clip import CROPS, CropSettings, rows_file
from faceflow.cropping.crop_rows import read_rows
from faceflow.cropping.crop_summary import (
    SUMMARY,
    Failure,
    draw_crops,
    draw_failures,
    statuses,
    store_summary,
    summary_table,
)
from faceflow.cropping.data_card import check_replaced, write_data_card
from faceflow.cropping.label_tables import annotated_aus, choose_folds, labelled_crops, write_folds, write_labels
from faceflow.cropping.row_faces import RowFaces, labels_table, match_faces, write_row_faces
from faceflow.cropping.row_places import LabelRows, read_label_rows
from faceflow.cropping.workers import Shard, crop_clips, join_clips, store_recipe
from faceflow.datasets.published import Dataset
from faceflow.errors import ConfigError, DataError
from faceflow.faces.align import Recipe
from faceflow.faces.feature_file import FOLDER, SUFFIX, feature_file, open_records
from faceflow.faces.video import FrameRange
from faceflow.files import claimed, claimed_if_free
from faceflow.interruption import kept
from faceflow.packing.pack import check_packing, pack_rows
from faceflow.tables.columns import check_columns, no_column

log = logging.getLogger(__name__)

_PICTURES = ("contact_sheet.png", "failures.png")
_TABLES = ("crops.csv", "crops.json", "labels.csv", "folds", SUMMARY)
PACK = "pack"  # folder of the packed crops
_NAMED = 5  # of the clips that a message is about


@dataclass(frozen=True, kw_only=True)
class CropResult:
    """Result of cropping.

    Attributes:
        folder: of the results, with crops.csv, a row for every frame and face.
        finished: False if other machines are still cropping their share of the clips.
        crops: files below the folder `crops`.
        counts: rows by status for every clip.
        labelled: whether labels.csv was written, with labels of a data set or of `labels`.
    """

    folder: Path
    finished: bool
    crops: Sequence[str]
    counts: Mapping[str, Mapping[str, int]]
    labelled: bool


def crop(cfg: Mapping[str, Any]) -> CropResult:
    """Crop the source or data set of a config.

    Args:
        cfg: plain values of `configs/crop.yaml`.

    Raises:
        ConfigError, DataError: a setting out of range, nothing to crop, no face in it, or a result that cannot be
            written.
    """
    if cfg["output"] is None:
        raise ConfigError("output: expected a folder for the results, got null; add output=FOLDER")
    output, sheet = Path(str(cfg["output"])), cfg["sheet"]
    check_replaced(card := check_card(cfg["card"]))
    shared = cfg["shared"]
    with kept(lambda: f"finished crops are kept in {output}; rerun the same command to resume"):
        frames = FrameRange(**cfg["frames"])
        recipe = Recipe.from_dict(cfg["align"])
        settings = CropSettings(recipe=recipe, **cfg["selection"], frames=frames, **cfg["image"])
        shard = Shard(**cfg["shard"])
        check_whole(sheet, key="sheet", lowest=0)
        check_boolean(shared, key="shared")
        check_boolean(cfg["pack"], key="pack")
        if cfg["pack"]:
            check_packing(cfg["shard_mb"])
        cfg = local_values(cfg, "labels")
        source, copies = stored_sources(cfg, SUFFIXES)
        dataset, found = _find(cfg["dataset"], source, cfg["root"], output, copies)
        clips = found.clips
        rows = _label_rows(cfg["labels"], cfg["columns"], dataset, clips)
        folds = _folds(cfg["folds"], dataset, clips, rows)
        _check_use(settings, dataset, clips, rows)
        policy = settings.policy
        if rows is not None and rows.boxed:  # which face a row labels is seen when all are cut
            settings = dataclasses.replace(settings, policy="all")
        detector = instantiate(cfg["detector"], key="detector")
        with contextlib.ExitStack() as claims:
            if not shared:
                part = output if shard.count == 1 else output / f"shard_{shard.index}_of_{shard.count}"
                claims.enter_context(claimed(part, key="output", folder=shard.count == 1))
            store_recipe(output, settings, detector)
            unfinished = CropResult(folder=output, finished=False, crops=[], counts={}, labelled=False)
            if not crop_clips(
                clips, settings, detector, output, shard=shard, workers=cfg["workers"], detectors=cfg["detectors"]
            ):
                return unfinished
            if shared and not claims.enter_context(claimed_if_free(output)):
                log.info("Another job is writing the tables of all clips")
                return unfinished
            join_clips(clips, output, alone=not shared and shard.count == 1)
            counts, failures, crops = _summarize(output, clips)
            print_tables(summary_table(counts))
            if found.passed_over:
                print_lines(found.line())
            features = _count_features(output, clips)
            store_summary(output / SUMMARY, counts, found.passed_over, features=features)
            if dataset is not None:
                _write_labels(output, clips, folds, frames)
            if rows is not None:
                _write_own_labels(output, match_faces(rows, clips, output, policy=policy), folds)
            _draw(output, crops, failures, sheet)
            if features:
                # Images at the top of a source have their features in one file beside the folder.
                shown = output / FOLDER if (output / FOLDER).is_dir() else output / (FOLDER + SUFFIX)
                print_lines(f"Features: {shown}: landmarks, blendshapes and pose of {features} crops")
            if not crops:
                raise DataError(
                    f"source: expected a face in at least one frame, got none in {len(clips)} "
                    f"clip{'' if len(clips) == 1 else 's'}; see {output}/crops.csv"
                )
            labelled = dataset is not None or rows is not None
            if card is not None:
                totals = {"crops": len(crops), "features": features}
                write_data_card(card, output, counts, **totals, labelled=labelled, columns=cfg["columns"] or {})
                print_lines(f"Card: {card}")
            if cfg["pack"]:
                labels = str(output / "labels.csv") if labelled else None
                pack_rows(
                    labels,
                    str(output / CROPS),
                    output / PACK,
                    columns={"filename": "filename"},
                    shard_mb=cfg["shard_mb"],
                    bad_images="error",
                )
            return CropResult(folder=output, finished=True, crops=crops, counts=dict(counts), labelled=labelled)


def _find(
    node: Mapping[str, Any] | None, source: object, root: object, output: Path, copies: Path | None
) -> tuple[Dataset | None, FoundClips]:
    """Data set, if one is named, and the clips to crop."""
    if node:
        if source is not None:
            raise ConfigError("source: expected either source or dataset, got both; leave one out")
        dataset: Dataset = instantiate(node, key="dataset")
        return dataset, FoundClips(clips=clips_of(dataset.recordings()), passed_over=Counter())
    sources = source if isinstance(source, list) else [source]
    if not sources or None in sources:
        raise ConfigError("source: expected files to crop, got none; add source=PATH, or dataset=NAME root=FOLDER")
    if root is not None:
        raise ConfigError(
            "root: expected the folder of the data set that dataset names, got no dataset; add dataset=NAME"
        )
    results = [output / name for name in (CROPS, FOLDER, FOLDER + SUFFIX, PACK, *_PICTURES, *_TABLES)]
    return None, search([str(each) for each in sources], skip=results, copies=copies)


def _label_rows(labels: object, columns: Any, dataset: Dataset | None, clips: Sequence[Clip]) -> LabelRows | None:
    if labels is None:
        return None
    if dataset is not None:
        raise ConfigError("labels: expected labels of the files in source, got dataset= too; leave one out")
    check_columns(columns, key="columns")
    return read_label_rows(Path(str(labels)), columns, clips)


def _check_use(settings: CropSettings, dataset: Dataset | None, clips: Sequence[Clip], rows: LabelRows | None) -> None:
    if rows is not None and settings.policy == "all" and not rows.boxed:
        raise ConfigError(
            "selection.policy: expected largest, center or track for labels without face boxes, got 'all'; "
            "add columns x1, y1, x2, y2 or x, y, w, h to the table"
        )
    if dataset is not None and settings.policy == "all":
        raise ConfigError(
            "selection.policy: expected largest, center or track for a data set, which labels one subject per "
            "frame, got 'all'"
        )
    frames = settings.frames
    images = [clip.title for clip in clips if clip.images is not None]
    if images and (frames.start_s > 0 or frames.end_s is not None):
        log.warning(
            "frames.start_s, frames.end_s: images have no time, so all are cropped: %s", ", ".join(images[:_NAMED])
        )


def _folds(wanted: Any, dataset: Dataset | None, clips: Sequence[Clip], rows: LabelRows | None) -> dict[str, list[str]]:
    if wanted is not None and dataset is None and rows is None:
        raise ConfigError(
            "folds: expected a data set with labels, got files; leave folds out, or add dataset=NAME root=FOLDER"
        )
    subjects: Sequence[str] = [clip.recording.subject for clip in clips if clip.recording]
    if wanted is not None and rows is not None:
        named = rows.table.named("subject")
        if named is None:
            raise no_column(rows.table.path, rows.table, "subject", key="columns")
        subjects = named
    return choose_folds(wanted, dataset.folds if dataset else {}, subjects)


def _summarize(output: Path, clips: Sequence[Clip]) -> tuple[list[tuple[str, Counter[str]]], list[Failure], list[str]]:
    """Rows by status of every clip, frames without a crop, and crops."""
    counts: list[tuple[str, Counter[str]]] = []
    failures: list[Failure] = []
    for clip in clips:
        found, failed = statuses(output, clip)
        counts.append((clip.name, found))
        failures += failed
    crops = [row["crop"] for clip in clips for row in read_rows(rows_file(output, clip)) if row["crop"]]
    return counts, failures, crops


def _count_features(output: Path, clips: Sequence[Clip]) -> int:
    paths = [feature_file(output, clip.name) for clip in clips]
    return sum(len(open_records(path)) for path in paths if path.exists())


def _draw(output: Path, crops: Sequence[str], failures: Sequence[Failure], sheet: int) -> None:
    """Draw some crops and failures, and print where all of them are."""
    pictures = [output / name for name in _PICTURES]
    draw_crops(output, crops, sheet, pictures[0])
    draw_failures(failures, sheet, pictures[1])
    print_lines(f"Crops: {output / CROPS}", f"Every frame: {output / 'crops.csv'}")
    if drawn := [str(path) for path in pictures if path.exists()]:
        print_lines(f"Look at: {' and '.join(drawn)}")


def _write_labels(output: Path, clips: Sequence[Clip], folds: Mapping[str, Sequence[str]], frames: FrameRange) -> None:
    joined = [labelled_crops(clip, rows_file(output, clip), frames) for clip in clips]
    crops = [crop for found, _ in joined for crop in found]
    counts = [count for _, count in joined]
    aus = annotated_aus(clips)
    write_labels(output / "labels.csv", crops, aus)
    write_folds(output / "folds", folds, crops, aus)
    if mismatches := [text for count in counts if (text := count.mismatch)]:
        shown = "; ".join(mismatches[:_NAMED])
        log.warning("numbers of labels and frames differ: %s (%d of %d clips)", shown, len(mismatches), len(counts))
    labelled, excluded = sum(count.labelled for count in counts), sum(count.excluded for count in counts)
    print_lines(
        f"Labels: {output / 'labels.csv'}: {len(crops)} crops of {labelled} labelled frames"
        + (f", {excluded} excluded as bad frames" if excluded else "")
    )
    for name, tested in folds.items():
        print_lines(f"Fold {name} tests {', '.join(tested)}")


def _write_own_labels(output: Path, faces: RowFaces, folds: Mapping[str, Sequence[str]]) -> None:
    print_tables(labels_table(faces))
    for note in faces.rows.table.notes + faces.rows.marks.note:
        log.info("%s: %s", faces.rows.table.path, note)
    labels, *lists = write_row_faces(faces, output, folds)
    print_lines(
        f"Labels: {labels}: {len(faces.crops)} crops of {len(faces.rows.places)} rows",
        *(f"Unmatched: {path}" for path in lists),
        *(f"Fold {name} tests {', '.join(tested)}" for name, tested in folds.items()),
    )
