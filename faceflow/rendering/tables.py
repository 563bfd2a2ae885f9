"""Tables of a rendered data set, joined from its recordings, and what they count."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faceflow.files import whole_file
from faceflow.rendering.action_units import AUS
from faceflow.rendering.recording import Recording

LABELS, BY_SIDE, SUBJECTS = "labels.csv", "labels_by_side.csv", "subjects.csv"
FRAMES, FRAMES_BY_SIDE, EVENTS = "frames.csv", "frames_by_side.csv", "events.csv"
_FRAME = ("filename", "subject", "domain", "frame", "yaw", "pitch", "roll", "gaze_yaw", "gaze_pitch")
_PHASES = tuple(f"{phase}_{unit}" for unit in ("frame", "s") for phase in ("onset", "apex", "offset", "end"))
_EVENT = ("filename", "subject", "domain", "au", "side", "level", *_PHASES)
_SUBJECT = ("subject", "domain", "sex", "age", "skin", "hair", "beard", "glasses")
_SIDED = tuple(f"{au}_{side}" for au in AUS for side in "LR")
_PRESENT = 2  # level from which an AU occurs


@dataclass
class Counts:
    """What a data set holds.

    Attributes:
        images: by domain.
        subjects: by domain.
        levels: images by AU and level; the larger one of both sides.
        one_sided: images by AU that show it on one side alone.
        traits: subjects by trait and value, such as ("sex", "female").
        ages: of all subjects, in years.
        tones: of their skin, 0..9.
    """

    images: Counter[str] = field(default_factory=Counter)
    subjects: Counter[str] = field(default_factory=Counter)
    levels: Counter[tuple[str, int]] = field(default_factory=Counter)
    one_sided: Counter[str] = field(default_factory=Counter)
    traits: Counter[tuple[str, str]] = field(default_factory=Counter)
    ages: list[int] = field(default_factory=list)
    tones: list[float] = field(default_factory=list)

    def present(self, au: str) -> int:
        """Images in which an AU occurs, from level 2 on."""
        return sum(self.levels[au, level] for level in range(_PRESENT, 6))


def write_tables(recordings: Sequence[Recording], output: Path, *, videos: bool) -> Counts:
    """Write labels, labels by side, subjects, and events of videos; returns what they count.

    Raises:
        DataError: a table cannot be written.
    """
    counts = Counts()
    with ExitStack() as stack:

        def table(name: str, columns: Sequence[str]) -> Any:
            partial = stack.enter_context(whole_file(output / name))
            file = stack.enter_context(partial.open("w", encoding="utf-8", newline=""))
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            return writer

        joined_name, sided_name = (FRAMES, FRAMES_BY_SIDE) if videos else (LABELS, BY_SIDE)
        columns = (*_FRAME, "time_s") if videos else _FRAME
        labels, by_side = table(joined_name, (*AUS, *columns)), table(sided_name, (*_SIDED, *columns))
        subjects = table(SUBJECTS, _SUBJECT)
        events = table(EVENTS, _EVENT) if videos else subjects  # nothing is written there
        for recording in recordings:
            content = json.loads(recording.progress_file(output).read_text("utf-8"))
            who = (recording.subject, recording.domain)
            _count_subject(counts, recording, content["subject"])
            subjects.writerow((*who, *(content["subject"][name] for name in _SUBJECT[2:])))
            for row in content["rows"]:
                sides = row["labels"]
                joined = [max(sides[f"{au}_L"], sides[f"{au}_R"]) for au in AUS]
                time = (row["time_s"],) if videos else ()
                frame = (row["filename"], *who, row["frame"], *row["pose"], *row["gaze"], *time)
                labels.writerow((*joined, *frame))
                by_side.writerow((*(sides[name] for name in _SIDED), *frame))
                _count_image(counts, recording, joined, sides)
            for event in content.get("events", ()):
                events.writerow((content["rows"][0]["filename"], *who, *(event[name] for name in _EVENT[3:])))
    return counts


def read_images(output: Path, domain: str) -> Iterator[dict[str, str]]:
    """Rows of the labels that are of a domain."""
    with (output / LABELS).open(encoding="utf-8", newline="") as file:
        yield from (row for row in csv.DictReader(file) if row["domain"] == domain)


def _count_subject(counts: Counts, recording: Recording, facts: dict[str, Any]) -> None:
    counts.subjects[recording.domain] += 1
    counts.ages.append(facts["age"])
    counts.tones.append(facts["skin"])
    for trait in ("sex", "hair", "beard", "glasses"):
        counts.traits[trait, facts[trait]] += 1


def _count_image(counts: Counts, recording: Recording, joined: Sequence[int], sides: dict[str, int]) -> None:
    counts.images[recording.domain] += 1
    for au, level in zip(AUS, joined, strict=True):
        counts.levels[au, level] += 1
        counts.one_sided[au] += (sides[f"{au}_L"] > 0) != (sides[f"{au}_R"] > 0)
