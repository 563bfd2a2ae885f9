"""AU names: parsing, the aliases of other tools, FACS descriptions, sides of the face."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from faceflow.errors import ConfigError, suggest

Kind = Literal["label", "intensity", "occurrence"]

# Facial Action Coding System (Ekman, Friesen and Hager, 2002).
DESCRIPTIONS = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    8: "lips toward each other",
    9: "nose wrinkler",
    10: "upper lip raiser",
    11: "nasolabial deepener",
    12: "lip corner puller",
    13: "sharp lip puller",
    14: "dimpler",
    15: "lip corner depressor",
    16: "lower lip depressor",
    17: "chin raiser",
    18: "lip pucker",
    19: "tongue show",
    20: "lip stretcher",
    21: "neck tightener",
    22: "lip funneler",
    23: "lip tightener",
    24: "lip pressor",
    25: "lips part",
    26: "jaw drop",
    27: "mouth stretch",
    28: "lip suck",
    29: "jaw thrust",
    30: "jaw sideways",
    31: "jaw clencher",
    32: "lip bite",
    33: "cheek blow",
    34: "cheek puff",
    35: "cheek suck",
    36: "tongue bulge",
    37: "lip wipe",
    38: "nostril dilator",
    39: "nostril compressor",
    43: "eyes closed",
    45: "blink",
    46: "wink",
}

_NAME = re.compile(r"AU([1-9]\d?)(?:_([LR]))?")
_ALIAS = re.compile(
    r"au[ _]?(?P<left>[lr]?)0*(?P<number>\d{1,2})(?P<right>[lr]?)(?P<suffix>(?:_[a-z]+)*)", re.IGNORECASE
)
_LOOKS = re.compile(r"(?<![a-z])(?:f?au|action[ _-]?unit)s?[ _-]?[lr]?[ _-]?\d", re.IGNORECASE)
_SUFFIX: dict[str, tuple[str, Kind]] = {
    "": ("", "label"),
    "_l": ("_L", "label"),
    "_left": ("_L", "label"),
    "_right": ("_R", "label"),
    **dict.fromkeys(("_intensity", "_int"), ("", "intensity")),
    **dict.fromkeys(("_c", "_prob", "_occ", "_occurrence", "_presence", "_present"), ("", "occurrence")),
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """Meaning of a CSV header: which AU, and whether its column is an intensity, an occurrence or either (label)."""

    au: str
    kind: Kind


def parse_column(header: str) -> Column | None:
    """Read a CSV header as an AU; None if it is another column.

    Understands `AU12`, `AU012`, `AU12_L`, `AUL12`, `AU12_presence`, `AU12_intensity`, and the headers of OpenFace
    (`AU12_r` intensity, `AU12_c` occurrence), Py-Feat (`AU12`) and LibreFace (`au_12`, `au_12_intensity`). A
    lower-case `_r` is OpenFace's "regression", an upper-case `_R` the right side of the face.
    """
    match = _ALIAS.fullmatch(header.strip().strip("'\""))
    if match is None or int(match["number"]) not in DESCRIPTIONS or (match["left"] and match["right"]):
        return None
    suffix = match["suffix"]
    side = (match["left"] or match["right"]).upper()
    if suffix in ("_r", "_R"):
        found: tuple[str, Kind] | None = ("", "intensity") if suffix == "_r" else ("_R", "label")
    else:
        found = _SUFFIX.get(suffix.lower())
    if found is None:
        return None
    side_suffix, kind = found
    if side and side_suffix:
        return None
    return Column(au=f"AU{int(match['number'])}{f'_{side}' if side else side_suffix}", kind=kind)


def looks_like_au(header: str) -> bool:
    """Whether a CSV header looks like an AU to a person, as "gt_AU12", "AU6_A", "Action Unit 4" or just "12"."""
    text = header.strip()
    return bool(_LOOKS.search(text)) or (text.isascii() and text.isdigit() and int(text) in DESCRIPTIONS)


def check_aus(names: Iterable[str], *, key: str) -> tuple[str, ...]:
    """Validate a list of AU names (`AU12`, or one side of the face: `AU12_L`) and keep its order.

    Raises:
        ConfigError: unknown name, duplicate, or empty list.
    """
    aus = (names,) if isinstance(names, str) else tuple(names)
    if not aus:
        raise ConfigError(f"{key}: expected at least one AU, got an empty list; for example {key}=[AU6,AU12]")
    known = [f"AU{number}" for number in DESCRIPTIONS]
    for au in aus:
        match = _NAME.fullmatch(au) if isinstance(au, str) else None
        if match is None or int(match[1]) not in DESCRIPTIONS:
            raise ConfigError(f"{key}: expected FACS names like AU12 or AU12_L, got {au!r}; {suggest(str(au), known)}")
    if repeated := sorted({au for au in aus if aus.count(au) > 1}):
        raise ConfigError(f"{key}: expected every AU once, got {', '.join(repeated)} twice; remove one")
    return aus


def side_of(au: str) -> str:
    """Return 'L', 'R', or '' for an AU without a side."""
    return au[-1] if au.endswith(("_L", "_R")) else ""


def joined(au: str) -> str:
    """Name the AU without its side."""
    return au[:-2] if side_of(au) else au


def mirrored(au: str) -> str:
    """Name the AU as seen in a mirror: sides swap."""
    return f"{joined(au)}_{'R' if side_of(au) == 'L' else 'L'}" if side_of(au) else au


def flip_order(aus: Sequence[str]) -> list[int]:
    """Index of the AU that each column shows after a horizontal flip of the image.

    Raises:
        ConfigError: one side of an AU is listed without the other.
    """
    for au in aus:
        if mirrored(au) not in aus:
            raise ConfigError(
                f"aus.names: expected both sides of {joined(au)}, got only {au}; a horizontal flip turns one into "
                f"the other: add {mirrored(au)} or set flip=0"
            )
    return [aus.index(mirrored(au)) for au in aus]


def description(au: str) -> str:
    """FACS name of an AU, with its side."""
    side = {"": "", "L": ", left", "R": ", right"}[side_of(au)]
    return DESCRIPTIONS[int(joined(au)[2:])] + side


def sort_key(au: str) -> tuple[int, str]:
    """Sort AUs by number, then left before right."""
    return int(joined(au)[2:]), side_of(au)
