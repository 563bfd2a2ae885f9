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
    """Face crops from videos and images.

    Attributes:
        folder: where all results are.
        finished: False while other machines are still cropping their parts (`shared`, `shard`).
        crops: files of the crops.
        rows: crops.csv, one row per frame and face; None until everything is finished.
        labels: labels.csv, ready for `faceflow.train`; None unless a data set or `labels` was given.
        table: number of rows by status, for each clip.
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
    """Cut aligned faces out of videos and images, as `faceflow-crop` does.

    >>> faces = faceflow.crop(source="video.mp4", output="faces")
    >>> faces.rows.name
    'crops.csv'
    >>> faceflow.crop(source="photos", labels="codes.csv", output="labelled").labels.name
    'labels.csv'
    >>> faceflow.crop(dataset="disfa", root="/data/DISFA", output="disfa").labels  # doctest: +SKIP

    The folder `features/` beside the crops holds landmarks, blendshapes and head pose of each. If a call was
    interrupted, repeat it with the same settings: it resumes.

    Args:
        overrides: any settings, written as on the command line.
        source: a file, a folder (searched recursively), a glob pattern, or a list of these.
        output: folder for the results.
        labels: a table of AUs for the images, or for the video frames, in `source`; see docs/how_to/crop.md.
        dataset: a published data set in `root`, such as "disfa" or "bp4d", instead of `source`.
        root: folder of the data set.
        selection: which faces of a frame to crop: "largest", "center", "track" (one subject through a video) or "all".
        hold: number of frames for which a lost face keeps its last position.
        smooth: frames on either side over which the alignment is smoothed in videos.
        cuts: whether to detect cuts in videos; faces after a cut get new numbers.
        every: 5 takes every fifth frame of a video.
        start_s: seconds to skip at the start of a video.
        end_s: second of a video at which to stop.
        align: how faces are cut: "eyes", "box" or "jaanet".
        detector: "mediapipe_landmarks" or "mediapipe_boxes".
        folds: "published", or the number of folds to split the subjects of a data set into.
        card: file for a card of the crops in Hugging Face format, such as "README.md".
        workers: number of processes; each takes one video at a time. They import the calling program, so a script
            needs `if __name__ == "__main__":`.
        shared: whether other calls and commands with these settings, on this machine or others, crop into `output` too.
        config_dir: folder with your own configs, as `--config-dir`.

    Raises:
        ConfigError: a setting is unknown or out of range.
        DataError: no face was found, or a file cannot be read or written.
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
