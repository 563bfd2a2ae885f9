"""`faceflow.load`: keywords are config keys, and it works beside threads and other Hydra applications."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import faceflow
from faceflow.errors import ConfigError, ExportError
from tests.helpers.exported import intensity_contract, write_model
from tests.helpers.markers import MARKERS, face_at, write_photo

IMAGES = np.full((3, 16, 16, 3), (255, 51, 0), np.uint8)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "it's = [a] model.onnx", intensity_contract())


READ: dict[str, Callable[[Any], object]] = {  # what a predictor was set to, where the field has another name
    "selection": lambda predictor: predictor.selection.policy,
    "hold": lambda predictor: predictor.selection.hold,
    "selection_smooth": lambda predictor: predictor.selection.smooth,
    "every": lambda predictor: predictor.settings.frames.every,
    "start_s": lambda predictor: predictor.settings.frames.start_s,
    "end_s": lambda predictor: predictor.settings.frames.end_s,
    "align": lambda predictor: predictor.recipe.preset,
    "detector": lambda predictor: predictor.settings.detector.name,
    "provider": lambda predictor: predictor.model.provider,
}


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        *(("selection", "all"), ("hold", 1), ("selection_smooth", 3), ("every", 5), ("start_s", 1.5), ("end_s", 2.5)),
        *(("crops", True), ("align", "box"), ("detector", "mediapipe_boxes"), ("neutral_probability", 0.2)),
        *(("smooth", 2), ("alias", "openface"), ("provider", "cpu"), ("detectors", 2), ("batch_size", 3)),
        *(("calibrate", "median"), ("calibrate", "first:2s"), ("columns", ["pose", "aus"])),
    ],
)
def test_a_keyword_sets_its_key(model: Path, keyword: str, value: object) -> None:
    settings: dict[str, Any] = {"same_detector": False, keyword: value}
    with faceflow.load(model, **settings) as predictor:
        read = READ.get(keyword, lambda predictor: getattr(predictor.settings, keyword))
        assert read(predictor) == value


def test_omitted_arguments_have_the_defaults_of_the_command(model: Path) -> None:
    with faceflow.load(model, same_detector=False) as predictor:
        found = [READ[name](predictor) for name in ("selection", "hold", "selection_smooth", "every", "end_s", "align")]
    assert found == ["track", 5, 2, 1, None, "eyes"]  # smoothing and alignment are those of the model's crops


def test_keywords_and_overrides_say_the_same(model: Path) -> None:
    by_keyword = faceflow.load(model, crops=True, alias="pyfeat", smooth=1).predict(IMAGES)
    mixed = faceflow.load(model, "crops=true", alias="pyfeat", smooth=1).predict(IMAGES)
    by_override = faceflow.load(model, "crops=true", "alias=pyfeat", "smooth=1").predict(IMAGES)
    pd.testing.assert_frame_equal(mixed, by_keyword)
    pd.testing.assert_frame_equal(by_override, by_keyword)


def test_a_path_is_a_value_whatever_it_holds(model: Path, tmp_path: Path) -> None:
    neutral = write_photo(tmp_path / "neu'tral, [1].png", IMAGES[0])
    rows = faceflow.load(model, crops=True, calibrate=neutral).predict(IMAGES)
    assert rows["AU01_prob_cal"].notna().all()


def test_unknown_keywords_are_ordinary_type_errors(model: Path) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'selecton'"):
        faceflow.load(model, selecton="all")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("keywords", "line"),
    [
        ({"selection": "al"}, "selection.policy: expected largest, center, track, all, got 'al'"),
        ({"batch_size": 0}, "batch_size: expected a whole number >= 1, got 0"),
        ({"align": "eye"}, "align=eye: expected an option of 'align'; did you mean 'eyes'"),
        ({"crops": "yes"}, "crops: expected true or false, got 'yes'"),
        ({"calibrate": "a\0b"}, "calibrate: expected characters allowed in a file name"),
    ],
)
def test_values_are_checked_as_on_the_command_line(model: Path, keywords: Any, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        faceflow.load(model, **keywords)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_overrides_are_texts_or_lists_of_them(model: Path) -> None:
    given: list[Any] = ["batch_size=3", "smooth=1"]
    for overrides in (given, [given], [["batch_size=3"], ("smooth=1",)]):
        with faceflow.load(model, *overrides, same_detector=False, crops=np.bool_(True)) as predictor:
            assert (predictor.settings.batch_size, predictor.settings.smooth) == (3, 1)
    with pytest.raises(TypeError, match="^overrides: expected a list of strings such as .*, got dict$"):
        faceflow.load(model, {"smooth": 1})  # type: ignore[arg-type]


def test_every_keyword_is_documented_and_none_has_a_default_of_its_own() -> None:
    for function in (faceflow.load, faceflow.train, faceflow.test, faceflow.export, faceflow.crop):
        text = inspect.getdoc(function) or ""
        for name, parameter in inspect.signature(function).parameters.items():
            assert f"\n    {name}: " in text, f"{function.__name__}: {name}"
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                assert parameter.default is None, f"{function.__name__}: {name}"


@pytest.mark.slow
def test_nine_threads_load_and_predict_at_once(model: Path) -> None:
    def load_and_predict(number: int) -> pd.DataFrame:
        with faceflow.load(model, crops=True, smooth=number % 2) as predictor:
            return predictor.predict(IMAGES)

    with ThreadPoolExecutor(9) as pool:
        found = list(pool.map(load_and_predict, range(9)))
    for number, rows in enumerate(found):
        pd.testing.assert_frame_equal(rows, found[number % 2])
    assert "AU01_prob_smooth" in found[1]
    assert "AU01_prob_smooth" not in found[0]


def test_nine_threads_share_one_predictor(model: Path) -> None:
    images = [face_at(30 + 4 * n, 40) for n in range(9)]
    with faceflow.load(model, *MARKERS, detectors=2) as predictor, ThreadPoolExecutor(9) as pool:
        expected = [predictor.predict(image) for image in images]
        for ours, theirs in zip(pool.map(predictor.predict, images), expected, strict=True):
            pd.testing.assert_frame_equal(ours, theirs)


def test_it_works_inside_another_hydra_application(model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("answer: 42\n", "utf-8")
    with initialize_config_dir(str(tmp_path), version_base="1.2"):
        assert len(faceflow.load(model, crops=True).predict(IMAGES)) == 3
        assert OmegaConf.to_container(compose("mine")) == {"answer": 42}


def test_files_that_are_no_model_are_export_errors(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"onnx: expected an ONNX model, got '.*none\.onnx': no such file"):
        faceflow.load(tmp_path / "none.onnx")
