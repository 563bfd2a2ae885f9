"""DISFA (Mavadati et al. 2013): 27 subjects filmed by two cameras, 12 AUs graded 0-5 in every frame.

    Videos_LeftCamera/LeftVideoSN001_comp.avi   Video_RightCamera/RightVideoSN001_comp.avi
    ActionUnit_Labels/SN001/SN001_au1.txt       lines "frame,intensity", frames count from 1

Frame n of the labels is the n-th frame of the video. SN010's labels end one frame early.
"""

from __future__ import annotations

import logging
import re
from typing import ClassVar

from faceflow.checks import check_choice
from faceflow.datasets.disfa_bad_frames import PRESETS
from faceflow.datasets.label_files import Codes, Scores, by_frame, read_scores
from faceflow.datasets.layout import find, in_both, index_files, not_found, open_root
from faceflow.datasets.published import File, Folds, Labels, Recording
from faceflow.datasets.published_folds import subjects_of
from faceflow.errors import ConfigError, DataError

log = logging.getLogger(__name__)

AUS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
INTENSITY = Codes(highest=5, missing=None)
CAMERAS = ("left", "right")

_VIDEO_FOLDER = re.compile(r"videos?_?(left|right)_?camera(\.zip)?", re.IGNORECASE)
_VIDEO = re.compile(r"(left|right)videosn(\d{3})_comp\.avi", re.IGNORECASE)
_LABEL_FOLDER = re.compile(r"actionunit_?labels?(\.zip)?", re.IGNORECASE)
_LABEL = re.compile(r"sn(\d{3})_au(\d{1,2})\.txt", re.IGNORECASE)


class DISFA:
    """Parser of DISFA; folders may be zipped, nested once, and named in upper or lower case."""

    name = "disfa"
    folds: ClassVar[Folds] = {"megraphau": subjects_of("disfa3")}

    def __init__(self, *, root: str | None, camera: str, exclude: str | None) -> None:
        """Choose what to read.

        Args:
            root: folder that holds the videos and the labels.
            camera: left, right or both.
            exclude: name of a preset of bad frames, or None to keep every frame.

        Raises:
            ConfigError: no such folder, camera or preset.
        """
        check_choice(camera, key="dataset.camera", options=(*CAMERAS, "both"))
        check_choice(exclude, key="dataset.exclude", options=(None, *PRESETS))
        self.root = open_root(root, "DISFA")
        self.cameras = CAMERAS if camera == "both" else (camera,)
        self.bad_frames = PRESETS[exclude] if exclude else None

    def recordings(self) -> list[Recording]:
        """List the videos of the chosen cameras that have labels; both cameras of a subject share the subject."""
        videos = self._videos()
        files = index_files(find(self.root, _LABEL_FOLDER), _read_label_name)
        subjects = in_both("DISFA", {subject for subject, _ in files}, {subject for subject, _ in videos})
        if not subjects:
            layout = "Videos_LeftCamera/LeftVideoSN001_comp.avi and ActionUnit_Labels/SN001/SN001_au1.txt"
            raise not_found("DISFA", layout, self.root)
        labels = {subject: _read_labels(subject, files) for subject in subjects}
        return [
            Recording(
                name=f"{subject}/{camera}",
                file=file,
                frames=None,
                subject=subject,
                domain=camera,
                labels=labels[subject],
                excluded=self.bad_frames.excluded(subject) if self.bad_frames else {},
            )
            for (subject, camera), file in sorted(videos.items(), key=lambda item: item[0])
            if subject in labels
        ]

    def _videos(self) -> dict[tuple[str, str], File]:
        """Videos of the chosen cameras by subject and camera."""
        videos = index_files(find(self.root, _VIDEO_FOLDER), _read_video_name)
        there = {camera for _, camera in videos}
        if there and (absent := sorted(set(self.cameras) - there)):
            raise ConfigError(
                f"dataset.camera: expected videos of the {absent[0]} camera in '{self.root}', got only those of the "
                f"{min(there)} camera; set dataset.camera={min(there)} or add the others"
            )
        return {key: file for key, file in videos.items() if key[1] in self.cameras}


def _read_video_name(name: str) -> tuple[str, str] | None:
    match = _VIDEO.fullmatch(name)
    return (f"SN{match[2]}", match[1].lower()) if match else None


def _read_label_name(name: str) -> tuple[str, int] | None:
    match = _LABEL.fullmatch(name)
    return (f"SN{match[1]}", int(match[2])) if match else None


def _read_labels(subject: str, files: dict[tuple[str, int], File]) -> Labels:
    """Labels of one subject; the AU of a column is in the name of its file."""
    aus = {au for owner, au in files if owner == subject}
    if wrong := sorted(aus ^ set(AUS)):
        raise DataError(
            f"{subject}: expected label files for AU {', '.join(map(str, AUS))}, got "
            f"{'one' if wrong[0] in aus else 'none'} for AU {wrong[0]}; restore the original label folder"
        )
    scores = {au: _read_file(files[subject, au]) for au in AUS}
    known = {frame for frames in scores.values() for frame in frames}
    if short := [au for au in AUS if len(scores[au]) < len(known)]:
        log.warning(
            "%s: expected labels for all %d frames labelled in other files, got %d; the other frames lack AU%d",
            files[subject, short[0]],
            len(known),
            len(scores[short[0]]),
            short[0],
        )
    return by_frame({f"AU{au}": scores[au] for au in AUS})


def _read_file(file: File) -> Scores:
    scores = read_scores(file, INTENSITY, separator=",")
    if 0 in scores:
        raise DataError(f"{file}: expected frames counted from 1, got frame 0; restore the original file")
    return scores
