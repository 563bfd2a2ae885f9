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
        folder: where it lies, for `labels` of `faceflow.train`, or as its `unlabeled`.
        rows: of the table that was packed.
        pictures: fewer than `rows` where several rows name one.
        features: pictures with features.
        shards: files of pictures.
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
    """Pack crops, as `faceflow-pack` does; started again after an end that was not its own, it goes on.

    >>> packed = faceflow.pack(labels="faces.csv", images="crops", output="packed")
    >>> packed.rows
    40
    >>> run = faceflow.train(data="csv", labels=packed.folder, max_epochs=1)

    Args:
        overrides: any settings as on the command line.
        labels: table of the crops, as `labels` of `faceflow.train`; without one, all pictures below `images`.
        images: folder of the crops; by default that of the table.
        output: folder of the packed set.
        shard_mb: megabytes of pictures in each file.
        bad_images: "error" or "keep": what is done about a picture that is missing or broken.
        config_dir: folder with configs of your own, as `--config-dir`.

    Raises:
        ConfigError: a setting that is unknown or out of range, or a folder with something else in it.
        DataError: files that cannot be read or written.
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
