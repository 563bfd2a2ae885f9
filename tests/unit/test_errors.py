from __future__ import annotations

import pytest

from faceflow.errors import CheckpointError, ConfigError, DataError, ExportError, FaceFlowError, suggest


@pytest.mark.parametrize("error", [ConfigError, DataError, CheckpointError, ExportError])
def test_every_user_mistake_is_a_faceflow_error(error: type[Exception]) -> None:
    assert issubclass(error, FaceFlowError)


def test_a_config_error_is_a_value_error() -> None:
    assert issubclass(ConfigError, ValueError)
    assert not issubclass(DataError, ValueError)


def test_a_misspelt_name_gets_the_closest_options() -> None:
    assert suggest("resnet81", ["vit_small", "resnet18", "convnext"]) == "did you mean 'resnet18'?"
    assert suggest("AU2", ["AU12", "AU20", "jaw"]) == "did you mean 'AU20' or 'AU12'?"


def test_at_most_three_options_are_suggested() -> None:
    assert suggest("AU1", [f"AU1{digit}" for digit in range(10)]).count("'AU") == 3


def test_a_name_like_no_other_gets_ten_sorted_options() -> None:
    assert suggest("x", ["beta", "alpha"]) == "known: alpha, beta"
    letters = [f"option_{letter}" for letter in "lkjihgfedcba"]
    assert suggest("0000", letters) == "known: " + ", ".join(sorted(letters)[:10]) + ", ..."


def test_exactly_ten_options_are_all_there_is() -> None:
    assert not suggest("0000", [f"option_{letter}" for letter in "abcdefghij"]).endswith("...")
