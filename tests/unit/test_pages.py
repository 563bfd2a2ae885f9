"""Markdown pages: their links, their generated parts, and how tests read their blocks."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from generated import columns, configs, contract, scores, with_parts
from generated.files import relinked
from generated.markdown import code, plain
from generated.yaml_comments import Choice, Key, read_config
from markdown_it import MarkdownIt

from faceflow.built_in.models import built_in_model
from faceflow.inference.contract import ModelContract
from tests.helpers.pages import ROOT, Block, blocks, run_block

DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "faceflow/built_in/README.md"])
PAGES = [page for page in PAGES if "_build" not in page.parts]
MARKDOWN = MarkdownIt("commonmark").enable("table")


def links(text: str) -> Iterator[str]:
    for token in MARKDOWN.parse(text):
        for part in token.children or []:
            if part.type in ("link_open", "image"):
                yield str(part.attrs["href" if part.type == "link_open" else "src"])


def anchors(text: str) -> set[str]:
    """Names that GitHub gives to headings."""
    tokens = MARKDOWN.parse(text)
    titles = [tokens[place + 1].children or [] for place, token in enumerate(tokens) if token.type == "heading_open"]
    texts = ["".join(part.content for part in title) for title in titles]
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in texts}


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for link in links(page.read_text("utf-8")):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.read_text("utf-8")), link


CONFIG = """\
# @package _global_
# What it is,
# in two lines.
defaults:
  - override /model: small # the network
  - _self_
# Above the key.
rate: 0.1 # at its end
sizes:    # of two
  wide: [1,
    2]    # goes on
          # below
  text: "a # b"
stages:
  - _target_: x.Blur
    sigma: 2 # pixels
  - plain
# The last word.
"""


def test_keys_of_a_config_have_the_comments_beside_and_above_them() -> None:
    found = read_config(CONFIG)
    assert (found.package, found.about) == ("_global_", "What it is, in two lines.")
    assert found.choices == (Choice(group="model", option="small", comment="the network"),)
    assert found.keys == (
        Key(name="rate", default="0.1", comment="Above the key. at its end"),
        Key(name="sizes", default=None, comment="of two"),
        Key(name="sizes.wide", default="[1, 2]", comment="goes on below"),
        Key(name="sizes.text", default='"a # b"', comment=""),
        Key(name="stages", default=None, comment=""),
        Key(name="stages[0]._target_", default="x.Blur", comment=""),
        Key(name="stages[0].sigma", default="2", comment="pixels"),
        Key(name="stages[1]", default="plain", comment="The last word."),
    )


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


@pytest.mark.parametrize("command", ["train", "infer", "crop", "render"])
def test_the_reference_has_every_key_of_a_command_with_its_default(command: str) -> None:
    section = configs.markdown().partition(f"### faceflow-{command}\n")[2].partition("\n### ")[0]
    rows = dict(re.findall(r"^\| `+([\w.\[\]]+)=?(.*?)`+(?: \*required\*)? \|", section, re.MULTILINE))
    content = yaml.safe_load((ROOT / f"configs/{command}.yaml").read_text("utf-8"))
    keys = {name: value for name, value in content.items() if name not in ("defaults", "task")}
    missing = {}
    for name, value in leaves(keys):
        shown = name if name in rows else next((key for key in rows if name.startswith(f"{key}.")), None)
        if shown is None or (shown == name and yaml.safe_load(rows[name].replace("\\|", "|") or "???") != value):
            missing[name] = value
    assert not missing


def test_no_comment_of_a_config_is_lost() -> None:
    shown = configs.markdown()
    folders = {path.parent for path in (ROOT / "configs").rglob("*.yaml")} - {
        ROOT / "configs/help",
        ROOT / "configs/command_line",
        ROOT / "configs/layout",
        ROOT / "configs/local",
    }
    texts = {path: path.read_text("utf-8") for folder in folders for path in folder.glob("*.yaml")}
    assert len(texts) > 150
    for path, text in texts.items():
        content = read_config(text)
        about = content.about.removeprefix(f"faceflow-{path.stem}: ")
        for comment in [about, *(key.comment for key in content.keys if not key.name.endswith("_target_"))]:
            cell = plain(comment, page=configs.PAGE)
            assert cell[1:] in shown.replace("\\|", "|"), f"{path}: {comment}"


def test_the_reference_has_every_option_of_a_group() -> None:
    shown = configs.markdown()
    for loss in (ROOT / "configs/loss").glob("*.yaml"):
        assert f"\n#### loss={loss.stem}\n" in shown
    assert "| `loss.gamma=2.0` |" in shown
    assert "[`loss=bce`](#group-loss) |" in shown
    assert "\n(group-loss)=\n### loss\n" in shown
    assert "| `data.unlabeled.own.path=null` |" in shown  # a group whose values go elsewhere


def test_every_column_of_crops_has_a_meaning_or_follows_one_that_names_it() -> None:
    table = columns.markdown().partition("## faceflow-crop")[2]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.MULTILINE))
    assert list(rows)[:3] == ["file", "frame", "time_s"]
    silent = [name for name, meaning in rows.items() if not meaning]
    assert all(re.fullmatch(r"[xy][12]|(eye|nose|mouth)\w*_[xy]|a\d\d", name) for name in silent)


def test_metrics_and_fields_of_a_model_are_shown() -> None:
    assert "| `f1_val`, `f1_0.5` | F1 |" in scores.markdown()
    assert (
        "| `mae` | MAE | predicted and true intensities | intensities | Mean absolute error over all frames. Lower"
        in (scores.markdown())
    )
    fields = re.findall(r"^\| `(\w+)` \| .* \| (yes|no) \|$", contract.markdown(), re.MULTILINE)
    assert [name for name, _ in fields] == list(ModelContract.__dataclass_fields__)
    assert dict(fields)["aus"] == "yes"
    assert dict(fields)["licence"] == "no"


def test_text_means_what_it_says_in_markdown() -> None:
    text = plain("a_b * c <d> `e_f` [g] $h docs/concepts/calibration.md", page="reference/configs")
    assert text.startswith(r"a\_b \* c \<d\> `e_f` \[g\] \$h [")
    assert text.endswith("](../concepts/calibration.md)")
    assert (code("a|b"), code("a`b"), code("")) == ("`a|b`", "``a`b``", "")
    (paragraph,) = (token for token in MARKDOWN.parse(plain("*a* _b_ <i> `c`", page="x")) if token.type == "inline")
    assert [part.type for part in paragraph.children or []].count("em_open") == 0


def test_a_link_out_of_the_docs_leads_to_its_page_or_goes() -> None:
    text = "[card](../../faceflow/built_in/README.md#scores) [code](../../pyproject.toml) [gone](../x.md) [web](https://a.b)"
    expected = "[card](../reference/built_in_card.md#scores) code [gone](../x.md) [web](https://a.b)"
    assert relinked(text, DOCS / "how_to", "how_to/built_in") == expected
    with pytest.raises(ValueError, match="generated: expected one of configs, .*, got nothing"):
        with_parts("<!-- generated: nothing -->")


def test_the_paragraph_below_a_mark_is_for_github_alone() -> None:
    text = "# A\n\n<!-- generated: pages reference:columns -->\nOn GitHub,\nread this.\n\nMore.\n"
    shown = with_parts(text)
    assert shown.startswith("# A\n\n```{toctree}\n")
    assert shown.endswith("\n```\n\nMore.\n")
    assert "GitHub" not in shown


def test_blocks_are_read_with_the_reason_why_they_are_not_run(tmp_path: Path) -> None:
    page = "# A\n\n```bash\necho 1\n```\n\n<!-- not run: takes a day -->\n```bash\necho 2\n```\n```text\n3\n```\n"
    assert blocks(page, "bash", "python") == [
        Block(language="bash", text="echo 1\n", line=4, reason=""),
        Block(language="bash", text="echo 2\n", line=9, reason="takes a day"),
    ]
    done = run_block("bash", "false\necho on", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert run_block("python", "from faceflow.aus import joined\nprint(joined('AU12_L'))", tmp_path).stdout == "AU12\n"


def test_the_example_of_the_onnx_page_runs(tmp_path: Path) -> None:
    (block,) = blocks((DOCS / "reference/onnx_contract.md").read_text("utf-8"), "python")
    shutil.copy(built_in_model(None), tmp_path / "model.onnx")
    done = run_block("python", block.text, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("{'AU1")


def test_a_toctree_has_the_named_pages_first_and_all_others() -> None:
    entries = with_parts("<!-- generated: pages reference:glossary,gone,columns -->").splitlines()
    assert entries[:5] == ["```{toctree}", ":maxdepth: 1", "", "/reference/glossary", "/reference/columns"]
    pages = {page.stem for page in (DOCS / "reference").glob("*.md")} - {"index"}
    assert sorted(entries[3:-1]) == sorted(f"/reference/{page}" for page in pages)
