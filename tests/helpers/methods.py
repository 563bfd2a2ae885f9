"""Settings of methods."""

from __future__ import annotations

from typing import Any

# Pseudo-labels of FixMatch as in its paper, on labels of the AUs' own weights.
UNCENTRED: dict[str, Any] = {"center": "none", "targets": "hard", "prior_strength": 0, "weighted": True}
