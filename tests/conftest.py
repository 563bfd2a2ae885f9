"""Makes `tests.helpers` importable: pytest puts the folder above this package on the path."""

import faceflow  # noqa: F401 - before the tests import libraries that report home
