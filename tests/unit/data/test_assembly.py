from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from faceflow.data.assembly import (
    check_levels,
    check_reading,
    check_shared,
    choose_aus,
    count_labels,
    describe_protocol,
    read_tables,
)
from faceflow.data.sources import FaceTable
from faceflow.encoding import LabelScale
from faceflow.errors import ConfigError, DataError
from tests.helpers.faces import made_up_hashes, source_settings, write_csv_dataset

NAN = float("nan")
FACS = LabelScale(score_max=5, occurrence_min=2)
NORMALISED = LabelScale(score_max=1, occurrence_min=0.4)
BINARY = LabelScale(score_max=1, occurrence_min=1)


def table(
    labels: Mapping[str, Sequence[float]],
    *,
    name: str = "faces",
    scale: LabelScale = FACS,
    scales: tuple[LabelScale, ...] = (),
    split: str = "train",
) -> FaceTable:
    scores = np.column_stack([np.array(column, np.float64) for column in labels.values()])
    files = np.array([f"/{name}/{split}/{row}.jpg" for row in range(len(scores))])
    return FaceTable(
        name=name,
        columns=tuple(labels),
        scales=scales or (scale,) * len(labels),
        scores=scores,
        files=files,
        filenames=files,
        subjects=np.array([f"{name}/s{row // 2}" for row in range(len(scores))]),
        identities=np.array([f"{name}/s{row // 2}" for row in range(len(scores))]),
        pictures=made_up_hashes(files),
        has_subjects=True,
        domains=None,
        split=split,
        duplicates=0,
        skipped=0,
    )


def labelled(*aus: str, name: str = "faces") -> FaceTable:
    return table({au: [0, 3] for au in aus}, name=name)


class TestReadTables:
    def test_tables_come_in_the_order_of_the_config(self, tmp_path: Path) -> None:
        folders = {name: write_csv_dataset(tmp_path / name, aus=["AU12"], subjects=1, frames=2) for name in ("b", "a")}
        sources = {
            name: source_settings(labels=folder / "labels.csv", images=folder / "images")
            for name, folder in folders.items()
        }
        assert [part.name for part in read_tables(sources, levels=1)] == ["b", "a"]

    @pytest.mark.parametrize(("levels", "score"), [(1, 1), (5, 4.2)])
    def test_several_levels_read_intensities_and_one_reads_occurrences(
        self, tmp_path: Path, levels: int, score: float
    ) -> None:
        folder = write_csv_dataset(
            tmp_path, aus=["AU12_r"], subjects=1, frames=1, columns={"AU12_r": [4.2], "AU12_c": [1]}
        )
        settings = source_settings(labels=folder / "labels.csv", images=folder / "images")
        (read,) = read_tables({"openface": settings}, levels=levels)
        assert read.scores.tolist() == [[score]]

    def test_no_data_set(self) -> None:
        with pytest.raises(ConfigError, match=r"data\.sources: expected at least one data set, got none"):
            read_tables({}, levels=1)

    def test_two_data_sets_of_one_name(self, tmp_path: Path) -> None:
        folder = write_csv_dataset(tmp_path, aus=["AU12"], subjects=1, frames=1)
        settings = source_settings(labels=folder / "labels.csv", images=folder / "images", name="same")
        with pytest.raises(ConfigError, match=r"data\.sources: expected different names, got 'same' twice"):
            read_tables({"a": settings, "b": settings}, levels=1)


class TestChooseAus:
    def test_all_labelled_aus_in_the_order_of_their_numbers(self) -> None:
        assert choose_aus(None, [labelled("AU12", "AU2"), labelled("AU6", "AU12")]) == ("AU2", "AU6", "AU12")

    def test_sides_go_before_the_joined_au(self) -> None:
        tables = [labelled("AU12", "AU1"), labelled("AU12_R", "AU12_L")]
        assert choose_aus(None, tables) == ("AU1", "AU12_L", "AU12_R")

    def test_the_aus_asked_for_keep_their_order(self) -> None:
        assert choose_aus(["AU12", "AU2"], [labelled("AU2"), labelled("AU6", "AU12")]) == ("AU12", "AU2")

    def test_sides_can_be_asked_of_joined_labels_and_the_other_way_round(self) -> None:
        assert choose_aus(["AU12_L", "AU12_R"], [labelled("AU12")]) == ("AU12_L", "AU12_R")
        assert choose_aus(["AU12"], [labelled("AU12_L", "AU12_R")]) == ("AU12",)

    def test_an_au_that_no_data_set_labels_is_an_error_that_suggests_one(self) -> None:
        with pytest.raises(
            ConfigError, match=r"aus\.names: expected AUs that the training data label, got AU2; .*'AU12'"
        ):
            choose_aus(["AU6", "AU2"], [labelled("AU12", "AU6")])

    def test_an_unknown_au_is_an_error(self) -> None:
        with pytest.raises(ConfigError, match=r"aus\.names: expected FACS names"):
            choose_aus(["AU99"], [labelled("AU12")])


class TestCheckShared:
    def test_one_au_in_common_is_enough(self) -> None:
        check_shared(["AU1", "AU12"], [labelled("AU6"), labelled("AU12")])
        check_shared(["AU12_L", "AU12_R"], [labelled("AU12")])

    def test_none_in_common_names_both(self) -> None:
        with pytest.raises(DataError, match=r"data: expected labels .* \(AU1, AU2\), got AU6, AU12; "):
            check_shared(["AU1", "AU2"], [labelled("AU12", "AU6")])


class TestCheckLevels:
    def test_the_rule_comes_in_facs_units(self) -> None:
        assert check_levels([table({"AU12": [0, 0.6]}, scale=NORMALISED)], ["AU12"], levels=5) == pytest.approx(2)
        assert check_levels([labelled("AU12")], ["AU12"], levels=1) == 2

    def test_levels_cannot_be_learnt_from_zero_one_labels(self) -> None:
        with pytest.raises(DataError) as caught:
            check_levels([labelled("AU12"), table({"AU12": [0, 1]}, name="bp4d", scale=BINARY)], ["AU12"], levels=5)
        assert str(caught.value).startswith("bp4d: expected graded intensities for levels=5, got only labels 0 and 1")
        assert "score_max=5" in str(caught.value)
        mixed = table({"AU12": [0, 3], "AU4": [0, 1], "AU6": [0, 1]}, name="mine", scales=(FACS, BINARY, BINARY))
        with pytest.raises(
            DataError, match="^mine: expected graded .* only labels 0 and 1 for AU4, AU6; leave these AUs out"
        ):
            check_levels([mixed], ["AU4", "AU6", "AU12"], levels=5)
        assert check_levels([mixed], ["AU12"], levels=5) == 2
        assert check_levels([mixed], ["AU12", "AU4"], levels=1) == 2

    def test_data_sets_with_different_rules_do_not_mix_in_levels(self) -> None:
        other = table({"AU12": [0, 3]}, name="mine", scale=LabelScale(score_max=5, occurrence_min=1))
        with pytest.raises(DataError, match="one occurrence rule for levels=5, got faces >= 2, mine >= 1 of 5"):
            check_levels([labelled("AU12"), other], ["AU12"], levels=5)
        check_levels([labelled("AU12"), other], ["AU12"], levels=1)
        mixed = table({"AU12": [0, 3], "AU4": [0, 1]}, scales=(FACS, other.scales[0]))
        with pytest.raises(DataError, match=r"got faces \(AU12\) >= 2, faces \(AU4\) >= 1 of 5"):
            check_levels([mixed], ["AU12", "AU4"], levels=5)

    @pytest.mark.parametrize("score_max", [1, 3, 7, 10, 100])
    def test_the_same_rule_in_other_units_is_the_same_rule(self, score_max: float) -> None:
        scale = LabelScale(score_max=score_max, occurrence_min=0.6 * score_max)
        third = LabelScale(score_max=5, occurrence_min=3)
        tables = [table({"AU12": [0]}, scale=third), table({"AU12": [0]}, name="other", scale=scale)]
        assert check_levels(tables, ["AU12"], levels=5) == pytest.approx(3)


class TestCountLabels:
    def test_positives_per_level_and_observed_labels_of_all_tables(self) -> None:
        tables = [
            table({"AU12": [0, 3, NAN, 5], "AU6": [2, 0, 0, NAN]}),
            table({"AU12": [0.6, 0.2]}, name="unit", scale=NORMALISED),
        ]
        positives, observed = count_labels(tables, ["AU12", "AU6"], (1, 2, 3, 4, 5))
        assert positives.tolist() == [[4, 3, 3, 1, 1], [1, 1, 0, 0, 0]]
        assert observed.tolist() == [5, 3]
        positives, _ = count_labels(tables, ["AU12", "AU6"], ())
        assert positives.tolist() == [[3], [1]]

    def test_every_au_counts_by_its_own_scale(self) -> None:
        mixed = table({"AU12": [0, 1, 3, NAN], "AU4": [0, 1, 1, 1]}, scales=(FACS, BINARY))
        positives, observed = count_labels([mixed], ["AU4", "AU12"], ())
        assert positives.tolist() == [[3], [1]]
        assert observed.tolist() == [4, 3]

    def test_an_au_without_any_label_is_an_error_that_names_it(self) -> None:
        tables = [table({"AU12": [0, 3], "AU6": [NAN, NAN], "AU1": [NAN, NAN]})]
        with pytest.raises(DataError, match=r"training labels: .* got none for AU6, AU1 \(all missing\); .*aus\.names"):
            count_labels(tables, ["AU12", "AU6", "AU1"], ())

    def test_no_positive_label_at_all_is_an_error_that_states_the_rule(self) -> None:
        with pytest.raises(DataError, match=r"got none \(faces: occurrence = intensity >= 2 on a 0-5 scale\)"):
            count_labels([table({"AU12": [0, 1], "AU6": [1, 1]})], ["AU12", "AU6"], ())

    def test_an_au_that_never_occurs_is_a_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            count_labels([table({"AU12": [0, 3], "AU6": [0, 1]})], ["AU12", "AU6"], ())
        assert [record.getMessage().split()[0] for record in caplog.records] == ["AU6"]


class TestCheckReading:
    def reading(
        self, caplog: pytest.LogCaptureFixture, scores: Sequence[float], points: Sequence[float], rule: float = 2
    ) -> list[str]:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            scale = LabelScale(score_max=5, occurrence_min=rule)
            check_reading([table({"AU12": scores, "AU6": [0] * len(scores)}, scale=scale)], ["AU12"], points, rule)
        return [record.getMessage() for record in caplog.records]

    def test_a_cut_that_divides_these_labels_as_the_rule_does_needs_no_word(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        whole = [0, 1, 2, 3, 4, 5, NAN]
        assert self.reading(caplog, whole, ()) == []
        assert self.reading(caplog, whole, (2, 4)) == []
        assert self.reading(caplog, whole, (5 / 3, 10 / 3, 5)) == []
        assert self.reading(caplog, [0, 1.4, 2.5, 5], (1.5, 4)) == []
        assert self.reading(caplog, [0, 1.4, 2.5, 5], (2.5, 5)) == []

    def test_labels_that_are_judged_otherwise_are_counted(self, caplog: pytest.LogCaptureFixture) -> None:
        (said,) = self.reading(caplog, [0, 1, 2, 2, 3, 5, NAN], (2.5, 5))
        assert said.startswith("cutpoints: expected a cut at the occurrence rule of faces, got [2.5, 5]; ")
        assert "means intensity >= 2.5, which differs from the rule on 2 of 6 labels" in said
        (said,) = self.reading(caplog, [0, 1.4, 1.8, 3], (1.5, 4))
        assert "intensity >= 1.5, which differs from the rule on 1 of 4 labels" in said

    def test_a_data_set_with_another_rule_than_the_network_is_named(self, caplog: pytest.LogCaptureFixture) -> None:
        other = table({"AU12": [0, 1, 3]}, name="mine", scale=LabelScale(score_max=5, occurrence_min=1))
        unit = table({"AU12": [0, 0.4, 1]}, name="unit", scale=NORMALISED)
        with caplog.at_level(logging.WARNING):
            check_reading([labelled("AU12"), other, unit], ["AU12"], (1, 2, 3, 4, 5), 2)
        assert [record.getMessage().split(",")[0] for record in caplog.records] == [
            "cutpoints: expected a cut at the occurrence rule of mine"
        ]


def test_the_protocol_says_who_was_where_and_what_labels_mean() -> None:
    train = table({"AU12": [0, 3, 0, 3]})
    val = dataclasses.replace(table({"AU12": [0, 3]}, split="val"), has_subjects=False)
    other = table({"AU12": [0, 1]}, name="bp4d", scale=BINARY)
    assert describe_protocol({"train": [train, other], "val": [val], "test": []}, rule="by subject") == {
        "split": "by subject",
        "train": "faces (4 images, 2 subjects), bp4d (2 images, 1 subjects)",
        "val": "faces (2 images, 1 files without subject)",
        "test": "",
        "labels": "faces: occurrence = intensity >= 2 on a 0-5 scale; bp4d: 0/1 labels",
    }
