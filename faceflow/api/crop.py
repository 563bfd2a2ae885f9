"""`faceflow.crop`: face crops from Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from faceflow.api.result_tables import clips_table
from faceflow.api.running import run_command

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, kw_only=True, eq=False)
class CroppedFaces:
    """Face crops of videos and pictures.

    Attributes:
        folder: of all results.
        finished: False where other machines still crop their part (`shared`, `shard`).
        crops: the crops.
        rows: crops.csv, a row for every frame and face; None before all is finished.
        labels: labels.csv of a data set or of `labels`, ready for `faceflow.train`; None without one.
        table: rows by status of every clip.
    """

    folder: Path
    finished: bool
    crops: list[Path] = field(repr=False)
    rows: Path | None
    labels: Path | None
    table: DataFrame = field(repr=False)


def crop(
    overrides: Sequence[str] = (),
    *,
    source: str | Path | Sequence[str | Path] | None = None,
    output: str | Path | None = None,
    labels: str | Path | None = None,
    dataset: str | None = None,
    root: str | Path | None = None,
    selection: str | None = None,
    hold: int | None = None,
    smooth: int | None = None,
    cuts: bool | None = None,
    every: int | None = None,
    start_s: float | None = None,
    end_s: float | None = None,
    align: str | None = None,
    detector: str | None = None,
    folds: int | str | None = None,
    card: str | Path | None = None,
    workers: int | None = None,
    shared: bool | None = None,
    config_dir: str | Path | None = None,
) -> CroppedFaces:
    """Cut aligned faces out of videos and pictures, as `faceflow-crop` does.

    >>> faces = faceflow.crop(source="video.mp4", output="faces")
    >>> faces.rows.name
    'crops.csv'
    >>> faceflow.crop(source="photos", labels="codes.csv", output="labelled").labels.name
    'labels.csv'
    >>> faceflow.crop(dataset="disfa", root="/data/DISFA", output="disfa").labels  # doctest: +SKIP

    Beside the crops, `features/` has landmarks, blendshapes and pose of each. Called again with the same settings, it
    goes on where it was stopped.

    Args:
        overrides: any settings as on the command line.
        source: a file, a folder (searched to the bottom), a pattern, or a list of them.
        output: folder of the results.
        labels: a table of AUs for the pictures, or for the frames of the videos, of `source`; see docs/how_to/crop.md.
        dataset: a published data set below `root`, such as "disfa" or "bp4d", instead of `source`.
        root: its folder.
        selection: which faces of a frame: "largest", "center", "track" (one subject through a video) or "all".
        hold: frames through which a lost face keeps its last place.
        smooth: frames on either side that steady the alignment in videos.
        cuts: whether cuts of videos are found; faces after one have new numbers.
        every: 5 takes every fifth frame of a video.
        start_s: seconds of a video to leave out.
        end_s: second at which to stop.
        align: how faces are cut: "eyes", "box" or "jaanet".
        detector: "mediapipe_landmarks" or "mediapipe_boxes".
        folds: "published", or a number of folds to split the subjects of a data set into.
        card: file of a card of the crops in the format of Hugging Face, such as "README.md".
        workers: processes, each of which takes a video at a time. They import the program that calls this: one that
            is a script needs `if __name__ == "__main__":`.
        shared: whether other calls and commands with these settings, on this machine or others, crop into `output` too.
        config_dir: folder with configs of your own, as `--config-dir`.

    Raises:
        ConfigError: a setting that is unknown or out of range.
        DataError: no face anywhere, or files that cannot be read or written.
    """
    values = {
        "source": source,
        "output": output,
        "labels": labels,
        "dataset": dataset,
        "root": root,
        "selection.policy": selection,
        "selection.hold": hold,
        "selection.smooth": smooth,
        "selection.cuts": cuts,
        "frames.every": every,
        "frames.start_s": start_s,
        "frames.end_s": end_s,
        "align": align,
        "detector": detector,
        "folds": folds,
        "card": card,
        "workers": workers,
        "shared": shared,
    }

    def task(config: DictConfig) -> CroppedFaces:
        from faceflow.config.instantiate import plain_dict
        from faceflow.cropping.crop import crop

        done = crop(plain_dict(config))
        folder = done.folder.absolute()
        return CroppedFaces(
            folder=folder,
            finished=done.finished,
            crops=[folder / "crops" / name for name in done.crops],
            rows=folder / "crops.csv" if done.finished else None,
            labels=folder / "labels.csv" if done.labelled else None,
            table=clips_table(done.counts),
        )

    return run_command("crop", values, overrides, config_dir, task)
