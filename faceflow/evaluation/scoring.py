"""Scores of the predictions of a whole epoch on every data set of a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from faceflow.aus import joined, side_of
from faceflow.calibration import ProbabilitySettings
from faceflow.centring import Centring, Rest, centred_by_subject, usual_rest
from faceflow.data.assembly import POOLED
from faceflow.data.labels import Truth
from faceflow.data.sources import FaceTable
from faceflow.encoding import Array
from faceflow.errors import ConfigError
from faceflow.metrics.au_scores import (
    Evaluation,
    Prediction,
    decode,
    evaluate,
    merge_sides,
    tuned_thresholds,
)
from faceflow.metrics.occurrence import macro
from faceflow.metrics.subject_share import subject_share
from faceflow.models.network import NetworkSpec

_PLAIN = ProbabilitySettings()


class EpochPredictions(Metric):
    """Collects probabilities (B, A, L) by row number, over steps and processes."""

    full_state_update = False
    index: list[Tensor]
    probability: list[Tensor]

    def __init__(self, *, sync_on_compute: bool = True) -> None:
        super().__init__(sync_on_compute=sync_on_compute)
        self.add_state("index", default=[], dist_reduce_fx="cat")
        self.add_state("probability", default=[], dist_reduce_fx="cat")

    def update(self, index: Tensor, logits: Tensor) -> None:
        """Add a batch: row numbers (B,) and logits (B, A, L)."""
        self.index.append(index.clone())  # not the shared memory of a loader process
        self.probability.append(logits.detach().float().sigmoid())

    def compute(self) -> tuple[NDArray[np.intp], Array]:
        """Predicted rows, each once, and their probabilities: samplers pad epochs by repeating rows.

        Returns arrays, because torchmetrics would squeeze tensors of one element.
        """
        index, probability = (dim_zero_cat(state).cpu().numpy() for state in (self.index, self.probability))
        rows, first = np.unique(index, return_index=True)
        return rows, probability[first].astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class ScoredSet:
    """Rows of one data set, or of all data sets pooled, and the AUs on which they can be scored."""

    name: str
    rows: NDArray[np.intp]
    groups: Mapping[str, Sequence[int]]  # scored AU -> output columns that it joins
    truth: Truth


class SplitScorer:
    """Scores the predictions of a split per data set and, if there are several, pooled.

    A network that distinguishes left and right is scored by side on data sets whose columns label sides, and on joined
    AUs elsewhere. `threshold` applies to all AUs if none is to be tuned; `probabilities` holds the settings of
    `evaluation.calibrated` and `evaluation.unsure`.
    """

    def __init__(
        self,
        tables: Sequence[FaceTable],
        spec: NetworkSpec,
        *,
        threshold: float | None = None,
        probabilities: ProbabilitySettings = _PLAIN,
    ) -> None:
        self.spec, self.probabilities = spec, probabilities
        self.threshold = threshold
        starts = np.cumsum([0, *(len(table) for table in tables)])
        self.total = int(starts[-1])
        self.subjects = _subjects(tables)
        self.known = np.concatenate([np.full(len(table), table.has_subjects) for table in tables])
        self.sets = [
            _scored_set(spec, table.name, [table], np.arange(start, start + len(table)))
            for table, start in zip(tables, starts, strict=False)
        ]
        if len(tables) > 1:
            if any(table.name == POOLED for table in tables):
                raise ConfigError(
                    f"data.sources: expected no data set named '{POOLED}', the name of all together; set name:"
                )
            self.sets.append(_scored_set(spec, POOLED, tables, np.arange(self.total)))
        self.pooled = self.sets[-1]
        self.tuned = [_scored_set(spec, POOLED, tables, np.arange(self.total), unsided=set(map(joined, spec.aus)))]
        if any(map(side_of, spec.aus)):
            self.tuned.append(_scored_set(spec, POOLED, tables, np.arange(self.total), unsided=set()))

    def decode(self, probabilities: Array) -> Prediction:
        """Decode level probabilities (M, A, L) by the levels of the network."""
        return decode(probabilities, self.spec.cutpoints, self.spec.occurrence_min)

    def score(
        self, rows: NDArray[np.intp], prediction: Prediction, thresholds: Mapping[str, float]
    ) -> dict[str, Evaluation]:
        """Evaluate every set at given thresholds.

        Args:
            rows: row numbers that were predicted, (M,).
            prediction: of these rows, (M, A).
            thresholds: scored AU -> threshold.
        """
        return {
            scored.name: evaluate(
                self.merged(scored, rows, prediction)[0],
                aus=tuple(scored.groups),
                occurrence=scored.truth.occurrence,
                intensity=scored.truth.intensity,
                observed=scored.truth.observed & np.isin(scored.rows, rows)[:, None],
                thresholds=np.array([thresholds.get(au, np.nan) for au in scored.groups]),
            )
            for scored in self.sets
        }

    def named(self, split: str, evaluations: Mapping[str, Evaluation]) -> dict[str, float]:
        """Means and the F1 of every AU by their names in logs: "val/f1_val", "val/disfa/f1_val/AU12".

        The data set is between the split and the metric, unless there is only one or all are pooled.
        """
        named: dict[str, float] = {}
        for name, evaluation in evaluations.items():
            prefix = split if name == self.pooled.name else f"{split}/{name}"
            named |= {f"{prefix}/{metric}": value for metric, value in evaluation.summary.items()}
            f1 = zip(evaluation.aus, evaluation.columns["f1_val"], strict=True)
            named |= {f"{prefix}/f1_val/{au}": float(value) for au, value in f1}
        return named

    def subject_share(self, rows: NDArray[np.intp], prediction: Prediction) -> float:
        """Mean over AUs of the subjects' share of the variance of the logits; NaN without two known subjects.

        Args:
            rows: row numbers that were predicted, (M,).
            prediction: of these rows, (M, A).
        """
        known = self.known[rows]
        return macro(subject_share(prediction.probability[known], self.subjects[rows][known]))

    def tune(self, rows: NDArray[np.intp], prediction: Prediction) -> dict[str, float]:
        """Thresholds with the best F1 over all data sets, for joined AUs and, if sides are labelled, for sides."""
        thresholds: dict[str, float] = {}
        for scored in self.tuned:
            if self.threshold is not None:
                thresholds |= dict.fromkeys(scored.groups, self.threshold)
                continue
            merged, seen = self.merged(scored, rows, prediction)
            cuts = tuned_thresholds(merged, scored.truth.occurrence, scored.truth.observed & seen)
            thresholds |= {au: float(cut) for au, cut in zip(scored.groups, cuts, strict=True) if np.isfinite(cut)}
        return thresholds

    def centre(self, rows: NDArray[np.intp], prediction: Prediction, usual: Rest) -> Prediction:
        """Centre the prediction of some rows by their subjects, see `faceflow.centring`."""
        found = centred_by_subject(prediction, self.subjects[rows], usual)
        return Prediction(probability=found.probability, intensity=found.intensity)

    def centring(self, rows: NDArray[np.intp], prediction: Prediction) -> Centring | None:
        """The constants of centred scores, and their thresholds with the best F1.

        None if no subject is known, or if thresholds are not to be tuned.
        """
        usual = usual_rest(prediction, self.subjects[rows])
        if usual is None or self.threshold is not None:
            return None
        logit, intensity = (
            {} if values is None else dict(zip(self.spec.aus, values.tolist(), strict=True)) for values in usual
        )
        thresholds = self.tune(rows, self.centre(rows, prediction, usual))
        return Centring(thresholds=thresholds, logit=logit, intensity=intensity)

    def merged(
        self, scored: ScoredSet, rows: NDArray[np.intp], prediction: Prediction
    ) -> tuple[Prediction, NDArray[np.bool_]]:
        """Prediction for every row of a set on its AUs, and which rows (N, 1) were predicted."""

        def placed(values: Array) -> Array:
            everything = np.zeros((self.total, *values.shape[1:]))
            everything[rows] = values
            return everything[scored.rows]

        intensity, levels = prediction.intensity, prediction.levels
        whole = Prediction(
            probability=placed(prediction.probability),
            intensity=None if intensity is None else placed(intensity),
            levels=None if levels is None else placed(levels),
        )
        return merge_sides(whole, self.spec.aus, scored.groups), np.isin(scored.rows, rows)[:, None]


def _subjects(tables: Sequence[FaceTable]) -> NDArray[np.intp]:
    """Number of the subject of each row, (N,); if a data set names no subjects, each row has its own.

    A subject in two data sets counts as two, so that the scores of one data set do not depend on the others.
    """
    numbers, count = [np.empty(0, np.intp)], 0
    for table in tables:
        own = np.unique(table.subjects, return_inverse=True)[1] if table.has_subjects else np.arange(len(table))
        numbers.append(own + count)
        count += len(table)
    return np.concatenate(numbers)


def _scored_set(
    spec: NetworkSpec,
    name: str,
    tables: Sequence[FaceTable],
    rows: NDArray[np.intp],
    *,
    unsided: set[str] | None = None,
) -> ScoredSet:
    """Labels of tables; `unsided` AUs are joined, by default those that any table labels without sides."""
    if unsided is None:
        unsided = set().union(*(table.unsided(spec.aus) for table in tables))
    groups: dict[str, list[int]] = {}
    for column, au in enumerate(spec.aus):
        scored = joined(au) if joined(au) in unsided else au
        if scored == au or scored not in spec.aus:  # a network that also has the joined AU is scored by that
            groups.setdefault(scored, []).append(column)
    truths = [table.truth(tuple(groups)) for table in tables]
    # A table without sides can say that a side is absent, never that it is present, so sides are not scored on it.
    known = [[joined(au) not in table.unsided(tuple(groups)) for au in groups] for table in tables]
    truth = Truth(
        aus=tuple(groups),
        occurrence=np.concatenate([part.occurrence for part in truths]),
        intensity=np.concatenate([part.intensity for part in truths]),
        observed=np.concatenate([part.observed & mask for part, mask in zip(truths, known, strict=True)]),
    )
    return ScoredSet(name=name, rows=rows, groups=groups, truth=truth)
