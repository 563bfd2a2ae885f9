"""File names on the command line pass through Hydra's parser and composition unchanged."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from faceflow.config.composition import compose
from faceflow.config.overrides import spell_overrides
from faceflow.config.path_arguments import escaped, is_path, literal_paths
from faceflow.config.paths import config_dir
from faceflow.config.values import leaves
from faceflow.errors import ConfigError

ODD = [
    *("面试.mp4", "video (1).mp4", "it's.mp4", 'a "b".mp4', "a=b.ckpt", "[x].mp4", "x[1]", "#1", "a&b", "a;b", "$5"),
    *("{x}", "a{b}c", "C:\\Users\\me\\x.mp4", "a\\", "\\'", " a ", "a\nb", "a\tb", "50%", "Ünïcödé", "👩.jpg", "a+b"),
    *("2024", "007", "1e5", "1_000", "0x1F", "true", "False", "off", "inf", "nan", "a:b", "x: y", "key=value=x", "="),
    *("a@b", "a|b", "!x", "<x>", "*", "?", "^", "`x`", "a~", "-x", "--x", "'", '"', "''", "(", ")", "...", "."),
    *("choice(a)", "range(3)", "glob(*)"),
]
MEANT = ["a,b.mp4", "[x]", "[a,b]", "'q'", "null", "${x}.mp4", "a\\${x}", "\\\\${", "choice(a,b)", "0"]
LETTERS = "ab1 .-_~=#&;$%()[]{}'\"\\|!@^*?<>+:/é面👩\n\t"
KEYS = {
    "infer": ("source", "onnx", "output", "render", "plot", "calibrate"),
    "crop": ("source", "output", "hydra.run.dir"),
    "train": ("data.labels", "data.images", "model.weights", "resume", "unlabeled", "paths.runs", "hydra.run.dir"),
}
NEEDED = {"infer": ["onnx=m", "output=o"], "crop": ["output=o"], "train": ["data=csv", "data.labels=l"]}


def names(count: int) -> Iterator[str]:
    """The odd ones, and others drawn from odd letters; commas and ${ are in tests of their own."""
    draw = random.Random(0)
    yield from ODD
    for _ in range(count - len(ODD)):
        name = "".join(draw.choices(LETTERS, k=draw.randint(1, 12))).replace("${", "$ {")
        yield name if name[0] not in "~" else f"x{name}"


def read(argument: str) -> object:
    """What Hydra reads."""
    return OverridesParser.create().parse_override(argument).value()


def lists_and_quotes(name: str) -> bool:
    """Texts that say something else than a name, where no file has it."""
    ends = name[0] + name[-1] if len(name) > 1 else ""
    return ends in ("[]", "''", '""')


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_hydra_hands_on_every_name_as_it_was() -> None:
    for name in names(300):
        if not lists_and_quotes(name):
            (argument,) = literal_paths([f"output={name}"])
            value = read(argument)
            assert (value, type(value)) == (name, str)


@pytest.mark.slow
@pytest.mark.parametrize("command", KEYS)
def test_composed_configs_hold_the_names_of_their_keys(command: str) -> None:
    drawn = [name for name in names(300) if not lists_and_quotes(name)]
    for start in range(0, len(drawn), 60):  # a composition takes a tenth of a second
        given = {key: drawn[(start + place) % len(drawn)] for place, key in enumerate(KEYS[command])}
        cfg = compose(command, [*NEEDED[command], *literal_paths([f"{key}={name}" for key, name in given.items()])])
        assert {key: OmegaConf.select(cfg, key) for key in given} == given


@pytest.mark.parametrize(
    "name", ["a,b.mp4", "[x]", "[a,b]", "'q'", "null", "${x}.mp4", "a\\${x}", "\\\\${", "choice(a,b)", "0"]
)
@pytest.mark.parametrize("sweep", [(), ("-m",)])
def test_a_file_that_exists_goes_before_what_its_name_could_mean(name: str, sweep: tuple[str, ...]) -> None:
    Path(name).touch()
    *_, argument = literal_paths([*sweep, f"source={name}"])
    config = OmegaConf.create({"source": None})
    OmegaConf.update(config, "source", read(argument))
    assert config.source == name


def test_without_such_a_file_lists_and_null_are_those_of_hydra() -> None:
    assert read(*literal_paths(["source=null"])) is None
    assert read(*literal_paths(["source=[]"])) == []
    assert read(*literal_paths(["source=[b (1).mp4, it's.mp4,2024]"])) == ["b (1).mp4", "it's.mp4", "2024"]
    assert read(*literal_paths(["""source=['a, b.mp4',"c].mp4"]"""])) == ["a, b.mp4", "c].mp4"]
    assert read(*literal_paths(['source="videos/**/*.mp4"'])) == "videos/**/*.mp4"
    assert read(*literal_paths(["output=[x]"])) == "[x]", "a key that takes one path"


def test_names_with_commas_stay_whole_in_lists() -> None:
    Path("a,b.mp4").touch()
    Path("c, d, e").touch()
    assert read(*literal_paths(["source=[a,b.mp4,c, d, e,f]"])) == ["a,b.mp4", "c, d, e", "f"]


def test_a_sweep_goes_over_names_divided_by_commas() -> None:
    Path("a,b.csv").touch()
    for given, values in (
        ("a.csv,b.csv", ["a.csv", "b.csv"]),
        ("a,b.csv,it's.csv,2024", ["a,b.csv", "it's.csv", "2024"]),
        ("choice(x,y)", ["x", "y"]),
    ):
        for flag in ("-m", "--multirun", "sweep=label_share", "hydra.mode=MULTIRUN"):
            *_, argument = literal_paths([flag, f"data.labels={given}"])
            override = OverridesParser.create().parse_override(argument)
            assert override.is_sweep_override()
            lines = [f"data.labels={value}" for value in override.sweep_string_iterator()]
            assert [read(line) for line in lines] == values, "lines of jobs are read again"


def test_sweeps_over_lists_stay_lists() -> None:
    *_, argument = literal_paths(["-m", "unlabeled=[a (1),b],[c]"])
    override = OverridesParser.create().parse_override(argument)
    assert [read(f"k={value}") for value in override.sweep_string_iterator()] == [["a (1)", "b"], ["c"]]


def test_files_divided_by_commas_are_asked_about() -> None:
    for name in "ab":
        Path(name).touch()
    with pytest.raises(ConfigError, match=r"source: expected one path, got 2 files .*; write 'source=\[a,b\]'$"):
        literal_paths(["source=a,b"])
    with pytest.raises(ConfigError, match=r"data.labels: expected one path, got 2 .*; add -m for a run with each$"):
        literal_paths(["data.labels=a,b"])


def test_a_leading_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me [1]"))
    home = f"{tmp_path}/me [1]"
    assert read(*literal_paths(["output=~/x y/"])) == f"{home}/x y/"
    assert read(*literal_paths(["source=[~/a,b]"])) == [f"{home}/a", "b"]
    assert literal_paths(["--config-dir=~/c", "-cd", "~/d"]) == [f"--config-dir={home}/c", "-cd", f"{home}/d"]
    assert [read(line) for line in spell_overrides({"source": "~/a", "x": "~/a"})] == [f"{home}/a", "~/a"]


def test_all_other_arguments_stay_as_they_are() -> None:
    others = ["-m", "--cfg", "job", "seed=1,2", "~detector", "aus.names=[AU1,AU2]", "+x.y={a: 1}", "source=", "a=b=c"]
    plain = ["source=a/b.mp4", "data.labels=x y.csv", "hydra.run.dir=${paths.runs}/x", "++data.images=a:b"]
    assert literal_paths([*others, *plain]) == [*others, *plain]


def test_references_stay_references_where_no_file_has_that_name() -> None:
    (argument,) = literal_paths(["hydra.run.dir=${paths.runs}/a (1)/${seed}"])
    cfg = compose("train", [argument, "paths.runs=r", "seed=3"])
    assert cfg.hydra.run.dir == "r/a (1)/3"


def test_bytes_that_are_no_utf8_are_one_line() -> None:
    with pytest.raises(ConfigError, match=r"^output: expected text in UTF-8, got b'a\\xff\.csv'; rename the file$"):
        literal_paths(["output=a\udcff.csv"])


@pytest.mark.parametrize("text", ["${x}", "\\${x}", "a\\\\${", "$ {x}", "${${x}}", "x"])
def test_escaped_texts_resolve_to_themselves(text: str) -> None:
    assert OmegaConf.create({"key": escaped(text)}).key == text


def _keys(cfg: DictConfig) -> set[str]:
    plain = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(plain, dict)
    return set(leaves(plain))


def test_every_listed_key_is_one_of_some_command() -> None:
    listed = yaml.safe_load(Path(config_dir(), "command_line/paths.yaml").read_text("utf-8"))
    known = (
        _keys(compose("render", []))
        | _keys(compose("pack", []))
        | _keys(compose("compare", []))
        | _keys(compose("crop", ["dataset=disfa"]))
        | _keys(compose("export", []))
    )
    known |= (
        _keys(compose("sweep", []))
        | _keys(compose("infer", []))
        | _keys(compose("test", []))
        | _keys(compose("train", ["data=synthetic"]))
    )
    known |= _keys(compose("train", ["data=csv_splits"])) | _keys(compose("train", ["data=csv", "logger=mlflow"]))
    assert [key for keys in listed.values() for key in keys if not any(fnmatchcase(name, key) for name in known)] == []


def test_paths_mean_the_same_in_python_and_on_the_command_line() -> None:
    for file in sorted((Path(__file__).parents[3] / "faceflow/api").glob("*.py")):
        for function in [node for node in ast.parse(file.read_text("utf-8")).body if isinstance(node, ast.FunctionDef)]:
            arguments = [*function.args.args, *function.args.kwonlyargs]
            paths = {each.arg for each in arguments if each.annotation and "Path" in ast.unparse(each.annotation)}
            for node in [node for node in ast.walk(function) if isinstance(node, ast.Dict)]:
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(value, ast.Name) and value.id in paths:
                        assert is_path(str(key.value)), f"{file.name}: {key.value}"
