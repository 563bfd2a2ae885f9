"""Wrinkles as height maps in the texture of the skin, which AUs switch on side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from faceflow.rendering.action_units import Intensities
from faceflow.rendering.arrays import Doubles, Floats, weighted_sum
from faceflow.rendering.curves import smooth_noise
from faceflow.rendering.face_model import TEXTURE, FaceModel
from faceflow.rendering.people import Traits
from faceflow.rendering.texture import lines_mask

_PIXELS_PER_CM = 23.0
_DEEPEST = 1.15  # share of a wrinkle, where several AUs fold the same skin
_ACTIVE = 0.01  # share below which a wrinkle is not worth adding


@dataclass(frozen=True, eq=False)
class Wrinkle:
    """A height map (S, S) in cm, how much of it each AU makes, and the side of the face: L, R or B for both."""

    causes: Mapping[str, float]
    side: str
    heights: Floats

    def share(self, left: Intensities, right: Intensities) -> float:
        """How deep AUs fold it, relative to one of them alone at its strongest."""
        total = 0.0
        for au, weight in self.causes.items():
            intensity = {"L": left[au], "R": right[au], "B": max(left[au], right[au])}[self.side]
            total += weight * (intensity / 5.0) ** 1.2
        return min(total, _DEEPEST)


@dataclass(frozen=True, eq=False, kw_only=True)
class Wrinkles:
    """All wrinkles of a subject.

    Attributes:
        wrinkles: those that AUs fold.
        gain: how deep they are folded.
        resting: (S, S), heights in cm on the relaxed face, of old people.
    """

    wrinkles: Sequence[Wrinkle]
    gain: float
    resting: Floats

    def with_furrows(self, rng: np.random.Generator, depth: float) -> Wrinkles:
        """Add permanent furrows: some of the wrinkles, at a share of up to `depth`."""
        shares = depth * rng.beta(0.6, 1.4, len(self.wrinkles))
        furrows = weighted_sum(shares.tolist(), [wrinkle.heights for wrinkle in self.wrinkles])
        return replace(self, resting=self.resting + furrows)

    def heights(self, left: Intensities, right: Intensities) -> Floats:
        """Height map (S, S) in cm of a face that shows AUs."""
        shares = [wrinkle.share(left, right) * self.gain for wrinkle in self.wrinkles]
        active = [place for place, share in enumerate(shares) if share > _ACTIVE]
        if not active:
            return self.resting
        folds = [self.wrinkles[place].heights for place in active]
        return self.resting + weighted_sum([shares[place] for place in active], folds)


@dataclass(frozen=True, eq=False)
class _Folder:
    """Collects the wrinkles of one subject."""

    rng: np.random.Generator
    face: FaceModel
    wrinkles: list[Wrinkle] = field(default_factory=list)

    def offset(self, spread: float = 0.12) -> float:
        """How far a wrinkle of this subject lies from that of the mean face, cm."""
        return self.rng.normal(0, spread)

    def fold(
        self,
        lines: Sequence[Doubles],
        causes: Mapping[str, float],
        side: str,
        depth: float,
        width: float = 0.10,
    ) -> None:
        """Add a groove along lines (N, 2) with ridges beside it, both measured in cm."""
        groove = lines_mask(self.face, lines, 2, width * _PIXELS_PER_CM)
        if groove.max() < 1e-4:
            return
        ridges = lines_mask(self.face, lines, 3, width * _PIXELS_PER_CM * 2.2)
        groove /= groove.max()
        ridges /= max(ridges.max(), 1e-4)
        self.wrinkles.append(Wrinkle(causes, side, ((-groove + 0.5 * ridges) * depth).astype(np.float32)))


def sample_wrinkles(rng: np.random.Generator, face: FaceModel, traits: Traits) -> Wrinkles:
    """Draw the wrinkles of a subject."""
    folder = _Folder(rng, face)
    for sign, side in ((1, "L"), (-1, "R")):
        _fold_forehead(folder, sign, side)
        _fold_eye(folder, sign, side)
        _fold_nose_and_mouth(folder, sign, side)
    _fold_chin_and_lips(folder)
    wrinkles = folder.wrinkles
    age = 0.22 * max(0.0, traits.age - 0.45)
    shares = age * rng.uniform(0, 1, len(wrinkles))
    resting = weighted_sum(shares.tolist(), [wrinkle.heights for wrinkle in wrinkles])
    return Wrinkles(wrinkles=wrinkles, gain=traits.wrinkling, resting=resting)


def _fold_forehead(folder: _Folder, sign: int, side: str) -> None:
    """Lines across the forehead, of its middle and of its outer part, and those between the brows."""
    rng, offset = folder.rng, folder.offset
    count = rng.integers(2, 5)
    heights = np.linspace(7.5, 9.6, count) + rng.normal(0, 0.12, count)
    middle, outer = [], []
    for y in heights:
        x = np.linspace(-0.1, 2.6, 10)
        wave = 0.12 * np.cos(x * 0.9 + offset())
        middle.append(_line(sign * x, y - wave + 0.04 * np.sin(x * 3 + offset(2)) - 0.05 * x))
        x = np.linspace(2.2, 5.2, 10)
        rise = 0.22 + 0.10 * np.sin((x - 2.2) * 1.1) + 0.04 * np.sin(x * 3 + offset(2)) - 0.03 * (x - 2.2) ** 2
        outer.append(_line(sign * x, y + rise))
    folder.fold(middle, {"AU1": 1.0, "AU2": 0.25}, side, 0.075)
    folder.fold(outer, {"AU2": 1.0, "AU1": 0.15}, side, 0.065)
    bend = np.sin(np.linspace(0, 2, 8))
    glabella = [_line(sign * (0.62 + offset(0.08) + 0.10 * bend), np.linspace(4.9, 6.5, 8) + offset(0.1))]
    if rng.random() < 0.5:
        x = sign * (1.1 + offset(0.08) + 0.15 * np.linspace(0, 1, 8))
        glabella.append(_line(x, np.linspace(5.3, 6.4, 8)))
    folder.fold(glabella, {"AU4": 1.0, "AU9": 0.25}, side, 0.095, 0.11)


def _fold_eye(folder: _Folder, sign: int, side: str) -> None:
    """Crow's feet, and the crease below the lower lid."""
    offset = folder.offset
    feet = []
    for angle in np.array([0.55, 0.15, -0.25, -0.6]) + folder.rng.normal(0, 0.06, 4):
        r = np.linspace(0.45, 1.6 + offset(0.15), 8)
        feet.append(_line(sign * (4.55 + r * np.cos(angle)), 3.35 + r * np.sin(angle) + 0.03 * r**2))
    folder.fold(feet, {"AU6": 1.0, "AU7": 0.12, "AU12": 0.12}, side, 0.095, 0.085)
    x = np.linspace(1.9, 4.3, 12)
    crease = _line(sign * x, 2.62 - 0.30 * np.sin((x - 1.9) / 2.4 * np.pi) + offset(0.05))
    folder.fold([crease], {"AU6": 1.0, "AU7": 0.6}, side, 0.08)


def _fold_nose_and_mouth(folder: _Folder, sign: int, side: str) -> None:
    """Wrinkles of the nose, the nasolabial fold, and those beside and below the corner of the mouth."""
    offset = folder.offset
    ends = 3.5 + offset(0.08), 2.9 + offset(0.08)
    bunny = [_line(sign * np.linspace(0.35, 1.15, 6), np.linspace(y + 0.35, y - 0.25, 6)) for y in ends]
    bunny.append(_line(sign * np.linspace(0, 0.75, 6), 4.35 + offset(0.06) + 0.05 * np.linspace(0, 1, 6)))
    folder.fold(bunny, {"AU9": 1.0}, side, 0.085, 0.085)
    t = np.linspace(0, 1, 14)
    nasolabial = _line(sign * (1.75 + 1.75 * t + 0.35 * np.sin(t * np.pi)), -0.2 - 3.3 * t**1.15)
    folder.fold([nasolabial[:9]], {"AU9": 0.8, "AU10": 1.0, "AU12": 0.75, "AU6": 0.3}, side, 0.10, 0.14)
    folder.fold([nasolabial[6:]], {"AU12": 1.0, "AU10": 0.6, "AU14": 0.2, "AU20": 0.2}, side, 0.09, 0.14)
    a = np.linspace(-0.9, 0.9, 9)
    dimple = _line(sign * (2.85 + 0.35 * np.cos(a)), -3.45 + 0.75 * np.sin(a))
    folder.fold([dimple], {"AU14": 1.0, "AU12": 0.15}, side, 0.12, 0.12)
    marionette = _line(sign * (2.75 + 0.25 * t), -3.8 - 1.5 * t)
    folder.fold([marionette], {"AU15": 1.0, "AU20": 0.25}, side, 0.095, 0.13)
    flank = _line(sign * (3.3 + 0.25 * np.sin(t * np.pi)), -2.6 - 2.2 * t)
    folder.fold([flank], {"AU20": 0.9}, side, 0.055, 0.13)


def _fold_chin_and_lips(folder: _Folder) -> None:
    """The crease above the chin, its dimpled boss, and the bulges around pressed lips."""
    x = np.linspace(-1.5, 1.5, 16)
    folder.fold([_line(x, -5.25 - 0.12 * x**2 + folder.offset(0.05))], {"AU17": 1.0}, "B", 0.095, 0.13)
    px, py, pz = (folder.face.places[..., axis] for axis in range(3))
    chin = np.exp(-0.5 * ((px / 1.2) ** 2 + ((py + 6.3) / 0.65) ** 2)) * (pz > 6)
    dimples = (chin * 0.055 * smooth_noise(folder.rng, TEXTURE, 44, 2)).astype(np.float32)
    folder.wrinkles.append(Wrinkle({"AU17": 1.0}, "B", dimples))
    x = np.linspace(-2.0, 2.0, 12)
    bulges = [_line(x, -2.15 + 0.06 * x**2), _line(x * 0.9, -4.85 - 0.02 * x**2)]
    folder.fold(bulges, {"AU24": 1.0, "AU28": 0.8}, "B", 0.05, 0.13)


def _line(x: Doubles, y: Doubles) -> Doubles:
    return np.stack(np.broadcast_arrays(x, y), -1)
