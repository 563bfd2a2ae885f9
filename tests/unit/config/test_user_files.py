"""User config files that are not YAML: the error names file, line and next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceflow.config.composition import compose
from faceflow.config.user_files import config_files_named
from faceflow.errors import ConfigError


def refusal(folder: Path, content: bytes) -> str:
    (folder / "aus").mkdir()
    (folder / "aus/mine.yaml").write_bytes(content)
    with pytest.raises(ConfigError) as caught, config_files_named([folder]):
        compose("train", ["paths.output=/out", "aus=mine"], further_dir=folder)
    line = str(caught.value)
    assert "\n" not in line
    return line.removeprefix(f"{folder}/aus/mine.yaml:")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"names:\n\t- AU1\n", "2: expected spaces as indentation, got a tab; indent with spaces"),
        (b"names: [AU1]\nnames: [AU6]\n", "2: expected each key once, got 'names' again; remove one of them"),
        (
            "# caf\xe9\nnames: [AU1]\n".encode("latin-1"),
            "1: expected UTF-8, got bytes of another encoding; save the file as UTF-8",
        ),
        (
            "names: [AU1]\n".encode("utf-16"),
            "1: expected UTF-8, got bytes of another encoding; save the file as UTF-8",
        ),
    ],
)
def test_a_file_that_is_no_yaml_is_named_with_its_line(tmp_path: Path, content: bytes, line: str) -> None:
    assert refusal(tmp_path, content) == line


def test_an_open_bracket_is_found_where_the_file_ends(tmp_path: Path) -> None:
    line = refusal(tmp_path, b"names: [AU1,\n")
    assert line.startswith("2: expected YAML, got text that cannot be read (")
    assert line.endswith("); fix this line or one before it")


def test_bytes_that_no_config_file_holds_stay_a_fault_of_ours(tmp_path: Path) -> None:
    with pytest.raises(UnicodeDecodeError), config_files_named([tmp_path]):
        b"\xff".decode()
