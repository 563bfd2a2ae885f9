"""The wheel works outside the checkout: it contains the configs, and a base install without torch names the extra."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from faceflow.built_in.models import MODELS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_code_configs_and_the_typed_marker_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {"faceflow/py.typed", "faceflow/configs/train.yaml", "faceflow/cli/train.py"} <= set(names)
    models = {"README.md", "SHA256SUMS", *(f"{name}.onnx" for name in MODELS)}
    assert {f"faceflow/built_in/{name}" for name in models} <= set(names)
    assert not [name for name in names if name.startswith(("tests", "scripts", "configs"))]
    templates = {str(path.relative_to(ROOT)) for path in (ROOT / "faceflow").rglob("*.jinja")}
    assert templates
    assert templates <= set(names)
    built_in = {str(path.relative_to(ROOT)) for path in (ROOT / "configs").rglob("*.yaml") if "local" not in path.parts}
    assert {
        name.removeprefix("faceflow/")
        for name in names
        if name.startswith("faceflow/configs/") and name.endswith(".yaml")
    } == built_in


def test_an_installed_wheel_composes_its_own_configs_from_any_folder(wheel, tmp_path):
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", target, wheel]
    subprocess.run(install, check=True, capture_output=True)
    code = "import faceflow.config.paths as p; print(p.config_dir()); from faceflow.cli.train import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--cfg", "job", "--resolve", "--package", "loader"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(target), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[0] == str(target / "faceflow" / "configs")
    assert "batch_size: 32" in done.stdout


@pytest.mark.release
def test_a_base_install_has_no_torch_and_names_the_extra(wheel, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / "bin"
    subprocess.run(
        [binaries / "pip", "install", "--quiet", "--no-compile", wheel, "--constraint", ROOT / "constraints.txt"],
        check=True,
    )
    done = subprocess.run([binaries / "faceflow-train"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'faceflow[train]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert subprocess.run([binaries / "pip", "check"], check=False).returncode == 0


@pytest.mark.release
def test_a_base_install_of_the_lowest_versions_that_the_wheel_allows_runs(wheel):
    """A sample of `scripts/release_check`, which tests every extra on every Python."""
    check = [sys.executable, ROOT / "scripts" / "release_checks" / "installs.py", wheel]
    done = subprocess.run(
        [*check, "--pythons", sys.executable, "--extras", "base", "--versions", "lowest"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
