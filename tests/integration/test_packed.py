"""Packed sets replace folders: training, tests and data checks give the same numbers."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest

from faceflow.images import read_content
from faceflow.models.checkpoint import load_network
from tests.helpers.features import give_features, random_vectors
from tests.helpers.markers import MARKERS, face_at, moving_faces, write_photo, write_video
from tests.integration.command import SMALL, Faces, Outcome, evaluate, make_faces, run, train

HIDDEN = ("method=fixmatch", "loader.mu=1", "split.labeled=0.5")
FEATURES = ("model=features", "model.backbone=null", "model.hidden=8", "model.components=6")


@dataclasses.dataclass(frozen=True)
class Both:
    """One data set as a folder and packed."""

    faces: Faces
    pack: Path

    @property
    def packed(self) -> tuple[str, ...]:
        return ("data=csv", f"data.labels={self.pack}")

    @property
    def folder(self) -> tuple[str, ...]:
        return ("data=csv", f"data.labels={self.faces.csv}")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    """Faces with features, listed in a table with one duplicate line and one line with a different spelling."""
    root = tmp_path_factory.mktemp("packed")
    faces = make_faces(root / "faces")
    (faces.folder / "images").rename(faces.folder / "crops")
    table = faces.read()
    give_features(
        faces.folder, [faces.folder / "crops" / name for name in table["filename"]], random_vectors(len(table))
    )
    table.loc[len(table)] = table.loc[0]
    table.loc[3, "filename"] = "./" + table.loc[3, "filename"]
    faces.write(table)
    outcome = run("pack", root / "out", f"labels={faces.csv}", f"output={root / 'pack'}", "shard_mb=0.01")
    assert outcome.code == 0, outcome.stderr
    assert len(list((root / "pack").glob("shard_*.arrow"))) > 2
    return Both(faces, root / "pack")


def results(outcome: Outcome) -> str:
    """Metrics, losses and output of a run, without times and its own paths."""
    table = outcome.table("metrics.csv")
    kept = [name for name in table.columns if not name.startswith("speed")]
    content = {
        "metrics": outcome.metrics(),
        "losses": table[kept].to_dict(),
        "printed": outcome.stdout.split("Done")[0],
    }
    text = json.dumps(content, sort_keys=True, indent=1).replace(str(outcome.folder), "RUN")
    return re.sub(r'"(seconds|started|images_per_second)": [^,]+,', "", text)


@pytest.mark.parametrize(
    "settings",
    [
        (),
        pytest.param(FEATURES, marks=pytest.mark.slow),
        pytest.param(("loader.workers=2",), marks=pytest.mark.slow),
        pytest.param(("loader.cache=ram", "trainer.max_epochs=2", "loader.workers=1"), marks=pytest.mark.slow),
        pytest.param(("loader.cache=disk", "trainer.max_epochs=2"), marks=pytest.mark.slow),
        pytest.param(HIDDEN, marks=pytest.mark.slow),
    ],
    ids=["workers=0", "features", "workers=2", "cache=ram", "cache=disk", "fixmatch"],
)
def test_a_run_ends_with_the_same_numbers(settings: tuple[str, ...], both: Both, tmp_path: Path) -> None:
    folder, packed = (
        train(tmp_path / name, *data, *settings) for name, data in (("folder", both.folder), ("packed", both.packed))
    )
    assert results(packed) == results(folder)
    measured = [load_network(each.checkpoint(), key="")[1].crop_statistics for each in (folder, packed)]
    assert measured[0] is not None
    assert measured[1] == measured[0]


@pytest.mark.slow
def test_a_table_of_its_own_labels_packed_pictures(both: Both, tmp_path: Path) -> None:
    table = both.faces.write(both.faces.read(), "other.csv")
    report = ("report_only=true", *SMALL, "data=csv", f"data.labels={table}")
    folder, packed = (
        run("train", tmp_path / name, *report, f"data.images={images}")
        for name, images in (("folder", both.faces.folder / "crops"), ("packed", both.pack))
    )
    assert packed.code == 0, packed.stderr
    assert packed.stdout == folder.stdout


@pytest.mark.slow
def test_a_run_is_tested_and_exported_from_either(both: Both, tmp_path: Path) -> None:
    trained = train(tmp_path / "run", *both.packed, *FEATURES)
    folder, packed = (
        evaluate(trained, tmp_path / name, *data, "bootstrap.resamples=10").metrics()["test"]
        for name, data in (("folder", both.folder), ("packed", both.packed))
    )
    assert packed == folder
    model = tmp_path / "model.onnx"
    exported = run("export", tmp_path / "export", f"checkpoint={trained.checkpoint()}", f"output={model}")
    assert exported.code == 0, exported.stderr
    tables = []
    for name, source in (("folder", both.faces.folder / "crops"), ("packed", both.pack)):
        table = tmp_path / f"{name}.csv"
        done = run("infer", tmp_path / name, f"onnx={model}", f"source={source}", "crops=true", f"output={table}")
        assert done.code == 0, done.stderr
        root = both.pack / "pack.json" if name == "packed" else source
        tables.append(table.read_text("utf-8").replace(f"{root}/", ""))
    assert sorted(tables[1].splitlines()) == sorted(tables[0].splitlines())


@pytest.mark.parametrize(
    "labels", ["labels.csv", *(pytest.param(name, marks=pytest.mark.slow) for name in ("pack.json", ""))]
)
def test_configs_of_data_sets_find_the_packed_ones(labels: str, both: Both, tmp_path: Path) -> None:
    report = ("report_only=true", *SMALL)
    folder = run("train", tmp_path / "folder", *report, *both.folder)
    packed = (f"data.labels={both.pack / labels}", f"data.images={both.pack / 'crops'}")
    named = run("train", tmp_path / "packed", *report, "data=csv", *packed)
    assert named.code == 0, named.stderr
    assert named.stdout == folder.stdout


@pytest.mark.slow
def test_unlabelled_pictures_are_taken_from_a_packed_folder(both: Both, tmp_path: Path) -> None:
    pack = tmp_path / "web"
    assert run("pack", tmp_path / "out", f"images={both.faces.folder / 'crops'}", f"output={pack}").code == 0
    settings = ("report_only=true", *SMALL, *both.folder, "method=fixmatch", "data.unlabeled.own.exclude=[s1/*]")
    folder, packed = (
        run("train", tmp_path / name, *settings, f"unlabeled={path}")
        for name, path in (("folder", both.faces.folder / "crops"), ("packed", pack))
    )
    assert folder.code == packed.code == 0, packed.stderr
    assert packed.stdout == folder.stdout
    assert "unlabeled" in packed.stdout


def test_faceflow_crop_packs_what_it_cut(tmp_path: Path) -> None:
    write_video(tmp_path / "in/a.avi", moving_faces(5))
    write_photo(tmp_path / "in/b.png", face_at(40, 40))
    crops, pack = tmp_path / "out/crops", tmp_path / "out/pack"
    command = ("crop", tmp_path / "run", f"source={tmp_path}", f"output={tmp_path / 'out'}", *MARKERS, "pack=true")
    outcome = run(*command)
    assert outcome.code == 0, outcome.stderr
    files = sorted(path for path in crops.rglob("*") if path.is_file())
    assert len(files) == 6
    for file in files:
        assert read_content(pack / "pack.json" / file.relative_to(crops)) == file.read_bytes()
    assert (pack / "crops.json").read_bytes() == (tmp_path / "out/crops.json").read_bytes()
    before = {path.name: path.read_bytes() for path in pack.iterdir()}
    again = run(*command)
    assert again.code == 0, again.stderr
    assert {path.name: path.read_bytes() for path in pack.iterdir()} == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (("labels={csv}",), "output: expected a value, got none; add output=... to"),
        (("output={new}",), "labels: expected a table of crops, got none; add labels=FILE, or images=FOLDER for all"),
        (("output={new}", "labels={csv}", "shard_mb=0"), "shard_mb: expected a number of megabytes > 0, got 0"),
        (("output={new}", "labels={csv}", "bad_images=skip"), "bad_images: expected error or keep, got 'skip'"),
        (
            ("output={new}", "labels={csv}", "images={pack}"),
            "images: expected something not yet packed, got the packed set",
        ),
        (("output={new}", "labels={csv}x"), r"labels: expected a CSV file, got '.*x' \(no such file or directory\)"),
        (("output={new}", "labels={csv}", "columns.filename=AU1"), "labels.csv:2: expected an image, got no such file"),
        (("output={new}", "labels={csv}", "columns.filename=x"), "columns.filename: expected a column of .*, got 'x'"),
        (("output={folder}", "labels={csv}"), "output: expected a new or empty folder, got '.*' with files"),
        (("output={csv}", "labels={csv}"), ".*labels.csv: expected a writable folder"),
        (
            ("output={pack}", "images={folder}/crops"),
            "output: expected '.*labels.csv', which '.*pack' was packed from, got '.*'",
        ),
    ],
)
def test_mistakes_in_packing_are_one_line(settings: tuple[str, ...], line: str, both: Both, tmp_path: Path) -> None:
    places = {"csv": both.faces.csv, "new": tmp_path / "new", "pack": both.pack, "folder": both.faces.folder}
    outcome = run("pack", tmp_path / "out", *(setting.format(**places) for setting in settings))
    assert outcome.code == 2
    assert re.search(line, outcome.error)


@pytest.mark.slow
def test_a_damaged_set_is_one_line_of_any_command(both: Both, tmp_path: Path) -> None:
    pack = Path(shutil.copytree(both.pack, tmp_path / "pack"))
    last = sorted(pack.glob("shard_*.arrow"))[-1]
    last.write_bytes(last.read_bytes()[:-1])
    line = rf"{last}: expected a shard of \d+ bytes, as in pack.json, got \d+; copy it again, or pack again"
    for command, settings in (
        ("train", (*SMALL, "data=csv", f"data.labels={pack}")),
        ("train", (*SMALL, *both.folder, "method=fixmatch", f"unlabeled={pack}")),
        ("infer", (f"source={pack}", "crops=true", f"output={tmp_path / 'out.csv'}")),
    ):
        outcome = run(command, tmp_path / "out", *settings)
        assert outcome.code == 2
        assert re.search(line, outcome.error)
