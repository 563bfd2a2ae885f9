"""Where ICT-FaceKit comes from: the user's clone or file, the cache, or a download from its repository."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceflow.errors import ConfigError, DataError
from faceflow.faces.assets import FOLDER_VARIABLE
from faceflow.rendering.facekit import PARTS, FaceKit, hash_arrays, read_facekit, write_facekit

log = logging.getLogger(__name__)

FILE = "ict_face.npz"
COMMIT = "1922d84282a3faf345dbf949c4a63b09f87907bc"
URL = f"https://codeload.github.com/ICT-VGL/ICT-FaceKit/zip/{COMMIT}"
# Of the converted arrays, because GitHub repacks its archives from time to time.
SHA256 = "31acb282a4c3a02d34d26dc9afb0bdacc220b7a5da9a4fcda8cd82a78cf20d9b"

_KEY = "facekit"
_NEUTRAL = "generic_neutral_mesh"
_IDENTITIES = 100
_TIMEOUT_S = 20  # without receiving data
_LONGEST = 300  # characters of a failure reason
# Last polygon of each part, as the README of ICT-FaceKit lists them ("Face Model Topology").
_LAST_POLYGONS = (
    *(9229, 11143, 13225, 13629, 14033, 17005, 21495, 22295, 23093, 23893, 24691, 24854, 25017),
    *(25032, 25047, 25175, 25303, 25843, 26383),
)
# Vertices of the 68 landmarks, as that README lists them.
_LANDMARKS = (
    *(1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088, 3443),
    *(268, 493, 1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942, 4857, 1140, 2075, 1147),
    *(4269, 3360, 1507, 1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732, 5708, 5695, 2081),
    *(0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841, 5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966),
)


def find_facekit(explicit: str | None, *, cache: Path) -> tuple[Path, FaceKit]:
    """Find the face model: the one named, or one in the folder FACEFLOW_MODELS or the cache, or download it.

    A model that differs from the expected one is used with a warning.

    Args:
        explicit: the user's clone of ICT-FaceKit, or a converted file.
        cache: folder for the converted model.

    Returns:
        The converted file, for worker processes, and its content.

    Raises:
        ConfigError: the model is missing and cannot be downloaded.
        DataError: the file is damaged, or is not such a model.
    """
    path = cache.expanduser() / FILE
    if explicit is not None:
        given = Path(explicit).expanduser()
        if given.is_dir():
            return _converted(given, path)
        if not given.is_file():
            raise ConfigError(f"{_KEY}: expected a clone of ICT-FaceKit or {FILE}, got '{explicit}'; check the path")
        path = given
    elif (folder := os.environ.get(FOLDER_VARIABLE)) and (Path(folder).expanduser() / FILE).is_file():
        path = Path(folder).expanduser() / FILE
    elif not path.is_file():
        return _download(path)
    found = read_facekit(path, key=_KEY)
    if found.sha256 != SHA256:
        log.warning("%s: expected ICT-FaceKit at commit %s, got a different model; faces will differ", path, COMMIT[:7])
    return path, found


def convert(folder: Path) -> dict[str, NDArray[np.generic]]:
    """Convert the folder FaceXModel of a clone to the arrays of a model.

    Raises:
        DataError: files are missing or damaged.
    """
    names = sorted(path.stem for path in folder.glob("*.obj"))
    identities = [name for name in names if name.startswith("identity")][:_IDENTITIES]
    expressions = [name for name in names if not name.startswith("identity") and name != _NEUTRAL]
    if _NEUTRAL not in names or not identities or not expressions:
        raise DataError(
            f"{_KEY}: expected the .obj files of ICT-FaceKit in '{folder}', got {len(names)}; clone it again"
        )
    neutral = _read_vertices(folder / f"{_NEUTRAL}.obj")
    uv, triangles, uv_triangles, parts = _read_topology(folder / f"{_NEUTRAL}.obj")

    def offsets(shapes: list[str]) -> NDArray[np.float16]:
        loaded = []
        for name in shapes:
            vertices = _read_vertices(folder / f"{name}.obj")
            if vertices.shape != neutral.shape:
                raise DataError(
                    f"{folder / name}.obj: expected {len(neutral)} vertices, got {len(vertices)}; clone it again"
                )
            loaded.append((vertices - neutral).astype(np.float16))
        return np.stack(loaded)

    return {
        "neutral": neutral,
        "tri": np.array(triangles, np.uint16),
        "tri_uv": np.array(uv_triangles, np.uint16),
        "tri_part": np.array(parts, np.uint8),
        "part_names": np.array(PARTS),
        "uv": uv,
        "identity": offsets(identities),
        "expression": offsets(expressions),
        "expression_names": np.array(expressions),
        "landmarks68": np.array(_LANDMARKS, np.int32),
    }


def _converted(clone: Path, path: Path) -> tuple[Path, FaceKit]:
    """Convert a clone into the cache, unless the cache already has this model."""
    if path.is_file() and (cached := read_facekit(path, key="paths.cache")).sha256 == SHA256:
        log.info("%s: using its converted copy %s", clone, path)
        return path, cached
    folder = clone if (clone / f"{_NEUTRAL}.obj").is_file() else clone / "FaceXModel"
    log.info("%s: converting it into %s", clone, path)
    arrays = convert(folder)
    if hash_arrays(arrays) != SHA256:
        path = path.with_name(f"ict_face_{hash_arrays(arrays)[:12]}.npz")
        log.warning("%s: expected commit %s, got a different one; faces will differ", clone, COMMIT[:7])
    write_facekit(path, arrays)
    return path, read_facekit(path, key=_KEY)


def _download(path: Path) -> tuple[Path, FaceKit]:
    """Download and convert the repository, and keep the result if its arrays are the expected ones."""
    import pooch
    from requests import RequestException

    pooch.get_logger().setLevel(logging.WARNING)
    log.info("%s: downloading ICT-FaceKit from %s", FILE, URL)
    with tempfile.TemporaryDirectory() as name:
        try:
            downloader = pooch.HTTPDownloader(timeout=_TIMEOUT_S, progressbar=True)
            files = pooch.retrieve(
                URL, known_hash=None, path=name, fname="facekit.zip", processor=pooch.Unzip(), downloader=downloader
            )
            base = next((Path(file).parent for file in files if file.endswith(f"{_NEUTRAL}.obj")), Path(name))
            arrays = convert(base)
        except (RequestException, ValueError, OSError) as error:
            reason = " ".join(str(error).split())[:_LONGEST]
            raise ConfigError(
                f"{_KEY}: expected to download ICT-FaceKit from {URL}, got an error ({reason}); clone "
                f"https://github.com/ICT-VGL/ICT-FaceKit on another machine and set {_KEY}=FOLDER, or put its "
                f"converted file at {path}"
            ) from error
    if (found := hash_arrays(arrays)) != SHA256:
        raise ConfigError(
            f"{_KEY}: expected ICT-FaceKit with SHA-256 {SHA256} from {URL}, got {found}; clone it and set "
            f"{_KEY}=FOLDER"
        )
    write_facekit(path, arrays)
    return path, read_facekit(path, key=_KEY)


def _read_vertices(path: Path) -> NDArray[np.float32]:
    """Vertices (V, 3) of a Wavefront file."""
    try:
        lines = [line[2:] for line in path.read_bytes().splitlines(keepends=True) if line.startswith(b"v ")]
        return np.array(b" ".join(lines).split(), dtype=np.float32).reshape(-1, 3)
    except ValueError as error:
        raise DataError(f"{path}: expected vertices of three numbers, got a damaged file; clone it again") from error


def _read_topology(
    path: Path,
) -> tuple[NDArray[np.float32], list[list[int]], list[list[int]], list[int]]:
    """Texture coordinates, triangles, texture triangles and parts; polygons become triangle fans."""
    uv, triangles, uv_triangles, parts = [], [], [], []
    polygon = 0
    for line in path.read_text("ascii", errors="replace").splitlines():
        if line.startswith("vt "):
            uv.append([float(value) for value in line.split()[1:3]])
        elif line.startswith("f "):
            corners = [[int(number) - 1 for number in corner.split("/")[:2]] for corner in line.split()[1:]]
            part = int(np.searchsorted(_LAST_POLYGONS, polygon))
            for second in range(1, len(corners) - 1):
                fan = (corners[0], corners[second], corners[second + 1])
                triangles.append([vertex for vertex, _ in fan])
                uv_triangles.append([place for _, place in fan])
                parts.append(part)
            polygon += 1
    return np.array(uv, np.float32), triangles, uv_triangles, parts
