"""An exported model, ready to run: its metadata, the device it runs on, and scores of batches of faces."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from faceflow.checks import check_choice, check_parallel
from faceflow.errors import ConfigError, ExportError
from faceflow.faces.assets import file_hash
from faceflow.faces.features import FEATURES as NUMBERS
from faceflow.faces.native_log import native_lines_logged
from faceflow.images import Image
from faceflow.inference.contract import KEY, ModelContract
from faceflow.inference.per_process import PerProcess
from faceflow.stand_ins import stand_in
from faceflow.views import FEATURES, IMAGES
from faceflow.wheels import GPU_WHEEL, installed, repair

log = logging.getLogger(__name__)

PROVIDERS = {  # the best first
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
# Otherwise the fastest convolution would be searched for every batch size.
_OPTIONS = {"CUDAExecutionProvider": {"cudnn_conv_algo_search": "HEURISTIC"}}
# The first version in which an untrusted model cannot read files outside its folder.
_LEAST_VERSION = (1, 27)
_State = tuple[int, int]  # size and time of change of a file
_ERRORS_ONLY = 3  # severity of ONNX Runtime's own lines
_LEAD = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .* failed:)?", re.DOTALL)
_LONGEST = 300  # characters of a reason

if os.environ.get("ORT_DISABLE_TELEMETRY") == "1":  # too late for the variable if it was imported before faceflow
    ort.disable_telemetry_events()


@dataclass(frozen=True, eq=False, kw_only=True)
class Scores:
    """Estimates of AUs in the order of the contract, float32.

    `probability` of occurrence, (N, A); `intensity` in FACS units 0-5, (N, A), or None if the model has no levels.
    """

    probability: NDArray[np.float32]
    intensity: NDArray[np.float32] | None


class OnnxModel:
    """A model file written by `faceflow-export`.

    It can be pickled, and used on both sides of a fork: every process opens the file for itself.

    Args:
        path: file of the model.
        provider: cuda, coreml or cpu; auto chooses the best available.
        threads: CPU threads for one batch; 0 = one per core.
        key: config key that names the file, for messages.

    Raises:
        ExportError: the file is missing, damaged, not exported by FaceFlow, of a newer format, or refers to weights
            outside its folder; or ONNX Runtime is too old to refuse those.
        ConfigError: the provider is not available here.
    """

    def __init__(self, path: str | Path, *, provider: str = "auto", threads: int = 0, key: str = "onnx") -> None:
        if "://" in str(path):
            raise ExportError(f"{key}: expected a file, got the address '{path}'; download it and name the file")
        self.path = Path(path)
        self._settings: dict[str, Any] = {"provider": provider, "threads": threads, "key": key}
        self._sessions: PerProcess[Any] = PerProcess(close=lambda session: None)
        check_parallel(threads, key="threads")
        self._state = _state_of(self.path, key=key)
        self.contract = ModelContract.from_json(self._metadata(key), source=str(path))
        self._check_interface(key)

    def __reduce__(self) -> tuple[Any, ...]:
        """Settings and state of the file, with which another process opens it."""
        return _reopened, (type(self), self.path, self._settings, self._state)

    @property
    def identity(self) -> str:
        """SHA-256 of the file."""
        return file_hash(self.path)

    @property
    def provider(self) -> str:
        """Provider in use: cuda, coreml or cpu."""
        return _short(self._session.get_providers()[0])

    def run(self, images: Image | None, features: NDArray[np.float32] | None = None) -> Scores:
        """Score a batch; arrays that are not in the contract's `inputs` are ignored.

        Args:
            images: RGB (N, S, S, 3), with S the contract's `image_size`.
            features: features of the same faces, (N, FEATURES).

        Raises:
            ExportError: the model fails, for example because memory is short.
        """
        given = {IMAGES: images, FEATURES: features}
        feeds = {name: given[name] for name in self.contract.inputs}
        for name, _, shape in _inputs_of(self.contract):
            found = getattr(feeds[name], "shape", ())
            assert list(found[1:]) == shape, f"{name} of {found}"
        try:
            results = self._session.run(list(self.contract.outputs), feeds)
        except Exception as error:  # see _open
            raise ExportError(
                f"onnx: expected a model that runs on {self.provider}, got '{self.path}' ({_reason(error)}); lower "
                "batch_size, set provider=cpu, or export the model again"
            ) from error
        return Scores(probability=results[0], intensity=results[1] if len(results) > 1 else None)

    @property
    def _session(self) -> Any:
        return self._sessions.get(lambda: self._open(**self._settings))

    def _open(self, provider: str, threads: int, key: str) -> Any:
        _check_state(self.path, self._state, key=key)
        _check_version()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _ERRORS_ONLY
        # Threads that spin while waiting for work would take cores from the detector.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.load_model_format", "ONNX")
        wanted = _choose(provider)
        printed = io.StringIO()
        try:
            with native_lines_logged("ONNX Runtime"), contextlib.redirect_stdout(printed):
                session = ort.InferenceSession(
                    str(self.path), options, providers=[(name, _OPTIONS.get(name, {})) for name in wanted]
                )
        except Exception as error:  # the exceptions of onnxruntime share no base class
            raise ExportError(
                f"{key}: expected an ONNX model that ONNX Runtime {ort.__version__} can open, got '{self.path}' "
                f"({_reason(error)}); copy the whole file again, update onnxruntime, or make one with faceflow-export"
            ) from error
        session.disable_fallback()  # it would print to stdout and switch to another provider
        if session.get_providers()[0] != wanted[0]:
            log.debug("%s", printed.getvalue())
            message = (
                f"provider: expected {_short(wanted[0])} to work, got libraries or a device that fail; see the ONNX "
                "Runtime manual on installing it, or set provider=cpu"
            )
            if provider != "auto":
                raise ConfigError(message)
            log.warning("%s", message)
        return session

    def _metadata(self, key: str) -> str:
        """Metadata of the file."""
        try:
            return str(self._session.get_modelmeta().custom_metadata_map[KEY])
        except KeyError as error:
            raise ExportError(
                f"{key}: expected a model exported by FaceFlow, got an ONNX file without its metadata: '{self.path}'; "
                "make one with faceflow-export"
            ) from error
        except UnicodeDecodeError as error:
            raise ExportError(
                f"{key}: expected a model exported by FaceFlow, got damaged metadata: '{self.path}'; export it again"
            ) from error

    def _check_interface(self, key: str) -> None:
        count = len(self.contract.aus)
        inputs = [(item.name, item.type, item.shape[1:]) for item in self._session.get_inputs()]
        outputs = {item.name: item.shape[-1:] for item in self._session.get_outputs()}
        fits = all(outputs.get(name) == [count] for name in self.contract.outputs)
        if inputs != _inputs_of(self.contract) or not fits:
            raise ExportError(
                f"{key}: expected inputs and outputs as in the metadata, got others: '{self.path}'; "
                "export it again with faceflow-export"
            )


def _inputs_of(contract: ModelContract) -> list[tuple[str, str, list[int]]]:
    """Name, type and shape (without the batch) of the inputs in a contract."""
    kinds = {
        IMAGES: ("tensor(uint8)", [contract.image_size, contract.image_size, 3]),
        FEATURES: ("tensor(float)", [NUMBERS]),
    }
    return [(name, *kinds[name]) for name in contract.inputs]


def _reopened(kind: type[OnnxModel], path: Path, settings: dict[str, Any], state: _State) -> OnnxModel:
    _check_state(path, state, key=settings["key"])
    return kind(path, **settings)


def _state_of(path: Path, *, key: str) -> _State:
    try:
        with path.open("rb"):  # ONNX Runtime would report a folder as a damaged file
            found = path.stat()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else (error.strerror or str(error)).lower()
        raise ExportError(f"{key}: expected an ONNX model, got '{path}': {reason}; check the path") from error
    if instead := stand_in(path):
        raise ExportError(f"{key}: expected an ONNX model, got {instead}")
    return found.st_size, found.st_mtime_ns


def _check_state(path: Path, state: _State, *, key: str) -> None:
    """Refuse a file that changed since the model was loaded: two processes would give different results."""
    if not path.is_file() or _state_of(path, key=key) != state:
        raise ExportError(
            f"{key}: expected '{path}' as it was when the model was loaded, got a changed or missing file; load the "
            "model again"
        )


def _short(provider: str) -> str:
    return next(name for name, long in PROVIDERS.items() if long == provider)


def _check_version() -> None:
    if tuple(int(part) for part in ort.__version__.split(".")[:2]) < _LEAST_VERSION:
        least = ".".join(map(str, _LEAST_VERSION))
        raise ExportError(
            f"onnxruntime: expected version {least} or later, got {ort.__version__}, which lets a model read any file; "
            f"run: pip install -U 'onnxruntime>={least}'"
        )


def _reason(error: Exception) -> str:
    """Message of ONNX Runtime without its codes; only the end of a long text, which names the fault."""
    text = " ".join(_LEAD.sub("", str(error)).split())
    return text if len(text) <= _LONGEST else f"...{text[-_LONGEST:]}"


def fit(image: Image, size: int) -> Image:
    """Resize an image (H, W, 3) to (S, S, 3) as in validation and test; an image of that size is returned as is."""
    if image.shape[:2] == (size, size):
        return image
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def _choose(provider: str) -> list[str]:
    available = [name for name, long in PROVIDERS.items() if long in ort.get_available_providers()]
    check_choice(provider, key="provider", options=("auto", *PROVIDERS))
    overwritten = "cuda" not in available and bool(installed([GPU_WHEEL]))
    if overwritten and provider in ("auto", "cuda"):
        message = f"provider: expected cuda from {GPU_WHEEL}, got onnxruntime installed over it; run: " + repair(
            "onnxruntime"
        )
        if provider == "cuda":
            raise ConfigError(message)
        log.warning("%s", message)
    if provider != "auto" and provider not in available:
        raise ConfigError(
            f"provider: expected one that is available here ({', '.join(available)}), got '{provider}'"
            + (f"; run: pip install '{GPU_WHEEL}[cuda,cudnn]'" if provider == "cuda" else "")
        )
    return [PROVIDERS[name] for name in (available if provider == "auto" else [provider])]
