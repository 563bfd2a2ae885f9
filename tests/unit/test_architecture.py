"""The structure of the package: allowed imports between layers, file lengths, and what starts without torch."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "faceflow").rglob("*.py"))
TORCH_FREE = {"torch", "torchvision", "torchmetrics", "lightning", "timm"}
FRAMEWORK = {"lightning", "hydra", "omegaconf"}
LEAVES = {
    "errors",
    "aus",
    "encoding",
    "calibration",
    "cards",
    "conformal",
    "centring",
    "crop_statistics",
    "files",
    "formats",
    "tables",
    "images",
    "packs",
    "interruption",
    "leases",
    "checks",
    "console",
    "progress",
    "stand_ins",
    "storage",
    "views",
    "wheels",
    "worker_pool",
}
# What a room may import from faceflow, and which third parties it must not. Nothing imports training or cli.
ALLOWED: dict[str, set[str]] = {
    "__init__": {"api"},  # for type checkers; imported on first use
    "errors": set(),
    "aus": {"errors"},
    "encoding": {"errors"},
    "cards": {"errors", "files"},
    "calibration": {"aus", "centring", "encoding"},
    "conformal": {"encoding"},
    "centring": {"encoding"},
    "crop_statistics": {"encoding"},
    "files": {"errors"},
    "formats": set(),
    "tables": {"errors", "aus", "stand_ins"},
    "images": {"errors", "packs", "progress"},
    "packs": {"errors", "checks", "formats", "tables"},
    "interruption": set(),
    "leases": {"errors"},
    "checks": {"errors"},
    "console": {"errors", "files"},
    "progress": set(),
    "stand_ins": set(),
    "storage": {"errors", "checks", "files", "images", "packs", "progress", "tables"},
    "views": set(),
    "wheels": {"errors"},
    "worker_pool": {"errors", "interruption"},
    "config": LEAVES,
    "faces": LEAVES,
    "built_in": LEAVES | {"faces"},
    "datasets": LEAVES | {"config"},
    "packing": LEAVES | {"config", "faces", "data"},
    "cropping": LEAVES | {"config", "faces", "datasets", "packing", "report"},
    "synthetic": LEAVES,
    "data": LEAVES | {"config", "faces"},
    "losses": LEAVES,
    "models": LEAVES | {"faces"},
    "metrics": LEAVES,
    "methods": LEAVES | {"models", "losses"},
    "report": LEAVES | {"metrics"},
    "rendering": LEAVES | {"config", "faces", "report"},
    "inference": LEAVES | {"config", "faces", "built_in", "cropping", "report"},
    "tracking": LEAVES | {"config"},
    "evaluation": LEAVES | {"config", "built_in", "data", "models", "metrics", "report", "inference", "tracking"},
    "training": LEAVES
    | {"config", "built_in", "data", "losses", "models", "metrics", "methods", "report", "tracking", "evaluation"},
    "exporting": LEAVES | {"config", "faces", "data", "models", "metrics", "inference", "tracking", "evaluation"},
    "sweep": LEAVES | {"config", "metrics", "report"},
    "comparing": LEAVES | {"config", "metrics", "report"},
    "cli": {"errors", "checks", "wheels", "config", "interruption", "storage"},  # the rest inside the task function
    "api": {"errors", "aus", "config", "cli", "inference"},  # the rest inside the functions
}
FORBIDDEN: dict[str, set[str]] = {
    "__init__": TORCH_FREE | FRAMEWORK | {"pandas", "numpy", "cv2"},
    **dict.fromkeys(LEAVES - {"images"}, TORCH_FREE | FRAMEWORK | {"pandas", "cv2"}),
    "images": TORCH_FREE | FRAMEWORK | {"pandas"},
    "config": TORCH_FREE | {"pandas", "cv2"},
    "faces": TORCH_FREE | FRAMEWORK | {"pandas"},
    "built_in": TORCH_FREE | FRAMEWORK | {"pandas", "cv2"},
    "datasets": TORCH_FREE | FRAMEWORK | {"pandas"},
    "cropping": TORCH_FREE | FRAMEWORK | {"pandas"},
    "packing": TORCH_FREE | FRAMEWORK,
    "synthetic": TORCH_FREE | FRAMEWORK,
    "rendering": TORCH_FREE | FRAMEWORK | {"pandas"},
    "data": {"timm", "hydra", "omegaconf", "torchmetrics", "matplotlib"},
    "models": FRAMEWORK | {"pandas", "cv2", "albumentations", "matplotlib"},
    "losses": FRAMEWORK | {"timm", "pandas"},
    "metrics": TORCH_FREE | FRAMEWORK | {"pandas"},
    "methods": FRAMEWORK | {"timm", "pandas", "cv2", "albumentations", "matplotlib"},
    "report": TORCH_FREE | FRAMEWORK,
    "inference": TORCH_FREE | FRAMEWORK,
    "tracking": {"hydra", "omegaconf", "torch", "timm", "torchmetrics", "pandas", "cv2"},
    "sweep": TORCH_FREE,
    "comparing": TORCH_FREE | FRAMEWORK,
    "cli": TORCH_FREE | {"numpy", "pandas", "cv2"},
    "api": TORCH_FREE | {"numpy", "cv2"},
}

# Where configs are composed and read. Below the door of a command, functions take values.
CONFIG_ROOMS = {"config", "cli", "api", "sweep"}
CONFIG_NAMES = {"omegaconf", "DictConfig", "ListConfig", "OmegaConf", "plain_dict", "plain"}
DOORS = {
    *("training/train.py", "evaluation/test.py", "exporting/export.py"),
    *("cropping/crop.py", "packing/pack.py", "rendering/render.py", "inference/infer.py"),
    "comparing/compare.py",
}


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT / "faceflow").parts[0].removesuffix(".py")


@functools.cache
def syntax(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Imported modules with their line; for commands only those that run at import."""
    tree = syntax(path)
    nodes = tree.body if layer_of(path) in ("cli", "api") else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names = [f"faceflow.{a.name}" for a in node.names] if node.module == "faceflow" else [str(node.module)]
            yield from ((name, node.lineno) for name in names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)


def test_layers_import_only_what_lies_below_them() -> None:
    wrong = []
    for path in FILES:
        layer = layer_of(path)
        for module, line in imports(path):
            package, _, rest = module.partition(".")
            target = rest.partition(".")[0]
            own = target == layer
            if package == "faceflow" and target and not own and target not in ALLOWED[layer]:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {layer} imports {target}")
            if package in FORBIDDEN.get(layer, set()):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {layer} imports {package}")
    assert wrong == []


def test_a_config_is_touched_in_one_module_of_each_command() -> None:
    touching = set()
    for path in FILES:
        nodes = list(ast.walk(syntax(path)))
        names = {node.arg for node in nodes if isinstance(node, ast.arg)} & {"cfg"}
        names |= {node.name for node in nodes if isinstance(node, ast.alias)} & CONFIG_NAMES
        if names and layer_of(path) not in CONFIG_ROOMS:
            touching.add(str(path.relative_to(ROOT / "faceflow")))
    assert touching == DOORS


def test_every_layer_is_in_the_table() -> None:
    assert {layer_of(path) for path in FILES} <= ALLOWED.keys()


def test_only_data_modules_of_the_data_layer_know_lightning() -> None:
    knowing = {path.name for path in FILES if layer_of(path) == "data" and "lightning" in dict(imports(path))}
    assert knowing <= {"datamodule.py"}


def test_hydra_builds_objects_in_one_place_and_torch_reads_files_in_one_place() -> None:
    calls = {
        f"{ast.unparse(node.func)} in {path.name}"
        for path in FILES
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "hydra_instantiate", "eval", "exec")
    }
    assert calls == {"torch.load in weights.py", "hydra_instantiate in instantiate.py"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_short_and_named_for_what_they_hold(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 300
    assert not {"utils", "util", "helpers", "helper", "manager", "managers", "base", "common", "misc"} & {
        part.removesuffix(".py") for part in path.relative_to(ROOT).parts
    }


def test_empty_packages_import_nothing() -> None:
    for path in FILES:
        if path.name == "__init__.py" and path.parent.name not in ("faceflow",):
            assert list(imports(path)) == [], path


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a piece of code loads in a fresh interpreter."""
    command = [sys.executable, "-c", f"import sys\n{code}\nsys.stderr.write(' '.join(sys.modules))"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=ROOT)
    return {name.partition(".")[0] for name in done.stderr.split()}


def test_importing_the_package_is_free() -> None:
    assert not loaded_by("import faceflow") & {*TORCH_FREE, "numpy", "pandas", "cv2", "hydra"}


def test_inference_starts_without_torch_and_pandas() -> None:
    assert not loaded_by("import faceflow\nfaceflow.load") & {*TORCH_FREE, "pandas", "albumentations"}


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "test", "crop", "pack", "render", "export", "infer", "compare"])
@pytest.mark.parametrize("arguments", [["--help"], ["--cfg", "job"]])
def test_help_and_config_are_shown_without_the_heavy_libraries(command: str, arguments: list[str]) -> None:
    run = f"""
from faceflow.cli.{command} import main
sys.argv = ["faceflow-{command}", *{arguments!r}]
try:
    main()
except SystemExit as stop:
    assert not stop.code
"""
    assert not loaded_by(run) & {*TORCH_FREE, "pandas", "cv2", "albumentations", "matplotlib", "numba", "scipy"}
