"""Any timm network as a backbone: normalises its input, returns pooled features and, on request, feature maps."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any

import timm
import torch
from timm.layers.drop import DropPath
from torch import Tensor, nn

from faceflow.errors import CheckpointError, ConfigError, suggest
from faceflow.models.weights import Weights

log = logging.getLogger(__name__)

# Buffers that timm recomputes for the image size; files need not hold them.
_DERIVED = ("relative_position_index", "attn_mask", "num_batches_tracked", "relative_coords_table")


class Backbone(nn.Module):
    """A timm network without its classifier.

    It keeps the last stages of the network (EfficientNet's conv_head, ConvNeXt's norm, ViT's class token), which
    `features_only` would drop. `dim` is the width of the pooled features, `channels` those of the feature maps;
    `pretrained` is True if the weights came from the hub or a file.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        *,
        image_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        drop_path: float = 0.0,
        pretrained: bool = False,
        weights: Weights | None = None,
    ) -> None:
        super().__init__()
        self.model: Any = _create(name, image_size, drop_path, pretrained=pretrained, weights=weights)
        self.pretrained = pretrained or weights is not None
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.dim, self.channels = _probe(self, name, image_size)

    def forward(self, images: Tensor, *, maps: bool = False) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return pooled features and, if `maps` is set, feature maps.

        Args:
            images: RGB in 0..255, uint8 or float, (B, 3, H, W).
            maps: also return the feature map of every stage (of every block in a ViT).

        Returns:
            (B, D), and maps (B, C_i, H_i, W_i), always NCHW.
        """
        x = self._normalized(images)
        if maps:
            final, stages = self.model.forward_intermediates(x, output_fmt="NCHW")
        else:
            final, stages = self.model.forward_features(x), []
        return self.model.forward_head(final, pre_logits=True), tuple(stages)

    def feature_maps(self, images: Tensor, indices: Sequence[int] | None = None) -> tuple[Tensor, ...]:
        """Return feature maps as `forward` does, without running the layers after the last map.

        Args:
            images: as in `forward`.
            indices: which maps, in ascending order; None for all.
        """
        chosen = None if indices is None else list(indices)
        stages = self.model.forward_intermediates(
            self._normalized(images), indices=chosen, output_fmt="NCHW", intermediates_only=True
        )
        return tuple(stages)

    def _normalized(self, images: Tensor) -> Tensor:
        return (images.to(self.mean.dtype) - self.mean) / self.std


def check_backbone(name: str) -> None:
    """Check that timm knows a model.

    Names with a source such as 'hf-hub:' are refused, because `create_model` would download from it.

    Raises:
        ConfigError: unknown name or pretrained tag, with suggestions.
    """
    if not isinstance(name, str) or not timm.is_model(name) or not _has_tag(name):
        raise ConfigError(
            f"model.backbone: expected the name of a timm model, got '{name}'; {suggest(str(name), timm.list_models())}"
        )


def input_statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation, in 0..1, of the images that the backbone was pretrained on."""
    config: Any = timm.get_pretrained_cfg(name)
    return tuple(config.mean), tuple(config.std)


def _has_tag(name: str) -> bool:
    try:
        return timm.get_pretrained_cfg(name) is not None
    except RuntimeError:
        return False


def _create(name: str, image_size: int, drop_path: float, *, pretrained: bool, weights: Weights | None) -> nn.Module:
    check_backbone(name)
    options: dict[str, Any] = {"num_classes": 0}
    if drop_path:
        options["drop_path_rate"] = drop_path
    config: Any = timm.get_pretrained_cfg(name)
    if config.fixed_input_size:
        options["img_size"] = image_size
    state, note = None, ""
    try:
        if weights:
            state, note = _fitting_state(name, options, weights)
        model: Any = timm.create_model(name, pretrained=pretrained and state is None, **options)
        if state and not _load(model, state):
            model = _resampled(name, options, state)
    except (RuntimeError, ValueError, TypeError, AssertionError, OSError) as error:
        reason = _reason(error)
        if "drop_path_rate" in reason:
            raise ConfigError(f"model.drop_path: expected 0 for {name}, which has none, got {drop_path}") from error
        if weights is not None and state is not None:
            raise CheckpointError(
                f"{weights.key}: expected weights of {name} for model.image_size={image_size}, got other shapes in "
                f"'{weights.path}' ({reason}); set model.backbone to the network that they come from"
            ) from error
        if pretrained:
            raise ConfigError(
                f"model.pretrained: could not get weights of {name} from its hub ({reason}); go online, or set "
                "model.weights=FILE, or model.pretrained=false"
            ) from error
        raise ConfigError(
            f"model.backbone: timm could not build {name} for model.image_size={image_size} ({reason}); "
            "choose a size that its patches and windows divide"
        ) from error
    if not drop_path:
        for part in model.modules():
            if isinstance(part, DropPath):
                part.drop_prob = 0.0  # some families have their own default, Swin 0.1
    model.pretrained_cfg.pop("state_dict", None)  # timm would keep the whole file with the model
    if note:
        log.info("%s", note)
    return model  # type: ignore[no-any-return]


def _fitting_state(name: str, options: dict[str, Any], weights: Weights) -> tuple[dict[str, Tensor], str]:
    """Find the tensors of a network in a file by name; timm itself would load what fits and report nothing.

    Returns:
        The tensors, and a line for the user if the file holds others too.

    Raises:
        CheckpointError: tensors are missing, or there are more than such a network has.
    """
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in timm.create_model(name, **options).state_dict().items()}
        known = timm.create_model(name, **{**options, "num_classes": 1}).state_dict().keys()
    wanted = {key: shape for key, shape in shapes.items() if not key.endswith(_DERIVED)}
    prefix = weights.best_prefix(wanted)
    found = weights.below(prefix)
    if missing := sorted(wanted.keys() - found.keys()):
        raise CheckpointError(
            f"{weights.key}: expected weights of {name} in timm naming, got a file without {len(missing)} of its "
            f"{len(wanted)} tensors ('{missing[0]}', ...) but with '{next(iter(weights.tensors), 'none')}': "
            f"'{weights.path}'; set model.backbone to the network that they come from"
        )
    classifier = {key.partition(".")[0] for key in known - shapes.keys()}
    parts = {key.partition(".")[0] for key in wanted} - classifier
    unknown = [key for key in sorted(found.keys() - known) if not key.endswith(_DERIVED)]
    if foreign := [key for key in unknown if key.partition(".")[0] in parts]:
        raise CheckpointError(
            f"{weights.key}: expected weights of {name}, got those of a larger network: '{weights.path}' has "
            f"{len(foreign)} more tensors ('{foreign[0]}', ...); set model.backbone to the network that they come from"
        )
    state = {key: value for key, value in found.items() if key in shapes}
    used = {prefix + key for key in state}
    unused = [key for key in weights.tensors if key not in used]
    if not unused:
        return state, ""
    place = f" under '{prefix}'" if prefix else ""
    return state, (
        f"{weights.key}: the backbone takes {len(wanted)} tensors{place} of '{weights.path}'; {len(unused)} others, "
        f"such as '{unused[0]}', are not used"
    )


def _load(model: nn.Module, state: dict[str, Tensor]) -> bool:
    """Load a state unchanged, except for what timm derives from the image size; False if shapes differ."""
    ours = model.state_dict()
    counted = {key: value for key, value in state.items() if key.endswith("num_batches_tracked")}
    learned = {key: value for key, value in state.items() if not key.endswith(_DERIVED)}
    if any(value.shape != ours[key].shape for key, value in learned.items()):
        return False
    model.load_state_dict(counted | learned, strict=False)
    return True


def _resampled(name: str, options: dict[str, Any], state: dict[str, Tensor]) -> nn.Module:
    """Let timm load a state; it resamples what depends on the image size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch warns timm about its interpolation
        overlay = {"state_dict": dict(state)}
        model: nn.Module = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **options)
    ours = model.state_dict()
    for key, value in state.items():  # timm silently skips what it does not recognise
        same = (
            key.endswith(_DERIVED)
            or ours[key].shape != value.shape
            or torch.equal(ours[key], value.to(ours[key].dtype))
        )
        if not same:
            raise RuntimeError(f"timm did not load '{key}'")
    return model


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _probe(backbone: Backbone, name: str, image_size: int) -> tuple[int, tuple[int, ...]]:
    """Run one blank image to find the widths, which timm names differently in each family."""
    if not hasattr(backbone.model, "forward_intermediates"):
        raise ConfigError(
            f"model.backbone: expected a timm model with forward_intermediates, got {name}; choose another"
        )
    training = backbone.training
    backbone.eval()
    try:
        with torch.no_grad():
            pooled, maps = backbone(torch.zeros(1, 3, image_size, image_size), maps=True)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ConfigError(
            f"model.image_size: {name} does not run on {image_size} px images ({_reason(error)}); try another size"
        ) from error
    backbone.train(training)
    if pooled.ndim != 2 or any(stage.ndim != 4 for stage in maps):
        raise ConfigError(f"model.backbone: expected pooled features and NCHW maps, got another layout from {name}")
    return pooled.shape[1], tuple(stage.shape[1] for stage in maps)
