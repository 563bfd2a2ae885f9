"""Measure how far estimated events are from the true events: `python scripts/event_errors.py model.onnx --data videos`.

    faceflow-render video=events subjects=10 frames=300 output=videos

The estimated events of every video are compared with `events.csv`; the table gives median distances in frames. True
events of both sides are joined, and count from level 2. A true event is found if an estimated event of the same AU
overlaps it; the one with the largest overlap is compared. An estimated event that overlaps no true event is spurious,
unless a weaker true event is there. A true event begins with the last frame in which the AU is absent.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

import faceflow

PHASES = ("onset", "apex", "offset", "end")
OCCURS = 2  # level
FRAMES = [f"{phase}_frame" for phase in PHASES]


@dataclass
class Errors:
    """Counts of true, missed and spurious events of an AU, and the errors in frames of those that were found."""

    true: int = 0
    missed: int = 0
    spurious: int = 0
    frames: list[Sequence[float]] = field(default_factory=list)

    def add(self, other: Errors) -> None:
        """Add the counts of others."""
        self.true, self.missed = self.true + other.true, self.missed + other.missed
        self.spurious += other.spurious
        self.frames += other.frames

    def row(self) -> list[str]:
        """Cells of the table row."""
        columns = zip(*self.frames, strict=True) if self.frames else [()] * len(PHASES)
        medians = (f"{np.median(np.abs(column)):.1f}" if column else "-" for column in columns)
        return [str(self.true), str(self.missed), str(self.spurious), *medians]


def compare(true: pd.DataFrame, found: pd.DataFrame) -> Errors:
    """Compare the estimated and true events of an AU in a video; both have a column `*_frame` for every phase."""
    errors, free = Errors(), set(found.index)
    for event in joined(true).sort_values("level", ascending=False).itertuples():
        occurs = event.level >= OCCURS
        last, first = found["end_frame"].clip(upper=event.end_frame), found["onset_frame"].clip(lower=event.onset_frame)
        shared = (last - first)[sorted(free)]
        shared = shared[shared >= 0]
        errors.true += occurs
        if shared.empty:
            errors.missed += occurs
            continue
        free.remove(best := shared.idxmax())
        if occurs:
            errors.frames.append([float(found.at[best, name] - getattr(event, name)) for name in FRAMES])
    errors.spurious = len(free)
    return errors


def joined(true: pd.DataFrame) -> pd.DataFrame:
    """Events of both sides; overlapping events are merged."""
    rows: list[dict[str, float]] = []
    for row in true.sort_values("onset_frame")[[*FRAMES, "level"]].to_dict("records"):
        if rows and row["onset_frame"] <= rows[-1]["end_frame"]:
            last = rows[-1]
            stronger = row if row["level"] > last["level"] else last
            ends = {"onset_frame": last["onset_frame"], "end_frame": max(row["end_frame"], last["end_frame"])}
            rows[-1] = {**stronger, **ends}
        else:
            rows.append(row)
    return pd.DataFrame(rows, columns=[*FRAMES, "level"])


def main() -> None:
    """Predict, compare and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("onnx", type=Path, help="exported model")
    parser.add_argument("--data", type=Path, required=True, help="output folder of faceflow-render video=events")
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="overrides of faceflow-infer, such as calibrate=median"
    )
    options = parser.parse_intermixed_args()
    truth = pd.read_csv(options.data / "events.csv")
    with faceflow.load(options.onnx, options.overrides) as predictor:
        errors = {au: Errors() for au in predictor.model.contract.shown}
        for video, true in truth.groupby("filename"):
            found = predictor.events(options.data / str(video))
            for au, own in errors.items():
                own.add(compare(true[true["au"] == au], found[found["au"] == au]))
    together = Errors()
    for own in errors.values():
        together.add(own)
    rows = [[au, *own.row()] for au, own in errors.items()] + [["all", *together.row()]]
    print(pd.DataFrame(rows, columns=["AU", "true", "missed", "spurious", *PHASES]).to_string(index=False))
    within = np.mean([abs(onset) <= 3 for onset, *_ in together.frames]) if together.frames else float("nan")
    print(f"onset within 3 frames: {100 * within:.0f} %")


if __name__ == "__main__":
    main()
