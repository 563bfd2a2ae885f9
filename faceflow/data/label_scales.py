"""Units of labels, per AU: 0/1 occurrence, intensities 0-5, or intensities normalised to 0-1."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from faceflow.aus import joined, sort_key
from faceflow.checks import check_number
from faceflow.data.labels import LabelFile
from faceflow.encoding import FACS_MAX, OCCURRENCE_MIN, TOLERANCE, Array, LabelScale
from faceflow.errors import ConfigError, DataError, suggest

log = logging.getLogger(__name__)

Limits = float | Mapping[str, float | None] | None  # of all AUs, or by AU

OTHERS = "others"  # key of all AUs that are not named
_CHANCE = 0.05
_FACS = LabelScale(score_max=FACS_MAX, occurrence_min=OCCURRENCE_MIN)
_BINARY = LabelScale(score_max=1.0, occurrence_min=1.0)


def check_limits(value: object, *, key: str) -> None:
    """Check a `score_max` or `occurrence_min`: a number above 0 or null, for all AUs or by AU.

    Raises:
        ConfigError: anything else.
    """
    by_name = {f"{key}.{au}": one for au, one in value.items()} if isinstance(value, Mapping) else {key: value}
    for name, one in by_name.items():
        if one is not None:
            check_number(one, key=name, expected="a number above 0, or null", valid=lambda x: x > 0)


def find_scales(
    key: str, files: Sequence[LabelFile], score_max: Limits, occurrence_min: Limits
) -> dict[str, LabelScale]:
    """Units of a data set's labels by AU; what the user does not set is inferred from the labels of all its files.

    Only 0 and 1 occur in the whole data set -> occurrence labels; nothing above 1 -> intensities normalised to 0-1;
    otherwise FACS 0-5 with occurrence at intensity 2, the field's convention. True and False are occurrence labels.

    An AU with only 0 and 1 beside graded AUs may have occurrence labels, or may be a rare AU that is never strong. It
    has occurrence labels if a graded AU would look like this with a probability of at most 5 %: assuming that the peak
    of a subject who shows it (without subjects, of an image) is 1 as often as for the graded AU with the weakest peaks.
    A warning says what was decided, unless the user set it. Both sides of an AU have one scale.

    Args:
        key: of the data set in the config.
        files: its label files.
        score_max: highest label.
        occurrence_min: lowest label that counts as occurrence.

    Raises:
        ConfigError: limits for an AU that the data set does not label, or a rule outside the scale.
        DataError: a label above the scale or below zero; names the row.
    """
    columns = {au: _Column(au, names, files) for au, names in _sides(files).items()}
    if score_max is None and any(file.labelled_by() and _graded(file.scores) for file in files):
        score_max = FACS_MAX  # intensities by a model, even of faces that are all at rest
    highest = _by_au(f"{key}.score_max", score_max, columns)
    rules = _by_au(f"{key}.occurrence_min", occurrence_min, columns)
    for au, column in columns.items():
        if column.logical and not column.named_in(score_max):
            highest[au], rules[au] = 1.0, None
        elif highest[au] is None and column.named_in(occurrence_min) and (rules[au] or 0) > 1:
            highest[au] = FACS_MAX
    by_au = _decide(key, columns, highest, rules)
    for au, scale in by_au.items():
        if not 0 < scale.occurrence_min <= scale.score_max:
            raise ConfigError(
                f"{key}.occurrence_min: expected a label in (0, {scale.score_max:g}] for {au}, got "
                f"{scale.occurrence_min:g}; it is the lowest label that counts as occurrence"
            )
    scales = {side: by_au[au] for au, column in columns.items() for side in column.sides}
    _check_range(key, files, scales)
    return scales


def scales_for(aus: Sequence[str], columns: Sequence[str], scales: Sequence[LabelScale]) -> list[LabelScale]:
    """Units of the result of `scores_for` for the columns (C) and AUs (A); FACS for an AU without a column."""
    by_joined = {joined(column): scale for column, scale in zip(columns, scales, strict=True)}
    return [by_joined.get(joined(au), _FACS) for au in aus]


def describe_scales(aus: Sequence[str], scales: Sequence[LabelScale]) -> str:
    """Describe scales as result tables do; AUs whose scale is not the most frequent one are named."""
    groups: dict[LabelScale, list[str]] = {}
    for au, scale in zip(aus, scales, strict=True):
        groups.setdefault(scale, []).append(au)
    if not groups:
        return "none"
    most, *others = sorted(groups, key=lambda scale: -len(groups[scale]))
    named = "; ".join(f"{', '.join(sorted(groups[scale], key=sort_key))}: {scale}" for scale in others)
    return f"{most} ({named})" if named else str(most)


@dataclass(frozen=True)
class _Column:
    """All labels of an AU in a data set, both sides together."""

    au: str
    sides: tuple[str, ...]
    files: Sequence[LabelFile]

    @functools.cached_property
    def values(self) -> Array:
        """Observed labels, (K,)."""
        return np.concatenate([np.empty(0), *(scores[np.isfinite(scores)] for _, scores in self._parts())])

    @functools.cached_property
    def highest(self) -> float:
        return float(self.values.max(initial=0.0))

    @functools.cached_property
    def only_binary(self) -> bool:
        return bool(np.isin(self.values, (0.0, 1.0)).all())

    @property
    def shown(self) -> bool:
        return self.highest > 0

    @property
    def logical(self) -> bool:
        """Written as True and False."""
        return any(side in file.logical for file in self.files for side in self.sides)

    def named_in(self, limits: Limits) -> bool:
        return isinstance(limits, Mapping) and not limits.keys().isdisjoint({self.au, *self.sides})

    @functools.cached_property
    def peaks(self) -> Array:
        """Highest label of every subject who shows the AU; without subjects, of every image."""
        found = []
        for file, scores in self._parts():
            rows, column = np.nonzero(scores > 0)
            texts = file.frame["subject"].to_numpy(np.str_) if "subject" in file.frame.columns else None
            who = rows if texts is None or (texts == "").any() else np.unique(texts, return_inverse=True)[1][rows]
            highest = np.zeros(len(scores))
            np.maximum.at(highest, who, scores[rows, column])
            found.append(highest[highest > 0])
        return np.concatenate([np.empty(0), *found])

    def _parts(self) -> Iterable[tuple[LabelFile, Array]]:
        for file in self.files:
            if positions := [file.aus.index(side) for side in self.sides if side in file.aus]:
                yield file, file.scores[:, positions]


def _graded(scores: Array) -> bool:
    return bool((np.isfinite(scores) & ~np.isin(scores, (0.0, 1.0))).any())


def _sides(files: Sequence[LabelFile]) -> dict[str, tuple[str, ...]]:
    """Columns of all files by AU without side."""
    found: dict[str, dict[str, None]] = {}
    for file in files:
        for au in file.aus:
            found.setdefault(joined(au), {})[au] = None
    return {au: tuple(names) for au, names in found.items()}


def _by_au(key: str, limits: Limits, columns: Mapping[str, _Column]) -> dict[str, float | None]:
    """Limit of every AU without side; a key may name the AU or its sides."""
    if not isinstance(limits, Mapping):
        return dict.fromkeys(columns, limits)
    known = {au: None for column in columns.values() for au in (column.au, *column.sides)} | {OTHERS: None}
    if unknown := [au for au in limits if au not in known]:
        raise ConfigError(
            f"{key}: expected AUs that the data set labels, or {OTHERS}, got '{unknown[0]}'; "
            f"{suggest(str(unknown[0]), known)}"
        )
    values: dict[str, float | None] = {}
    for au, column in columns.items():
        stated = {limits[name] for name in {au, *column.sides} & limits.keys()}
        if len(stated) > 1:
            raise ConfigError(f"{key}: expected one value for both sides of {au}, got {sorted(map(str, stated))}")
        values[au] = stated.pop() if stated else limits.get(OTHERS)
    return values


def _decide(
    key: str, columns: Mapping[str, _Column], highest: Mapping[str, float | None], rules: Mapping[str, float | None]
) -> dict[str, LabelScale]:
    """Scale of every AU, from the user's settings and the labels; warns of a guess that matters."""
    scales: dict[str, LabelScale] = {}
    guessed, unclear = [], []
    for au, column in columns.items():
        top, rule = highest[au], rules[au]
        alike = [
            other for name, other in columns.items() if highest[name] in ((None, FACS_MAX) if top is None else (top,))
        ]
        if top == 1 and rule is not None and rule > 1 and len({*highest.values()}) > 1:
            rule = None  # meant for the graded AUs beside it: for 0/1 labels all rules are the same
        if top is not None and not (top == 1 and rule is None):
            scales[au] = LabelScale(score_max=top, occurrence_min=_rule(top) if rule is None else rule)
            continue
        graded = [other for other in alike if not other.only_binary]
        within_one = top == 1 or (
            all(other.highest <= 1 + TOLERANCE for other in alike) and (rule is None or rule <= 1)
        )
        binary = column.shown and column.only_binary and _beyond_chance(column, graded)
        if binary or (within_one and not graded):
            scales[au] = _BINARY
        else:
            unit = 1.0 if within_one else FACS_MAX
            scales[au] = LabelScale(score_max=unit, occurrence_min=_rule(unit) if rule is None else rule)
        if not within_one and binary:
            guessed.append(au)
        elif not within_one and not binary and graded and 0 < column.highest < scales[au].occurrence_min - TOLERANCE:
            unclear += [au] if column.highest <= 1 + TOLERANCE else []
    _warn(key, guessed, unclear, scales)
    return scales


def _rule(score_max: float) -> float:
    return OCCURRENCE_MIN * score_max / FACS_MAX


def _beyond_chance(column: _Column, graded: Sequence[_Column]) -> bool:
    """Whether a graded AU would be unlikely to show so many peaks of 1 and none above."""
    if not graded:
        return False
    weakest = max((np.isclose(other.peaks, 1).sum() + 1) / (len(other.peaks) + 2) for other in graded)
    return bool(weakest ** len(column.peaks) <= _CHANCE)


def _warn(key: str, guessed: Sequence[str], unclear: Sequence[str], scales: Mapping[str, LabelScale]) -> None:
    def stated(aus: Sequence[str], highest: int) -> str:
        return f"{{{', '.join(f'{au}: {highest}' for au in aus)}}}"

    if guessed:
        log.warning(
            "%s.score_max: read as 0/1 labels although other AUs have intensities: %s; set %s to confirm, or %s if "
            "these are weak intensities",
            *(key, ", ".join(guessed), stated(guessed, 1), stated(guessed, 5)),
        )
    if unclear:
        log.warning(
            "%s.score_max: read as weak intensities, none above 1, so occurrence (intensity >= %g) is never "
            "reached: %s; set %s if these are 0/1 labels, or %s to confirm",
            *(key, scales[unclear[0]].occurrence_min, ", ".join(unclear), stated(unclear, 1), stated(unclear, 5)),
        )


def _check_range(key: str, files: Sequence[LabelFile], scales: Mapping[str, LabelScale]) -> None:
    for file in files:
        limits = np.array([scales[au].score_max for au in file.aus])
        outside = (file.scores > limits + TOLERANCE) | (file.scores < 0)
        if outside.any():
            row, column = map(int, np.argwhere(outside)[0])
            raise DataError(
                f"{file.where(row)}: expected {file.aus[column]} in 0..{limits[column]:g}, "
                f"got {file.scores[row, column]:g}; correct the label, or set {key}.score_max, or "
                f"{key}.missing_values=[{file.scores[row, column]:g}]"
            )
