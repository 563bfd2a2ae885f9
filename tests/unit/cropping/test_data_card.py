"""Cards of crops report the counts and can be read by the Hub's own reader."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from huggingface_hub import DatasetCard

from faceflow.cards import check_card
from faceflow.cropping.data_card import check_replaced, write_data_card
from faceflow.errors import ConfigError

COUNTS = [("a.mp4", Counter({"ok": 7, "no_face": 2})), ("b.mp4", Counter({"ok": 1, "tracked": 2}))]
TABLE = """\
filename,AU1,AU12_c,person,domain
a/1.jpg,2.0,1,anna,left|camera
a/2.jpg,,0,anna,left|camera
b/1.jpg,2,1,ben,right
b/2.jpg,0.5,,ben,right
"""


def card(folder: Path, *, labels: str | None = TABLE) -> str:
    (folder / "crops.json").write_text(json.dumps({"align": {"preset": "eyes"}}), "utf-8")
    if labels is not None:
        (folder / "labels.csv").write_text(labels, "utf-8")
    columns = {"subject": "person", "domain": None}
    path = folder / "README.md"
    write_data_card(path, folder, COUNTS, crops=10, features=3, labelled=labels is not None, columns=columns)
    return path.read_text("utf-8")


def test_labels_are_counted_by_value_without_empty_cells(tmp_path: Path) -> None:
    text = card(tmp_path)
    assert "10 crops of 2 recordings or folders of images, 3 of them with landmarks" in text
    assert "`labels.csv`: 4 crops, 2 subjects." in text
    assert "| AU1 | inner brow raiser | 3 | 0.5: 1, 2: 2 |" in text
    assert "| AU12_c | lip corner puller | 3 | 0: 1, 1: 2 |" in text
    assert "| left\\|camera | 2 |" in text
    assert "| ok | 8 |" in text
    assert "| no_face | 2 |" in text
    assert "  preset: eyes\n" in text


def test_the_hub_reads_the_metadata(tmp_path: Path) -> None:
    data = DatasetCard(card(tmp_path)).data
    assert (data.license, data.size_categories, data.task_categories) == ("other", ["n<1K"], ["image-classification"])
    assert data.configs == [{"config_name": "default", "data_files": "labels.csv"}]


def test_crops_without_labels_and_subjects_without_names_are_reported(tmp_path: Path) -> None:
    text = card(tmp_path, labels=None)
    assert "## Labels\n\nNone.\n" in text
    assert "configs" not in DatasetCard(text).data.to_dict()
    unnamed = card(tmp_path, labels="filename,AU1\na,1\n")
    assert "1 crops, subjects not named." in unnamed


def test_values_of_a_scale_without_levels_are_not_listed(tmp_path: Path) -> None:
    text = card(tmp_path, labels="AU1\n" + "".join(f"{number / 7}\n" for number in range(20)))
    assert "| AU1 | inner brow raiser | 20 | 20 values |" in text


def test_a_card_replaces_its_earlier_version_and_nothing_else(tmp_path: Path) -> None:
    card(tmp_path)
    check_replaced(tmp_path / "README.md")
    check_replaced(tmp_path / "new.md")
    check_replaced(None)
    (tmp_path / "notes.md").write_bytes(b"# My notes \xff\n")
    with pytest.raises(
        ConfigError, match=r"card: expected a new file or an earlier card, got another file: '.*notes.md'; choose"
    ):
        check_replaced(tmp_path / "notes.md")


@pytest.mark.parametrize("name", ["card.txt", "card", "", 3, True, "folder.md"])
def test_a_card_is_a_markdown_file(name: object, tmp_path: Path) -> None:
    (tmp_path / "folder.md").mkdir()
    given = str(tmp_path / name) if name == "folder.md" else name
    with pytest.raises(ConfigError, match=r"card: expected the name of a \.md file, got '.*'; write card=README.md"):
        check_card(given)
