"""Addresses: what counts as one, where its copy is kept, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceflow.errors import ConfigError
from faceflow.storage.urls import below, check_url, folder_of, is_url, place_of, with_urls


def test_paths_are_no_addresses() -> None:
    assert is_url("s3://bucket/faces.csv")
    assert is_url("HTTPS://host/a.csv")
    assert not any(map(is_url, ["faces.csv", "/data/faces.csv", "C:\\faces.csv", "C://faces.csv", None, 3]))


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("s3://bucket/a/faces.csv", "s3/bucket/a/faces.csv"),
        ("S3://bucket/a?b#c.jpg", "s3/bucket/a?b#c.jpg"),  # of S3 both may be in a name
        ("https://host:80/a/best.ckpt?download=1#x", "https/host:80/a/best.ckpt"),
    ],
)
def test_a_copy_lies_as_in_its_address(url: str, place: str) -> None:
    assert place_of(url).as_posix() == place


def test_names_below_a_folder() -> None:
    assert below("s3://b/crops/", "Anna 1/a#1.jpg") == "s3://b/crops/Anna 1/a#1.jpg"
    assert below("https://h/crops", "Anna 1/a#1.jpg") == "https://h/crops/Anna%201/a%231.jpg"
    assert folder_of("s3://b/run/checkpoints/last.ckpt") == "s3://b/run/checkpoints"
    assert folder_of("https://h/run/best.ckpt?x=a/b") == "https://h/run"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://anna:secret@host/a.csv", "expected an address without a password, got one for 'host'"),
        ("s3://bucket/../a.csv", r"expected an address such as s3://bucket/faces.csv, got 's3://bucket/../a.csv'"),
        ("s3://", "expected an address such as"),
        ("s3://bucket//a.csv", "expected an address such as"),
        ("file:///data/a.csv", "got 'file:///data/a.csv'; leave file:// out"),
    ],
)
def test_addresses_that_nothing_can_have(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        check_url(url, key="data.labels")
    assert "secret" not in str(caught.value)


def test_messages_name_the_address_of_a_copy() -> None:
    text = "/cache/s3/bucket/faces.csv:3: expected a subject, got none in '/cache/s3/bucket/faces.csv'"
    said = "s3://bucket/faces.csv:3: expected a subject, got none in 's3://bucket/faces.csv'"
    assert with_urls(text, Path("/cache")) == said
