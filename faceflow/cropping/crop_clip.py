"""Cropping one clip: read, detect, select, align and write in one pass with bounded memory."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import shutil
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceflow.checks import check_boolean, check_choice, check_whole
from faceflow.cropping.clips import Clip
from faceflow.cropping.crop_rows import FaceRow, write_rows
from faceflow.cropping.detection_log import DetectionLog
from faceflow.cropping.source_state import store_source
from faceflow.datasets.published import ZipMember
from faceflow.errors import DataError
from faceflow.faces.align import Recipe
from faceflow.faces.cuts import mark_cuts
from faceflow.faces.detector import Detection, FaceDetector
from faceflow.faces.feature_file import FeatureSpool, feature_file, pack
from faceflow.faces.parallel import map_in_order
from faceflow.faces.prefetch import frame_bytes
from faceflow.faces.selection import CUT, Face, Selector, choose_faces
from faceflow.faces.track_smoothing import smooth
from faceflow.faces.video import Frame, FrameRange, read_images, read_video, warn_of_faults
from faceflow.files import whole_file
from faceflow.images import encode_image, hash_content

log = logging.getLogger(__name__)

CROPS, PROGRESS, ROWS = "crops", ".progress", "rows.csv"
FORMATS = ("jpg", "png")


@dataclass(frozen=True, kw_only=True)
class CropSettings:
    """How faces are selected, aligned and written; `policy` and `hold` as in `Selector`, `smooth` as in `smooth`.

    `cuts`: whether to find cuts in videos; faces are not tracked across cuts.
    """

    recipe: Recipe
    policy: str
    hold: int
    smooth: int
    cuts: bool
    frames: FrameRange
    format: str
    quality: int

    def __post_init__(self) -> None:
        """Check the values before anything is read."""
        Selector(policy=self.policy, hold=self.hold, min_score=0.0)
        smooth([], radius=self.smooth)
        check_boolean(self.cuts, key="selection.cuts")
        check_choice(self.format, key="image.format", options=FORMATS)
        check_whole(self.quality, key="image.quality", lowest=1, highest=100, expected="a whole number 1..100")

    def to_dict(self) -> dict[str, Any]:
        """Plain data by config key."""
        return {
            "align": self.recipe.to_dict(),
            "selection": {"policy": self.policy, "hold": self.hold, "smooth": self.smooth, "cuts": self.cuts},
            "frames": dataclasses.asdict(self.frames),
            "image": {"format": self.format, "quality": self.quality},
        }


def rows_file(output: Path, clip: Clip) -> Path:
    """File with the rows of a clip; it exists once the clip is finished."""
    return output / PROGRESS / clip.name / ROWS


def _log_file(output: Path, clip: Clip) -> Path:
    return rows_file(output, clip).with_name("detections.jsonl")


def crop_clip(
    clip: Clip,
    settings: CropSettings,
    detectors: Sequence[FaceDetector],
    output: Path,
    tell: Callable[[int], None],
) -> None:
    """Crop a clip; detections and crops of an interrupted run are reused, with the same result.

    Args:
        clip: a file that cannot be read gets a row with the status decode_error.
        settings: see `CropSettings`.
        detectors: equal copies, open; each searches one frame at a time.
        output: folder of all results.
        tell: called with the number of frames done since the last call.

    Raises:
        DataError: a result cannot be written.
    """
    done = rows_file(output, clip)
    begun = store_source(clip, done.parent)
    rows: list[FaceRow] = []
    with FeatureSpool(done.parent) as features:
        try:
            with contextlib.closing(_chosen_faces(clip, settings, detectors, output)) as frames:
                for frame, faces in frames:
                    for face in faces:
                        rows.append(_crop(clip, frame, face, settings, output, begun))
                        _keep_features(face, output / CROPS / rows[-1].crop, features)
                    tell(1)
        except UnreadableClipError as error:
            log.warning("%s", error)
            rows.append(FaceRow(file=clip.title, frame=0, time_s=None, status="decode_error"))
        features.store(feature_file(output, clip.name))
    if not rows:
        log.warning("%s: no frames selected; check frames.start_s, end_s and every", clip.title)
    write_rows(done, rows)
    tidy(clip, output)


def tidy(clip: Clip, output: Path) -> None:
    """Remove temporary files of a finished clip, also if its run was killed before it could."""
    _log_file(output, clip).unlink(missing_ok=True)


class UnreadableClipError(DataError):
    """A file without readable frames; the other files are still cropped."""


def _chosen_faces(
    clip: Clip, settings: CropSettings, detectors: Sequence[FaceDetector], output: Path
) -> Generator[tuple[Frame, list[Face]], None, None]:
    """Frames of a clip with the faces to crop, smoothed."""
    path = _log_file(output, clip)
    with (
        _local_file(clip, path.parent) as file,
        DetectionLog(path) as known,
        contextlib.closing(
            _searched(warn_of_faults(_frames(clip, file, settings), clip.frame_file), detectors, known)
        ) as searched,
    ):
        chosen = choose_faces(
            searched,
            policy=settings.policy,
            hold=settings.hold,
            min_score=detectors[0].min_score,
            sequence=clip.sequence,
        )
        yield from smooth(chosen, radius=settings.smooth if clip.sequence else 0)


def _frames(clip: Clip, file: Path, settings: CropSettings) -> Iterator[Frame]:
    marked = mark_cuts if settings.cuts and clip.sequence else iter
    if clip.images is not None:
        every = settings.frames.every if clip.sequence else 1  # photographs are not frames
        yield from marked(read_images({n: path for n, path in clip.images.items() if not (n - 1) % every}))
        return
    try:
        yield from marked(read_video(file, settings.frames))
    except DataError as error:
        raise UnreadableClipError(str(error).replace(str(file), clip.title)) from error


def _searched(
    frames: Iterable[Frame], detectors: Sequence[FaceDetector], known: DetectionLog
) -> Generator[tuple[Frame, list[Detection]], None, None]:
    def search(detector: FaceDetector, frame: Frame) -> tuple[Frame, list[Detection] | None]:
        if frame.image is None or frame.number in known:
            return frame, None
        return frame, detector.detect(frame.image)

    # Frames are decoded, searched and, by the caller, written in parallel.
    with contextlib.closing(map_in_order(search, detectors, frames, weigh=frame_bytes)) as searched:
        for frame, found in searched:
            if found is not None:
                known.add(frame.number, found)
            yield frame, known.get(frame.number) or [] if found is None else found


def _crop(clip: Clip, frame: Frame, face: Face, settings: CropSettings, output: Path, begun: int) -> FaceRow:
    row = FaceRow(file=clip.frame_file(frame.number), frame=frame.number, time_s=frame.time_s, status=face.status)
    detection = face.detection
    if detection is None or frame.image is None:
        return row
    score = None if math.isnan(detection.score) else detection.score
    row = dataclasses.replace(row, face=face.number, score=score, box=detection.box, points=detection.points)
    if face.status not in CUT:
        return row
    suffix = f"_f{face.number}" if settings.policy == "all" else ""
    name = f"{clip.frame_name(frame.number)}{suffix}.{settings.format}"
    crop = f"{clip.name}/{name}" if clip.name else name
    affine = settings.recipe.affine(detection)
    path = output / CROPS / crop
    if not _was_written(path, begun):
        content = encode_image(settings.recipe.warp(frame.image, affine), path.suffix, quality=settings.quality)
        with whole_file(path) as partial:
            partial.write_bytes(content)
    return dataclasses.replace(row, affine=affine, crop=crop)


def _keep_features(face: Face, crop: Path, features: FeatureSpool) -> None:
    """Store the features as detected: smoothing them like the alignment would blur a blink."""
    if face.status in CUT and face.detection is not None and face.detection.features is not None:
        features.add(crop.name, pack(face.detection.features.vector(), picture=hash_content(crop)))


def _was_written(crop: Path, begun: int) -> bool:
    """Whether an earlier run wrote this crop from the file as it is now."""
    try:
        return crop.stat().st_mtime_ns >= begun
    except OSError:
        return False


@contextlib.contextmanager
def _local_file(clip: Clip, folder: Path) -> Iterator[Path]:
    """Path of a clip's file; a video in a zip archive is unpacked while the block runs."""
    if isinstance(clip.file, Path):
        yield clip.file
        return
    member: ZipMember = clip.file
    unpacked = folder / member.name
    try:
        with (
            zipfile.ZipFile(member.archive) as archive,
            archive.open(member.member) as packed,
            whole_file(unpacked) as partial,
            partial.open("wb") as file,
        ):
            shutil.copyfileobj(packed, file)
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, OSError, RuntimeError) as error:  # the last: encrypted
        raise UnreadableClipError(
            f"{member}: expected a file that can be unpacked, got '{error}'; replace the archive or leave it out"
        ) from error
    try:
        yield unpacked
    finally:
        unpacked.unlink(missing_ok=True)
