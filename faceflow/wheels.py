"""Whether a package imports: removing one of several wheels in a folder breaks the rest; some lack system libraries.

`opencv-python-headless` (of albumentations and ours) and `opencv-contrib-python` (of MediaPipe) both own `cv2`;
`onnxruntime` and `onnxruntime-gpu` both own `onnxruntime`. pip does not track this: the wheel installed last is used,
and removing either removes the files of both.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import re
from collections.abc import Sequence
from types import ModuleType

from faceflow.errors import ConfigError

GPU_WHEEL = "onnxruntime-gpu"
_REINSTALL = "pip install --force-reinstall --no-deps"
_OWNERS = {  # module -> wheels that contain it, the one that FaceFlow depends on first
    "cv2": ("opencv-python-headless", "opencv-contrib-python", "opencv-python", "opencv-contrib-python-headless"),
    "onnxruntime": ("onnxruntime", GPU_WHEEL),
}
_PROBES = {"cv2": "imdecode", "onnxruntime": "InferenceSession"}  # present in a complete package
_LIBRARY = re.compile(r"(lib[\w.+-]+?\.so[.\d]*): cannot open shared object file")
_DEBIAN = {  # library -> package of Debian and Ubuntu
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libGLESv2.so.2": "libgles2",
    "libICE.so.6": "libice6",
    "libSM.so.6": "libsm6",
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libXrender.so.1": "libxrender1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libportaudio.so.2": "libportaudio2",
    "libstdc++.so.6": "libstdc++6",
    "libxcb.so.1": "libxcb1",
}
# Libraries that MediaPipe and its OpenCV load; a system that lacks one usually lacks them all.
_CROPPING = ("libegl1", "libgles2", "libgl1", "libglib2.0-0")
_ALSO = {"libxcb.so.1", "libX11.so.6", "libEGL.so.1", "libGL.so.1", "libGLESv2.so.2", "libgthread-2.0.so.0"}


def import_whole(module: str, *, key: str) -> ModuleType:
    """Import an installed package.

    Args:
        module: its name.
        key: config key that needs it, for messages.

    Raises:
        ConfigError: it does not import, or is incomplete; says what to run.
    """
    try:
        package = importlib.import_module(module)
    except (ImportError, OSError) as error:
        reason = missing_library(error) or f"'{' '.join(str(error).split())}'; run: {repair(module)}"
        raise ConfigError(f"{key}: expected {module} to import, got {reason}") from error
    if module in _PROBES and not hasattr(package, _PROBES[module]):
        raise ConfigError(
            f"{key}: expected {module} to be complete, got what was left of it when another package with the same "
            f"folder was removed; run: {repair(module)}"
        )
    return package


def missing_library(error: BaseException) -> str:
    """Name the system library that an import lacks, and its package; "" if that is not the reason."""
    found = _LIBRARY.search(str(error))
    if not found:
        return ""
    library = found[1]
    if library not in _DEBIAN:
        return f"no system library {library}; install the package that provides it"
    packages = dict.fromkeys((*(_CROPPING if library in _ALSO else ()), _DEBIAN[library]))
    return f"no system library {library}; on Debian or Ubuntu run: apt-get install {' '.join(packages)}"


def repair(module: str) -> str:
    """Command that repairs a package which several wheels share."""
    wheels = _OWNERS.get(module, (module,))
    versions = installed(wheels)
    if (
        GPU_WHEEL in versions
    ):  # the last one installed is used; without the other, an update of FaceFlow would install it last
        first = [] if wheels[0] in versions else [f"pip install --no-deps {wheels[0]}"]
        return " && ".join([*first, f"{_REINSTALL} {GPU_WHEEL}=={versions[GPU_WHEEL]}"])
    version = next(iter(versions.values()), "")
    return " ".join(
        [_REINSTALL, *(f"{wheel}=={version}".rstrip("=") for wheel in dict.fromkeys((wheels[0], *versions)))]
    )


def installed(wheels: Sequence[str]) -> dict[str, str]:
    """Wheels that pip lists as installed, with their versions."""
    found = {}
    for wheel in wheels:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[wheel] = importlib.metadata.version(wheel)
    return found
