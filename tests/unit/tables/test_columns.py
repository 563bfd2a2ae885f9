"""Column names close to a standard name, and column names set in a config."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceflow.errors import ConfigError, DataError
from faceflow.tables.columns import check_columns, name_columns
from faceflow.tables.table import Table

NAMES = {"filename": "filename", "subject": "subject", "domain": "domain"}


def table(*header: str, rows: int = 3) -> Table:
    cells = [[f"{name}{row // 2}" for row in range(rows)] for name in header]
    return Table(path=Path("t.csv"), header=header, columns=cells, lines=[*range(2, rows + 2)], notes=())


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Subject",
            "SUBJECT",
            "subject_id",
            "Subject ID",
            "subjectID",
            "subjects",
            "subjet",
            "participant",
            "Participant",
        ),
        *("participant_id", "person", "Person_ID", "ID", "id", "PatientID", "VP", "subj", "Sub"),
    ],
)
def test_a_near_miss_of_subject_is_an_error_that_says_what_to_do(name: str) -> None:
    with pytest.raises(DataError) as caught:
        name_columns(table("filename", "AU1", name), NAMES, key="data.sources.csv.columns")
    key = "data.sources.csv.columns.subject"
    assert str(caught.value) == (
        f"t.csv: expected a column 'subject', got '{name}'; rename it, or set {key}={name}, or {key}=null if it is "
        "something else"
    )


@pytest.mark.parametrize("header", [["session"], ["object"], ["subject", "participant_id"], ["face_id"], ["video"]])
def test_other_columns_are_left_alone(header: list[str]) -> None:
    whole = table("filename", *header)
    assert name_columns(whole, NAMES, key="columns") == whole


def test_an_id_of_each_row_is_no_subject() -> None:
    assert name_columns(table("filename", "id", rows=1), NAMES, key="columns").header == ("filename", "id")


def test_a_domain_in_capitals_is_an_error() -> None:
    with pytest.raises(
        DataError, match=r"expected a column 'domain', got 'Domain'; rename it, or set columns\.domain="
    ):
        name_columns(table("filename", "Domain"), NAMES, key="columns")


def test_a_config_names_columns_or_says_that_there_is_none() -> None:
    named = name_columns(table("path", "ID", "AU1"), {"filename": "path", "subject": "ID"}, key="columns")
    assert named.header == ("filename", "subject", "AU1")
    assert name_columns(table("filename", "ID"), {"subject": None}, key="columns").header == ("filename", "ID")
    assert name_columns(table("filename", "subject"), {"subject": None}, key="columns").header == ("filename", "")


def test_a_name_that_the_file_lacks_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"^columns\.subject: expected a column of t\.csv, got 'perso'; did you mean"):
        name_columns(table("filename", "person"), {"subject": "perso"}, key="columns")


@pytest.mark.parametrize("names", [None, "subject", {"subject": 3}])
def test_names_are_texts_or_null(names: object) -> None:
    with pytest.raises(ConfigError, match=r"^columns: expected a name for each column, or null if there is none"):
        check_columns(names, key="columns")
