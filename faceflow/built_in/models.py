"""The models that come with FaceFlow: found by name, and checked before use."""

from __future__ import annotations

from pathlib import Path

from faceflow.checks import check_choice
from faceflow.errors import ExportError
from faceflow.faces.assets import file_hash

FOLDER = Path(__file__).parent
CARD = FOLDER / "README.md"
FUSED, FAST = "fused", "fast"  # pixels and features; features alone
MODELS = (FUSED, FAST)
BUILT_IN = "built_in"  # value of settings that otherwise name a file
TRAINED_ON = "rendered faces alone"
_SUMS = "SHA256SUMS"
_REINSTALL = "reinstall faceflow: pip install --force-reinstall --no-deps faceflow"


def built_in_model(name: str | None, *, folder: Path = FOLDER) -> Path:
    """Find a built-in model, and check its SHA-256.

    Args:
        name: one of `MODELS`; None for the fused one.
        folder: holds the models and their SHA256SUMS, in the format of sha256sum.

    Raises:
        ConfigError: no such model.
        ExportError: its file is missing or has changed, or its hash is missing.
    """
    check_choice(name, key="model", options=(*MODELS, None))
    path = folder / f"{name or FUSED}.onnx"
    if not path.is_file():
        raise ExportError(f"{path}: expected the built-in model, got no such file; {_REINSTALL}")
    sums = folder / _SUMS
    lines = sums.read_text("utf-8", errors="replace").splitlines() if sums.is_file() else []
    # A star before the name marks binary files.
    hashes = {file.lstrip(" *"): digest for digest, _, file in (line.partition(" ") for line in lines)}
    expected = hashes.get(path.name)
    if expected is None:
        raise ExportError(f"{sums}: expected the SHA-256 of {path.name}, got none; {_REINSTALL}")
    if (found := file_hash(path)) != expected:
        raise ExportError(f"{path}: expected SHA-256 {expected}, got {found}; {_REINSTALL}")
    return path


def built_in_name(path: Path) -> str | None:
    """Name of the built-in model in a file; None for any other file."""
    return path.stem if path.parent == FOLDER and path.stem in MODELS else None
