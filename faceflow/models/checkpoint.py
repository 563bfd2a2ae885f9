"""Checkpoints: written completely or not at all, read as data only, sufficient to rebuild the network."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from faceflow.calibration import PROTOCOL, Calibration
from faceflow.centring import Centring
from faceflow.conformal import COVERAGE, Conformal
from faceflow.crop_statistics import CropStatistics
from faceflow.encoding import TOLERANCE, occurrence_level
from faceflow.errors import CheckpointError, ConfigError
from faceflow.formats import UPDATE, is_known, is_newer
from faceflow.models.network import AUNetwork, NetworkSpec
from faceflow.models.weights import load_file

log = logging.getLogger(__name__)

# Raised when an older version would misread the file. 4: calibrated probabilities, 3: networks that read features,
# 2 (all others): seen faces are identified by their content, 1: by file names.
FORMAT = 4
_FEATURES, _PIXELS_ALONE = 3, 2
PAYLOAD = "faceflow"
_STATISTICS = "crop_statistics"

Faces = dict[str, dict[str, Tensor]]  # split -> "pictures" and "labels", hashes (N,) of its rows


@dataclass(kw_only=True)
class Payload:
    """Information in a checkpoint about its run, as plain data.

    `thresholds` are tuned on validation; `centring` holds those of centred scores, None if validation knew no subjects.
    With a `calibration`, both of these and the bands of `conformal` refer to calibrated probabilities. `seen` holds the
    identities of the training and validation subjects, and `faces` the hashes of their images and labels; a test uses
    them to leave out seen subjects. `protocol` describes how data were split and what the labels mean. `config` and
    `versions` are provenance for readers and are never instantiated. `crop` is the recipe by which the training faces
    were cut, and `crop_statistics` describe what they look like; None if unknown. `training_data` maps training sets
    to fingerprints, `run` holds the run id and the code revision. `outdated` thresholds are left out: version 0.1.0
    read occurrence at another level and tuned them there. Older checkpoints lack fields that have a default here;
    fields that a newer version adds are ignored.
    """

    spec: NetworkSpec
    protocol: dict[str, str]
    seen: list[str]
    config: dict[str, Any]
    versions: dict[str, str]
    thresholds: dict[str, float] = field(default_factory=dict)
    centring: Centring | None = None
    calibration: Calibration | None = None
    conformal: Conformal | None = None
    crop: dict[str, Any] | None = None
    crop_statistics: CropStatistics | None = None
    training_data: dict[str, str] = field(default_factory=dict)
    run: dict[str, str] = field(default_factory=dict)
    faces: Faces = field(default_factory=dict, compare=False)
    outdated: bool = False

    @property
    def _format(self) -> int:
        return FORMAT if self.calibration is not None else _FEATURES if self.spec.features else _PIXELS_ALONE

    def to_dict(self) -> dict[str, Any]:
        """Plain containers."""
        return {
            "format": self._format,
            "spec": self.spec.to_dict(),
            "thresholds": dict(self.thresholds),
            "centring": None if self.centring is None else self.centring.to_dict(),
            **({} if self.calibration is None else {PROTOCOL: self.calibration.to_dict()}),
            **({} if self.conformal is None else {COVERAGE: self.conformal.to_dict()}),
            "protocol": dict(self.protocol),
            "seen": list(self.seen),
            "config": self.config,
            "versions": dict(self.versions),
            "crop": self.crop,
            **({} if self.crop_statistics is None else {_STATISTICS: self.crop_statistics.to_dict()}),
            "training_data": dict(self.training_data),
            "run": dict(self.run),
            "faces": {split: dict(hashes) for split, hashes in self.faces.items()},
            "occurrence_level": occurrence_level(self.spec.cutpoints, self.spec.occurrence_min),
        }

    @classmethod
    def from_checkpoint(cls, checkpoint: Any, *, source: str | Path) -> Payload:
        """Read the payload of a loaded checkpoint.

        Raises:
            CheckpointError: the file is not from FaceFlow, is from a newer version, or has unknown content.
        """
        raw = checkpoint.get(PAYLOAD) if isinstance(checkpoint, Mapping) else None
        if not isinstance(raw, Mapping):
            raise CheckpointError(
                f"{source}: expected a FaceFlow checkpoint, got a file without its '{PAYLOAD}' entry; "
                "for weights of a timm network use model.weights"
            )
        number = raw.get("format")
        if is_newer(number, FORMAT):
            raise CheckpointError(
                f"{source}: expected checkpoint format {FORMAT} or lower, got {number} of a newer FaceFlow; "
                f"run: {UPDATE}"
            )
        if not is_known(number, FORMAT):
            raise CheckpointError(
                f"{source}: expected the number of a checkpoint format, got {number!r}; the file is damaged"
            )
        expected = {"spec": Mapping, "thresholds": Mapping, "protocol": Mapping, "seen": list, "config": Mapping,
                    "versions": Mapping}  # fmt: skip
        for key, kind in expected.items():
            if not isinstance(raw.get(key), kind):
                raise CheckpointError(f"{source}: expected '{key}' in the checkpoint, got none; the file is damaged")
        try:
            spec = NetworkSpec.from_dict(raw["spec"])
            now = occurrence_level(spec.cutpoints, spec.occurrence_min)
            outdated = raw.get("occurrence_level", _first_level(spec)) != now
            return cls(
                spec=spec,
                protocol={str(key): str(value) for key, value in raw["protocol"].items()},
                seen=[str(subject) for subject in raw["seen"]],
                config=dict(raw["config"]),
                versions={str(key): str(value) for key, value in raw["versions"].items()},
                thresholds={} if outdated else {str(au): float(cut) for au, cut in raw["thresholds"].items()},
                centring=None if outdated else _centring(raw.get("centring"), spec),
                calibration=None if outdated else _calibration(raw.get(PROTOCOL), spec),
                conformal=None if outdated or COVERAGE not in raw else Conformal.from_dict(raw[COVERAGE]),
                crop=None if raw.get("crop") is None else dict(raw["crop"]),
                crop_statistics=CropStatistics.from_dict(raw[_STATISTICS]) if raw.get(_STATISTICS) else None,
                training_data={str(name): str(value) for name, value in raw.get("training_data", {}).items()},
                run={str(key): str(value) for key, value in raw.get("run", {}).items()},
                faces=_faces(raw.get("faces", {})),
                outdated=outdated,
            )
        except (CheckpointError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"{source}: {error}; the file is damaged, or not from FaceFlow") from error


def read_checkpoint(path: str | Path, *, key: str) -> tuple[dict[str, Any], Payload]:
    """Load a FaceFlow checkpoint and its payload.

    Raises:
        CheckpointError: see `faceflow.models.weights.load_file` and `Payload.from_checkpoint`.
    """
    content = load_file(path, key=key)
    return content, Payload.from_checkpoint(content, source=path)


def network_state(checkpoint: Mapping[str, Any], *, source: str | Path) -> dict[str, Tensor]:
    """Weights of the network that the run validated: the averaged ones if it kept an average."""
    state = checkpoint.get("state_dict")
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{source}: expected 'state_dict' in the checkpoint, got none; the file is damaged")
    for prefix in ("average.network.", "network."):
        if weights := {k.removeprefix(prefix): v for k, v in state.items() if str(k).startswith(prefix)}:
            return weights
    raise CheckpointError(f"{source}: expected weights of a network in the checkpoint, got none; the file is damaged")


def load_network(path: str | Path, *, key: str) -> tuple[AUNetwork, Payload]:
    """Rebuild the network of a checkpoint, in evaluation mode, from the file alone.

    Raises:
        CheckpointError: the file cannot be used.
    """
    checkpoint, payload = read_checkpoint(path, key=key)
    try:
        network = AUNetwork(payload.spec)
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error
    load_state(network, network_state(checkpoint, source=path), source=path)
    network.calibration = payload.calibration
    if payload.outdated:
        spec = payload.spec
        before, now = _first_level(spec), occurrence_level(spec.cutpoints, spec.occurrence_min)
        log.warning(
            "%s: occurrence (intensity >= %g) is now read where labels are cut, at %.3g; FaceFlow 0.1.0 read it at "
            "%.3g, so its thresholds and occurrence scores do not fit: F1@val is left out; train again to get it",
            *(path, spec.occurrence_min, spec.cutpoints[now], spec.cutpoints[before]),
        )
    return network.eval(), payload


def load_state(network: AUNetwork, weights: Mapping[str, Tensor], *, source: str | Path) -> None:
    """Load weights; their names and shapes must match exactly.

    Raises:
        CheckpointError: names or shapes differ.
    """
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        lines = re.split(r"[\n\t]+", str(error))
        detail = lines[1] if len(lines) > 1 else lines[0]
        raise CheckpointError(
            f"{source}: expected the weights of {network.spec.name} with {len(network.spec.aus)} AUs, got others "
            f"({detail.strip()[:150]}); check model.backbone, aus and levels"
        ) from error


def _centring(raw: Any, spec: NetworkSpec) -> Centring | None:
    return None if raw is None else Centring.from_dict(raw, aus=spec.aus, graded=spec.levels > 1)


def _calibration(raw: Any, spec: NetworkSpec) -> Calibration | None:
    return None if raw is None else Calibration.from_dict(raw, aus=spec.aus)


def _faces(raw: Mapping[str, Mapping[str, Tensor]]) -> Faces:
    faces = {str(split): {str(name): hashes for name, hashes in kinds.items()} for split, kinds in raw.items()}
    for split, kinds in faces.items():
        if "pictures" not in kinds or any(
            not isinstance(hashes, Tensor) or hashes.dtype != torch.int64 or hashes.shape != (len(kinds["pictures"]),)
            for hashes in kinds.values()
        ):
            raise ValueError(f"expected a hash per face of {split}, got others")
    return faces


def _first_level(spec: NetworkSpec) -> int:
    """Level at which version 0.1.0 read occurrence: the first at or above the rule, or the last."""
    cuts = np.asarray(spec.cutpoints) + TOLERANCE
    return max(0, min(int(np.searchsorted(cuts, spec.occurrence_min)), spec.levels - 1))
