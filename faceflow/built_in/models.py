"""The models that come with FaceFlow: found by their names, and checked before they are used."""

from __future__ import annotations

from pathlib import Path

from faceflow.checks import check_choice
from faceflow.errors import ExportError
from faceflow.faces.assets import file_hash

FOLDER = Path(__file__).parent
CARD = FOLDER / "README.md"
FUSED, FAST = "fused", "fast"  # pixels and features; features alone
MODELS = (FUSED, FAST)
BUILT_IN = "built_in"  # what settings call them where a file may be named instead
TRAINED_ON = "rendered faces alone"
_SUMS = "SHA256SUMS"
_REINSTALL = "reinstall faceflow: pip install --force-reinstall --no-deps faceflow"


def built_in_model(name: str | None, *, folder: Path = FOLDER) -> Path:
    """Find a built-in model whose bytes are those that FaceFlow was released with.

    Args:
        name: one of `MODELS`; None for the fused one.
        folder: of the models and their SHA256SUMS, in the format of sha256sum.

    Raises:
        ConfigError: no such model.
        ExportError: its file is missing or is another one, or its hash is not known.
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
    """Name of the built-in model that a file is; None for any other file."""
    return path.stem if path.parent == FOLDER and path.stem in MODELS else None
