"""Labels of a published data set beside its crops: `labels.csv` and a pair of CSVs per fold."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from faceflow.aus import sort_key
from faceflow.checks import check_whole
from faceflow.cropping.clips import Clip
from faceflow.cropping.crop_rows import read_rows
from faceflow.datasets.published import Folds
from faceflow.errors import ConfigError
from faceflow.faces.video import FrameRange
from faceflow.files import whole_file

log = logging.getLogger(__name__)

ABOUT = ("filename", "subject", "frame", "video", "domain")
PUBLISHED = "published"


@dataclass(frozen=True)
class LabelledCrop:
    """A crop and the labels of its frame."""

    labels: Mapping[str, float]
    filename: str
    subject: str
    frame: int
    video: str
    domain: str


@dataclass(frozen=True)
class LabelCount:
    """Counts for one recording: frames that were labelled, decoded, and got a labelled crop."""

    name: str
    labelled: int
    last_label: int
    decoded: int
    kept: int
    excluded: int
    every: int

    @property
    def mismatch(self) -> str | None:
        """Message if labels and video differ in length, else None."""
        if not self.labelled or self.decoded <= self.last_label < self.decoded + self.every:
            return None
        return f"{self.name}: labels up to frame {self.last_label}, but {self.decoded} frames in the video"


def labelled_crops(clip: Clip, rows: Path, frames: FrameRange) -> tuple[list[LabelledCrop], LabelCount]:
    """Join the crops of a recording with its labels; frame n of the labels is the n-th frame of the video.

    Args:
        clip: of a data set.
        rows: of its frames.
        frames: range that was read; the length of a video that is not read to its end is unknown.
    """
    recording = clip.recording
    assert recording is not None, "only recordings have labels"
    crops, decoded = [], 0
    for row in read_rows(rows):
        frame = int(row["frame"])
        decoded = max(decoded, frame if row["status"] != "decode_error" else 0)
        if row["crop"] and frame in recording.labels and frame not in recording.excluded:
            crops.append(
                LabelledCrop(
                    recording.labels[frame], row["crop"], recording.subject, frame, recording.name, recording.domain
                )
            )
    labelled = recording.labels.keys()
    excluded = len(labelled & recording.excluded.keys())
    known = clip.images is None and frames.end_s is None
    last = max(labelled, default=0) if known else decoded
    return crops, LabelCount(recording.name, len(labelled), last, decoded, len(crops), excluded, frames.every)


def write_labels(path: Path, crops: Sequence[LabelledCrop], aus: Sequence[str]) -> None:
    """Write crops with labels in FaceFlow's CSV format; cells of AUs that were not annotated are empty."""
    known = {name for crop in crops for name in ABOUT if getattr(crop, name) != ""}
    about = [name for name in ABOUT if name in known or not crops]
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*aus, *about])
        for crop in crops:
            values = [crop.labels.get(au) for au in aus]
            scores = ["" if value is None or value != value else f"{value:g}" for value in values]
            writer.writerow([*scores, *(getattr(crop, name) for name in about)])


def annotated_aus(clips: Iterable[Clip]) -> list[str]:
    """AUs that any recording annotates, in FACS order."""
    named = {au for clip in clips if clip.recording for labels in clip.recording.labels.values() for au in labels}
    return sorted(named, key=sort_key)


def choose_folds(folds: str | int | None, published: Folds, subjects: Iterable[str]) -> dict[str, list[str]]:
    """Test subjects by name of the fold.

    Args:
        folds: "published", a number of folds over the subjects in the order of their names, or None.
        published: folds of the data set; those without a test subject in `subjects` are left out with a warning.
        subjects: subjects in the data.

    Raises:
        ConfigError: not one of these, or too few subjects.
    """
    here = sorted(set(subjects))
    if folds is None:
        return {}
    if folds == PUBLISHED:
        if not published:
            raise ConfigError("folds: expected a data set with published folds, got one without; try folds=3")
        return _published(published, here)
    check_whole(folds, key="folds", lowest=2, expected=f"{PUBLISHED}, a whole number >= 2, or null")
    count = int(folds)
    if count > len(here):
        raise ConfigError(
            f"folds: expected at most as many folds as subjects ({len(here)}), got {count}; use fewer folds"
        )
    return {f"{count}fold_{number + 1}": here[number::count] for number in range(count)}


def write_folds(
    folder: Path, folds: Mapping[str, Sequence[str]], crops: Sequence[LabelledCrop], aus: Sequence[str]
) -> None:
    """Write `NAME/train.csv` and `NAME/test.csv` per fold; no subject is in both."""
    for name, tested in folds.items():
        write_labels(folder / name / "train.csv", [crop for crop in crops if crop.subject not in tested], aus)
        write_labels(folder / name / "test.csv", [crop for crop in crops if crop.subject in tested], aus)


def _published(published: Folds, here: Sequence[str]) -> dict[str, list[str]]:
    found = {
        f"{protocol}_{fold}": [subject for subject in subjects if subject in here]
        for protocol, parts in published.items()
        for fold, subjects in parts.items()
    }
    for name in [name for name, subjects in found.items() if not subjects]:
        log.warning(
            "folds: fold %s skipped: none of its test subjects are in the data; use folds=3 to split those present",
            name,
        )
        del found[name]
    if left := sorted(set(here) - {subject for subjects in found.values() for subject in subjects}):
        log.warning("folds: %s are in no published fold, so they are in every train.csv", ", ".join(left))
    return found
