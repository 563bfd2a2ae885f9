"""Image pipelines (weak, medium, strong, eval) built from config: uint8 RGB in, uint8 RGB out."""

from __future__ import annotations

import inspect
import random
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from faceflow.config.instantiate import instantiate
from faceflow.errors import ConfigError, suggest

if TYPE_CHECKING:
    from albumentations import BaseCompose, BasicTransform, Compose

# A mirrored face needs its left and right AU columns swapped, which only the data set can do.
_MIRRORS = frozenset({"HorizontalFlip", "VerticalFlip", "Transpose", "D4", "SquareSymmetry"})


class Pipeline:
    """Steps applied in order to one image; the result depends only on the image and the seed."""

    def __init__(self, compose: Compose) -> None:
        self._compose = compose

    @property
    def side(self) -> int | None:
        """Side in pixels of the square to which the first step always resizes by area, or None.

        Such a step leaves an image of this size as it is, so it can be done once for several pipelines.
        """
        from albumentations import Resize

        first: Any = next(iter(self._compose.transforms), None)
        by_area = isinstance(first, Resize) and first.p == 1 and first.interpolation == cv2.INTER_AREA
        return int(first.height) if by_area and first.height == first.width else None

    def __call__(self, image: npt.NDArray[np.uint8], seed: int) -> npt.NDArray[np.uint8]:
        """Transform an RGB image of shape (H, W, 3) to (S, S, 3), C-contiguous; `seed` is not negative.

        The input is never written to, but it is returned itself when no step changes it.
        """
        # Not `set_random_seed`: it starts every step with the same random numbers, so that a large rotation would
        # always come with, say, a bright image; it is also 15 times slower.
        self._compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
        return np.ascontiguousarray(self._compose(image=image)["image"])


def build_pipeline(steps: Mapping[str, Any], *, key: str) -> Pipeline:
    """Build the pipeline that a config group describes.

    Args:
        steps: step name -> `_target_` and arguments of an albumentations transform, in order; null skips a step.
            The `transforms` of a composition (OneOf, SomeOf) are such a mapping again, or a list.
        key: config key of `steps`, for messages.

    Raises:
        ConfigError: a step that cannot be built, an argument that albumentations would ignore, a mirroring step,
            or steps that do not make uint8 images of one square size.
    """
    from albumentations import Compose

    pipeline = Pipeline(Compose(_build_steps(steps, key)))
    _check_output(pipeline, key)
    return pipeline


def _build_steps(steps: Any, key: str) -> list[BasicTransform | BaseCompose]:
    if isinstance(steps, list):
        steps = dict(enumerate(steps))
    if not isinstance(steps, Mapping):
        raise ConfigError(f"{key}: expected a mapping of step names to steps, got {steps!r}")
    return [_build_step(node, f"{key}.{name}") for name, node in steps.items() if node is not None]


def _build_step(node: Any, key: str) -> BasicTransform | BaseCompose:
    from albumentations import BaseCompose, BasicTransform

    if not isinstance(node, Mapping):
        raise ConfigError(f"{key}: expected a mapping with a _target_, or null to skip the step, got {node!r}")
    arguments = dict(node)
    children: dict[str, Any] = {}
    if "transforms" in arguments:
        children["transforms"] = _build_steps(arguments.pop("transforms"), f"{key}.transforms")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            step = instantiate(arguments, key=key, **children)
        except ConfigError as error:
            raise _name_argument(error, arguments, key) from error
    if not isinstance(step, BasicTransform | BaseCompose):
        raise ConfigError(f"{key}: expected an albumentations transform, got {node['_target_']}")
    name = type(step).__name__
    if unknown := getattr(step, "invalid_args", None):
        known = inspect.signature(type(step)).parameters
        raise ConfigError(f"{key}: {name} has no argument '{unknown[0]}'; {suggest(unknown[0], known)}")
    if caught:
        raise ConfigError(f"{key}: {name} would change its arguments: {_one_line(caught[0].message)}")
    if name in _MIRRORS:
        raise ConfigError(f"{key}: {name} would mix up left and right AUs; remove it, the data set flips images itself")
    return step


def _name_argument(error: ConfigError, arguments: Mapping[str, Any], key: str) -> ConfigError:
    """Replace the report of a failed argument check by one line that names the argument."""
    from pydantic import ValidationError

    refusal = next((cause for cause in _causes(error) if isinstance(cause, ValidationError)), None)
    if refusal is None:
        return error
    first = refusal.errors()[0]
    message = _one_line(first["msg"]).removeprefix("Value error, ")
    if not first["loc"]:
        return ConfigError(f"{key}: {message}")
    argument = str(first["loc"][0])
    return ConfigError(f"{key}.{argument}: {message}, got {arguments.get(argument)!r}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _one_line(message: object) -> str:
    return " ".join(str(message).split())


def _check_output(pipeline: Pipeline, key: str) -> None:
    shapes = set()
    for height, width in ((48, 64), (80, 56)):
        image = pipeline(np.full((height, width, 3), 128, dtype=np.uint8), seed=0)
        shapes.add(image.shape)
        if image.dtype != np.uint8 or image.shape != (len(image), len(image), 3) or len(shapes) > 1:
            raise ConfigError(
                f"{key}: expected steps that make square uint8 RGB images of one size, "
                f"got {image.dtype} {image.shape} from a {height}x{width} image; keep the resize step, "
                "and leave normalisation to the network"
            )
