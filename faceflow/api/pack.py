"""`faceflow.pack`: crops and their labels in a few large files, from Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from faceflow.api.running import run_command


@dataclass(frozen=True, kw_only=True)
class PackedFaces:
    """A packed set.

    Attributes:
        folder: of the set; pass it to `faceflow.train` as `labels` or `unlabeled`.
        rows: number of rows in the packed table.
        pictures: number of images; fewer than `rows` if several rows name the same image.
        features: number of images with features.
        shards: number of files that hold the images.
    """

    folder: Path
    rows: int
    pictures: int
    features: int
    shards: int


def pack(
    overrides: Sequence[str] = (),
    *,
    labels: str | Path | None = None,
    images: str | Path | None = None,
    output: str | Path | None = None,
    shard_mb: float | None = None,
    bad_images: str | None = None,
    config_dir: str | Path | None = None,
) -> PackedFaces:
    """Pack crops, as `faceflow-pack` does. If a call was interrupted, repeat it: it resumes.

    >>> packed = faceflow.pack(labels="faces.csv", images="crops", output="packed")
    >>> packed.rows
    40
    >>> run = faceflow.train(data="csv", labels=packed.folder, max_epochs=1)

    Args:
        overrides: any settings, written as on the command line.
        labels: table of the crops, as `labels` of `faceflow.train`; by default all images in `images` are packed.
        images: folder of the crops; by default the folder of the table.
        output: folder for the packed set.
        shard_mb: megabytes of images in each file.
        bad_images: what to do if an image is missing or broken: "error" or "keep".
        config_dir: folder with your own configs, as `--config-dir`.

    Raises:
        ConfigError: a setting is unknown or out of range, or `output` holds something else.
        DataError: a file cannot be read or written.
    """
    values = {"labels": labels, "images": images, "output": output, "shard_mb": shard_mb, "bad_images": bad_images}

    def task(config: DictConfig) -> PackedFaces:
        from faceflow.config.instantiate import plain_dict
        from faceflow.packing.pack import pack

        done = pack(plain_dict(config))
        return PackedFaces(
            folder=Path(str(config.output)).expanduser().absolute(),
            rows=done.rows,
            pictures=done.pictures,
            features=done.features,
            shards=len(done.shards),
        )

    return run_command("pack", values, overrides, config_dir, task)
