"""Frames of DISFA that studies left out because face or landmarks were bad, as named presets.

Lists differ between studies, and so do results: a changed list gets a new version, which the stored reason names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Ranges = Mapping[str, tuple[tuple[int, int], ...]]


@dataclass(frozen=True, kw_only=True)
class BadFrames:
    """Ranges of frames by subject, counted from 1, first and last included."""

    name: str
    version: int
    ranges: Ranges

    def excluded(self, subject: str) -> dict[int, str]:
        """Bad frames of a subject, each with the reason."""
        reason = f"bad frame ({self.name} version {self.version})"
        ranges = self.ranges.get(subject, ())
        return {frame: reason for first, last in ranges for frame in range(first, last + 1)}


# Gaps in the lists of JAANet (Shao et al. 2018), which keep 126,144 of the 130,814 labelled frames of a camera.
JAANET = BadFrames(
    name="jaanet",
    version=1,
    ranges={
        "SN001": ((398, 420), (3190, 3243)),
        "SN002": ((800, 826),),
        "SN004": ((4541, 4555),),
        "SN006": ((1349, 1405),),
        "SN009": ((1736, 1808), (1851, 1885)),
        "SN010": ((4845, 4845),),
        "SN011": ((4529, 4533), (4830, 4845)),
        "SN021": (
            (574, 616),
            (985, 1164),
            (1190, 1205),
            (1305, 1338),
            (1665, 1710),
            (1862, 2477),
            (2554, 4657),
            (4710, 4722),
        ),
        "SN023": ((1021, 1049), (3378, 3557), (3584, 3668), (4547, 4621), (4741, 4772), (4825, 4845)),
        "SN025": ((4596, 4662), (4816, 4835)),
        "SN027": ((3461, 3494), (4738, 4785)),
        "SN028": ((1875, 1885), (4571, 4690)),
        "SN029": ((4090, 4543),),
        "SN030": ((939, 962), (1406, 1422), (2100, 2132), (2893, 2955)),
    },
)

PRESETS = {preset.name: preset for preset in (JAANET,)}
