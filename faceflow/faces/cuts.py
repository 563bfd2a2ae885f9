"""Finding cuts in a video while it is read: where one shot ends and another begins."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from faceflow.faces.video import Frame
from faceflow.images import Image

Sketch = NDArray[np.float32]

_WIDTH, _HEIGHT = 32, 24  # of a sketch
_SAMPLES = 3  # pixels of a frame that are read per pixel of a sketch, per axis
_NEAR = (9, 9)  # window of the local contrast, in pixels of a sketch at double size
_NOISE = 3.0  # grey levels of contrast that show nothing
BLANK = 2.0  # standard deviation of grey below which a frame is blank, as between two fades
_MOTION = 3  # pixels of a sketch that camera or people may move between frames: a tenth of the width

_CHANGED = 0.35  # 1 - correlation from which a frame may begin a shot
_SUDDEN = 1.5  # times the change of the neighbouring frames
_BEFORE, _AFTER = 4, 2  # neighbouring frames
_RESTORED = 0.6  # share of the change: if a later frame differs less from the one before, it was a flash


def mark_cuts(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Pass on the frames of a video, and mark the first frame after each cut.

    For each frame a sketch is made: small, grey, with normalised local contrast, so that light and exposure do not
    matter. A frame begins a shot if its sketch does not correlate with the one before, even shifted by a few pixels for
    motion; if the change is more sudden than that of its neighbours, unlike with a fast pan; and if the old image does
    not come back at once, as after a flash. Blank frames are skipped. If a frame looks like a cut, the next two frames
    are read before deciding.

    A dissolve is not a cut, nor is a jump within a shot that leaves most of the image unchanged.
    """
    source, coming = iter(frames), deque[tuple[Frame, Sketch | None]]()

    def read_ahead(count: int) -> None:
        coming.extend((frame, _sketch(frame.image)) for frame in islice(source, max(count - len(coming), 0)))

    last: Sketch | None = None
    changes: deque[float] = deque(maxlen=_BEFORE)
    while True:
        read_ahead(1)
        if not coming:
            return
        frame, sketch = coming.popleft()
        if sketch is None or last is None:
            last = last if sketch is None else sketch
            yield frame
            continue
        change = _change(last, sketch)
        if change > max(_CHANGED, _SUDDEN * max(changes, default=0.0)):
            read_ahead(_AFTER)
            after = [seen for _, seen in islice(coming, _AFTER) if seen is not None]
            if any(_change(last, seen) < min(_CHANGED, _RESTORED * change) for seen in after):
                yield frame
                continue  # it was a flash: later frames are compared with the one before it
            if not after or change > _SUDDEN * _change(sketch, after[0]):
                frame, change = dataclasses.replace(frame, after_cut=True), 0.0
                changes.clear()
        changes.append(change)
        last = sketch
        yield frame


def _sketch(image: Image | None) -> Sketch | None:
    """Sketch (_HEIGHT, _WIDTH) of an RGB image (H, W, 3); None for a blank one."""
    if image is None:
        return None
    # A sample of the green channel is enough: reading a whole large frame would take longer than everything else.
    steps = [max(side // (_SAMPLES * small), 1) for side, small in zip(image.shape, (_HEIGHT, _WIDTH), strict=False)]
    few = np.ascontiguousarray(image[steps[0] // 2 :: steps[0], steps[1] // 2 :: steps[1], 1])
    grey = cv2.resize(few, (2 * _WIDTH, 2 * _HEIGHT), interpolation=cv2.INTER_AREA)
    if cv2.meanStdDev(grey)[1].item() < BLANK:
        return None
    detail = grey.astype(np.float32)
    detail -= cv2.blur(detail, _NEAR)
    detail /= np.sqrt(cv2.blur(detail * detail, _NEAR)) + _NOISE
    return np.asarray(cv2.resize(detail, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA), np.float32)


def _change(one: Sketch, other: Sketch) -> float:
    """1 - correlation of two sketches, in 0..2, at the shift where they match best."""
    middle = other[_MOTION:-_MOTION, _MOTION:-_MOTION]
    return 1 - float(cv2.matchTemplate(one, middle, cv2.TM_CCOEFF_NORMED).max())
