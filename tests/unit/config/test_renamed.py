"""Configs of earlier versions: moved components are found, and old keys name the new ones."""

from __future__ import annotations

import pytest

from faceflow.config.instantiate import instantiate
from faceflow.config.renamed import up_to_date
from faceflow.datasets.disfa import DISFA
from faceflow.errors import ConfigError
from faceflow.faces.mediapipe_detector import MediaPipeLandmarker
from faceflow.synthetic.writing import write_faces

BCE = {"_target_": "faceflow.losses.bce.BCE", "weighting": "none", "max_weight": 2.0}
FIXMATCH = {"_target_": "faceflow.methods.fixmatch.FixMatch", "criterion": BCE}


@pytest.mark.parametrize(
    ("old", "component"),
    [
        ("faceflow.data.synthetic.write_faces", write_faces),
        ("faceflow.preprocess.datasets.disfa.DISFA", DISFA),
        ("faceflow.preprocess.mediapipe_detector.MediaPipeLandmarker", MediaPipeLandmarker),
    ],
)
def test_a_component_that_moved_is_found_where_it_is_now(old: str, component: object) -> None:
    assert instantiate({"_target_": old, "_partial_": True}, key="data").func is component


def test_targets_are_moved_at_any_depth_and_nothing_else_is() -> None:
    old = "faceflow.data.synthetic.write_faces"
    node = {"parts": [{"_target_": old}, old, 3], "name": old, "other": {"_target_": "torch.nn.Linear"}}
    assert up_to_date(node) == {
        "parts": [{"_target_": "faceflow.synthetic.writing.write_faces"}, old, 3],
        "name": old,
        "other": {"_target_": "torch.nn.Linear"},
    }


def test_a_stored_argument_that_is_gone_says_what_to_write() -> None:
    with pytest.raises(ConfigError) as caught:
        instantiate({**FIXMATCH, "cutoff_step": 0.1}, key="method.fixmatch")
    assert str(caught.value) == (
        "method.fixmatch: expected arguments of FixMatch, got 'cutoff_step' of an earlier version; "
        "adaptive cutoffs need no step; leave it out"
    )
