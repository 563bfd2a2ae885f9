"""The documentation site builds without warnings or network access, and its generated pages are complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import faceflow
from tests.helpers.pages import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site; a link to a missing page or heading gives a Sphinx warning and fails."""
    folder = tmp_path_factory.mktemp("site")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    done = subprocess.run(
        [*command, "-d", str(folder / "doctrees"), str(ROOT / "docs"), str(folder / "html")],
        env={**os.environ, **nowhere},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_every_page_is_built_and_reached(site: Path) -> None:
    sources = {path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")}
    sources |= {path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.ipynb")}
    sources = {path for path in sources if not path.parts[0].startswith("_")}
    index = (site / "index.html").read_text("utf-8")
    assert {path for path in sources if f'href="{path}.html"' not in index} <= {Path("index")}
    assert not {path for path in sources if not (site / path).with_suffix(".html").is_file()}


def test_generated_pages_are_full(site: Path) -> None:
    python = (site / "reference/python.html").read_text("utf-8")
    assert all(f'id="faceflow.{name}"' in python for name in faceflow.__all__)
    assert "peak learning rate" in (site / "reference/configs.html").read_text("utf-8")
    parts = {"columns": "AU.._unsure", "onnx_contract": "occurrence_min", "glossary": "AU46", "changelog": "Unreleased"}
    for name, word in parts.items():
        assert word in (site / f"reference/{name}.html").read_text("utf-8")


def test_pages_load_nothing_from_the_net(site: Path) -> None:
    loaded = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=\"((?:https?:)?//[^\"]+)")
    assert {url for page in site.rglob("*.html") for url in loaded.findall(page.read_text("utf-8"))} == set()
