"""Testing a network: predict a split once, score it at frozen thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceflow.data.datamodule import evaluation_dataset, make_loader
from faceflow.data.handing import Loader
from faceflow.data.loader_processes import check_shared_memory, explain_loss
from faceflow.data.loading import Loading
from faceflow.data.sampling import EpochSampler
from faceflow.data.sources import FaceTable
from faceflow.data.transforms import Pipeline
from faceflow.errors import LoaderError
from faceflow.evaluation.audit import GroupAudit, audit_test
from faceflow.evaluation.centred import CentredScores, CentredTest, score_centred
from faceflow.evaluation.intervals import Bootstrap, with_intervals
from faceflow.evaluation.predictors import Predictor
from faceflow.evaluation.scoring import SplitScorer
from faceflow.metrics.au_scores import Evaluation, Prediction
from faceflow.metrics.audited import Audit
from faceflow.models.faces import Faces
from faceflow.progress import Bar, progress_bar
from faceflow.report.example_faces import Results
from faceflow.views import EVAL


@dataclass(frozen=True, kw_only=True)
class TestScores:
    """Scores per data set, and the decoded predictions of all rows of the tested tables.

    With `centred` scores and scores of groups (`audit`) if requested.
    """

    __test__ = False  # not a pytest class

    tables: Sequence[FaceTable]
    scorer: SplitScorer
    evaluations: Mapping[str, Evaluation]
    prediction: Prediction
    centred: CentredScores | None = None
    audit: GroupAudit | None = None

    @property
    def pooled(self) -> Evaluation:
        """Scores of all data sets together."""
        return self.evaluations[self.scorer.pooled.name]

    @property
    def results(self) -> Results:
        """All rows together, as pictures show them."""
        truth, prediction = self.scorer.pooled.truth, self.prediction
        return Results(
            aus=truth.aus,
            probability=prediction.probability,
            truth=truth.occurrence,
            observed=truth.observed,
            evaluation=self.pooled,
            intensity=None if prediction.intensity is None else (prediction.intensity, truth.intensity),
            subjects=[str(subject) for table in self.tables for subject in table.subjects],
            files=[str(file) for table in self.tables for file in table.files],
            centred=None if self.centred is None else self.centred.evaluations[self.scorer.pooled.name],
        )


def test_network(
    predictor: Predictor,
    thresholds: Mapping[str, float],
    tables: Sequence[FaceTable],
    *,
    pipeline: Pipeline,
    loading: Loading,
    bootstrap: Bootstrap | None,
    center: CentredTest | None,
    audit: Audit | None = None,  # noqa: PT028
    bar: Bar | None = None,  # noqa: PT028
) -> TestScores:
    """Score a network on tables at thresholds tuned on validation.

    Runs on one device, so that no row is padded or lost. Without `bootstrap` there are no intervals. `center` adds
    centred scores, `audit` those of groups of faces. `bar` counts the faces; without one, a new bar is shown.
    """
    spec = predictor.spec
    dataset = evaluation_dataset(tables, spec.aus, spec.cutpoints, pipeline, spec.inputs)
    sampler = EpochSampler(len(dataset), shuffle=False, seed=0)
    loader = make_loader(
        dataset,
        sampler,
        batch_size=loading.batch_size,
        workers=loading.workers,
        timeout_s=loading.timeout_s,
        drop_last=False,
    )
    check_shared_memory([loader])
    own = progress_bar("Testing", len(dataset), unit="faces") if bar is None else nullcontext(bar)
    with own as counted:
        rows, outputs = predict(predictor, loader, counted)
    scorer = SplitScorer(tables, spec)
    prediction, _ = scorer.merged(scorer.pooled, rows, outputs)
    evaluations = scorer.score(rows, outputs, thresholds)
    if bootstrap is not None:
        evaluations = with_intervals(evaluations, scorer, tables, rows, outputs, bootstrap)
    centred = None
    if center is not None:
        centred = score_centred(center, scorer, tables, rows, outputs, evaluations, bootstrap)
    groups = None if audit is None else audit_test(audit, scorer, tables, rows, outputs, evaluations, bootstrap)
    return TestScores(
        tables=tables,
        scorer=scorer,
        evaluations=evaluations,
        prediction=prediction,
        centred=centred,
        audit=groups,
    )


test_network.__test__ = False  # type: ignore[attr-defined]


def predict(predictor: Predictor, loader: Loader, bar: Bar) -> tuple[NDArray[np.intp], Prediction]:
    """Row numbers (N,) and predictions (N, A) of a loader, counted by a bar.

    Raises:
        LoaderError: a loader process died or gave no batch.
    """
    rows, predictions = [], []
    try:
        for batch in loader:
            rows.append(batch["index"].numpy().copy())  # not shared memory, which would be taken until the end
            predictions.append(predictor(*Faces.of(batch, EVAL)))
            bar.advance(len(batch["index"]))
    except Exception as error:
        if lost := explain_loss(error, loader.num_workers):
            raise LoaderError(lost) from error
        raise
    intensities = [part.intensity for part in predictions if part.intensity is not None]
    return np.concatenate(rows), Prediction(
        probability=np.concatenate([part.probability for part in predictions]),
        intensity=np.concatenate(intensities) if intensities else None,
    )
