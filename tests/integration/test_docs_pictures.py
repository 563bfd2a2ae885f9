"""The script that makes the pictures of the documentation, with a generated face model."""

from __future__ import annotations

from pathlib import Path

import docs_pictures
import numpy as np
import pytest

from faceflow.images import read_image
from tests.helpers.face_models import write_face_model


@pytest.mark.slow
def test_a_picture_of_an_au_shows_the_face_at_rest_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs_pictures, "IMAGES", tmp_path / "docs/images")
    monkeypatch.setattr(docs_pictures, "AUS", ("AU12", "AU26"))
    docs_pictures.main(["--only", "aus", "--facekit", str(write_face_model(tmp_path / "face.npz"))])
    assert sorted(path.name for path in (tmp_path / "docs/images/aus").iterdir()) == ["AU12.jpg", "AU26.jpg"]
    smile, jaw = (read_image(tmp_path / f"docs/images/aus/{au}.jpg").astype(float) for au in ("AU12", "AU26"))
    side = docs_pictures.AU_SIZE
    assert smile.shape == (side, 2 * side, 3)
    assert np.abs(smile[:, :side] - jaw[:, :side]).mean() < 1  # the same face at rest
    assert np.abs(smile[:, :side] - smile[:, side:]).mean() > 0.1
