from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from faceflow.methods.subject_centres import SubjectCentres


def logits(*values: float) -> Tensor:
    return torch.tensor(values).reshape(-1, 1, 1)


def centred(centres: SubjectCentres, rows: Tensor, origin: list[int]) -> list[float]:
    numbers = torch.tensor(origin)
    centres.follow(rows, numbers)
    return centres(rows, numbers).flatten().tolist()


def test_logits_are_relative_to_the_median_of_their_own_subject() -> None:
    centres = SubjectCentres(2, (1, 1))
    assert centred(centres, logits(1, 5, 2, -4), [0, 1, 0, 0]) == [0, 0, 1, -5]
    # of subject 0: -4, 1, 2 and 9, of which the lower middle one is the median
    assert centred(centres, logits(9), [0]) == [8]


def test_the_median_is_that_of_the_latest_32_faces() -> None:
    centres = SubjectCentres(1, (1, 1))
    values = np.random.default_rng(0).normal(size=100).astype(np.float32)
    for start in range(0, 100, 7):
        centred(
            centres, torch.from_numpy(values[start : start + 7]).reshape(-1, 1, 1), [0] * len(values[start : start + 7])
        )
    expected = np.sort(values[-32:])[15]
    assert centres(logits(0), torch.tensor([0])).item() == -expected


def test_of_a_batch_with_more_faces_of_a_subject_the_last_ones_count() -> None:
    values = torch.arange(80.0)
    centres = SubjectCentres(2, (1, 1))
    centres.follow(values.reshape(-1, 1, 1), torch.zeros(80, dtype=torch.int64))
    assert centres(logits(0), torch.tensor([0])).item() == -63  # of 48 to 79
    assert centres.seen.tolist() == [80, 0]


@pytest.mark.parametrize("seed", range(20))
def test_a_constant_on_all_logits_of_a_subject_changes_nothing(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    offset, who = 8 * torch.randn((), generator=generator), seed % 4
    plain, moved = SubjectCentres(4, (2, 3)), SubjectCentres(4, (2, 3))
    for _ in range(6):
        origin = torch.randint(0, 4, (9,), generator=generator)
        rows = torch.randn(9, 2, 3, generator=generator)
        others = rows + offset * (origin == who).reshape(-1, 1, 1)
        plain.follow(rows, origin)
        moved.follow(others, origin)
        torch.testing.assert_close(moved(others, origin), plain(rows, origin), atol=1e-5, rtol=0)


def test_subjects_never_affect_each_other() -> None:
    plain, busy = SubjectCentres(2, (1, 1)), SubjectCentres(2, (1, 1))
    assert centred(plain, logits(3, 4), [0, 0]) == [0, 1]
    busy.follow(logits(100, -100, 7), torch.tensor([1, 1, 1]))
    assert centred(busy, logits(3, 4), [0, 0]) == [0, 1]


def test_the_centres_are_in_the_checkpoint() -> None:
    before, after = SubjectCentres(2, (1, 1)), SubjectCentres(2, (1, 1))
    before.follow(logits(1, 2, 30), torch.tensor([0, 0, 1]))
    after.load_state_dict(before.state_dict())
    assert centred(after, logits(5), [0]) == centred(before, logits(5), [0]) == [3]
