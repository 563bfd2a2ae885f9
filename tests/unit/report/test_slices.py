"""Which combination of a search is marked with a ring, and on which axes."""

from __future__ import annotations

import pandas as pd
import pytest

from faceflow.report.slices import draw_slices

MEANS = pd.DataFrame({"lr": [1e-4, 1e-2, 1e-1], "loss": ["bce", "focal", "dice"], "mean": [0.2, 0.5, 0.4]})


@pytest.mark.parametrize(
    ("lower_is_better", "best"), [(False, ("0.01", "focal", "0.500")), (True, ("0.0001", "bce", "0.200"))]
)
def test_the_ring_marks_the_best_combination_whether_high_or_low_is_good(
    lower_is_better: bool, best: tuple[str, str, str]
) -> None:
    figure = draw_slices(MEANS, keys=["lr", "loss"], metric="m", lower_is_better=lower_is_better, caption="")
    lr, loss = figure.axes
    assert (lr.get_xlabel(), loss.get_xlabel()) == (f"lr\nbest: {best[0]}", f"loss\nbest: {best[1]}")
    assert figure.get_suptitle() == f"m: best {best[2]} (red ring)"
    assert (lr.get_xscale(), loss.get_xscale()) == ("log", "linear")
