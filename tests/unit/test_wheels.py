"""Packages shared by several wheels, intact and broken: folders as pip leaves them, in a separate Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from faceflow.errors import ConfigError
from faceflow.wheels import import_whole, missing_library, repair

ROOT = Path(__file__).parents[2]
REINSTALL = "pip install --force-reinstall --no-deps"


def left_by_pip(site: Path, module: str, *wheels: str, content: str | None = None) -> None:
    """A package with its metadata; without content, the folder that stays when another wheel of it was removed."""
    (site / module / "data").mkdir(parents=True)
    if content is not None:
        (site / module / "__init__.py").write_text(content)
    for wheel in wheels:
        name, _, version = wheel.partition("==")
        folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def imported(site: Path, module: str) -> str:
    """What `import_whole` says of a package in a Python that sees nothing but that folder and FaceFlow."""
    code = f"""
from faceflow.errors import ConfigError
from faceflow.wheels import import_whole
try:
    import_whole({module!r}, key="faceflow-infer")
except ConfigError as error:
    print(error)
"""
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    done = subprocess.run([sys.executable, "-S", "-c", code], env=settings, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize(
    ("module", "wheels", "command"),
    [
        (
            "cv2",
            ["opencv-contrib-python==5.0.0.93"],
            f"{REINSTALL} opencv-python-headless==5.0.0.93 opencv-contrib-python==5.0.0.93",
        ),
        ("cv2", ["opencv-python-headless==4.13.0.92"], f"{REINSTALL} opencv-python-headless==4.13.0.92"),
        ("cv2", [], f"{REINSTALL} opencv-python-headless"),
        ("onnxruntime", ["onnxruntime==1.32.0"], f"{REINSTALL} onnxruntime==1.32.0"),
        (
            "onnxruntime",
            ["onnxruntime-gpu==1.31.1"],
            f"pip install --no-deps onnxruntime && {REINSTALL} onnxruntime-gpu==1.31.1",
        ),
        ("onnxruntime", ["onnxruntime==1.32.0", "onnxruntime-gpu==1.31.1"], f"{REINSTALL} onnxruntime-gpu==1.31.1"),
    ],
)
def test_the_rest_of_a_package_is_one_line_with_the_repair_of_all_its_wheels(
    module: str, wheels: list[str], command: str, tmp_path: Path
) -> None:
    left_by_pip(tmp_path, module, *wheels)
    assert imported(tmp_path, module) == (
        f"faceflow-infer: expected {module} to be complete, got what was left of it when another package with the same "
        f"folder was removed; run: {command}\n"
    )


def test_a_package_that_does_not_import_is_one_line_with_the_reason(tmp_path: Path) -> None:
    left_by_pip(tmp_path, "cv2", "opencv-python-headless==5.0.0.93", content='raise ImportError("numpy.core\\nfailed")')
    assert imported(tmp_path, "cv2") == (
        "faceflow-infer: expected cv2 to import, got 'numpy.core failed'; run: "
        f"{REINSTALL} opencv-python-headless==5.0.0.93\n"
    )
    assert "got 'No module named 'onnxruntime''; run: " in imported(tmp_path, "onnxruntime")


def test_a_library_that_the_system_lacks_is_named_as_the_loader_names_it(tmp_path: Path) -> None:
    left_by_pip(tmp_path, "cv2", content='import ctypes; ctypes.CDLL("libnowhere-2.so.7")')
    assert imported(tmp_path, "cv2") == (
        "faceflow-infer: expected cv2 to import, got no system library libnowhere-2.so.7; install the package that "
        "provides it\n"
    )


@pytest.mark.parametrize(
    ("library", "packages"),
    [  # the message of a bare Debian 12, and what `apt-file search` names
        ("libxcb.so.1", "libegl1 libgles2 libgl1 libglib2.0-0 libxcb1"),
        ("libGLESv2.so.2", "libegl1 libgles2 libgl1 libglib2.0-0"),
        ("libgomp.so.1", "libgomp1"),
    ],
)
def test_debians_package_of_a_library_is_named(library: str, packages: str) -> None:
    error = ImportError(f"{library}: cannot open shared object file: No such file or directory")
    assert missing_library(error) == f"no system library {library}; on Debian or Ubuntu run: apt-get install {packages}"
    assert missing_library(ImportError("numpy.core.multiarray failed to import")) == ""


def test_whole_packages_pass() -> None:
    assert import_whole("cv2", key="k").imdecode
    assert import_whole("onnxruntime", key="k").InferenceSession
    with pytest.raises(ConfigError, match="k: expected no_such_package to import, got 'No module named"):
        import_whole("no_such_package", key="k")
    assert repair("mediapipe").startswith(REINSTALL)


def test_the_tested_versions_hold_one_version_of_all_opencv_wheels() -> None:
    pins = [line.partition("==") for line in (ROOT / "constraints.txt").read_text("utf-8").split() if "opencv" in line]
    assert len(pins) > 1
    assert len({version for _, _, version in pins}) == 1
