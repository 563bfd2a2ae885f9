from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from faceflow.data.groups import domains_of, number_groups
from faceflow.data.sources import FaceTable
from tests.helpers.networks import label_table


def table(name: str, subjects: Sequence[str], *, domains: Sequence[str] | None = None, named: bool = True) -> FaceTable:
    """One row per subject; `named`: whether the data set names the subjects."""
    rows = label_table(name, {"AU1": [0.0] * len(subjects)})
    names = np.array([f"own/{subject}" for subject in subjects])
    return dataclasses.replace(
        rows,
        subjects=names,
        identities=names,
        has_subjects=named,
        domains=None if domains is None else np.array(domains),
    )


class TestDomains:
    def test_they_are_the_values_of_the_column_or_the_data_set_where_there_is_none(self) -> None:
        tables = [table("disfa", ["a", "b"]), table("mine", ["c", "d", "e"], domains=["webcam", "studio", "webcam"])]
        groups = number_groups({"train": tables, "val": [table("other", ["z"])]})
        assert groups.domains == ("disfa", "studio", "webcam")
        assert groups.domain["train"].tolist() == [0, 0, 2, 1, 2]
        assert groups.domain["train"].dtype == np.int64
        assert set(groups.domain) == {"train"}

    def test_one_name_in_two_data_sets_or_streams_is_one_domain_and_labelled_ones_come_first(self) -> None:
        labelled = [table("a", ["a"], domains=["webcam"]), table("b", ["b"], domains=["webcam"])]
        pool = [table("c", ["c", "d"], domains=["infrared", "webcam"]), table("folder", ["e"])]
        groups = number_groups({"train": labelled, "unlabeled": pool})
        assert groups.domains == ("webcam", "folder", "infrared")
        assert groups.domain["train"].tolist() == [0, 0]
        assert groups.domain["unlabeled"].tolist() == [2, 0, 1]

    def test_an_empty_cell_is_not_known_and_an_empty_column_names_nothing(self) -> None:
        assert domains_of(table("mine", ["a", "b"], domains=["", ""])).tolist() == ["mine", "mine"]
        groups = number_groups({"train": [table("mine", ["a", "b"], domains=["", "studio"])]})
        assert (groups.domains, groups.domain["train"].tolist()) == (("studio",), [-1, 0])


class TestSubjects:
    def test_rows_of_one_subject_share_a_number_over_data_sets_and_streams(self) -> None:
        labelled = [table("a", ["s1", "s2", "s1"]), table("b", ["s2", "s3"])]
        groups = number_groups({"train": labelled, "unlabeled": [table("c", ["s3", "s4"])]})
        assert groups.subjects == 4
        assert groups.subject["train"].tolist() == [0, 1, 0, 1, 2]
        assert groups.subject["unlabeled"].tolist() == [2, 3]
        assert groups.subject["unlabeled"].dtype == np.int64

    def test_faces_without_subject_names_have_no_subject(self) -> None:
        folder = table("folder", ["0.jpg", "1.jpg"], named=False)
        groups = number_groups({"train": [table("a", ["s1"])], "unlabeled": [folder]})
        assert groups.subjects == 1
        assert groups.subject["unlabeled"].tolist() == [-1, -1]

    def test_unless_their_picture_is_one_of_a_known_subject(self) -> None:
        known, folder = table("a", ["s1", "s2"]), table("folder", ["0.jpg", "1.jpg"], named=False)
        copy = dataclasses.replace(folder, pictures=np.array([12345, known.pictures[1]]))
        groups = number_groups({"train": [known], "unlabeled": [copy]})
        assert groups.subject["unlabeled"].tolist() == [-1, 1]

    def test_spellings_of_one_id_are_one_subject(self) -> None:
        spelt = dataclasses.replace(table("a", ["001", "1"]), identities=np.array(["own/1", "own/1"]))
        assert number_groups({"train": [spelt]}).subject["train"].tolist() == [0, 0]


def test_a_stream_without_tables_has_no_rows() -> None:
    groups = number_groups({"train": [table("a", ["s1"])], "unlabeled": []})
    assert groups.domain["unlabeled"].shape == groups.subject["unlabeled"].shape == (0,)


class TestOrigins:
    def test_faces_of_a_subject_have_one_origin_in_all_streams(self) -> None:
        labelled, pool = table("a", ["s1"] * 8 + ["s2"] * 4), table("b", ["s2"] * 4 + ["s3"] * 8)
        groups = number_groups({"train": [labelled], "unlabeled": [pool]})
        assert groups.origins == 3
        first, second = groups.origin["train"][0], groups.origin["train"][8]
        assert groups.origin["train"].tolist() == [first] * 8 + [second] * 4
        assert groups.origin["unlabeled"][:4].tolist() == [second] * 4
        assert len({first, second, *groups.origin["unlabeled"][4:].tolist()}) == 3

    def test_without_subjects_they_are_videos_and_without_these_folders(self) -> None:
        folders = named_files("folders", [f"/x/{face // 8}/{face}.jpg" for face in range(16)])
        videos = dataclasses.replace(
            named_files("videos", [f"/y/{face}.jpg" for face in range(16)]), videos=np.array(["p", "q"] * 8)
        )
        groups = number_groups({"train": [folders], "unlabeled": [videos]})
        assert groups.origins == 4
        of_folders, of_videos = groups.origin["train"], groups.origin["unlabeled"]
        assert (of_folders[0], of_folders[15]) == (of_folders[7], of_folders[8]) != (of_videos[0], of_videos[1])
        assert set(of_videos[::2]) == {of_videos[0]}
        assert set(of_videos[1::2]) == {of_videos[1]}

    def test_faces_of_subjects_with_fewer_than_eight_are_one_origin_per_domain(self) -> None:
        subjects = [f"s{face}" for face in range(7)] + ["many"] * 8
        groups = number_groups({"train": [table("a", subjects, domains=["w"] * 4 + ["v"] * 11)]})
        origin = groups.origin["train"].tolist()
        assert groups.origins == 3
        assert [len({*origin[:4]}), len({*origin[4:7]}), len({*origin[7:]})] == [1, 1, 1]


def named_files(name: str, files: Sequence[str]) -> FaceTable:
    """Rows of pictures of whom nobody says who they are."""
    return dataclasses.replace(table(name, files, named=False), files=np.array(files))
