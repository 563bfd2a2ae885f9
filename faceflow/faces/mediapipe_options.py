"""Options of MediaPipe's tasks that keep its library from sending usage metrics.

Its wheels upload metrics to Google and have no switch for it. They do accept a file of certificates that the upload
trusts: with an empty one, the upload fails before it begins.
"""

from __future__ import annotations

import os
from typing import Any


def base_options(tasks: Any, **model: Any) -> Any:
    """Make the `BaseOptions` of a task.

    Args:
        tasks: module `mediapipe.tasks.python`.
        model: `model_asset_path` or `model_asset_buffer`.
    """

    class SilentOptions(tasks.BaseOptions):  # type: ignore[misc]
        def to_ctypes(self) -> Any:
            options = super().to_ctypes()
            options.ca_bundle_path = os.devnull.encode()
            return options

    return SilentOptions(**model)
