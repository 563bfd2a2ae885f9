"""What happens in a video, and when; phases worked out by hand."""

from __future__ import annotations

import dataclasses
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceflow.errors import ConfigError
from faceflow.faces.video import FrameRange, read_video
from faceflow.rendering.action_units import relaxed
from faceflow.rendering.camera import Pose
from faceflow.rendering.expressions import ExpressionRates
from faceflow.rendering.sequence import Event, Plan, VideoSettings, plan_sequence
from faceflow.rendering.video import event_rows, video_writer, write_disfa_labels

SMILE = Event(
    left={**relaxed(), "AU12": 4.0},
    right={**relaxed(), "AU12": 2.0, "AU6": 3.0},
    onset=10,
    apex=20,
    offset=30,
    end=50,
)
RATES = ExpressionRates(neutral=0, two_events=0.5, blink=0, one_sided=0, uneven=0, aus=None)


def settings(**values: object) -> VideoSettings:
    usual: dict[str, Any] = {
        **{"layout": "videos", "fps": 20, "width": 64, "height": 64, "face": 0.5},
        **{"pause_s": [0.5, 1], "onset_s": [0.2, 0.4], "apex_s": [0, 1], "offset_s": [0.3, 0.5]},
        **{"blinks_per_minute": 20, "motion": 5},
    }
    return VideoSettings(**{**usual, **values})


@pytest.mark.parametrize(
    ("frame", "share"),
    [
        (0, 0),
        (10, 0),
        (15, 0.5),
        (20, 1),
        (30, 1),
        (35, 0.5 + 0.5 * math.cos(math.pi / 4)),
        (40, 0.5),
        (50, 0),
    ],
)
def test_an_event_rises_stays_and_falls_in_half_waves(frame: int, share: float) -> None:
    assert SMILE.share(frame) == pytest.approx(share)


def test_a_frame_shows_the_share_of_its_event_on_each_side_and_a_blink_in_both() -> None:
    plan = Plan(fps=20, events=[SMILE], blinks=[41.25], phases=[0.0] * 6, motion=5)
    left, right = plan.intensities(15)
    assert (left["AU12"], right["AU12"], right["AU6"]) == pytest.approx((2, 1, 1.5))
    left, right = plan.intensities(40)  # half of the closing takes 0.125 s, 2.5 frames: 1 - 1.25 / 2.5 of it
    assert left["AU45"] == right["AU45"] == pytest.approx(2.5)
    assert plan.intensities(38)[0]["AU45"] == 0


def test_a_head_moves_around_its_pose_and_no_farther_than_it_may() -> None:
    plan = Plan(fps=20, events=[], blinks=[], phases=[0.0] * 6, motion=5)
    assert plan.pose(0, Pose(0.1, 0.2, 0.3)) == pytest.approx((0.1, 0.2, 0.3))
    yaws = [plan.pose(frame, Pose(0, 0, 0)).yaw for frame in range(400)]
    assert math.degrees(max(yaws)) == pytest.approx(5, abs=0.01)


def test_events_follow_each_other_and_end_within_the_video() -> None:
    plan = plan_sequence(np.random.default_rng(0), 600, settings(), RATES)
    assert len(plan.events) > 5
    for before, after in zip(plan.events, plan.events[1:], strict=False):
        assert before.onset < before.apex <= before.offset < before.end
        assert after.onset >= before.end + 10  # half a second
    assert plan.events[-1].end < 600
    assert all(0 <= blink < 600 for blink in plan.blinks)


def test_the_table_of_events_counts_frames_from_one() -> None:
    rows = event_rows([SMILE], 20, [(relaxed(), relaxed())] * 60)
    assert [(row["au"], row["side"], row["level"]) for row in rows] == [
        ("AU6", "right", 3),
        ("AU12", "left", 4),
        ("AU12", "right", 2),
    ]
    assert rows[0]["onset_frame"] == 11
    assert rows[0]["end_s"] == 2.5


def test_events_of_parted_lips_and_blinks_are_those_that_are_seen() -> None:
    planned = dataclasses.replace(SMILE, left={**relaxed(), "AU25": 3.0}, right={**relaxed(), "AU25": 3.0})
    parted = [0, 0, 1, 2.1, 2.0, 1, 0, 0.3, 0, 0]
    shut = [0, 0, 0, 0, 0, 0, 0, 2.5, 5, 2.5]  # the video ends before the eye is open
    frames = [
        ({**relaxed(), "AU25": lips, "AU45": lid}, {**relaxed(), "AU25": lips})
        for lips, lid in zip(parted, shut, strict=True)
    ]
    rows = event_rows([planned], 10, frames)
    names = ("au", "side", "level", "onset_frame", "apex_frame", "offset_frame", "end_frame", "end_s")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("AU25", "both", 2, 2, 4, 5, 7, 0.6),
        ("AU45", "left", 5, 7, 9, 9, 10, 0.9),
    ]


def test_labels_in_disfas_layout_are_the_larger_side_of_every_frame(tmp_path: Path) -> None:
    levels = [{f"AU{au}_{side}": 0 for au in range(1, 46) for side in "LR"} for _ in range(2)]
    levels[1]["AU12_R"] = 3
    write_disfa_labels(tmp_path, "SN001", levels)
    assert (tmp_path / "ActionUnit_Labels/SN001/SN001_au12.txt").read_text() == "1,0\n2,3\n"
    assert len(list((tmp_path / "ActionUnit_Labels/SN001").iterdir())) == 12


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layout": "imax"}, "video.layout: expected videos or disfa, got 'imax'"),
        ({"fps": 0}, "video.fps: expected frames per second in 1..240, got 0"),
        ({"onset_s": [1, 0.5]}, r"video.onset_s: expected two numbers >= 0, the smaller one first, got \[1, 0.5\]"),
        ({"width": 10}, "video.width: expected a whole number from 64 to 4096, got 10"),
    ],
)
def test_invalid_values_are_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(**values)


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of POSIX")
def test_a_disk_that_is_full_is_told_and_leaves_no_video(tmp_path: Path) -> None:
    program = f"""
import resource, signal
import numpy as np
from faceflow.errors import DataError
from faceflow.rendering.sequence import VideoSettings
from faceflow.rendering.video import video_writer
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
try:
    with video_writer(Path({str(tmp_path)!r}) / "a.avi", VideoSettings(**{dataclasses.asdict(settings())!r})) as write:
        for _ in range(60):
            write(noise)
except DataError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert re.match(rf"{tmp_path}/a\.avi: expected 60 frames on disk, got \d+; free disk space", done.stdout)
    assert list(tmp_path.iterdir()) == []


def test_a_video_has_the_frames_that_were_written(tmp_path: Path) -> None:
    with video_writer(tmp_path / "a.avi", settings()) as write:
        for grey in (50, 200):
            write(np.full((64, 64, 3), grey, np.uint8))
    frames = [frame.image for frame in read_video(tmp_path / "a.avi", FrameRange(every=1, start_s=0.0, end_s=None))]
    assert [round(float(frame.mean())) for frame in frames if frame is not None] == pytest.approx([50, 200], abs=1)
