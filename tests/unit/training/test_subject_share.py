from __future__ import annotations

import pytest
import torch

from faceflow.models.network import NetworkOutput
from faceflow.training.subject_share import SubjectShares


def output(*logits: float) -> NetworkOutput:
    """Of one AU with two levels, of which the second one is occurrence."""
    return NetworkOutput(torch.tensor([[[9.0, logit]] for logit in logits]))


def subjects(*numbers: int) -> dict[str, torch.Tensor]:
    return {"subject": torch.tensor(numbers)}


def test_shares_are_those_of_a_whole_epoch_and_start_afresh() -> None:
    shares = SubjectShares(subjects=3, aus=1, level=1)
    shares.update({"labeled": output(0.0, 4.0)}, {"labeled": subjects(0, 2)})
    shares.update({"labeled": output(2.0, 6.0)}, {"labeled": subjects(0, 2)})
    assert shares.compute() == {"subject_share": pytest.approx(0.8)}
    assert shares.compute() == {}


def test_what_a_teacher_says_of_unlabelled_faces_has_its_own_and_unknown_ones_are_left_out() -> None:
    shares = SubjectShares(subjects=2, aus=1, level=1)
    outputs = {"labeled": output(1.0, 1.0), "teacher:unlabeled/weak": output(0.0, 2.0, 4.0, 6.0, 900.0)}
    shares.update(outputs, {"labeled": subjects(-1, -1), "unlabeled": subjects(0, 0, 1, 1, -1)})
    assert shares.compute() == {"unlabeled_subject_share": pytest.approx(0.8)}
