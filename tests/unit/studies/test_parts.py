from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import pytest
from studies.label_files import write_label_files
from studies.parts import all_parts, with_methods
from studies.progress import Progress
from studies.runs import Run

from faceflow.config.composition import compose
from faceflow.errors import DataError
from tests.helpers.study import CONDITIONS

PARTS = all_parts(CONDITIONS.images, CONDITIONS.output)
RUNS = [
    Run(part, method, number, 3)
    for part in PARTS
    for method, found in part.methods.items()
    for number in range(len(found))
]


def test_every_method_has_as_many_candidates_none_of_them_twice() -> None:
    for part in PARTS:
        assert {len(found) for found in part.methods.values()} == {3}
    folders = [run.folder(CONDITIONS) for run in RUNS]
    assert len({*folders}) == len(folders)
    assert RUNS[0].folder(CONDITIONS) != RUNS[0].folder(dataclasses.replace(CONDITIONS, steps=500))


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS, ids=str)
def test_settings_of_a_run_are_known_to_faceflow_train(run: Run) -> None:
    config = compose("train", list(run.overrides(CONDITIONS)))
    assert (config.loader.steps_per_epoch, config.trainer.max_epochs) == (81, 5)  # 402 updates, rounded up
    assert (config.seed, config.split.seed) == (3, 3)
    assert config.optimizer.weight_decay == 0.1
    centred = [values.center for values in config.method.values() if "center" in values]
    if run.method in ("supervised", "miro"):
        assert (centred, config.unlabeled) == ([], None)
    else:
        assert centred == [
            "subject" if run.method in ("fixmatch_centred", "defixmatch_centred", "fixmatch_miro") else "none"
        ]
        assert (config.unlabeled is None) == (run.part.name == "few")


def test_a_study_of_some_methods_has_the_baseline_too() -> None:
    assert list(with_methods(PARTS[1], ["fixmatch", "defixmatch"]).methods) == ["supervised", "fixmatch"]


def test_target_subjects_are_in_the_pool_or_tested(tmp_path: Path) -> None:
    domains, rows = ("studio", "office", "webcam", "harsh", "ir"), []
    for number, domain in enumerate(domains):
        rows += [(1, f"{domain}/{who}.jpg", f"S{10 * number + who}", domain) for who in range(4)]
    pd.DataFrame(rows, columns=["AU1", "filename", "subject", "domain"]).to_csv(tmp_path / "labels.csv", index=False)
    write_label_files(tmp_path, tmp_path / "study")
    who = {file.name: pd.read_csv(file)["subject"].tolist() for file in (tmp_path / "study").iterdir()}
    assert who == {
        "studio.csv": ["S0", "S1", "S2", "S3"],
        "source.csv": ["S0", "S1", "S2", "S3", "S10", "S11", "S12", "S13"],
        "targets_unlabeled.csv": ["S20", "S21", "S30", "S31", "S40", "S41"],
        **{f"{domain}_test.csv": [f"S{n}2", f"S{n}3"] for domain, n in (("webcam", 2), ("harsh", 3), ("ir", 4))},
    }
    assert pd.read_csv(tmp_path / "study/ir_test.csv")["filename"][0] == "crops/ir/2.jpg"


def test_other_data_than_the_benchmark_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--data: expected the rendered benchmark with domain 'studio' in"):
        write_label_files(tmp_path, tmp_path / "study")


def test_progress_says_how_many_runs_are_left_and_for_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(total=10, jobs=2)
    progress.finished("kept", None)
    progress.finished("few fixmatch", 100)
    progress.finished("few miro", 140)
    assert capsys.readouterr().err.splitlines() == [
        "few fixmatch: 100 s; 2 of 10 runs done, 8 left, about 7 min",
        "few miro: 140 s; 3 of 10 runs done, 7 left, about 7 min",
    ]
