"""Label files of the study, made from the labels of the rendered benchmark; all share one image folder."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from faceflow.errors import DataError
from faceflow.packs.layout import pack_folder
from faceflow.packs.pack import opened
from faceflow.packs.rows import read_rows
from faceflow.report.result_files import write_table

LABELLED, TARGETS = ("studio", "office"), ("webcam", "harsh", "ir")
STUDIO, SOURCES, POOL = "studio.csv", "source.csv", "targets_unlabeled.csv"


def target_file(domain: str) -> str:
    """Label file of the test subjects of a target domain."""
    return f"{domain}_test.csv"


def write_label_files(data: Path, folder: Path) -> None:
    """Write files for the studio, for both labelled domains, for the pool and for the test of each target domain.

    Half of the subjects of each target domain go to the pool, the other half to its test.

    Raises:
        DataError: a domain is missing.
    """
    frames = {domain: _labels(data, domain) for domain in (*LABELLED, *TARGETS)}
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / STUDIO, frames["studio"])
    write_table(folder / SOURCES, pd.concat([frames[domain] for domain in LABELLED]))
    pool = []
    for domain in TARGETS:
        subjects = sorted(frames[domain]["subject"].unique())
        first = frames[domain]["subject"].isin(subjects[: len(subjects) // 2])
        pool.append(frames[domain][first])
        write_table(folder / target_file(domain), frames[domain][~first])
    write_table(folder / POOL, pd.concat(pool))


def _labels(data: Path, domain: str) -> pd.DataFrame:
    path = data / "labels.csv"
    packed = pack_folder(data)
    if packed:
        table = read_rows(opened(str(packed)), key="--data")
        text = "\n".join(
            ",".join(cells) for cells in (table.header, *table.rows)
        )  # no cell of the benchmark has a comma
        frame = pd.read_csv(io.StringIO(text))
    else:
        frame = pd.read_csv(path) if path.is_file() else pd.DataFrame({"domain": []})
    frame = frame[frame["domain"] == domain]
    if frame.empty:
        raise DataError(
            f"--data: expected the rendered benchmark with domain '{domain}' in its labels.csv, got '{data}'; render "
            "it: faceflow-render experiment=benchmark output=benchmark"
        )
    return frame if packed else frame.assign(filename="crops/" + frame["filename"])
