"""A timeline as a picture and as a page: what is drawn where."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from faceflow.errors import ConfigError, DataError
from faceflow.report.timeline import Mark, Timeline, Trace
from faceflow.report.timeline_files import check_timeline, draw_timeline
from faceflow.report.timeline_html import timeline_page

NAN = float("nan")
CURVE = (0.1, 0.8, 0.9, 0.7, NAN, NAN, 0.2, 0.1, 0.6, 0.3)


def timeline(curve: Sequence[float] = CURVE, **changes: object) -> Timeline:
    """Ten frames of 0.1 s and two AUs; nobody is seen in frames 4 and 5, AU1 is active in 1 to 3 and in 8."""
    both = np.array([curve, curve], np.float32).T
    found = {
        "title": "a <b> & c.mp4",
        "aus": ("AU1", "AU12_L"),
        "time": np.arange(len(both)) / 10,
        "unit": "s",
        "traces": {0: Trace(start=0, values=both, active=both >= 0.5)},
        "thresholds": {"AU1": 0.5, "AU12_L": 0.5},
        "intensity": False,
    }
    return Timeline(**(found | changes))  # type: ignore[arg-type]


def svg_of(page: str) -> ElementTree.Element:
    return ElementTree.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])


def test_spans_reach_half_a_frame_beyond_their_first_and_last_one() -> None:
    found = timeline()
    assert found.step == pytest.approx(0.1)
    assert found.gaps == [(pytest.approx(0.35), pytest.approx(0.55))]
    assert found.active(found.traces[0], 0) == [
        (pytest.approx(0.05), pytest.approx(0.35)),
        (pytest.approx(0.75), pytest.approx(0.85)),
    ]
    assert found.spans(np.zeros(10, np.bool_)) == []


def test_a_gap_is_where_no_face_was_seen() -> None:
    left, right = np.full((2, 2), 0.5, np.float32), np.full((4, 2), 0.5, np.float32)
    right[1:3] = NAN
    traces = {
        0: Trace(start=2, values=left, active=left > 1),
        3: Trace(start=0, values=right, active=right > 1),
    }
    found = timeline([0] * 4, traces=traces)
    assert found.gaps == [(pytest.approx(0.05), pytest.approx(0.15))]


def test_a_face_is_drawn_where_it_was_seen(tmp_path: Path) -> None:
    values = np.full((3, 2), 0.75, np.float32)
    late = timeline(traces={7: Trace(start=6, values=values, active=values > 0.5)})
    assert late.active(late.traces[7], 0) == [(pytest.approx(0.55), pytest.approx(0.85))]
    page = timeline_page(late)
    (first, *_) = re.findall(r"[ML]([\d.]+) ([\d.]+)", next(svg_of(page).iter("path")).attrib["d"])
    assert (float(first[0]), float(first[1])) == (pytest.approx(210 + 6.5 * 116, abs=0.1), 11)
    data = json.loads(re.search(r"const D = (.*);", page)[1])  # type: ignore[index]
    assert data["values"][0] == [None] * 6 + [0.75] * 3 + [None]
    draw_timeline(tmp_path / "a.png", late)
    picture = cv2.imread(str(tmp_path / "a.png"))
    assert picture is not None
    _, columns = np.nonzero(np.abs(picture.astype(int) - np.array([0xB2, 0x72, 0x00])).max(axis=2) < 40)
    plot = (13.0 - 2.25 - 0.45) * 130
    assert columns.min() == pytest.approx(2.25 * 130 + 0.65 * plot, abs=4)
    assert columns.max() == pytest.approx(2.25 * 130 + 0.85 * plot, abs=4)


def test_faces_of_a_long_video_share_the_points_of_a_curve() -> None:
    frames = 20_000
    values = np.random.default_rng(0).random((2_000, 2)).astype(np.float32)
    faces = {number: Trace(start=2_000 * number, values=values, active=values > 1) for number in range(10)}
    page = timeline_page(timeline([0.5] * frames, traces=faces))
    paths = [node.attrib["d"] for node in svg_of(page).iter("path")][:10]
    assert all(150 <= len(re.findall(r"[ML]", path)) <= 200 for path in paths)


def test_the_caption_says_which_face_is_which_colour() -> None:
    values = np.full((4, 2), 0.5, np.float32)
    faces = {number: Trace(start=0, values=values, active=values > 1) for number in (0, 3, *range(10, 15))}
    found = timeline([0] * 4, traces=faces)
    assert "; face 0 blue, 3 red, 10 green, 11 pink, 12 light blue, 13 orange, and so on; shaded" in found.caption
    strokes = [node.attrib["stroke"] for node in svg_of(timeline_page(found)).iter("path")][: len(faces)]
    assert strokes[0] == strokes[6] == "#0072B2", "six colours, then the first again"
    assert len(set(strokes)) == 6
    assert "face" not in timeline().caption.replace("no face", "")


def test_the_page_stands_alone_and_holds_the_numbers() -> None:
    page = timeline_page(timeline())
    assert "a &lt;b&gt; &amp; c.mp4" in page
    assert not re.search(r"(src|href)=|https?://", page)
    data = json.loads(re.search(r"const D = (.*);", page)[1])  # type: ignore[index]
    assert data["time"] == pytest.approx([n / 10 for n in range(10)])
    assert data["values"][0] == [0.1, 0.8, 0.9, 0.7, None, None, 0.2, 0.1, 0.6, 0.3]
    assert len(data["values"]) == 2
    assert (data["from"], data["to"]) == (-0.05, 0.95)


def test_a_title_cannot_end_the_page_or_its_script() -> None:
    page = timeline_page(timeline(title="</title></script><script>alert('x')</script>"))
    assert page.count("<script") == page.count("</script>") == 1
    assert svg_of(page).attrib["aria-label"] == "</title></script><script>alert('x')</script>"


def test_curves_of_the_page_go_through_the_values_and_break_at_gaps() -> None:
    svg = svg_of(timeline_page(timeline()))
    paths = [node.attrib["d"] for node in svg.iter("path")]
    assert len(paths) == 2
    assert paths[0].count("M") == 2
    points = [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", paths[0])]
    # Ten frames share 1160 px from 210 on; a row of 44 px is probability 1 to 0.
    assert points[0] == (pytest.approx(210 + 58, abs=0.1), pytest.approx(44 * 0.9, abs=0.1))
    assert points[1] == (pytest.approx(210 + 174, abs=0.1), pytest.approx(44 * 0.2, abs=0.1))
    assert len(points) == 8


def test_the_page_shades_what_is_active() -> None:
    svg = svg_of(timeline_page(timeline()))
    shaded = [node for node in svg.iter("rect") if node.attrib["fill"] == "#FBE3D3" and node.attrib["y"] == "0"]
    assert [(float(n.attrib["x"]), float(n.attrib["width"])) for n in shaded] == [(326, 348), (1138, 116)]


def test_a_value_between_two_gaps_shows_as_a_point() -> None:
    page = timeline_page(timeline([0.5, NAN, 0.5, NAN]))
    paths = [node.attrib["d"] for node in svg_of(page).iter("path")]
    assert paths[0].count("h0") == 2


def test_of_a_long_video_peaks_are_kept() -> None:
    values = np.full(20_000, 0.1)
    values[14_321] = 1.0
    page = timeline_page(timeline(values.tolist()))
    path = next(svg_of(page).iter("path")).attrib["d"]
    points = re.findall(r"[ML]([\d.]+) ([\d.]+)", path)
    assert len(points) <= 2000
    assert min(float(y) for _, y in points) == 0
    assert len(page) < 2_000_000


def test_ticks_are_round_numbers() -> None:
    svg = svg_of(timeline_page(timeline([0.5] * 50)))
    ticks = [node.text for node in svg.iter("text") if node.attrib.get("text-anchor") == "middle"]
    assert ticks == ["0", "0.5", "1", "1.5", "2", "2.5", "3", "3.5", "4", "4.5", "time, s"]


@pytest.mark.skipif(which("node") is None, reason="no node to read the script with")
def test_the_script_of_the_page_is_javascript(tmp_path: Path) -> None:
    page = timeline_page(timeline())
    script = tmp_path / "page.js"
    script.write_text(page[page.index("<script>") + 8 : page.index("</script>")], encoding="utf-8")
    subprocess.run(["node", "--check", str(script)], check=True)


@pytest.mark.parametrize("intensity", [False, True])
def test_the_picture_has_a_row_for_every_au(tmp_path: Path, intensity: bool) -> None:
    path = tmp_path / "new/a.png"
    draw_timeline(path, timeline(intensity=intensity, title="$a_b$ c.mp4"))
    image = cv2.imread(str(path))
    assert image is not None
    assert image.shape[1] == 13 * 130
    curve = np.abs(image.astype(int) - np.array([0xB2, 0x72, 0x00])).max(axis=2) < 40  # BGR of the first colour
    # Axes run from 2.25 to 12.55 inches over 10 frames; frame 2 (0.9) lies high in its row, frame 0 (0.1) low.
    heights = []
    for number in (0, 2):
        column = round((2.25 + 10.3 * (number + 0.5) / 10) * 130)
        heights.append(np.nonzero(curve[: image.shape[0] // 2, column])[0].mean())
    assert heights[1] < heights[0]
    assert list(path.parent.iterdir()) == [path]


def test_a_single_frame_without_time_can_be_drawn(tmp_path: Path) -> None:
    one = timeline([0.5], unit="frame", time=np.array([7.0]))
    draw_timeline(tmp_path / "a.png", one)
    assert cv2.imread(str(tmp_path / "a.png")) is not None
    assert "frame" in timeline_page(one)


def test_other_formats_and_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="plot: expected a file that ends in .png or .html, got 'a.pdf'"):
        check_timeline(Path("a.pdf"))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="expected a writable file"):
        draw_timeline(tmp_path / "file/a.html", timeline())


EVENT = Mark(face=0, au="AU12_L", start=0.1, apex=0.2, end=0.3)


def test_an_event_is_a_bar_above_its_au_that_ends_with_its_last_frame() -> None:
    page = timeline_page(timeline(marks=[EVENT]))
    bars = [rect for rect in svg_of(page).iter("rect") if rect.get("height") == "3"]
    # Ten frames from -0.05 to 0.95 s over 1160 pixels from 210 on: the event lasts from 0.05 to 0.35 s.
    assert [(bar.get("x"), bar.get("width"), bar.get("y")) for bar in bars] == [("326.0", "348.0", "55")]
    assert [dot.get("cx") for dot in svg_of(page).iter("circle")] == ["500.0"]
    assert "shaded: active; bars: events, with their apex; grey" in page
    assert "events" not in timeline_page(timeline())


def test_events_at_once_lie_in_lanes() -> None:
    def event(face: int, start: float, end: float) -> Mark:
        return Mark(face=face, au="AU1", start=start, apex=start, end=end)

    values = np.full((10, 2), 0.5, np.float32)
    faces = {face: Trace(start=0, values=values, active=values > 1) for face in range(4)}
    marks = [event(1, 0.2, 0.5), event(0, 0.0, 0.3), event(0, 0.6, 0.7), event(2, 0.2, 0.9), event(3, 0.3, 0.4)]
    found = timeline(traces=faces, marks=marks)
    # The fourth at once shares the lane that is free first.
    lanes = [(mark.face, mark.start, lane) for mark, _, _, lane in found.spans_of("AU1")]
    assert lanes == [(0, 0.0, 0), (1, 0.2, 1), (2, 0.2, 2), (3, 0.3, 0), (0, 0.6, 0)]
    bars = [rect for rect in svg_of(timeline_page(found)).iter("rect") if rect.get("height") == "3"]
    assert [bar.get("y") for bar in bars] == ["-5", "-9", "-13", "-5", "-5"]


def test_an_event_is_drawn_above_its_panel_of_the_picture(tmp_path: Path) -> None:
    pictures = []
    for marks in ([], [EVENT]):
        path = tmp_path / f"{len(marks)}.png"
        draw_timeline(path, timeline(marks=marks))
        drawn = cv2.imread(str(path))
        assert drawn is not None
        pictures.append(drawn.astype(int))
    rows, columns = np.nonzero(np.abs(pictures[1] - pictures[0])[90:].sum(axis=2))  # below the caption
    width = pictures[0].shape[1]
    left, plot = 2.25 / 13.0 * width, (13.0 - 2.25 - 0.45) / 13.0 * width
    start, end = (left + (seconds + 0.05) * plot for seconds in (0.05, 0.35))
    assert len(rows)
    assert (columns.min(), columns.max()) == (pytest.approx(start, abs=3), pytest.approx(end, abs=3))
