from __future__ import annotations

import pytest

from faceflow.aus import (
    DESCRIPTIONS,
    Column,
    check_aus,
    description,
    flip_order,
    joined,
    mirrored,
    parse_column,
    side_of,
    sort_key,
)
from faceflow.errors import ConfigError


@pytest.mark.parametrize(
    ("header", "au", "kind"),
    [
        ("AU12", "AU12", "label"),
        ("au12", "AU12", "label"),
        ("AU01", "AU1", "label"),
        ("AU 12", "AU12", "label"),
        (" AU12 ", "AU12", "label"),
        ("'AU12'", "AU12", "label"),
        (' "AU12_L" ', "AU12_L", "label"),
        ("AU12_r", "AU12", "intensity"),
        ("AU01_r", "AU1", "intensity"),
        ("AU12_R", "AU12_R", "label"),
        ("AU12_l", "AU12_L", "label"),
        ("AU12_L", "AU12_L", "label"),
        ("AU12_left", "AU12_L", "label"),
        ("AU12_Right", "AU12_R", "label"),
        ("AUL12", "AU12_L", "label"),
        ("AUR4", "AU4_R", "label"),
        ("AU4R", "AU4_R", "label"),
        ("AU45_c", "AU45", "occurrence"),
        ("AU12_prob", "AU12", "occurrence"),
        ("AU12_occ", "AU12", "occurrence"),
        ("au_12", "AU12", "label"),
        ("au_12_intensity", "AU12", "intensity"),
        ("AU12_int", "AU12", "intensity"),
        ("AUL12_c", "AU12_L", "occurrence"),
    ],
)
def test_headers_of_other_tools_are_read(header: str, au: str, kind: str) -> None:
    assert parse_column(header) == Column(au=au, kind=kind)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "header",
    [
        *("", "AU", "AU0", "AU42", "AU99", "AU123", "AU12x", "AU12_x", "AUL12R", "AUL12_R", "AU12_L_R", "Laura12"),
        *("subject", "filename", "AU12 intensity", "AU12.1"),
    ],
)
def test_other_headers_are_no_au(header: str) -> None:
    assert parse_column(header) is None


def test_au_names_keep_their_order() -> None:
    assert check_aus(["AU12", "AU6_R", "AU6_L"], key="aus.names") == ("AU12", "AU6_R", "AU6_L")


def test_an_au_can_be_asked_for_joined_and_by_side() -> None:
    assert check_aus(["AU12", "AU12_L", "AU12_R"], key="aus.names") == ("AU12", "AU12_L", "AU12_R")
    assert flip_order(["AU12", "AU12_L", "AU12_R"]) == [0, 2, 1]


def test_one_name_can_stand_without_a_list() -> None:
    assert check_aus("AU12", key="aus.names") == ("AU12",)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], r"aus\.names: expected at least one AU, got an empty list"),
        (["AU12", "AU45_X"], r"aus\.names: expected FACS names .* got 'AU45_X'; did you mean 'AU45'"),
        (["AU01"], r"got 'AU01'; did you mean 'AU1'"),
        (["AU42"], "got 'AU42'"),
        (["au12"], "got 'au12'"),
        (["AU12_l"], "got 'AU12_l'"),
        (["smile"], "got 'smile'; known: "),
        ([12], "got 12"),
        (["AU6", "AU12", "AU6"], "expected every AU once, got AU6 twice"),
    ],
)
def test_wrong_au_lists_name_the_key_and_the_au(names: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_aus(names, key="aus.names")


def test_sides_are_told_and_taken_off() -> None:
    assert [side_of(au) for au in ("AU12", "AU12_L", "AU12_R")] == ["", "L", "R"]
    assert [joined(au) for au in ("AU12", "AU12_L", "AU12_R")] == ["AU12"] * 3
    assert [mirrored(au) for au in ("AU12", "AU12_L", "AU12_R")] == ["AU12", "AU12_R", "AU12_L"]


def test_a_flip_swaps_the_columns_of_the_two_sides_and_leaves_the_others() -> None:
    assert flip_order(["AU12_L", "AU1", "AU6_R", "AU12_R", "AU6_L"]) == [3, 1, 4, 0, 2]


def test_a_flip_needs_both_sides() -> None:
    with pytest.raises(ConfigError, match=r"expected both sides of AU6, got only AU6_L; .* add AU6_R or set flip=0"):
        flip_order(["AU12", "AU6_L"])


def test_descriptions_say_the_side() -> None:
    assert description("AU12") == "lip corner puller"
    assert description("AU2_L") == "outer brow raiser, left"
    assert description("AU2_R") == "outer brow raiser, right"
    assert all(description(f"AU{number}") == text for number, text in DESCRIPTIONS.items())


def test_aus_sort_by_number_then_left_before_right() -> None:
    names = ["AU12", "AU2_R", "AU10", "AU2_L", "AU1"]
    assert sorted(names, key=sort_key) == ["AU1", "AU2_L", "AU2_R", "AU10", "AU12"]
