"""Every config in `configs/` against the Python it configures: all defaults are in YAML, none in Python."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_object
from omegaconf import OmegaConf

from faceflow.config.paths import config_dir
from faceflow.config.primary import options, read_primary
from faceflow.cropping.workers import Shard
from faceflow.data.source_config import SourceConfig
from faceflow.data.splits import SplitConfig
from faceflow.data.unlabeled import UnlabeledConfig
from faceflow.faces.align import RECIPES
from faceflow.faces.video import FrameRange
from faceflow.sweep.search import register

pytestmark = pytest.mark.slow

ROOT = Path(config_dir())
ENTRIES = sorted(path.stem for path in ROOT.glob("*.yaml"))
# Placed elsewhere than in their group's own key, as the defaults list of the entry says.
PLACES = {
    "transforms": "transforms@transforms.eval",
    "layout": "layout@hydra",
    "help": "help@hydra.help",
    "data/unlabeled": "data/unlabeled@data.unlabeled.own",
}
INSIDE = {  # groups that options of another one choose from, and a place of each
    f"domains/{part}": f"domains/{part}@domains.studio.{part}"
    for part in ("light", "camera", "background", "compression", "occluders")
}
NEEDED = {  # what a user must give
    "train": ["paths.output=/out", "model.backbone=test_resnet", "data.labels=a.csv", "data.train=a.csv"],
    "crop": ["output=/out", "root=/data"],
    "render": ["output=/out"],
    "pack": ["output=/out"],
    "compare": ["output=/out"],
    "test": ["paths.output=/out", "model.image_size=64", "data.labels=a.csv", "data.train=a.csv", "checkpoint=a.ckpt"],
    "export": ["output=a.onnx", "model.image_size=64", "data.labels=a.csv", "data.train=a.csv", "checkpoint=a.ckpt"],
    "sweep": ["folder=/runs"],
    "infer": ["onnx=a.onnx", "source=a.mp4", "output=a.csv"],
}
RESERVED = {"_target_", "_partial_", "_recursive_", "_convert_"}
Node = dict[str, Any]


def groups() -> dict[str, list[str]]:
    """Options by group. `data/source` is reached through `data`; `command_line` has no options."""
    found: dict[str, list[str]] = {}
    for path in sorted(path for path in ROOT.rglob("*/*.yaml") if path.parent.name != "command_line"):
        found.setdefault(str(path.parent.relative_to(ROOT)), []).append(path.stem)
    return found


def rounds(entry: str) -> Iterator[list[str]]:
    """Overrides that together choose every option of every group of an entry once, in few compositions."""
    text = (ROOT / f"{entry}.yaml").read_text("utf-8")
    chosen = {name: found for name, found in groups().items() if re.search(rf"^  - {name}[@:]", text, re.M)}
    chosen = {
        name: [each for each in found if each in options(read_primary(entry), ROOT / name)]
        for name, found in chosen.items()
    }
    chosen |= {name: groups()[name] for name in INSIDE if name.partition("/")[0] in chosen}
    for turn in range(max(map(len, chosen.values()))):
        turns = {name: found[turn] for name, found in chosen.items() if turn < len(found)}
        place = f"@domains.{turns.setdefault('domains', 'studio')}." if "domains" in chosen else ""
        inside = {name: INSIDE[name].replace("@domains.studio.", place) for name in turns if name in INSIDE}
        yield [f"{inside.get(name, PLACES.get(name, name))}={option}" for name, option in turns.items()]


@pytest.fixture(scope="module")
def composed() -> dict[str, list[Node]]:
    """Resolved configs by entry."""
    configs: dict[str, list[Node]] = {}
    register()  # of the sweeper that sweep=search takes
    with initialize_config_dir(str(ROOT), version_base="1.3"):
        for entry in ENTRIES:
            for overrides in rounds(entry):
                needed = [f"++{value}" for value in NEEDED[entry]]  # ++: not every option has these keys
                cfg = compose(entry, overrides=[*overrides, *needed])
                plain: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
                configs.setdefault(entry, []).append(plain)
    return configs


def components(value: Any, key: str = "") -> Iterator[tuple[str, Node]]:
    """All nodes with a `_target_` below a value, with their dotted keys."""
    if isinstance(value, dict):
        if "_target_" in value:
            yield key, value
        for name, item in value.items():
            yield from components(item, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from components(item, f"{key}[{position}]")


def all_components(composed: dict[str, list[Node]]) -> list[tuple[str, Node]]:
    configs = [(entry, config) for entry, found in composed.items() for config in found]
    return [(f"{entry}: {key}", node) for entry, config in configs for key, node in components(config)]


def written_here(target: str) -> bool:
    """Whether the signature is ours, not one inherited from Lightning."""
    found = get_object(target)
    return str((found.__init__ if inspect.isclass(found) else found).__module__).startswith("faceflow.")


def matches(value: Any, annotation: Any) -> bool:
    """Whether a YAML value has an annotated type. A component's value is what it builds, so any type may be it."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if (isinstance(value, dict) and "_target_" in value) or annotation is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(matches(value, argument) for argument in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin in (list, tuple) or (inspect.isclass(origin) and issubclass(origin, typing.Sequence)):
        return isinstance(value, list) and all(matches(item, arguments[0]) for item in value)
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return isinstance(value, dict) and all(matches(item, arguments[1]) for item in value.values())
    if annotation in (bool, str):
        return isinstance(value, annotation)
    if annotation in (int, float):
        return isinstance(value, int | annotation) and not isinstance(value, bool)
    if annotation in (None, type(None)):
        return value is None
    return annotation is Path and isinstance(value, str)


def wrong_types(target: Callable[..., Any], arguments: Node) -> dict[str, Any]:
    hints = typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    return {name: value for name, value in arguments.items() if not matches(value, hints[name])}


def test_every_file_is_composed_by_some_entry() -> None:
    overrides = [override for entry in ENTRIES for turn in rounds(entry) for override in turn]
    reached = {re.sub(r"@domains\.\w+", "@domains.studio", override) for override in overrides}
    everything = {
        f"{(PLACES | INSIDE).get(name, name)}={option}" for name, found in groups().items() for option in found
    }
    assert everything - reached == {"data/source=default", "method/term=miro"}  # reached through data and method
    assert set(NEEDED) == set(ENTRIES)


def test_every_target_can_be_imported(composed: dict[str, list[Node]]) -> None:
    targets = {node["_target_"] for _, node in all_components(composed)}
    assert len(targets) > 20
    assert all(callable(get_object(target)) for target in targets)


def test_no_parameter_that_yaml_sets_has_a_default_in_python(composed: dict[str, list[Node]]) -> None:
    ours = {node["_target_"] for _, node in all_components(composed) if written_here(node["_target_"])}
    assert len(ours) > 5
    for target in ours:
        parameters = inspect.signature(get_object(target)).parameters.values()
        loose = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY or p.default is not p.empty]
        assert loose == [], target


def test_every_component_binds_to_its_signature(composed: dict[str, list[Node]]) -> None:
    for key, node in all_components(composed):
        signature = inspect.signature(get_object(node["_target_"]))
        arguments = {name: value for name, value in node.items() if name not in RESERVED}
        bind = signature.bind_partial if node.get("_partial_") else signature.bind
        try:
            bind(**arguments)
        except TypeError as error:
            pytest.fail(f"{key}: {node['_target_']}: {error}")


def test_every_value_has_the_type_that_python_annotates(composed: dict[str, list[Node]]) -> None:
    for key, node in all_components(composed):
        if written_here(node["_target_"]):
            arguments = {name: value for name, value in node.items() if name not in RESERVED}
            assert wrong_types(get_object(node["_target_"]), arguments) == {}, key


def sections(kind: Any, composed: dict[str, list[Node]]) -> list[Node]:
    """The plain sections of all configs that a class describes."""
    if kind is SourceConfig:
        faces = [config["data"] for entry in ("train", "test", "export") for config in composed[entry]]
        return [source for data in faces for source in data["sources"].values()]
    if kind is UnlabeledConfig:
        return [part for config in composed["train"] for part in config["data"]["unlabeled"].values()]
    if kind in RECIPES.values():
        recipes = [dict(config["align"]) for config in composed["crop"]]
        return [recipe for recipe in recipes if recipe.pop("preset") == kind.preset]
    entry, name = {SplitConfig: ("train", "split"), FrameRange: ("crop", "frames"), Shard: ("crop", "shard")}[kind]
    return [config[name] for config in composed[entry]]


@pytest.mark.parametrize("kind", [SourceConfig, SplitConfig, UnlabeledConfig, FrameRange, Shard, *RECIPES.values()])
def test_plain_sections_have_exactly_the_fields_of_their_class(kind: Any, composed: dict[str, list[Node]]) -> None:
    fields = dataclasses.fields(kind)
    assert all(f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING for f in fields)
    found = sections(kind, composed)
    assert found
    for section in found:
        assert section.keys() == {field.name for field in fields}
        assert wrong_types(kind, section) == {}


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (1, float, True),
        (1.0, int, False),
        (True, int, False),
        (True, float, False),
        ("maybe", bool, False),
        (None, float | None, True),
        ("x", float | None, False),
        ([1.0, 2], list[float], True),
        (["a"], list[float], False),
        ({"_target_": "x"}, object, True),
        ("studio", str | Path, True),
    ],
)
def test_type_check_of_this_file_can_fail(value: Any, annotation: Any, expected: bool) -> None:
    assert matches(value, annotation) is expected


def test_every_file_says_what_it_is_for_or_inherits_one_that_does() -> None:
    for path in ROOT.rglob("*.yaml"):
        lines = path.read_text("utf-8").splitlines()
        inherits = lines[0] == "defaults: [default]" or path.parent.name in ("help", "logger")
        assert lines[0].startswith("# ") or inherits, path


@pytest.mark.parametrize(
    "preset",
    ["sweep=label_share", "sweep=methods_seeds", *(f"experiment=few_labels{kind}" for kind in ("", "_pretrained"))],
)
def test_presets_that_compare_methods_give_all_of_them_as_many_updates(preset: str) -> None:
    register()
    with initialize_config_dir(str(ROOT), version_base="1.3"):
        loaders = [compose("train", [preset, f"method={method}"]).loader for method in ("supervised", "fixmatch")]
    assert loaders[0].steps_per_epoch == loaders[1].steps_per_epoch == 100
