"""What a rendered video shows, read back from its frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from faceflow.errors import ConfigError, DataError
from faceflow.images import Image, read_image
from faceflow.inference.contract import ModelContract
from faceflow.inference.face_crops import Picture
from faceflow.inference.pipeline import FramePrediction
from faceflow.inference.render import Renderer, shown
from tests.helpers.exported import contract, intensity_contract
from tests.helpers.predictions import NOBODY, face, frame

WIDTH, HEIGHT, PANEL = 640, 480, 400
BLUE, ORANGE, GREEN, GREY = (86, 160, 214), (230, 140, 40), (110, 220, 120), (62, 62, 68)


def grey(value: int = 128) -> Picture:
    return Picture(pixels=np.full((HEIGHT, WIDTH, 3), value, np.uint8), scale=2.0)


def render(path: Path, frames: Sequence[FramePrediction], says: ModelContract | None = None) -> list[Image]:
    """Frames of the rendered video, RGB."""
    with Renderer(path, says or contract(), 12.5, None) as renderer:
        passed = list(renderer.draw(iter(frames)))
    assert [item.number for item in passed] == [item.number for item in frames]
    assert all(item.picture is None for item in passed), "pictures are not kept"
    with av.open(str(path)) as container:
        return [np.asarray(image.to_ndarray(format="rgb24"), np.uint8) for image in container.decode(video=0)]


def share_of(image: Image, row: int, colour: tuple[int, int, int]) -> float:
    """Part of a line of pixels in the panel that has a colour; codecs blur."""
    line = image[row, WIDTH + 12 : WIDTH + PANEL - 12].astype(int)
    return float((np.abs(line - np.array(colour)).max(axis=1) < 45).mean())


def bar_row(index: int) -> int:
    return 40 + index * 30 + 16 + 4


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_every_frame_is_there_beside_its_panel(tmp_path: Path, suffix: str) -> None:
    frames = [frame(n, face((0.5, 0.5, 0.5)), time_s=n / 10, picture=grey(40 * n)) for n in range(1, 6)]
    images = render(tmp_path / f"new/a{suffix}", frames)
    assert [image.shape for image in images] == [(HEIGHT, WIDTH + PANEL, 3)] * 5
    assert [float(image[300:, 300:600].mean()) for image in images] == pytest.approx([40, 80, 120, 160, 200], abs=3)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [f"a{suffix}"]


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_picture_is_shown_as_a_picture(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    with Renderer(path, contract(), None, None) as renderer:
        list(renderer.draw(iter([frame(1, face((0.25, 0.7, 0.0)), time_s=None, picture=grey(40))])))
        assert not path.exists(), "before it is complete"
    image = read_image(path)
    assert image.shape == (HEIGHT, WIDTH + PANEL, 3)
    assert float(image[300:, 300:600].mean()) == pytest.approx(40, abs=1)
    assert share_of(image, bar_row(0), ORANGE) == pytest.approx(0.25, abs=0.01)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_bars_are_as_long_as_probabilities_and_orange_from_the_threshold_on(tmp_path: Path) -> None:
    (image,) = render(tmp_path / "a.avi", [frame(1, face((0.25, 0.7, 0.0)), picture=grey())])
    # Thresholds: 0.25, 0.75, 0.5.
    assert share_of(image, bar_row(0), ORANGE) == pytest.approx(0.25, abs=0.02)
    assert share_of(image, bar_row(0), BLUE) < 0.02
    assert share_of(image, bar_row(1), BLUE) == pytest.approx(0.7, abs=0.02)
    assert share_of(image, bar_row(2), GREY) == pytest.approx(1.0, abs=0.03)
    for index, threshold in enumerate((0.25, 0.75, 0.5)):
        mark = WIDTH + 12 + round(threshold * (PANEL - 24))
        assert image[bar_row(index) + 6, mark - 1 : mark + 2].max() > 180, "a line marks the threshold"


def test_bars_of_intensities_end_at_5_and_have_no_threshold(tmp_path: Path) -> None:
    found = face((0.9, 0.1, 0.9), (2.5, 5.0, 0.0))
    (image,) = render(tmp_path / "a.avi", [frame(1, found, picture=grey())], intensity_contract())
    assert share_of(image, bar_row(0), ORANGE) == pytest.approx(0.5, abs=0.02)
    assert share_of(image, bar_row(1), BLUE) == pytest.approx(1.0, abs=0.02)
    assert image[bar_row(1) + 7, WIDTH + 100 : WIDTH + PANEL].max() < 120


def test_boxes_lie_around_faces_in_the_scaled_picture(tmp_path: Path) -> None:
    found = face((0, 0, 0), box=(50, 60, 150, 200))
    (image,) = render(tmp_path / "a.avi", [frame(1, found, picture=grey())])
    green = np.abs(image[:, :WIDTH].astype(int) - np.array(GREEN)).max(axis=2) < 60
    rows, columns = np.nonzero(green)
    # Pixel x of the frame has its centre at 2 (x + 0.5) of the picture that is twice as large.
    assert (columns.min(), columns.max()) == (pytest.approx(101, abs=2), pytest.approx(301, abs=2))
    assert (rows.min(), rows.max()) == (pytest.approx(121, abs=2), pytest.approx(401, abs=2))


@pytest.mark.parametrize(("box", "left"), [((50, 60, 150, 200), 101), ((300, 0, 318, 40), None)])
def test_labels_of_several_faces_are_dark_on_a_bar_inside_the_picture(
    tmp_path: Path, box: tuple[int, int, int, int], left: int | None
) -> None:
    several = frame(1, face((0, 0, 0), box=box), face((0, 0, 0), number=1, box=(1, 150, 9, 200)), picture=grey())
    (image,) = render(tmp_path / "a.avi", [several])
    top = max(0, round((box[1] + 0.5) * 2) - 20)
    bar = image[top + 2 : top + 18, :WIDTH].astype(int)
    green = np.abs(bar - np.array(GREEN)).max(axis=2) < 60
    columns = np.nonzero(green.mean(axis=0) > 0.4)[0]
    # "face 0" takes some 45 pixels; at the edge the bar moves inwards.
    assert columns.max() - columns.min() > 35
    assert columns.min() == (pytest.approx(left, abs=2) if left else pytest.approx(WIDTH - 54, abs=12))
    dark = bar[:, columns.min() : columns.max()].max(axis=2) < 110
    assert 0.03 < dark.mean() < 0.4, "letters"


def test_a_face_keeps_its_label_when_the_others_have_gone(tmp_path: Path) -> None:
    alone = frame(1, face((0, 0, 0), box=(100, 50, 150, 100)), picture=grey())
    both = frame(2, *alone.faces, face((0, 0, 0), number=1, box=(10, 50, 60, 100)), picture=grey())
    later = frame(3, face((0, 0, 0), box=(100, 50, 150, 100)), picture=grey())
    images = render(tmp_path / "a.avi", [alone, both, later])
    # Twice as large in the picture: the bar of the label lies above the box, at its left edge.
    bars = [image[101 - 10, 200:240].astype(int) for image in images]
    shown = [bool((np.abs(bar - np.array(GREEN)).max(axis=1) < 45).mean() > 0.3) for bar in bars]
    assert shown == [False, True, True]


def test_frames_without_face_or_picture_keep_their_place(tmp_path: Path) -> None:
    frames = [frame(1, NOBODY, picture=grey(200)), frame(2, NOBODY), frame(3, face((1, 1, 1)), picture=grey(200))]
    first, broken, last = render(tmp_path / "a.avi", frames)
    assert first[200:, :WIDTH].mean() == pytest.approx(200, abs=2)
    assert broken[200:, :WIDTH].mean() < 40
    assert share_of(first, bar_row(0), ORANGE) == 0
    assert share_of(last, bar_row(0), ORANGE) > 0.9


def test_many_aus_fit_below_each_other(tmp_path: Path) -> None:
    aus = tuple(f"AU{n}" for n in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 22, 23, 24, 25, 26, 27, 28, 43, 45))
    says = contract(aus=aus, thresholds={})
    (image,) = render(tmp_path / "a.avi", [frame(1, face([1.0] * len(aus)), picture=grey())], says)
    orange = np.abs(image[:, WIDTH + 250].astype(int) - np.array(ORANGE)).max(axis=1) < 60
    assert np.count_nonzero(np.diff(orange.astype(int)) == 1) == len(aus)


@pytest.mark.parametrize(
    ("size", "expected", "scale"),
    [
        ((480, 640), (480, 640), 1.0),
        ((240, 320), (480, 640), 2.0),
        ((2160, 3840), (1080, 1920), 0.5),
        ((721, 1281), (720, 1280), 1280 / 1281),
        ((1, 1), (480, 480), 480.0),
    ],
)
def test_frames_are_shown_readable_and_no_larger_than_full_hd(
    size: tuple[int, int], expected: tuple[int, int], scale: float
) -> None:
    found = shown(np.zeros((*size, 3), np.uint8))
    assert found.pixels.shape[:2] == expected
    assert found.scale == pytest.approx(scale)


def test_an_early_end_leaves_a_video_of_what_was_drawn(tmp_path: Path) -> None:
    def interrupted() -> Iterator[FramePrediction]:
        yield from (frame(n, picture=grey()) for n in (1, 2))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Renderer(tmp_path / "a.avi", contract(), None, None) as renderer:
        list(renderer.draw(interrupted()))
    assert not (tmp_path / "a.avi").exists()
    with av.open(str(tmp_path / "a.partial.avi")) as container:
        assert len(list(container.decode(video=0))) == 2


def test_a_picture_that_turns_in_mid_stream_is_fitted_and_its_boxes_too(tmp_path: Path) -> None:
    turned = Picture(pixels=np.full((WIDTH, HEIGHT, 3), 200, np.uint8), scale=2.0)
    found = face((0, 0, 0), box=(50, 60, 150, 200))
    _, image = render(tmp_path / "a.avi", [frame(1, picture=grey()), frame(2, found, picture=turned)])
    # 480 x 640 becomes 360 x 480.
    assert image[300:, 20:340].mean() == pytest.approx(200, abs=3)
    assert image[:, 380:630].mean() < 40
    rows, columns = np.nonzero(np.abs(image[:, :WIDTH].astype(int) - np.array(GREEN)).max(axis=2) < 60)
    assert (columns.min(), columns.max()) == (pytest.approx(101 * 0.75, abs=3), pytest.approx(301 * 0.75, abs=3))
    assert (rows.min(), rows.max()) == (pytest.approx(121 * 0.75, abs=3), pytest.approx(401 * 0.75, abs=3))


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_a_full_disk_is_reported_and_leaves_no_video(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a.partial{suffix}").symlink_to("/dev/full")
    noise = Picture(pixels=np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8), scale=1.0)
    with pytest.raises(DataError) as caught:
        render(tmp_path / f"a{suffix}", [frame(n, picture=noise) for n in range(1, 4)])
    assert str(caught.value) == (
        f"render: expected a writable file, got 'no space left on device': '{tmp_path}/a{suffix}'; check disk and path"
    )
    assert list(tmp_path.iterdir()) == []


def test_another_format_or_place_is_refused(tmp_path: Path) -> None:
    line = "render: expected a video that ends in .mp4, .avi, .mkv, or for a single image .png, .jpg, got 'a.gif'"
    with pytest.raises(ConfigError, match=line):
        Renderer(Path("a.gif"), contract(), None, None)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="render: expected a writable file"):
        render(tmp_path / "file/a.avi", [frame(1, picture=grey())])
