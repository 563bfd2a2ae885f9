"""An unknown option of a group gives one line that names the group, for every command and spelling."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from faceflow.config.options import check_options
from faceflow.config.paths import config_dir
from faceflow.errors import ConfigError


def check(*overrides: str, own: Path | None = None) -> None:
    folders = [Path(config_dir()), *([own] if own else [])]
    check_options(OverridesParser.create().parse_overrides(list(overrides)), folders)


@pytest.mark.parametrize(
    ("override", "got"),
    [
        *(("data=3", "3"), ("data=true", "true"), ("data=null", "null"), ("data=1.5", "1.5"), ("data=''", "nothing")),
        *(("data=[]", "[]"), ("data=[3]", "[3]"), ("data=[[a]]", "[[a]]"), ("data=[disfa,null]", "[disfa,null]")),
        *(("data=disfa,3", "3"), ("++data=3", "3"), ("~data=3", "3")),
    ],
)
def test_unknown_options_of_groups_that_take_several(override: str, got: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(override)
    line = str(caught.value)
    assert line.startswith(f"data: expected an option or a list of options, got {got}; ")
    assert "known: affwild2, bp4d, bp4d_plus, " in line


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("loss=1", "loss: expected one option, got 1; known: bce, dice, distribution_balanced, focal, *"),
        ("augment=[light,medium]", "augment: expected one option, got 2; known: light, medium, strong"),
        ("model=[small]", "model: expected one option, got [small]; known: *"),
        ("model=small,[tiny,base]", "model: expected one option, got 2; known: *"),
        ("align=null", "align: expected one option, got null; leave align=... out for the default; known: box, *"),
        ("transforms@transforms.weak=3", "transforms: expected one option, got 3; known: eval, medium, strong, weak"),
        ("hydra/launcher=3", "hydra/launcher: expected one option, got 3; leave hydra/launcher=... out *"),
    ],
)
def test_unknown_options_of_other_groups(override: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(override)
    assert str(caught.value).startswith(line.removesuffix("*"))


@pytest.mark.parametrize(
    "override",
    [
        *("data=disfa", "data=[disfa,bp4d]", "method=[fixmatch,miro]", "callbacks=[default,linear_probe]", "~data"),
        *("loss=bce,focal", "model=no_such_option", "seed=3", "optimizer.lr=3", "data={prepare:{subjects:3}}"),
        *("data=disfa,[disfa,bp4d]", "optimizer.lr=interval(0,1)", "hydra/launcher=joblib", "aus=disfa8,bp4d12"),
    ],
)
def test_valid_hydra_syntax_passes(override: str) -> None:
    check(override)


@pytest.mark.parametrize(
    ("override", "names", "written"),
    [
        ("aus=AU6", "AU6", "[AU6]"),
        ("aus=[AU6,AU12]", "AU6, AU12", "[AU6,AU12]"),
        ("aus='AU6,AU12'", "AU6, AU12", "[AU6,AU12]"),
        ("aus='[AU6, AU12]'", "AU6, AU12", "[AU6,AU12]"),
        ("aus=AU6,au12_l", "AU6, au12_l", "[AU6,AU12_L]"),
    ],
)
def test_aus_in_the_place_of_a_set_of_them(override: str, names: str, written: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(override)
    assert str(caught.value).startswith("aus: expected a named set of AUs (abaw12, all, ")
    assert str(caught.value).endswith(f"got {names}; write 'aus.names={written}'")


def test_groups_of_ones_own_are_checked_too(tmp_path: Path) -> None:
    (tmp_path / "face_set").mkdir()
    (tmp_path / "face_set/mine.yaml").touch()
    check("face_set=3")  # no group of ours
    with pytest.raises(ConfigError, match="^face_set: expected one option, got 3; known: mine$"):
        check("face_set=3", own=tmp_path)
