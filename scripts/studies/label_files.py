"""Label files of the study, made of the labels of the rendered benchmark; all below one images folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from faceflow.errors import DataError
from faceflow.report.result_files import write_table

LABELLED, TARGETS = ("studio", "office"), ("webcam", "harsh", "ir")
STUDIO, SOURCES, POOL = "studio.csv", "source.csv", "targets_unlabeled.csv"


def target_file(domain: str) -> str:
    """File of the subjects of a target domain that are tested."""
    return f"{domain}_test.csv"


def write_label_files(data: Path, folder: Path) -> None:
    """Write the studio, both labelled domains, and of each target domain one half to the pool, the other to a test.

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
    frame = pd.read_csv(path) if path.is_file() else pd.DataFrame({"domain": []})
    frame = frame[frame["domain"] == domain]
    if frame.empty:
        raise DataError(
            f"--data: expected the rendered benchmark with domain '{domain}' in its labels.csv, got '{data}'; render "
            "it: faceflow-render experiment=benchmark output=benchmark"
        )
    return frame.assign(filename="crops/" + frame["filename"])
