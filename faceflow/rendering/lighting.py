"""Light of a domain: lamps and ambient light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from faceflow.checks import check_whole
from faceflow.errors import ConfigError
from faceflow.rendering.arrays import Doubles
from faceflow.rendering.camera import Lights
from faceflow.rendering.colour import lamp_tint
from faceflow.rendering.session import Session


@dataclass(frozen=True, kw_only=True)
class Lamp:
    """A lamp at infinity; angles in degrees as seen from the face.

    Attributes:
        azimuth: 0 in front, positive towards the subject's left.
        azimuth_session: how far the azimuth varies between recordings.
        elevation: height above the face.
        elevation_session: how far up the elevation varies.
        sided: whether the lamp is on the other side in half of the recordings.
        kelvin: the lamp's own colour; None for the colour of `Light`.
        strength: relative to other lamps.
        strength_session: how far the strength varies between recordings.
    """

    azimuth: float
    azimuth_session: float
    elevation: float
    elevation_session: float
    sided: bool
    kelvin: float | None
    strength: float
    strength_session: float

    def direction(self, session: Session) -> Doubles:
        """Unit vector (3,) towards the lamp."""
        if self.sided:
            azimuth = session.side * (self.azimuth + self.azimuth_session * abs(session.azimuth))
        else:
            azimuth = self.azimuth + self.azimuth_session * session.azimuth
        a, e = np.radians(azimuth), np.radians(self.elevation + self.elevation_session * session.elevation)
        return np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])


@dataclass(frozen=True, kw_only=True)
class Light:
    """All light of a domain.

    Attributes:
        kelvin: colour temperature; None for white.
        kelvin_session: how far the colour temperature varies between recordings.
        lamps: lamps that cast shadows come first.
        shadows: number of lamps that cast shadows.
        above: strength of light from the ceiling.
        below: strength of light from the floor.
        floor: colour (3,) of the floor.
    """

    kelvin: float | None
    kelvin_session: float
    lamps: Sequence[Lamp]
    shadows: int
    above: float
    below: float
    floor: Sequence[float]

    def __post_init__(self) -> None:
        """Check the values."""
        if not self.lamps:
            raise ConfigError("light.lamps: expected at least one lamp, got none; add one")
        check_whole(self.shadows, key="light.shadows", lowest=0, highest=len(self.lamps))

    def sample(self, rng: np.random.Generator, session: Session) -> Lights:
        """Draw the light of one frame."""
        if self.kelvin is None:
            colour = np.ones(3)
        else:
            colour = lamp_tint(rng, self.kelvin + self.kelvin_session * session.kelvin)
        colours = [
            (lamp.strength + lamp.strength_session * session.brightness)
            * (colour if lamp.kelvin is None else lamp_tint(rng, lamp.kelvin))
            for lamp in self.lamps
        ]
        above, below = self.above * colour, self.below * colour * self.floor
        ambient = np.zeros((4, 3))
        ambient[0], ambient[2] = (above + below) / 2, (above - below) / 2
        ambient[3] = 0.1 * ambient[0]
        directions = [lamp.direction(session) for lamp in self.lamps]
        return Lights(np.array(directions), np.array(colours), ambient, self.shadows)
