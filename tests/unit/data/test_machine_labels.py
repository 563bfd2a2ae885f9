"""Labels made by a model are read like others, and every protocol states this."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from faceflow.data.assembly import MACHINE_TEST, describe_protocol
from faceflow.encoding import LabelScale
from tests.helpers.faces import read_tables_of, smooth_image, write_image


def table_of(tmp_path: Path, intensities: list[list[float | None]]) -> Path:
    rng = np.random.default_rng(0)
    rows = []
    for number, values in enumerate(intensities):
        write_image(tmp_path / f"{number}.png", smooth_image(rng, 16))
        named = dict(zip(("AU1", "AU12"), values, strict=True))
        rows.append({**named, "filename": f"{number}.png", "subject": f"s{number}", "labelled_by": "fast 12ab"})
    pd.DataFrame(rows).to_csv(tmp_path / "weak.csv", index=False)
    return tmp_path / "weak.csv"


def test_every_protocol_says_that_a_model_made_the_labels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (table,) = read_tables_of("mine", labels=table_of(tmp_path, [[0.5, None], [3.25, 1.0]]))
    assert np.isnan(table.scores[0, 1])
    assert table.labelled_by == ("fast 12ab",)
    assert table.notes == ("labels by a model: fast 12ab",)
    trained = describe_protocol({"train": [table], "test": []}, rule="by subject")
    assert trained["labels by a model"] == "train labels of mine by fast 12ab"
    assert MACHINE_TEST not in trained.values()
    assert caplog.messages == []
    tested = describe_protocol({"train": [], "test": [table]}, rule="by subject")
    assert tested["caution: machine labels"] == MACHINE_TEST
    assert caplog.messages == [f"test: {MACHINE_TEST}"]


def test_intensities_of_faces_that_are_all_at_rest_stay_intensities(tmp_path: Path) -> None:
    (table,) = read_tables_of("mine", labels=table_of(tmp_path, [[0.5, 0.25], [0.75, 0.0]]))
    assert set(table.scales) == {LabelScale(score_max=5.0, occurrence_min=2.0)}
