"""Batch statistics over all processes of a run."""

from __future__ import annotations

from lightning.pytorch.plugins.layer_sync import LayerSync
from timm.layers.norm_act import convert_sync_batchnorm
from torch import nn


class SyncedBatchNorm(LayerSync):
    """Makes every BatchNorm take its statistics over the rows of all processes.

    Lightning's own plugin would drop the activation that timm's layers contain.
    """

    def apply(self, model: nn.Module) -> nn.Module:
        """Replace the layers; weights and names stay the same."""
        return convert_sync_batchnorm(model)  # type: ignore[no-any-return, no-untyped-call]

    def revert(self, model: nn.Module) -> nn.Module:
        """Leave the layers: they evaluate as before."""
        return model
