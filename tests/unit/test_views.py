from __future__ import annotations

import pytest

from faceflow.views import computed_views, in_order, stream_and_pipeline, with_labeled

SMALL, LARGE = {"affine": {"rotate": [-8, 8]}}, {"affine": {"rotate": [-20, 20]}}
DEFIXMATCH = ("labeled", "labeled/strong", "labeled/weak", "unlabeled/strong", "unlabeled/weak")


@pytest.mark.parametrize(
    ("view", "parts"), [("labeled", ("labeled", "labeled")), ("unlabeled/strong", ("unlabeled", "strong"))]
)
def test_a_view_names_a_stream_and_a_pipeline(view: str, parts: tuple[str, str]) -> None:
    assert stream_and_pipeline(view) == parts


def test_the_labelled_view_comes_after_the_others_of_its_stream_so_that_it_moves_no_seed() -> None:
    ordered = ["labeled/strong", "labeled/weak", "labeled", "unlabeled/strong", "unlabeled/weak"]
    assert in_order([*DEFIXMATCH, "labeled"]) == ordered


def test_the_weak_view_serves_as_the_labelled_one_where_both_have_the_same_steps() -> None:
    read = computed_views(DEFIXMATCH, {"labeled": dict(SMALL), "weak": dict(SMALL), "strong": LARGE})
    assert read == {view: view for view in DEFIXMATCH} | {"labeled": "labeled/weak"}


@pytest.mark.parametrize(
    ("views", "labeled"),
    [
        (DEFIXMATCH, LARGE),  # other steps, even those of the strong view, which is drawn apart
        (("labeled", "unlabeled/strong", "unlabeled/weak"), SMALL),  # nothing reads the weak view of labelled faces
        (("labeled",), SMALL),
    ],
)
def test_otherwise_every_view_is_computed(views: tuple[str, ...], labeled: dict[str, object]) -> None:
    transforms = {"labeled": labeled, "weak": SMALL, "strong": LARGE}
    assert computed_views(views, transforms) == {view: view for view in views}


def test_a_config_of_before_the_labelled_view_showed_labelled_faces_the_weak_one() -> None:
    assert with_labeled({"weak": SMALL, "strong": LARGE}) == {"labeled": SMALL, "weak": SMALL, "strong": LARGE}
    assert with_labeled({"labeled": LARGE, "weak": SMALL})["labeled"] == LARGE
    assert computed_views(DEFIXMATCH, {"weak": SMALL, "strong": LARGE})["labeled"] == "labeled/weak"
