"""Which faces of a frame are cropped, and which face is which across frames."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from faceflow.checks import check_choice, check_whole
from faceflow.faces.cuts import BLANK
from faceflow.faces.detector import Detection
from faceflow.faces.tracks import Tracks
from faceflow.faces.video import Frame
from faceflow.images import Image

Status = Literal["ok", "tracked", "no_face", "low_confidence", "decode_error"]
CUT: tuple[Status, ...] = ("ok", "tracked")  # statuses with a crop, and therefore with AUs
POLICIES = ("largest", "center", "track", "all")


@dataclass(frozen=True, eq=False, kw_only=True)
class Face:
    """One face in a frame.

    `number` identifies a face across the frames of a clip and is never reused; None if `status` is no_face.
    `detection` is where the face is: found (ok), found with a low score (low_confidence), or the last detection of a
    face that was missed (tracked, score NaN).
    """

    number: int | None
    status: Status
    detection: Detection | None


NO_FACE = Face(number=None, status="no_face", detection=None)
NO_FRAME = Face(number=None, status="decode_error", detection=None)


class Selector:
    """Chooses faces frame by frame; one per clip, as it has a state.

    A face is followed across frames by the overlap of its boxes, through up to `hold` frames that miss it.

    - largest: the face with the largest box.
    - center: the face nearest to the centre of the frame.
    - track: the largest face, then the same face as long as it is found. While it is missed, its last position is
      used for up to `hold` frames; after that the largest face is followed.
    - all: every face.

    Faces with a score below `min_score` come last: they are chosen only if there is no other.
    """

    def __init__(self, *, policy: str, hold: int, min_score: float) -> None:
        check_choice(policy, key="selection.policy", options=POLICIES)
        check_whole(hold, key="selection.hold", lowest=0, expected="frames >= 0")
        self._policy = policy
        self._hold = hold
        self._min_score = min_score
        self._tracks = Tracks(hold=hold)
        self._followed: Face | None = None
        self._missed = 0

    def begin_shot(self) -> None:
        """Stop following, as after a cut: a new face may appear where the old one was."""
        self._tracks.end()
        self._followed, self._missed = None, 0

    def choose(self, detections: Sequence[Detection], *, width: int, height: int) -> list[Face]:
        """Faces of the next frame, at least one entry; only `all` gives more.

        Args:
            detections: of the whole frame.
            width: of the frame, pixels.
            height: of the frame, pixels.
        """
        numbers = self._tracks.assign([detection.box for detection in detections])
        faces = [
            # A score of NaN is not low.
            Face(number=number, status="low_confidence" if found.score < self._min_score else "ok", detection=found)
            for number, found in zip(numbers, detections, strict=True)
        ]
        if self._policy == "all":
            return sorted(faces, key=lambda face: face.number or 0) or [NO_FACE]
        if self._policy == "center":
            middle = (width - 1) / 2, (height - 1) / 2
            return [_best(faces, lambda found: -math.dist(found.box.reshape(2, 2).mean(axis=0), middle))]
        return [self._follow(faces) if self._policy == "track" else _best(faces, _area)]

    def _follow(self, faces: Sequence[Face]) -> Face:
        if self._followed is not None:
            for face in faces:
                if face.number == self._followed.number:
                    self._followed, self._missed = face, 0
                    return face
            self._missed += 1
            if self._missed <= self._hold:
                assert self._followed.detection is not None
                last = dataclasses.replace(self._followed.detection, score=math.nan)
                return Face(number=self._followed.number, status="tracked", detection=last)
        face = _best(faces, _area)
        self._followed, self._missed = (face if face.status == "ok" else None), 0
        return face


def choose_faces(
    searched: Iterable[tuple[Frame, Sequence[Detection]]], *, policy: str, hold: int, min_score: float, sequence: bool
) -> Iterator[tuple[Frame, Sequence[Face]]]:
    """Choose faces in frames, which come in order with their detections.

    Args:
        searched: a frame that was not decoded gets one entry with the status decode_error. No face is followed across a
            cut, and none is held in a frame that is blank where it was.
        policy: as in `Selector`.
        hold: as in `Selector`.
        min_score: as in `Selector`.
        sequence: whether the frames follow each other in time; otherwise each frame is treated on its own.
    """
    selector = Selector(policy=policy, hold=hold, min_score=min_score)
    for frame, detections in searched:
        if frame.image is None:
            yield frame, [NO_FRAME]
            continue
        if not sequence:
            selector = Selector(policy=policy, hold=hold, min_score=min_score)
        if frame.after_cut:
            selector.begin_shot()
        height, width = frame.image.shape[:2]
        faces = selector.choose(detections, width=width, height=height)
        yield frame, [NO_FACE if _is_held_over_nothing(face, frame.image) else face for face in faces]


def _best(faces: Sequence[Face], merit: Callable[[Detection], float]) -> Face:
    def rank(face: Face) -> tuple[bool, float]:
        assert face.detection is not None
        return face.status == "ok", merit(face.detection)

    return max(faces, key=rank, default=NO_FACE)


def _is_held_over_nothing(face: Face, image: Image) -> bool:
    """Whether the frame is blank at the last position of a face, as in a black frame or at the end of a fade."""
    if face.status != "tracked" or face.detection is None:
        return False
    x1, y1, x2, y2 = face.detection.box.clip(min=0).astype(int)
    place = image[y1 : y2 + 1, x1 : x2 + 1, 1]
    return place.size == 0 or float(place.std()) < BLANK


def _area(found: Detection) -> float:
    x1, y1, x2, y2 = found.box
    return float((x2 - x1) * (y2 - y1))
