"""AUs of one data set whose labels are in different units."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from faceflow.data.label_scales import Limits, check_limits, describe_scales, find_scales
from faceflow.data.labels import LabelFile
from faceflow.encoding import LabelScale
from faceflow.errors import ConfigError, DataError
from faceflow.evaluation.data_summary import summarize
from tests.helpers.faces import read_folder, write_csv_dataset

NAN = float("nan")
FACS = LabelScale(score_max=5, occurrence_min=2)
BINARY = LabelScale(score_max=1, occurrence_min=1)
GRADED = [0, 3, 2, 5, 0, 4, 1, 2]  # 6 of 8 images show it, one peaks at 1: with (1 + 1) / (6 + 2) of them by chance


def labelled(
    columns: Mapping[str, Sequence[float]], *, subjects: Sequence[str] | None = None, logical: Sequence[str] = ()
) -> LabelFile:
    scores = np.column_stack([np.array(values, np.float64) for values in columns.values()])
    frame = pd.DataFrame({} if subjects is None else {"subject": list(subjects)})
    lines = np.arange(len(scores), dtype=np.int64) + 2
    return LabelFile(
        path=Path("a.csv"), frame=frame, aus=tuple(columns), scores=scores, lines=lines, logical=frozenset(logical)
    )


def scales(*files: LabelFile, score_max: Limits = None, occurrence_min: Limits = None) -> dict[str, LabelScale]:
    return find_scales("data.sources.x", files, score_max, occurrence_min)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


class TestEvidence:
    def test_an_au_of_zeros_and_ones_beside_graded_ones_has_0_1_labels_and_it_is_reported(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        found = scales(labelled({"AU12": GRADED, "AU4": [0, 1, 1, 0, 1, 1, 0, NAN]}))
        assert found == {"AU12": FACS, "AU4": BINARY}
        assert warnings(caplog) == [
            "data.sources.x.score_max: read as 0/1 labels although other AUs have intensities: AU4; set {AU4: 1} to "
            "confirm, or {AU4: 5} if these are weak intensities"
        ]

    @pytest.mark.parametrize(("ones", "binary"), [(2, False), (3, True)])
    def test_few_ones_can_be_weak_intensities_and_it_is_reported(
        self, ones: int, binary: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        rare = [1.0] * ones + [0.0] * (8 - ones)
        assert scales(labelled({"AU12": GRADED, "AU9": rare}))["AU9"] == (BINARY if binary else FACS)  # 1/4 ** ones
        (said,) = warnings(caplog)
        assert ("weak intensities, none above 1, so occurrence (intensity >= 2) is never reached: AU9" in said) != (
            binary
        )
        assert "{AU9: 1}" in said
        assert "{AU9: 5}" in said

    def test_frames_of_one_subject_count_once(self) -> None:
        subjects = ["a"] * 4 + ["b"] * 4
        columns = {"AU12": GRADED, "AU9": [1, 1, 1, 1, 1, 0, 0, 0]}  # both subjects show AU12 above 1: 1 / 4 each
        assert scales(labelled(columns))["AU9"] == BINARY
        assert scales(labelled(columns, subjects=subjects))["AU9"] == FACS

    def test_the_graded_au_with_the_weakest_peaks_decides(self) -> None:
        columns = {"AU12": [0, 3, 4, 5, 3, 4, 2, 3], "AU4": [0, 1, 1, 1, 0, 0, 0, 0]}
        assert scales(labelled(columns))["AU4"] == BINARY
        weak = {"AU15": [1, 1, 1, 1, 1, 1, 1, 2]}  # 8 / 10, three times: 0.51
        assert scales(labelled(columns | weak))["AU4"] == FACS

    def test_files_of_a_data_set_decide_together(self) -> None:
        train, val = labelled({"AU12": GRADED, "AU4": [0, 1] * 4}), labelled({"AU4": [0, 3], "AU6": [0, 2]})
        assert set(scales(train, val).values()) == {FACS}
        assert scales(train, labelled({"AU4": [0, 1]})) == {"AU12": FACS, "AU4": BINARY}

    def test_an_au_that_nobody_shows_is_like_the_others(self, caplog: pytest.LogCaptureFixture) -> None:
        assert scales(labelled({"AU12": GRADED, "AU20": [0] * 8, "AU2": [NAN] * 8})) == {
            "AU12": FACS,
            "AU20": FACS,
            "AU2": FACS,
        }
        assert warnings(caplog) == []

    def test_fractions_below_one_beside_whole_intensities_are_named(self, caplog: pytest.LogCaptureFixture) -> None:
        assert scales(labelled({"AU12": GRADED, "AU45": [0, 0.4, 0.8, 0, 0.2, 0.9, 1, 0]}))["AU45"] == FACS
        assert "is never reached: AU45" in warnings(caplog)[0]

    def test_zeros_and_ones_beside_normalised_intensities(self, caplog: pytest.LogCaptureFixture) -> None:
        unit = [score / 5 for score in GRADED]
        found = scales(labelled({"AU12": unit, "AU4": [0, 1] * 4, "AU20": [0] * 8}))
        normalised = LabelScale(score_max=1, occurrence_min=0.4)
        assert found == {"AU12": normalised, "AU4": BINARY, "AU20": normalised}
        assert warnings(caplog) == []  # 1 occurs either way

    def test_both_sides_have_one_scale(self) -> None:
        found = scales(labelled({"AU12_L": GRADED, "AU12_R": [0, 1] * 4, "AU4_L": [0, 1] * 4, "AU4_R": [1, 1] * 4}))
        assert found == {"AU12_L": FACS, "AU12_R": FACS, "AU4_L": BINARY, "AU4_R": BINARY}

    def test_true_and_false_are_evidence_enough(self, caplog: pytest.LogCaptureFixture) -> None:
        found = scales(labelled({"AU12": GRADED, "AU4": [0, 1, 0, 0, 0, 0, 0, 0]}, logical=["AU4"]))
        assert found == {"AU12": FACS, "AU4": BINARY}
        assert warnings(caplog) == []
        file = labelled({"AU12": GRADED, "AU4": [0, 1] + [0] * 6}, logical=["AU4"])
        assert scales(file, score_max=5) == scales(file, score_max={"others": 5}, occurrence_min=2) == found
        assert scales(file, score_max={"AU4": 5})["AU4"] == FACS
        assert scales(file, occurrence_min={"AU4": 2}) == found
        assert scales(labelled({"AU4": [0, 1]}, logical=["AU4"]), occurrence_min=2) == {"AU4": BINARY}
        with pytest.raises(DataError, match=r"a\.csv:3: expected AU4 in 0\.\.1, got 3"):
            scales(labelled({"AU4": [1, 3, 0]}, logical=["AU4"]))


class TestStated:
    COLUMNS: Mapping[str, Sequence[float]] = {"AU12": GRADED, "AU4": [0, 1] * 4, "AU9": [0, 1] + [0] * 6}

    @pytest.mark.parametrize(
        ("score_max", "occurrence_min", "expected"),
        [
            (5, None, (FACS, FACS, FACS)),
            ({"AU4": 1, "AU9": 1, "others": 5}, None, (FACS, BINARY, BINARY)),
            ({"AU4": 1, "AU9": 1, "others": 5}, 2, (FACS, BINARY, BINARY)),
            (
                {"AU4": 1, "AU9": 1, "others": 5},
                {"AU12": 3},
                (LabelScale(score_max=5, occurrence_min=3), BINARY, BINARY),
            ),
            ({"AU4": 5, "AU9": 1}, None, (FACS, FACS, BINARY)),
            (None, {"AU4": 2, "AU9": 2}, (FACS, FACS, FACS)),
        ],
    )
    def test_a_user_setting_replaces_the_guess(
        self,
        score_max: Limits,
        occurrence_min: Limits,
        expected: tuple[LabelScale, ...],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        found = scales(labelled(self.COLUMNS), score_max=score_max, occurrence_min=occurrence_min)
        assert tuple(found.values()) == expected
        assert warnings(caplog) == []

    def test_a_key_can_name_the_joined_au_or_a_side(self) -> None:
        file = labelled({"AU12": GRADED, "AU4_L": [0, 1] * 4, "AU4_R": [0, 0] * 4})
        for key in ("AU4", "AU4_L"):
            assert scales(file, score_max={key: 1, "others": 5})["AU4_R"] == BINARY
        with pytest.raises(ConfigError, match=r"x\.score_max: expected one value for both sides of AU4"):
            scales(file, score_max={"AU4_L": 1, "AU4_R": 5})

    def test_a_label_above_the_scale_of_its_au_is_named(self) -> None:
        with pytest.raises(
            DataError, match=r"a\.csv:3: expected AU12 in 0\.\.1, got 3; .* data\.sources\.x\.score_max"
        ):
            scales(labelled(self.COLUMNS), score_max={"AU12": 1})

    def test_an_au_without_labels_is_an_error_that_suggests_one(self) -> None:
        with pytest.raises(
            ConfigError, match=r"x\.score_max: expected AUs that the data set labels, or others, got 'AU13'"
        ):
            scales(labelled(self.COLUMNS), score_max={"AU13": 1})

    @pytest.mark.parametrize("value", ["five", 0, -1, True, {"AU4": "one"}, {"AU4": 0}, {"others": [5]}])
    def test_limits_are_numbers_above_zero(self, value: object) -> None:
        with pytest.raises(ConfigError, match=r"^k(\.AU4|\.others)?: expected a number above 0, or null, got "):
            check_limits(value, key="k")
        check_limits({"AU4": 1, "others": None}, key="k")


def test_the_data_report_names_the_aus_with_other_units(tmp_path: Path) -> None:
    columns = {"AU12": GRADED, "AU6": GRADED, "AU4": ["True", "false", "TRUE", "False", "", "true", "FALSE", "true"]}
    table = read_folder(write_csv_dataset(tmp_path, aus=[], subjects=4, frames=2, columns=columns))
    said = "occurrence = intensity >= 2 on a 0-5 scale (AU4: 0/1 labels)"
    assert describe_scales(table.columns, table.scales) == said
    (summary,) = summarize({"train": [table]}, ["AU4", "AU12"])
    assert summary.labels == said
    assert summary.positives == {"AU4": 4, "AU12": 5}
    truth = table.truth(["AU4", "AU12"])
    assert np.isnan(truth.intensity[:, 0]).all()
    assert truth.intensity[:, 1].tolist() == GRADED
