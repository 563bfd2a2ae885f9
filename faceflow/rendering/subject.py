"""One subject: shape of the face, skin, wrinkles, hair, clothes; and how the face moves."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from faceflow.rendering.action_units import Intensities, relaxed, shape_weights
from faceflow.rendering.arrays import Floats, rotated, weighted_sum
from faceflow.rendering.face_model import FaceModel
from faceflow.rendering.growth import with_proportions
from faceflow.rendering.materials import Look, Mesh
from faceflow.rendering.movements import Gaze
from faceflow.rendering.outfit import Outfit, Scalp, sample_outfit, sample_scalp
from faceflow.rendering.people import Population, Strength, Traits, sample_gains, sample_rest, sample_traits
from faceflow.rendering.skin import Skin, sample_skin
from faceflow.rendering.wrinkles import Wrinkles, sample_wrinkles

_CLOSED = -0.03  # cm between lips that are shut
_SMALLEST_GAP = 0.15  # cm that AU25 at its strongest parts the lips by, at least
_OWN_STRENGTH, _OWN_REST, _OWN_BROWS = 0, 1, 2  # branches of random numbers
_VISIBLE = 1e-3  # weight of a shape below which it is left out


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A subject.

    Attributes:
        face: the model of all faces.
        traits: age, sex and wrinkling.
        vertices: (V, 3), the face without any expression, in cm.
        rest: weights of shapes of the relaxed face.
        gains: how much each AU moves this face.
        exponent: of intensities, see `shape_weights`.
        skin: its textures and colours.
        wrinkles: folded by AUs.
        scalp: its hair.
        outfit: what is around the face.
    """

    face: FaceModel
    traits: Traits
    vertices: Floats
    rest: Mapping[str, float]
    gains: Mapping[str, float]
    exponent: float
    skin: Skin
    wrinkles: Wrinkles
    scalp: Scalp
    outfit: Outfit

    def deformed(
        self,
        left: Intensities,
        right: Intensities,
        movements: Mapping[str, float] | None = None,
        gaze: Gaze | None = None,
    ) -> Floats:
        """Vertices (V, 3) of the face that shows AUs, movements besides, and a gaze."""
        weights = shape_weights(left, right, self.gains, (self.rest, movements or {}), exponent=self.exponent)
        vertices = _with_shapes(self.face, self.vertices, weights)
        if gaze is not None and (gaze.yaw or gaze.pitch):  # the shapes move the lids alone
            turn = rotation(gaze.yaw, gaze.pitch, 0.0)
            for eye in self.face.eyes:
                centre = (vertices[eye].max(0) + vertices[eye].min(0)) / 2
                vertices[eye] = rotated(vertices[eye] - centre, turn) + centre
        return vertices

    def lips_apart(self, vertices: Floats) -> float:
        """Intensity 0..5 of AU25 that the gap between the lips of a face shows, against this subject's rest.

        Up to 80 % of the gap of a full AU25 the scale is linear; wider ones are compressed into its rest.
        """
        share = self.gap_share(vertices)
        return float(np.clip(5 * share if share < 0.8 else 4 + 0.625 * (share - 0.8), 0, 5))

    def gap_share(self, vertices: Floats) -> float:
        """Gap between the lips beyond that at rest, as a share of what a full AU25 adds."""
        resting, full = self.lip_gaps
        return (_lip_gap(self.face, vertices) - resting) / full

    @functools.cached_property
    def lip_gaps(self) -> tuple[float, float]:
        """Gap between the lips at rest, and what AU25 at its strongest adds to it, in cm."""
        rest = relaxed()
        parted = {**rest, "AU25": 5.0}
        resting = _lip_gap(self.face, self.deformed(rest, rest))
        return resting, max(_SMALLEST_GAP, _lip_gap(self.face, self.deformed(parted, parted)) - resting)

    @functools.cached_property
    def mesh(self) -> Mesh:
        """Face and outfit, as the shader takes them."""
        face, outfit, further = self.face, self.outfit, len(self.outfit.vertices)
        count = len(self.vertices)
        return Mesh(
            triangles=np.concatenate([face.triangles, outfit.triangles]),
            materials=np.concatenate([face.materials, outfit.materials]),
            welds=np.concatenate([face.welds, np.arange(count, count + further, dtype=np.int32)]),
            generic=np.concatenate([face.mean, outfit.vertices]),
            uv=np.concatenate([face.uv, np.zeros((further, 2), np.float32)]),
            occlusion=np.concatenate([face.occlusion, outfit.occlusion]),
            hair=np.concatenate([self.scalp.cover, np.zeros(further, np.float32)]),
        )

    @functools.cached_property
    def look(self) -> Look:
        """Colours, as the shader takes them."""
        skin = self.skin
        return Look(
            texture=skin.texture,
            specular=skin.specular,
            gloss=skin.gloss,
            hair=skin.hair,
            iris=skin.iris,
            sclera=skin.sclera,
            mouth=skin.mouth,
            teeth=skin.teeth,
            cloth=self.outfit.cloth,
            glasses=self.outfit.frame,
            hair_frequency=self.scalp.frequency,
        )

    def relief(self, left: Intensities, right: Intensities) -> Floats:
        """Height (S, S, 1) of the skin of a face that shows AUs, in cm."""
        return np.ascontiguousarray((self.skin.relief + self.wrinkles.heights(left, right))[..., None])


def sample_subject(
    seed: np.random.SeedSequence, face: FaceModel, population: Population, strength: Strength
) -> Subject:
    """Draw a subject; the same seed gives the same one."""
    rng = np.random.default_rng(seed)
    # Apart, so that what they are not to change stays as it is.
    of_strength, of_rest, of_brows = (
        np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, branch)))
        for branch in (_OWN_STRENGTH, _OWN_REST, _OWN_BROWS)
    )
    coefficients = np.clip(rng.normal(0, 0.9, len(face.kit.identity)), -2.2, 2.2)
    coefficients[:3] *= 0.85
    vertices = face.mean + weighted_sum(coefficients.tolist(), face.kit.identity)
    traits = sample_traits(rng, population)
    vertices = with_proportions(face, vertices, traits.age)
    rest, gains = sample_rest(rng), sample_gains(rng)
    strengths = strength.sample(of_strength)
    gains = {au: gain * strengths[au] for au, gain in gains.items()}
    resting, gap = population.rest.sample(of_rest)
    resting |= population.rest.sample_brows(of_brows, resting)
    rest = {shape: rest.get(shape, 0.0) + resting[shape] for shape in {**rest, **resting}}
    rest |= _closing_lips(face, vertices, rest, gap)
    skin = sample_skin(rng, face, traits, population)
    wrinkles = sample_wrinkles(rng, face, traits)
    if population.rest.furrows:
        wrinkles = wrinkles.with_furrows(of_rest, population.rest.furrows)
    scalp = sample_scalp(rng, face, traits, population)
    return Subject(
        face=face,
        traits=traits,
        vertices=vertices,
        rest=rest,
        gains=gains,
        exponent=strength.exponent,
        skin=skin,
        wrinkles=wrinkles,
        scalp=scalp,
        outfit=sample_outfit(rng, face, vertices, scalp, population),
    )


def rotation(yaw: float, pitch: float, roll: float) -> Floats:
    """Matrix (3, 3) of a head turned by angles in radians: to its left, downwards, and to its right shoulder."""
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x, np.float32)


def closing_weight(face: FaceModel, gap: float) -> float:
    """Weight of the shape that closes a gap between the lips, in cm."""
    shape = face.kit.expressions["mouthClose"]
    upper, lower = (shape[lip, 1].mean() for lip in face.inner_lips)
    return gap / float(lower - upper)


def _closing_lips(face: FaceModel, vertices: Floats, rest: Mapping[str, float], wanted: float) -> dict[str, float]:
    """Close lips, which some identities rest with apart, so that none looks like an AU25 without its label.

    Where a gap in cm is wanted, open them: AU25 is measured against it.
    """
    weights = shape_weights(relaxed(), relaxed(), {}, (rest,), exponent=1.0)
    gap = _lip_gap(face, _with_shapes(face, vertices, weights))
    if wanted:
        return {"mouthClose": closing_weight(face, gap - wanted)}
    return {"mouthClose": closing_weight(face, gap - _CLOSED)} if gap > _CLOSED else {}


def _with_shapes(face: FaceModel, vertices: Floats, weights: Mapping[str, float]) -> Floats:
    moved = vertices.copy()
    for shape, weight in weights.items():
        if abs(weight) > _VISIBLE:
            moved += np.float32(weight) * face.shapes[shape]
    return moved


def _lip_gap(face: FaceModel, vertices: Floats) -> float:
    """Mean vertical distance between the inner lips, in cm."""
    upper, lower = face.inner_lips
    return float((vertices[upper, 1] - vertices[lower, 1]).mean())
