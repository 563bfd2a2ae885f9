"""faceflow-render: the same faces even if the run was interrupted, and labels that train a network."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

import faceflow
from faceflow.config.composition import compose_config
from faceflow.data.crop_recipe import read_crop_recipe
from faceflow.errors import ConfigError
from faceflow.faces.align import Recipe
from faceflow.images import read_image
from faceflow.rendering.action_units import SIDED
from faceflow.rendering.build import build_settings
from faceflow.rendering.recording import Renderer
from tests.helpers.commands import start_command
from tests.helpers.face_models import write_face_model
from tests.helpers.markers import MARKERS
from tests.integration.command import SMALL, Outcome, run

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
MODEL, BENCHMARK = SHARED / "tools/render/ict_face.npz", SHARED / "data/ictfaces"
FEW = ("domains=[studio,webcam]", "subjects=3", "frames=2", "image.size=32", "sheet=0")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_face_model(tmp_path_factory.mktemp("facekit") / "face.npz")


def render(output: Path, model: Path, *overrides: str) -> Outcome:
    """Run faceflow-render and expect success."""
    outcome = run("render", output, f"output={output}", f"facekit={model}", *FEW, *overrides)
    assert outcome.code == 0, outcome.stderr
    return outcome


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def tree(folder: Path) -> dict[str, bytes]:
    """Every file in a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def faces(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two subjects in the studio and one at a webcam, two images each."""
    folder = tmp_path_factory.mktemp("faces") / "faces"
    render(folder, model)
    return folder


def test_tables_name_every_image_with_its_labels_by_side_and_joined(faces: Path) -> None:
    labels, sides = rows(faces / "labels.csv"), rows(faces / "labels_by_side.csv")
    assert [(row["subject"], row["domain"], row["frame"]) for row in labels] == [
        *[("S001", "studio", "0"), ("S001", "studio", "1"), ("S002", "studio", "0"), ("S002", "studio", "1")],
        *[("S003", "webcam", "0"), ("S003", "webcam", "1")],
    ]
    for joined, by_side in zip(labels, sides, strict=True):
        assert read_image(faces / "crops" / joined["filename"]).shape == (32, 32, 3)
        assert joined["filename"] == by_side["filename"]
        aus = [name for name in joined if name.startswith("AU")]
        assert len(aus) == 19
        assert all(int(joined[au]) == max(int(by_side[f"{au}_L"]), int(by_side[f"{au}_R"])) for au in aus)
        assert abs(float(joined["yaw"])) <= 40
    people = rows(faces / "subjects.csv")
    assert [row["subject"] for row in people] == ["S001", "S002", "S003"]
    assert all(20 <= int(row["age"]) <= 80 for row in people)


def test_the_data_card_says_what_is_there(faces: Path, model: Path) -> None:
    assert f"Card: {faces / 'README.md'}\n" in render(faces, model).stdout
    text = (faces / "README.md").read_text("utf-8")
    front = yaml.safe_load(text.split("---")[1])
    assert front["license"] == "mit"
    assert front["size_categories"] == ["n<1K"]
    assert "6 images of 32 x 32 pixels of 3 subjects" in text
    assert "| studio | 2 | 4 |" in text
    labels = rows(faces / "labels.csv")
    for au in ("AU1", "AU25"):
        counts = [sum(row[au] == str(level) for row in labels) for level in range(6)]
        assert re.search(rf"\| {au} \| [^|]+ \| {' [|] '.join(map(str, counts))} \|", text)
    limits = text[text.index("## Limits") : text.index("## Licence")]
    assert "shapes of adults. AU17, AU22, AU25, AU26 and AU28 move both sides together." in limits
    assert "Copyright (c) 2020 USC" in (faces / "LICENSE.ICT-FaceKit").read_text("utf-8")


def test_the_limits_in_a_data_card_follow_its_settings(model: Path, tmp_path: Path) -> None:
    render(tmp_path / "faces", model, "age=children", "expression.uneven=0.5")
    text = (tmp_path / "faces" / "README.md").read_text("utf-8")
    assert "the proportions of faces under 20 years change too. AU25, AU26 and AU28 move both sides" in text


@pytest.mark.slow
def test_several_workers_render_the_same_bytes_and_another_seed_other_ones(
    faces: Path, model: Path, tmp_path: Path
) -> None:
    render(tmp_path / "faces", model, "workers=2")
    assert tree(tmp_path / "faces") == tree(faces)
    other, again = (tmp_path / name / "faces" for name in ("other", "again"))
    for folder in (other, again):
        render(folder, model, "seed=7", "subjects=2")
    assert tree(other) == tree(again)
    assert tree(other)["crops/studio/S001_0000.jpg"] != tree(faces)["crops/studio/S001_0000.jpg"]


def test_lost_files_are_rendered_again_with_the_same_bytes(faces: Path, model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "faces"
    shutil.copytree(faces, broken)
    (broken / ".progress/studio/S002.json").unlink()
    (broken / "crops/studio/S002_0001.jpg").unlink()
    (broken / "crops/studio/.S002_0001.jpg.123.tmp").write_bytes(b"half")
    (broken / "labels.csv").unlink()
    assert "2 of 3 subjects already finished" in render(broken, model).stderr
    assert tree(broken) == tree(faces)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGTERM, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_continues_and_ends_with_the_same_bytes(
    model: Path, tmp_path: Path, kind: signal.Signals
) -> None:
    many = [*FEW, f"facekit={model}", "subjects=4", "frames=20"]
    killed, whole = tmp_path / "killed/faces", tmp_path / "whole/faces"
    process = start_command("render", f"output={killed}", *many, stdout=subprocess.DEVNULL)
    while not any((killed / ".progress").rglob("*.json")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(kind)
    _, said = process.communicate(timeout=30)
    if kind is signal.SIGTERM:
        assert process.returncode == 143
        assert f"Terminated: finished recordings are kept in {killed}; rerun the same command to resume" in said
    assert not (killed / "labels.csv").exists()
    for folder in (killed, whole):
        render(folder, model, *many[-2:])
    assert tree(killed) == tree(whole)


@pytest.mark.slow
def test_sheets_show_every_domain_and_every_au(model: Path, tmp_path: Path) -> None:
    render(tmp_path / "faces", model, "sheet=4")
    sheets = {path.stem for path in (tmp_path / "faces/sheets").glob("*.png")}
    assert {"domain_studio", "domain_webcam", "AU1", "AU45"} < sheets
    assert len(sheets) == 2 + 19
    assert read_image(tmp_path / "faces/sheets/AU12.png").shape[:2] == (24 + 3 * 164, 4 + 5 * 164)


@pytest.mark.slow
def test_a_network_is_trained_on_it_at_once_and_knows_how_faces_were_cut(model: Path, tmp_path: Path) -> None:
    render(tmp_path / "faces", model, "subjects=10", "frames=4", "expression=frequent")
    data = ("data=csv", f"data.labels={tmp_path}/faces/labels.csv")
    outcome = run("train", tmp_path / "run", *SMALL, *data, "aus.names=[AU25,AU12]", "levels=5")
    assert outcome.code == 0, outcome.stderr
    import torch

    payload = torch.load(outcome.checkpoint(), weights_only=True)["faceflow"]
    assert payload["crop"]["align"]["eye_distance"] == 0.333


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["subjects=0"], "subjects: expected a whole number >= 2, at least one subject per domain, got 0"),
        (["subjects=1"], "subjects: expected a whole number >= 2, at least one subject per domain, got 1"),
        (["frames=0"], "frames: expected a whole number from 1 to 10000, got 0"),
        (["image.size=8"], "image.size: expected a whole number from 32 to 1024, got 8"),
        (["domains=[]"], "domains: expected an option or a list of options, got []"),
        (["domains=[studoi]"], "domains=studoi: expected an option of 'domains'; did you mean 'studio'?"),
        (["expression.aus=[AU99]"], "expression.aus: expected AUs that can be rendered, got 'AU99'"),
        (["facekit=/no/such"], "facekit: expected a clone of ICT-FaceKit or ict_face.npz, got '/no/such'"),
        (["facekit=pyproject.toml"], "facekit: expected a clone of ICT-FaceKit or its converted file, got"),
        (["skin.tone=[5,2]"], "skin.tone: expected two numbers from 0 to 9, the smaller one first, got [5, 2]"),
        (["hair.men=[1,1,0,0]"], "hair.men: expected shares of bald, short, medium, long that sum to 1"),
        (["output=null"], "output: expected a folder for the results, got null"),
        (["output=/dev/full/faces"], "/dev/full/faces: expected a writable folder"),
        (["experiment=disfa"], "experiment=disfa: expected an option for faceflow-render, got one that sets 'data'"),
    ],
)
def test_a_mistake_is_named_in_one_line(model: Path, tmp_path: Path, overrides: list[str], message: str) -> None:
    outcome = run("render", tmp_path, f"output={tmp_path}/faces", f"facekit={model}", *FEW, *overrides)
    assert outcome.code == 2
    assert message in outcome.error
    assert not (tmp_path / "faces").exists()


@pytest.mark.slow
def test_a_folder_with_faces_of_other_settings_is_left_alone(faces: Path, model: Path) -> None:
    before = tree(faces)
    outcome = run("render", faces, f"output={faces}", f"facekit={model}", *FEW, "glasses=all")
    assert outcome.code == 2
    assert "glasses.share: expected 0.14 as for the faces in" in outcome.error
    assert tree(faces) == before


def test_without_the_model_and_the_net_it_says_where_to_put_it(tmp_path: Path) -> None:
    try:
        urls = subprocess.run(["getent", "hosts", "codeload.github.com"], capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        urls = None
    if urls is not None and urls.returncode == 0:
        pytest.skip("needs a machine without a net")
    outcome = run("render", tmp_path, f"output={tmp_path}/faces", f"paths.cache={tmp_path}/cache", *FEW)
    assert outcome.code == 2
    said = outcome.stderr.splitlines()[-1]
    assert "ConfigError: facekit: expected to download ICT-FaceKit from https://codeload.github.com" in said
    assert f"put its converted file at {tmp_path}/cache/models/ict_face.npz" in said


@pytest.mark.slow
def test_python_renders_as_the_command_does(faces: Path, model: Path, tmp_path: Path) -> None:
    done = faceflow.render(
        ["image.size=32", "sheet=0"],
        output=tmp_path / "faces",
        facekit=model,
        domains=["studio", "webcam"],
        subjects=3,
        frames=2,
    )
    assert tree(done.folder) == tree(faces)
    assert done.table["images"].sum() == 6
    assert done.labels == tmp_path / "faces/labels.csv"
    with pytest.raises(ConfigError, match="subjects: expected a whole number"):
        faceflow.render(output=tmp_path / "none", facekit=model, subjects=0)


@pytest.mark.slow
@pytest.mark.skipif(not MODEL.is_file(), reason="needs ../shared/tools/render/ict_face.npz and ../shared/data/ictfaces")
def test_the_benchmark_is_the_one_that_was_published(tmp_path: Path) -> None:
    """The first subject of each domain: equal labels, nearly equal pixels (versions of NumPy and OpenCV differ)."""
    few = ("experiment=benchmark", "subjects=5", "frames=6", "sheet=0")
    outcome = run("render", tmp_path, f"output={tmp_path}/faces", f"facekit={MODEL}", *few)
    assert outcome.code == 0, outcome.stderr
    sides = rows(tmp_path / "faces/labels_by_side.csv")
    assert len(sides) == 30
    for place, row in enumerate(sides):
        published = BENCHMARK / row["domain"]
        name = f"S{place // 6 * 30 + 1:03d}_{place % 6:04d}.jpg"
        expected = next(each for each in rows(published / "labels_lr.csv") if each["filename"] == name)
        assert {key: row[key] for key in expected if key[:2] == "AU"} == {
            key: value for key, value in expected.items() if key[:2] == "AU"
        }
        assert [float(row[angle]) for angle in ("yaw", "pitch", "roll")] == [
            float(expected[angle]) for angle in ("yaw", "pitch", "roll")
        ]
        pictures = tmp_path / "faces/crops" / row["filename"], published / "images" / name
        ours, theirs = (read_image(picture) for picture in pictures)
        assert np.abs(ours.astype(int) - theirs).mean() < 0.6  # grey levels; 0.35 at most in all 6,000


def test_settings_are_written_beside_the_faces(faces: Path) -> None:
    record = json.loads((faces / "render.json").read_text("utf-8"))
    assert record["seed"] == 2024
    assert record["domains"]["studio"]["light"]["shadows"] == 2
    assert record["facekit"] != record["faceflow"]


@pytest.mark.slow
def test_videos_have_a_row_for_every_frame_and_crop_reads_them_in_disfas_layout(model: Path, tmp_path: Path) -> None:
    small = ("video=disfa", "frames=70", "video.width=96", "video.height=64", "domains=[studio]", "subjects=2")
    outcome = render(tmp_path / "videos", model, *small, "expression.neutral=0")
    assert f"faceflow-crop dataset=disfa root={tmp_path / 'videos'}" in outcome.stdout
    frames, events = rows(tmp_path / "videos/frames.csv"), rows(tmp_path / "videos/events.csv")
    everything = [(subject, number) for subject in ("SN001", "SN002") for number in range(1, 71)]
    assert [(row["subject"], int(row["frame"])) for row in frames] == everything
    assert events
    for event in events:
        if event["side"] == "both":  # another expression does not overlap
            shown = {int(row["frame"]): int(row[event["au"]]) for row in frames if row["subject"] == event["subject"]}
            assert shown[int(event["apex_frame"])] == int(event["level"])
            assert shown[int(event["onset_frame"])] == shown[int(event["end_frame"])] == 0
    source = ("dataset=disfa", f"root={tmp_path}/videos")
    cropped = run("crop", tmp_path / "crops", f"output={tmp_path}/crops", *source, *MARKERS)
    assert "expected a face in at least one frame" in cropped.error  # the detector of markers; the recordings were read
    seen = rows(tmp_path / "crops/crops.csv")
    assert [row["status"] for row in seen] == ["no_face"] * 140
    again = tmp_path / "again/videos"
    render(again, model, *small, "expression.neutral=0", "workers=2")
    assert tree(again) == tree(tmp_path / "videos")


def test_no_detector_and_none_of_its_files_is_needed(
    faces: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FACEFLOW_MODELS", raising=False)
    render(tmp_path / "faces", model, f"paths.cache={tmp_path}/cache")
    assert not (tmp_path / "cache").exists()
    assert tree(tmp_path / "faces") == tree(faces)
    recipe = read_crop_recipe(tmp_path / "faces/crops.json", key="crop")
    assert recipe["detector"]["name"] == "mediapipe_landmarks"
    assert Recipe.from_dict(recipe["align"]).size == 32


def test_a_camera_of_ones_own_is_one_file(model: Path, tmp_path: Path) -> None:
    own = tmp_path / "own/domains/camera"
    own.mkdir(parents=True)
    studio = (ROOT / "configs/domains/camera/studio.yaml").read_text("utf-8")
    stage = "  - {_target_: faceflow.rendering.sensor.Saturation, share: 0}\n"
    (own / "grey.yaml").write_text(studio + stage)
    chosen = ("domains=[studio]", "domains/camera@domains.studio.camera=grey", "subjects=1")
    render(tmp_path / "faces", model, f"hydra.searchpath=[file://{tmp_path}/own]", *chosen)
    image = read_image(tmp_path / "faces/crops/studio/S001_0000.jpg").astype(int)
    assert np.ptp(image, axis=-1).max() <= 3  # JPEG


@pytest.mark.slow
@pytest.mark.skipif(not MODEL.is_file(), reason="needs ../shared/tools/render/ict_face.npz")
def test_sides_of_the_real_model_are_those_of_the_labels() -> None:
    values = compose_config("render", ["output=-", "experiment=benchmark", "image.size=64", "glasses=none"])
    renderer = Renderer(build_settings(values, MODEL))
    for au in SIDED:
        (none, _, _, left, right), *_ = np.array(renderer.picture_au(au, 1)).astype(int)
        for picture, of_side, of_other in ((left, slice(32, 64), slice(32)), (right, slice(32), slice(32, 64))):
            change = np.abs(picture - none).sum(-1)
            change[change < 45] = 0  # noise of the sensor
            assert change[:, of_side].sum() > 1.5 * change[:, of_other].sum(), au
