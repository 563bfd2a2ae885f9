"""Settings of methods."""

from __future__ import annotations

from typing import Any

# Pseudo-labels of FixMatch as in its paper, with a weight for each AU.
UNCENTRED: dict[str, Any] = {"center": "none", "targets": "hard", "prior_strength": 0, "weighted": True}
