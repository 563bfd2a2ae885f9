from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faceflow.errors import ConfigError
from faceflow.faces.video import FrameRange
from faceflow.inference.frames import find_sources
from faceflow.inference.written_files import WrittenFiles, choose_files
from tests.helpers.claims import claimed_elsewhere
from tests.helpers.markers import face_at, moving_faces, write_photo, write_video

ALL = FrameRange(every=1, start_s=0.0, end_s=None)


def chosen(output: object, **changes: Any) -> WrittenFiles:
    values: dict[str, Any] = {"render": None, "plot": None, "events": False, "source": None, "overwrite": False}
    return choose_files(str(output), **(values | changes))


def test_a_table_has_its_description_beside_it_and_stdout_has_none(tmp_path: Path) -> None:
    files = chosen(tmp_path / "a.csv", render="r.mp4", plot="p.html")
    assert files.all == {
        "output": tmp_path / "a.csv",
        "output, its description": tmp_path / "a.json",
        "render": Path("r.mp4"),
        "plot": Path("p.html"),
    }
    assert chosen("-").all == {}


@pytest.mark.parametrize(
    ("events", "name"), [(True, "a_events.csv"), ("true", "a_events.csv"), ("e.jsonl", "e.jsonl"), (None, None)]
)
def test_events_lie_beside_the_table_or_where_they_are_asked_for(events: object, name: str | None) -> None:
    assert chosen("a.csv", events=events).events == (None if name is None else Path(name))


def test_events_beside_stdout_need_a_name() -> None:
    with pytest.raises(
        ConfigError, match="^events: expected a file name, as rows go to stdout, got true; write events="
    ):
        chosen("-", events=True)
    assert chosen("-", events="e.csv").events == Path("e.csv")


def test_pictures_alone_have_no_events(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.avi", moving_faces(2))
    photo = write_photo(tmp_path / "a.png", face_at(40, 40))
    files = chosen(tmp_path / "a.csv", events=True)
    files.check_sources(find_sources([video, photo], ALL))
    with pytest.raises(ConfigError, match="^events: expected a video or camera, got images; leave events out"):
        files.check_sources(find_sources(photo, ALL))


def test_invalid_names_are_refused(tmp_path: Path) -> None:
    (tmp_path / "d.csv").mkdir()
    source = write_photo(tmp_path / "a.png", face_at(40, 40))
    for name, keywords, line in (
        ("a.xls", {}, "output: expected a file that ends in .csv, .jsonl, .parquet, or -"),
        ("d.csv", {}, "output: expected the name of a file, got a folder"),
        ("b.csv", {"plot": "a.pdf"}, "plot: expected a file that ends in .png or .html"),
        ("b.csv", {"plot": str(source), "source": [str(source)]}, "plot: expected a file for results, got the source"),
        ("b.csv", {"plot": str(source)}, "plot: expected a new file, got one that exists"),
        ("b.csv", {"events": "a.txt"}, "events: expected a file that ends in .csv, .jsonl, .parquet, got 'a.txt'"),
        ("b.csv", {"events": "-"}, "events: expected a separate file, got '-'"),
        ("b.csv", {"events": str(tmp_path / "b.csv")}, "events: expected a separate file, got"),
        ("b.csv", {"overwrite": "maybe"}, "overwrite: expected true or false, got 'maybe'"),
    ):
        with pytest.raises(ConfigError) as caught:
            chosen(tmp_path / name, **keywords)
        assert str(caught.value).startswith(line)
    assert chosen(tmp_path / "b.csv", plot=str(source), overwrite=True).plot == source


def test_one_video_is_rendered_or_plotted_and_nothing_else(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.avi", moving_faces(2))
    photo = write_photo(tmp_path / "a.png", face_at(40, 40))
    drawn = chosen(tmp_path / "a.csv", render="a.mp4")
    drawn.check_sources(find_sources(video, ALL))
    with pytest.raises(ConfigError, match="^render: expected one video or camera, got images; leave render out"):
        drawn.check_sources(find_sources(photo, ALL))
    with pytest.raises(ConfigError, match="^render: expected one video or camera, got 2 sources"):
        drawn.check_sources(find_sources([video, photo], ALL))
    chosen(tmp_path / "a.csv").check_sources(find_sources([video, photo], ALL))


def test_one_picture_is_rendered_as_a_picture(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.avi", moving_faces(2))
    photo, other = (write_photo(tmp_path / f"{name}.png", face_at(40, 40)) for name in "ab")
    drawn = chosen(tmp_path / "a.csv", render="shown.png")
    drawn.check_sources(find_sources(photo, ALL))
    for wrong in (video, [photo, other], [photo, video]):
        with pytest.raises(ConfigError, match=r"^render: expected a single image as the source of 'shown\.png', got"):
            drawn.check_sources(find_sources(wrong, ALL))
    with pytest.raises(
        ConfigError, match=r"got images; leave render out, or set source=VIDEO, or set render=shown\.png$"
    ):
        chosen(tmp_path / "a.csv", render="shown.mp4").check_sources(find_sources(photo, ALL))


def test_a_claim_covers_every_file_and_sees_what_was_written_meanwhile(tmp_path: Path) -> None:
    files = chosen(tmp_path / "a.csv", plot=str(tmp_path / "a.png"))
    with files.claimed(overwrite=False):
        assert {path.name for path in tmp_path.iterdir()} == {".a.csv.claim", ".a.json.claim", ".a.png.claim"}
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a.json").write_text("of another command")
    with pytest.raises(ConfigError, match="its description: expected a new file"), files.claimed(overwrite=False):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    with (
        claimed_elsewhere(tmp_path / "a.png", folder=False),
        pytest.raises(ConfigError, match="^plot: expected a place that no other command is writing to"),
        files.claimed(overwrite=True),
    ):
        pass
