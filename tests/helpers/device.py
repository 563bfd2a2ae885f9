"""A device without fp64, as Apple GPUs are: torch's meta device, whose tensors have no values."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.accelerators import Accelerator
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

DEVICE = torch.device("meta")


class NoDoubles(TorchDispatchMode):
    """Rejects fp64 tensors on the device; copies to the CPU are 0."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and leaf.device == DEVICE]
        if given and function is torch.ops.aten._local_scalar_dense.default:
            return torch.zeros((), dtype=given[0].dtype).item()
        if given and function.overloadpacket in (torch.ops.aten._to_copy, torch.ops.aten.to):
            devices = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.device)]
            if torch.device("cpu") in devices:
                return torch.zeros(given[0].shape, dtype=kwargs.get("dtype") or given[0].dtype)
        result = function(*args, **kwargs)
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.device == DEVICE and leaf.dtype == torch.float64:
                raise TypeError(f"{function}: this device has no float64")
        return result


class ValuelessAccelerator(Accelerator):
    """Lets Lightning train on this device."""

    def setup_device(self, device: torch.device) -> None:
        """Do nothing: the device needs no setup."""

    def teardown(self) -> None:
        """Do nothing: the device needs no teardown."""

    def get_device_stats(self, device: str | torch.device) -> dict[str, Any]:
        return {}

    @staticmethod
    def parse_devices(devices: Any) -> list[int]:
        return [0]

    @staticmethod
    def get_parallel_devices(devices: Any) -> list[torch.device]:
        return [DEVICE]

    @staticmethod
    def auto_device_count() -> int:
        return 1

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def name() -> str:
        return "valueless"
