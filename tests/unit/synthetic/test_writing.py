from __future__ import annotations

import _thread
import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

import faceflow
from faceflow.errors import ConfigError, DataError
from faceflow.synthetic import writing as synthetic
from faceflow.synthetic.anatomy import Half, doses, half_face
from faceflow.synthetic.face import ACTION_UNITS, DOMAINS, View, draw_face, sample_labels, sample_subject
from faceflow.synthetic.writing import write_faces

SUBJECTS = [sample_subject(np.random.default_rng(seed)) for seed in range(20)]


def small(folder: Path, **changes: object) -> Path:
    settings = {"subjects": 2, "frames": 3, "size": 48, "domains": ["studio", "webcam"], "seed": 3}
    return write_faces(folder=folder, **(settings | changes))  # type: ignore[arg-type]


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_folder_that_cannot_be_written_is_named_with_the_keys_that_decide(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    target = tmp_path / "home" / ".cache" / "faces"
    with pytest.raises(DataError) as caught:
        small(target)
    assert str(caught.value) == (
        f"data.folder: expected a writable folder, got '{target}' (Not a directory); set paths.cache=FOLDER "
        "or the variable FACEFLOW_CACHE, or data.folder=FOLDER"
    )


def test_layout_header_and_image_sizes(tmp_path: Path) -> None:
    folder = small(tmp_path / "faces")
    table = pd.read_csv(folder / "labels.csv")
    assert list(table.columns) == [*ACTION_UNITS, "filename", "subject", "frame", "domain"]
    assert len(table) == 2 * 2 * 3
    assert sorted(table["filename"]) == sorted(
        path.relative_to(folder / "images").as_posix() for path in (folder / "images").rglob("*.jpg")
    )
    assert table["filename"].str.fullmatch(r"(studio|webcam)/\w+_\d{4}\.jpg").all()
    assert {cv2.imread(str(folder / "images" / name)).shape for name in table["filename"]} == {(48, 48, 3)}


def test_same_arguments_give_the_same_bytes_whatever_the_global_random_state(tmp_path: Path) -> None:
    np.random.seed(1)
    first = digests(small(tmp_path / "a"))
    np.random.seed(2)
    assert digests(small(tmp_path / "b")) == first
    assert digests(small(tmp_path / "c", seed=4)) != first


def test_a_larger_data_set_contains_the_smaller_one(tmp_path: Path) -> None:
    few = digests(small(tmp_path / "few"))
    many = digests(small(tmp_path / "many", subjects=3, frames=4, domains=["infrared", "webcam", "studio"]))
    del few["labels.csv"], few["drawn.json"]
    assert few.items() <= many.items()


def test_every_subject_belongs_to_one_domain(tmp_path: Path) -> None:
    table = pd.read_csv(small(tmp_path / "faces", domains=list(DOMAINS)) / "labels.csv")
    assert table["subject"].nunique() == 2 * len(DOMAINS)
    assert (table.groupby("subject")["domain"].nunique() == 1).all()
    looks = {each.look for each in synthetic._people(list(DOMAINS), 5, 0)}
    assert len(looks) == 5 * len(DOMAINS)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"subjects": 3}, "subjects: expected 2, as the faces in '{}' were drawn, got 3"),
        ({"domains": ["webcam"]}, "domains: expected [studio,webcam], as the faces in '{}' were drawn, got [webcam]"),
        ({"seed": 4}, "seed: expected 3, as the faces in '{}' were drawn, got 4"),
    ],
)
def test_faces_drawn_with_other_settings_are_refused(tmp_path: Path, changes: dict[str, object], line: str) -> None:
    folder = small(tmp_path / "faces")
    with pytest.raises(ConfigError) as caught:
        small(folder, **changes)
    expected = f"data.prepare.{line.format(folder)}; draw others with data.folder=FOLDER, or remove '{folder}'"
    assert str(caught.value) == expected
    (folder / "drawn.json").unlink()  # as FaceFlow 0.1 left it
    assert small(folder, **changes) == folder


def test_second_call_does_not_write(tmp_path: Path) -> None:
    folder = small(tmp_path / "faces")
    marked = folder / "images" / "studio" / "studio000_0000.jpg"
    marked.write_bytes(b"kept")
    assert small(tmp_path / "faces") == folder
    assert marked.read_bytes() == b"kept"


def wait_for_a_picture(folder: Path) -> None:
    for _ in range(5000):
        if any(folder.rglob("*.jpg")):
            return
        time.sleep(0.001)
    raise TimeoutError(folder)


# It may come between the opening of a picture and the `with` that closes it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_interrupted_writing_leaves_nothing(tmp_path: Path) -> None:
    def interrupt() -> None:
        wait_for_a_picture(tmp_path)
        _thread.interrupt_main()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of a shell
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            small(tmp_path / "faces", frames=10_000)
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)
    assert list(tmp_path.iterdir()) == []


def test_processes_that_write_at_once_end_with_one_data_set(tmp_path: Path) -> None:
    target = tmp_path / "together" / "faces"
    code = (
        "from faceflow.synthetic.writing import write_faces; "
        f"write_faces(folder={str(target)!r}, subjects=2, frames=3, size=48, domains=['studio', 'webcam'], seed=3)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(faceflow.__file__).parents[1])}
    writers = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert [path.name for path in target.parent.iterdir()] == ["faces"]
    assert digests(target) == digests(small(tmp_path / "alone"))


def test_the_slower_of_two_writers_discards_its_copy(tmp_path: Path) -> None:
    target = tmp_path / "faces"
    with ThreadPoolExecutor() as pool:
        slower = pool.submit(small, target, frames=25)  # begins first, and has 100 faces to draw
        wait_for_a_picture(tmp_path)
        small(target, subjects=1, frames=1, seed=9)
        assert slower.result() == target
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]
    assert digests(target) == digests(small(tmp_path / "alone", subjects=1, frames=1, seed=9))


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"data\.prepare\.folder: expected a new folder"):
        small(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("key", "value"), [("subjects", 0), ("frames", 0), ("size", 16), ("size", 4096), ("seed", -1), ("frames", 2.5)]
)
def test_values_out_of_range_name_their_key(tmp_path: Path, key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"^data\.prepare\.{key}: expected a whole number from \d+ to \d+, got"):
        small(tmp_path / "faces", **{key: value})


@pytest.mark.parametrize(
    ("domains", "message"),
    [(["studo"], "did you mean 'studio'"), ([], "at least one domain"), (["studio", "studio"], "none twice")],
)
def test_wrong_domains_raise(tmp_path: Path, domains: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small(tmp_path / "faces", domains=domains)


def test_labels_are_sparse_intensities_with_usable_base_rates() -> None:
    rng = np.random.default_rng(0)
    labels = pd.DataFrame([sample_labels(rng) for _ in range(3000)])
    assert list(labels.columns) == list(ACTION_UNITS)
    assert set(np.unique(labels)) == {0, 1, 2, 3, 4, 5}
    rates = (labels >= 2).mean()
    assert rates.min() > 0.10
    assert rates.max() < 0.35
    assert 0.28 < (labels.max(axis=1) <= 1).mean() < 0.40
    assert (labels.loc[labels["AU26"] >= 2, "AU25"] >= 2).all()


def half(unit: str, intensity: int, subject: int = 0) -> Half:
    return half_face(SUBJECTS[subject], doses({unit: intensity}))


def lip_corner(face: Half) -> tuple[float, float]:
    x, y = face["upper_lip"][-1]
    return float(x), float(y)


# What each AU moves, measured so that it grows with intensity (y points down).
MEASURES = {
    "AU1": lambda face: -face["brow"][0, 1],
    "AU2": lambda face: -face["brow"][-1, 1],
    "AU4": lambda face: face["brow"][0, 1] - face["brow"][0, 0],
    "AU5": lambda face: face["lower_lid"][2, 1] - face["upper_lid"][2, 1],
    "AU6": lambda face: -face["lower_lid"][2, 1],
    "AU9": lambda face: -face["nose_wing"][1, 1],
    "AU12": lambda face: lip_corner(face)[0] - lip_corner(face)[1],
    "AU15": lambda face: lip_corner(face)[1],
    "AU17": lambda face: -face["chin"][0, 1],
    "AU20": lambda face: lip_corner(face)[0],
    "AU25": lambda face: face["lower_mouth"][0, 1] - face["upper_mouth"][0, 1],
    "AU26": lambda face: face["jaw"][-1, 1],
}


@pytest.mark.parametrize("unit", ACTION_UNITS)
def test_each_unit_moves_its_feature_further_at_every_intensity(unit: str) -> None:
    for subject in range(len(SUBJECTS)):
        amounts = [MEASURES[unit](half(unit, intensity, subject)) for intensity in range(6)]
        assert (np.diff(amounts) > 0).all()


@pytest.mark.parametrize("unit", ACTION_UNITS)
def test_at_112_px_level_2_moves_a_pixel_and_level_5_changes_the_picture(unit: str) -> None:
    pixels_per_unit = 0.32 * 112
    shift = MEASURES[unit](half(unit, 2)) - MEASURES[unit](half(unit, 0))
    assert shift * pixels_per_unit > 0.9
    neutral, full = (draw_face(SUBJECTS[0], {unit: level}, size=112).astype(int) for level in (0, 5))
    assert (np.abs(full - neutral).max(axis=2) > 25).sum() > 60


def test_smile_and_lip_corner_depressor_pull_to_opposite_sides_and_stretch_stays_level() -> None:
    rest, smile, depressed, stretched = (lip_corner(half(unit, 4)) for unit in ("AU1", "AU12", "AU15", "AU20"))
    assert smile[1] < rest[1] - 0.1
    assert depressed[1] > rest[1] + 0.1
    assert abs(stretched[1] - rest[1]) < 0.03
    assert stretched[0] > smile[0] > rest[0]


def test_a_dropped_jaw_parts_the_teeth_and_parted_lips_alone_do_not() -> None:
    def teeth_gap(face: Half) -> float:
        return float(face["lower_teeth"][0, 1] - face["upper_teeth"][0, 1])

    assert teeth_gap(half("AU25", 5)) == teeth_gap(half("AU1", 0))
    assert teeth_gap(half("AU26", 5)) > teeth_gap(half("AU1", 0)) + 0.2
    assert half("AU25", 5)["jaw"][-1, 1] == half("AU1", 0)["jaw"][-1, 1]


def test_lids_and_lips_never_cross() -> None:
    rng = np.random.default_rng(0)
    for subject in SUBJECTS:
        for _ in range(20):
            face = half_face(subject, doses({unit: int(rng.integers(6)) for unit in ACTION_UNITS}), 1.08)
            for above, below in (
                ("upper_lid", "lower_lid"),
                ("upper_lip", "upper_mouth"),
                ("upper_mouth", "lower_mouth"),
                ("lower_mouth", "lower_lip"),
            ):
                gaps = face[below][:, 1] - face[above][:, 1]
                assert gaps.min() > -1e-9


@pytest.mark.parametrize("unit", [unit for unit in ACTION_UNITS if unit != "AU17"])
def test_relaxed_subjects_differ_less_than_level_2_moves(unit: str) -> None:
    relaxed = np.array([MEASURES[unit](half_face(subject, doses({}))) for subject in SUBJECTS])
    assert np.abs(relaxed - relaxed.mean()).max() < MEASURES[unit](half(unit, 2)) - MEASURES[unit](half(unit, 0))


def test_an_unknown_unit_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match=r"expected AUs among AU1, .*, got AU21"):
        draw_face(SUBJECTS[0], {"AU21": 3}, size=48)


def test_domains_look_different() -> None:
    neutral = {name: draw_face(SUBJECTS[0], {}, size=64, domain=name).astype(float) for name in DOMAINS}
    assert np.ptp(neutral["infrared"], axis=2).max() == 0
    assert np.ptp(neutral["studio"], axis=2).max() > 20
    corners = {name: image[:6, :6].std() for name, image in neutral.items()}
    assert corners["webcam"] > corners["studio"]


def test_a_face_without_asymmetry_is_its_own_mirror_image() -> None:
    even = dataclasses.replace(SUBJECTS[1], asymmetry=0.0, hair_style="bald")
    image = draw_face(even, {"AU12": 4, "AU1": 3}, size=96, view=View(light=(0.0, -0.2))).astype(int)
    assert np.abs(image - image[:, ::-1])[30:].mean() < 4
