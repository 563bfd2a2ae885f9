from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from faceflow.data.label_scales import Limits, find_scales
from faceflow.data.labels import LabelFile, scores_for
from faceflow.encoding import LabelScale
from faceflow.errors import ConfigError, DataError

NAN = float("nan")


def labelled(*scores: float) -> LabelFile:
    numbers = np.array(scores, np.float64)[:, None]
    lines = np.arange(len(scores), dtype=np.int64) + 2
    return LabelFile(path=Path("a.csv"), frame=pd.DataFrame(), aus=("AU12",), scores=numbers, lines=lines)


def scale_of(files: Sequence[LabelFile], score_max: Limits, occurrence_min: Limits) -> LabelScale:
    (scale,) = find_scales("data.sources.x", files, score_max, occurrence_min).values()
    return scale


class TestScale:
    @pytest.mark.parametrize(
        ("scores", "score_max", "occurrence_min"),
        [
            ((0, 1, 1, NAN), 1, 1),
            ((0, 0), 1, 1),
            ((NAN,), 1, 1),
            ((0, 0.6, 1), 1, 0.4),
            ((0.2, 0.2), 1, 0.4),
            ((0, 0.6, 1.0000001), 1, 0.4),
            ((0, 1, 2), 5, 2),
            ((0, 5), 5, 2),
            ((0, 1.5), 5, 2),
        ],
    )
    def test_unset_values_come_from_the_labels(
        self, scores: tuple[float, ...], score_max: float, occurrence_min: float
    ) -> None:
        scale = scale_of([labelled(*scores)], None, None)
        assert scale == LabelScale(score_max=score_max, occurrence_min=occurrence_min)

    def test_all_files_of_a_data_set_share_a_scale(self) -> None:
        scale = scale_of([labelled(0, 1), labelled(0, 4)], None, None)
        assert scale == LabelScale(score_max=5, occurrence_min=2)

    @pytest.mark.parametrize(
        ("given", "scores", "expected"),
        [
            ((5, None), (0, 1), (5, 2)),
            ((5, 1), (0, 1, 3), (5, 1)),
            ((1, None), (0, 1), (1, 1)),
            ((1, None), (0, 0.5), (1, 0.4)),
            ((10, None), (0, 7), (10, 4)),
            ((None, 3), (0, 4), (5, 3)),
            ((None, 0.2), (0, 0.6), (1, 0.2)),
            ((None, 2), (0, 1), (5, 2)),
            ((None, 1), (0, 1, 2), (5, 1)),
        ],
    )
    def test_values_set_by_the_user_are_used(
        self, given: tuple[float | None, float | None], scores: tuple[float, ...], expected: tuple[float, float]
    ) -> None:
        scale = scale_of([labelled(*scores)], *given)
        assert (scale.score_max, scale.occurrence_min) == expected

    def test_zero_one_labels_are_no_intensities_whatever_the_rule(self) -> None:
        assert scale_of([labelled(0, 1)], None, 0.5).binary

    def test_a_label_above_the_scale_names_its_line_and_the_keys(self) -> None:
        with pytest.raises(DataError) as caught:
            scale_of([labelled(0, 1), labelled(1, 3, 9)], None, None)
        message = str(caught.value)
        assert message.startswith("a.csv:4: expected AU12 in 0..5, got 9; ")
        assert "data.sources.x.score_max" in message
        assert "data.sources.x.missing_values=[9]" in message

    @pytest.mark.parametrize("score", [-2, -0.5])
    def test_a_negative_label_names_its_line(self, score: float) -> None:
        with pytest.raises(DataError, match=rf"a\.csv:3: expected AU12 in 0\.\.5, got {score:g}; "):
            scale_of([labelled(0, score, 4)], None, None)

    @pytest.mark.parametrize(("score_max", "occurrence_min"), [(5, 6), (1, 2)])
    def test_the_rule_must_lie_on_the_scale(self, score_max: float, occurrence_min: float) -> None:
        with pytest.raises(ConfigError, match=r"data\.sources\.x\.occurrence_min: expected a label in \(0, "):
            scale_of([labelled(0, 1)], score_max, occurrence_min)


class TestSides:
    @pytest.mark.parametrize(
        ("left", "right", "expected"),
        [
            (1, 3, 3),
            (3, 1, 3),
            (0, 0, 0),
            (NAN, NAN, NAN),
            (0, NAN, NAN),  # the other side may be active
            (NAN, 0, NAN),
            (2, NAN, 2),
            (NAN, 2, 2),
        ],
    )
    def test_sides_join_by_their_maximum(self, left: float, right: float, expected: float) -> None:
        got = scores_for(["AU12"], ["AU12_L", "AU12_R"], np.array([[left, right]]))
        np.testing.assert_array_equal(got, [[expected]])

    def test_one_labelled_side_proves_activity_only(self) -> None:
        got = scores_for(["AU12"], ["AU12_L"], np.array([[0.0], [2.0], [NAN]]))
        np.testing.assert_array_equal(got, [[NAN], [2], [NAN]])

    def test_a_joined_label_says_of_the_sides_only_that_both_are_neutral(self) -> None:
        got = scores_for(["AU12_L", "AU12_R"], ["AU12"], np.array([[0.0], [2.0], [NAN]]))
        np.testing.assert_array_equal(got, [[0, 0], [NAN, NAN], [NAN, NAN]])

    def test_a_column_of_its_own_goes_before_any_inference(self) -> None:
        got = scores_for(["AU12", "AU6_L"], ["AU12_R", "AU12", "AU6_L", "AU6"], np.array([[5.0, 1.0, 2.0, 0.0]]))
        assert got.tolist() == [[1, 2]]

    def test_the_order_asked_for_counts_and_absent_aus_are_missing(self) -> None:
        got = scores_for(["AU6", "AU1", "AU12"], ["AU12", "AU6"], np.array([[1.0, 2.0], [3.0, 4.0]]))
        np.testing.assert_array_equal(got, [[2, NAN, 1], [4, NAN, 3]])
