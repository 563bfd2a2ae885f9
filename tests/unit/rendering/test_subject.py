"""A subject: deterministic, with left and right in place, and AU25 labelled as visible."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from faceflow.rendering.action_units import relaxed
from faceflow.rendering.camera import Camera
from faceflow.rendering.face_model import FaceModel, light_axes
from faceflow.rendering.frame import render_frame
from faceflow.rendering.growth import with_proportions
from faceflow.rendering.movements import Gaze, lids_of
from faceflow.rendering.occluders import Occluders
from faceflow.rendering.people import RestingFaces, Strength
from faceflow.rendering.recording import RenderSettings
from faceflow.rendering.session import sample_session
from faceflow.rendering.subject import Subject, rotation, sample_subject
from faceflow.rendering.wrinkles import Wrinkle


def rendered(subject: Subject, settings: RenderSettings, left: float, right: float, au: str = "AU12") -> np.ndarray:
    """Image (H, W, 3) of a still face in the studio."""
    domain = settings.domains["studio"]
    session = sample_session(np.random.default_rng(0))
    sides = [{**relaxed(), au: value} for value in (left, right)]
    frame = render_frame(subject, Camera(48, 48), domain, session, np.random.default_rng(0), *sides, still=True)
    return frame.image.astype(float)


def test_a_subject_is_that_of_the_seed(face: FaceModel, settings: RenderSettings, subject: Subject) -> None:
    def drawn(seed: int) -> Subject:
        return sample_subject(np.random.SeedSequence(seed), face, settings.population, settings.strength)

    again, other = drawn(3), drawn(4)
    assert np.array_equal(again.skin.texture, subject.skin.texture)
    assert np.array_equal(again.vertices, subject.vertices)
    assert not np.array_equal(other.vertices, subject.vertices)


def test_a_strength_of_one_without_spread_changes_nothing_and_half_of_it_halves_every_gain(
    face: FaceModel, settings: RenderSettings, subject: Subject
) -> None:
    strength = dataclasses.replace(settings.strength, mean=0.5)
    weaker = sample_subject(np.random.SeedSequence(3), face, settings.population, strength)
    assert weaker.gains == pytest.approx({au: gain / 2 for au, gain in subject.gains.items()})
    assert np.array_equal(weaker.skin.texture, subject.skin.texture)
    assert all(0.85 <= gain <= 1.08 for gain in subject.gains.values())


def test_strengths_differ_between_aus_and_subjects() -> None:
    strength = Strength(mean=0.6, spread=0.2, exponent=1.0, factors={"AU4": 2.0})
    shares = [strength.sample(np.random.default_rng(seed)) for seed in range(200)]
    assert all(share["AU4"] <= 3.0 for share in shares)
    assert np.mean([share.pop("AU4") for share in shares]) == pytest.approx(1.2, abs=0.04)
    values = np.array([list(share.values()) for share in shares])
    assert values.mean() == pytest.approx(0.6, abs=0.02)
    assert values.std() == pytest.approx(0.2, abs=0.02)
    assert values.min() >= 0.25


@pytest.mark.parametrize("au", ["AU2", "AU12", "AU15", "AU45"])
def test_an_au_of_the_left_side_moves_the_right_half_of_the_image(
    subject: Subject, settings: RenderSettings, au: str
) -> None:
    rest = rendered(subject, settings, 0, 0, au)
    for left, right in ((5.0, 0.0), (0.0, 5.0)):
        change = np.abs(rendered(subject, settings, left, right, au) - rest).sum(-1)
        on_left, on_right = change[:, :24].sum(), change[:, 24:].sum()
        assert (on_right > 2 * on_left) if left else (on_left > 2 * on_right)


def test_lips_at_rest_are_no_au25_and_its_strongest_is_five(subject: Subject) -> None:
    parted = {**relaxed(), "AU25": 5.0}
    assert subject.lips_apart(subject.deformed(relaxed(), relaxed())) == 0
    assert subject.gap_share(subject.deformed(parted, parted)) == pytest.approx(1)
    assert subject.lips_apart(subject.deformed(parted, parted)) == pytest.approx(4.125)  # 4 + 0.625 * (1 - 0.8)


def test_a_dropped_jaw_is_labelled_as_parted_lips(subject: Subject, settings: RenderSettings) -> None:
    both = {**relaxed(), "AU26": 4.0}
    session = sample_session(np.random.default_rng(0))
    rng, studio = np.random.default_rng(0), settings.domains["studio"]
    frame = render_frame(subject, Camera(48, 48), studio, session, rng, both, both)
    assert frame.left["AU25"] == frame.right["AU25"] > 2
    assert both["AU25"] == 0  # the input is left as it was


def test_a_margin_shows_more_around_the_same_face(subject: Subject, settings: RenderSettings) -> None:
    studio = dataclasses.replace(settings.domains["studio"], occluders=Occluders(share=1, kinds=["hand"]))
    tight, wide = Camera(48, 48), Camera(96, 96, margin=0.5)
    assert tight.window == (0, 0, 48, 48)
    assert wide.window == (24, 24, 48, 48)
    session = sample_session(np.random.default_rng(0))
    crop, picture = (
        render_frame(subject, camera, studio, session, np.random.default_rng(4), relaxed(), relaxed(), still=True)
        for camera in (tight, wide)
    )
    inside = cv2.GaussianBlur(picture.image[24:72, 24:72], (0, 0), 3).astype(float)
    difference = np.abs(inside - cv2.GaussianBlur(crop.image, (0, 0), 3))
    assert np.median(difference) < 12  # lens, noise and background belong to the picture, and differ
    assert np.corrcoef(inside.mean(-1).ravel(), cv2.GaussianBlur(crop.image, (0, 0), 3).mean(-1).ravel())[0, 1] > 0.95


def test_a_head_turns_to_its_left_nods_downwards_and_leans_to_its_right() -> None:
    front, up = np.array([0, 0, 1]), np.array([0, 1, 0])
    assert (rotation(0.1, 0, 0) @ front)[0] > 0  # x points to the subject's left
    assert (rotation(0, 0.1, 0) @ front)[1] < 0
    assert (rotation(0, 0, 0.1) @ up)[0] < 0
    assert rotation(0.3, 0.2, 0.1) @ rotation(0.3, 0.2, 0.1).T == pytest.approx(np.eye(3), abs=1e-6)


def test_eyes_follow_a_gaze_with_their_lids() -> None:
    assert lids_of(Gaze(0.25, 0.45)) == pytest.approx(
        {"eyeLookDown_L": 1, "eyeLookDown_R": 1, "eyeLookOut_L": 0.5, "eyeLookIn_R": 0.5}
    )
    assert lids_of(Gaze(-0.5, -0.2))["eyeLookOut_R"] == 1
    assert lids_of(Gaze(-0.5, -0.2))["eyeLookUp_L"] == pytest.approx(0.5)


def test_a_wrinkle_is_as_deep_as_its_aus_on_its_side_fold_it() -> None:
    wrinkle = Wrinkle({"AU1": 1.0, "AU2": 0.25}, "L", np.zeros((1, 1), np.float32))
    full = {**relaxed(), "AU1": 5.0, "AU2": 5.0}
    assert wrinkle.share({**relaxed(), "AU1": 2.5}, full) == pytest.approx(0.5**1.2)
    assert wrinkle.share(full, relaxed()) == pytest.approx(1.15)  # 1.25, cut
    assert dataclasses.replace(wrinkle, side="B").share(relaxed(), full) == pytest.approx(1.15)


def test_axes_of_a_view_are_orthogonal_and_end_in_its_direction() -> None:
    for direction in ([0, 0, 1], [0, 1, 0], [1, -2, 0.5]):
        axes = light_axes(direction)
        assert axes @ axes.T == pytest.approx(np.eye(3), abs=1e-6)
        assert axes[2] == pytest.approx(np.array(direction) / np.linalg.norm(direction), abs=1e-6)


def test_a_resting_face_with_parted_lips_and_furrows_has_no_label(
    face: FaceModel, settings: RenderSettings, subject: Subject
) -> None:
    rest = RestingFaces(expression=1.0, brows=0.0, brows_spread=0.0, furrows=1.0, parted=1.0)
    population = dataclasses.replace(settings.population, rest=rest)
    other = sample_subject(np.random.SeedSequence(3), face, population, settings.strength)
    assert other.lip_gaps[0] > subject.lip_gaps[0] + 0.05  # cm; theirs are shut
    assert other.lips_apart(other.deformed(relaxed(), relaxed())) == 0
    assert np.abs(other.wrinkles.resting - subject.wrinkles.resting).max() > 0.01
    assert other.rest["browDown_L"] > subject.rest.get("browDown_L", 0)
    assert np.array_equal(other.skin.texture, subject.skin.texture)  # the same subject


@pytest.mark.slow
def test_brows_rest_lower_and_differ_between_subjects(face: FaceModel, settings: RenderSettings) -> None:
    def lowered(brows: float, spread: float) -> list[float]:
        rest = dataclasses.replace(settings.population.rest, brows=brows, brows_spread=spread)
        population = dataclasses.replace(settings.population, rest=rest)
        drawn = [sample_subject(np.random.SeedSequence(n), face, population, settings.strength) for n in range(4)]
        assert all(each.rest["browDown_L"] - each.rest["browDown_R"] < 0.2 for each in drawn)
        return [each.rest["browDown_R"] for each in drawn]

    usual, lower, varied = lowered(0.0, 0.0), lowered(0.8, 0.0), lowered(0.8, 0.5)
    assert [one - other for one, other in zip(lower, usual, strict=True)] == pytest.approx([0.8] * 4)
    assert np.std([one - other for one, other in zip(varied, lower, strict=True)]) > 0.1


def test_an_uneven_chin_is_raised_by_halves_that_make_the_whole(face: FaceModel, subject: Subject) -> None:
    whole, halves = face.shapes["mouthFunnel"], [face.shapes[f"mouthFunnel_half_{side}"] for side in "LR"]
    assert halves[0] + halves[1] == pytest.approx(whole, abs=1e-6)
    far_left, far_right = np.argmax(face.mean[:, 0]), np.argmin(face.mean[:, 0])
    lower = face.shapes["mouthShrugLower_half_L"]
    assert np.abs(lower[far_right]).max() == 0
    assert np.array_equal(lower[far_left], face.shapes["mouthShrugLower"][far_left])


def test_children_have_larger_eyes_and_a_shorter_face_and_adults_keep_theirs(face: FaceModel) -> None:
    assert with_proportions(face, face.mean, 0.2) is face.mean
    child = with_proportions(face, face.mean, -0.3)
    eye = face.eyes[0]
    assert np.ptp(child[eye, 0]) > 1.05 * np.ptp(face.mean[eye, 0])
    assert child[:, 1].min() == pytest.approx(3.6 - 0.8 * (3.6 + 9), abs=0.05)  # the chin is a fifth nearer to the eyes
