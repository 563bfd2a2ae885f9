"""Makes `tests.helpers` importable, because pytest puts the parent folder of this package on the path."""

import faceflow  # noqa: F401 - before the tests import libraries with telemetry
