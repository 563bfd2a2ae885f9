"""Command lines as users type and paste them, and config files as editors save them."""
# ruff: noqa: E501 (a row of the table is a line)

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.helpers.faces import write_csv_dataset
from tests.helpers.odd_inputs.row import TRAIN, Row, faces
from tests.integration.command import AUS, Outcome

OWN = ("--config-dir", "{folder}/my configs")


def config(name: str, content: bytes) -> Any:
    """Write the user's own config file beside `faces`, which have the domains no and se."""

    def prepare(folder: Path) -> None:
        write_csv_dataset(folder / "faces", aus=AUS, subjects=10, frames=4, domains=("no", "se"))
        (folder / "my configs" / name).parent.mkdir(parents=True)
        (folder / "my configs" / name).write_bytes(content)

    return prepare


def the_rate_is_a_number(outcome: Outcome, folder: Path) -> None:
    stored = yaml.safe_load((outcome.folder / "config.yaml").read_text("utf-8"))
    assert stored["optimizer"]["lr"] == 1 / 1000


def one_step_with_all_faces(outcome: Outcome, folder: Path) -> None:
    assert outcome.table("metrics.csv")["step"].tolist() == [1]


DOMAINS = b"defaults: [csv, _self_]\nsources: {csv: {domains: [no, se]}}\n"
OPTIMIZER = b"_target_: torch.optim.AdamW\n_partial_: true\nlr: 1e-3\nweight_decay: 0.05\n"
# fmt: off
ROWS = [
    Row(fed="`--batch_size 8`, as for argparse", thread="NUS-HPC-AI-Lab/Neural-Network-Diffusion#6", command="train", overrides=("--batch_size", "8"),
        line="ConfigError: '--batch_size': expected key=value, got an option that faceflow-train does not have; write batch_size=8, or see faceflow-train --help"),
    Row(fed="spaces around `=`", thread="ArgoHA/D-FINE-seg#17", command="train", overrides=("loader.batch_size", "=", "8"),
        line="ConfigError: 'loader.batch_size': expected key=value, got no '='; write it as one word, key=value"),
    Row(fed="en dash from a web page in place of `-m`", thread="hjkgrp/molSimplify#516", command="train", overrides=("\u2013m", "seed=1,2"),
        line="ConfigError: '\u2013m': expected -, got the dash of a text processor (\u2013); type it as '-m' or '--m'"),
    Row(fed="curly quotes around a value", thread="RhetTbull/osxphotos#1437", command="train", overrides=("aus.names=\u201c[AU1,AU6]\u201d",),
        line="ConfigError: 'aus.names=\u201c[AU1,AU6]\u201d': expected ' or \" as quotes, got \u201c and \u201d; type them again"),
    Row(fed="config file indented with a tab", thread="home-assistant/core#49250", command="train", overrides=(*OWN, "aus=mine", *TRAIN), prepare=config("aus/mine.yaml", b"names:\n\t- AU1\n"),
        line="ConfigError: {folder}/my configs/aus/mine.yaml:2: expected spaces as indentation, got a tab; indent with spaces"),
    Row(fed="`lr: 1e-3` in a config file, which PyYAML reads as text", thread="rbgirshick/yacs#46", command="train", overrides=(*TRAIN, *OWN, "optimizer=mine"), prepare=config("optimizer/mine.yaml", OPTIMIZER),
        right="trains with a learning rate of 0.001", check=the_rate_is_a_number),
    Row(fed="domain `no` (Norway) in a config file, which YAML reads as false", thread="huggingface/huggingface_hub#797", command="train", overrides=(*TRAIN[:-3], "data=mine", *TRAIN[-2:], *OWN), prepare=config("data/mine.yaml", DOMAINS),
        line="ConfigError: data.sources.csv.domains: expected a list of names, or null for all, got [False, 'se']; put names that are numbers, or yes, no, on, off, into quotes: ['1','no']"),
    Row(fed="batch size larger than the training set", thread="dreamquark-ai/tabnet#537", command="train", overrides=(*TRAIN, "loader.batch_size=1000"), prepare=faces,
        right="one step per epoch, with all faces", check=one_step_with_all_faces),
]
