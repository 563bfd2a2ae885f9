"""Do the methods help? Few labels, and new cameras, on the rendered AU benchmark: `python scripts/study.py --help`.

    faceflow-render experiment=benchmark output=benchmark && python scripts/study.py all --data benchmark

`few`    A tenth of the studio subjects is labelled (3 of 30), 12 give unlabelled faces, 3 choose thresholds and the
         checkpoint, 12 test. Another draw of subjects with every seed.
`shift`  Studio and office are labelled; 15 subjects each of webcam, harsh and ir give unlabelled faces (all three
         domains in one pool), the other 15 of each test. Validation subjects come from studio and office alone.

Every method, supervised included, has the same number of labelled images and of updates, and the same number of
candidate settings. The candidate with the best AP on the validation subjects of seed 0 runs with the other seeds;
test subjects are looked at for the chosen candidates only. Runs are kept in --output: started again, the study goes
on where it stopped, inside a run too. It ends with a table of test scores as mean +- standard deviation over the
seeds, and the difference to supervised training, seed by seed.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

SOURCE, TARGETS = ("studio", "office"), ("webcam", "harsh", "ir")
SCORES = ("f1_val", "f1_0.5", "ap", "auroc")
BASELINE = "supervised"
EPOCHS = 5  # at whose ends a run is validated
LABELS = ("occurrence_min=2", "score_max=5")


@dataclass(frozen=True, eq=False)
class Part:
    """One question: how to train on a seed, on what to test, and the candidate settings of every method."""

    name: str
    train: Sequence[str]
    tests: Sequence[str]  # label files; none: the run's own test
    methods: Mapping[str, Sequence[Sequence[str]]]


def parts(options: argparse.Namespace) -> list[Part]:
    """Both questions."""
    work = options.output
    ema, medium = ("average=ema", "average.decay=0.99"), "augment=medium"
    cutoffs = (
        {"coverage": 0.15},
        {"p_cutoff": 0.8, "n_cutoff": 0.98},
        {"coverage": 0.3},
    )
    regularizers = (
        ("method.miro.weight=0.01",),
        ("method.miro.weight=0.1",),
        ("method.miro.weight=0.01", "method.miro.freeze_batch_norm=false"),
    )
    labels = [f"data.images={options.data}", *(f"data.sources.csv.{label}" for label in LABELS)]
    target = [f"unlabeled={work / 'targets_unlabeled.csv'}", f"data.unlabeled.own.images={options.data}"]
    target += [f"data.unlabeled.own.{label}" for label in LABELS]

    def unlabelled(method: str, *sets: str, **settings: float) -> tuple[str, ...]:
        key = method.removesuffix("_miro")
        values = [f"method.{key}.{name}={value}" for name, value in settings.items()]
        views = (medium, "transforms@transforms.weak=medium")  # of labelled faces, and of the teacher
        return (f"method={method}", f"method.{key}.teacher=ema", *ema, *views, *values, *sets)

    few = Part(
        "few",
        [
            "data=csv",
            f"data.labels={work / 'studio.csv'}",
            *labels,
            "split.val=0.1",
            "split.test=0.4",
            "split.labeled=0.2",
        ],
        [],
        {
            BASELINE: [(*ema, medium), (*ema, medium, "optimizer.lr=5e-4"), ema],
            "fixmatch": [unlabelled("fixmatch", **cutoff) for cutoff in cutoffs],
            "defixmatch": [unlabelled("defixmatch", **cutoff) for cutoff in cutoffs],
        },
    )
    shift = Part(
        "shift",
        ["data=csv", f"data.labels={work / 'source.csv'}", *labels, "split.val=0.15", "split.test=0"],
        [f"{domain}_test" for domain in TARGETS],
        {
            BASELINE: [
                (*ema, medium),
                (*ema, "augment=strong"),
                (*ema, medium, "optimizer.lr=5e-4"),
            ],
            "miro": [("method=miro", *ema, medium, *settings) for settings in regularizers],
            "fixmatch": [unlabelled("fixmatch", *target, **cutoff) for cutoff in cutoffs],
            "fixmatch_miro": [
                (*unlabelled("fixmatch_miro", *target, **cutoffs[0]), *settings) for settings in regularizers
            ],
        },
    )
    return [part for part in (few, shift) if options.part in (part.name, "all")]


@dataclass(frozen=True)
class Run:
    """One training: a candidate of a method with a seed."""

    part: Part
    method: str
    candidate: int
    seed: int

    def overrides(self, options: argparse.Namespace) -> list[str]:
        """Settings of its faceflow-train."""
        return [
            *("optimizer.lr=1e-3", "+optimizer.fused=true", "layer_decay=0.9", "monitor=val/ap", "logger=none"),
            *self.part.train,
            *self.part.methods[self.method][self.candidate],
            f"model={options.model}",
            *([f"model.weights={options.weights}"] if options.weights else []),
            f"model.image_size={options.size}",
            *(f"trainer.max_epochs={EPOCHS}", f"loader.steps_per_epoch={-(-options.steps // EPOCHS)}"),
            *("loader.batch_size=16", "loader.mu=2", f"loader.workers={options.workers}"),
            *(f"seed={self.seed}", f"split.seed={self.seed}", f"trainer={options.trainer}"),
            *options.overrides,
        ]

    def folder(self, options: argparse.Namespace) -> Path:
        """Where it is kept; other settings have another folder."""
        settings = hashlib.sha256("\n".join(self.overrides(options)).encode()).hexdigest()[:8]
        return Path(options.output) / self.part.name / f"{self.method}_s{self.seed}_{settings}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing and print the tables."""
    options = _options(argv)
    work = options.output
    _write_label_files(options.data, work)
    with ThreadPoolExecutor(options.jobs) as pool:
        for part in parts(options):
            table = _table(part, options, _study(part, options, pool))
            (work / f"{part.name}.md").write_text(f"{table}\n", encoding="utf-8")
            sys.stdout.write(f"{table}\n\n")
    return 0


def _study(part: Part, options: argparse.Namespace, pool: ThreadPoolExecutor) -> pd.DataFrame:
    """Choose the candidates on the first seed, then train and test them on all."""
    tuned = [Run(part, method, number, 0) for method, found in part.methods.items() for number in range(len(found))]
    scores = dict(zip(tuned, pool.map(lambda run: _train(run, options)["ap"], tuned), strict=True))
    chosen = []
    for method in part.methods:
        best = max((run for run in tuned if run.method == method), key=scores.__getitem__)
        tried = ", ".join(f"{scores[run]:.3f}" for run in tuned if run.method == method)
        _say(f"{part.name} {method}: validation AP of the candidates {tried}; take {best.candidate}")
        chosen += [dataclasses.replace(best, seed=seed) for seed in range(options.seeds)]
    rows = pool.map(lambda run: _rows(run, options), chosen)
    return pd.DataFrame([row for found in rows for row in found])


def _rows(run: Run, options: argparse.Namespace) -> list[dict[str, Any]]:
    trained = _train(run, options)
    about = {"method": run.method, "candidate": run.candidate, "seed": run.seed, "seconds": trained["seconds"]}
    tests = _tests(run, options).items()
    return [about | {"test": name} | {score: test[score] for score in SCORES} for name, test in tests]


def _train(run: Run, options: argparse.Namespace) -> dict[str, Any]:
    folder = run.folder(options)
    done = folder / "done.json"
    if not done.exists():
        last, started = folder / "checkpoints/last.ckpt", time.monotonic()
        resume = [f"resume={last}"] if last.exists() else []
        _command("train", options.jobs, *run.overrides(options), *resume, f"hydra.run.dir={folder}")
        result = {"ap": pd.read_csv(folder / "metrics.csv")["val/ap"].max(), "seconds": time.monotonic() - started}
        done.write_text(json.dumps(result), encoding="utf-8")
    found: dict[str, Any] = json.loads(done.read_text("utf-8"))
    return found


def _tests(run: Run, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    folder = run.folder(options)
    if not run.part.tests:
        return {"studio": _summary(folder / "metrics.json")}
    for name in run.part.tests:
        if not (folder / name / "metrics.json").exists():
            _command(
                "test",
                options.jobs,
                f"checkpoint={folder / 'checkpoints/best.ckpt'}",
                *("data=csv", f"data.labels={options.output / name}.csv", f"data.images={options.data}"),
                *(f"data.sources.csv.{label}" for label in LABELS),
                *(f"loader.workers={options.workers}", f"hydra.run.dir={folder / name}", "overwrite=true"),
            )
    return {name.removesuffix("_test"): _summary(folder / name / "metrics.json") for name in run.part.tests}


def _summary(path: Path) -> dict[str, float]:
    tested = json.loads(path.read_text("utf-8"))["test"]
    found: dict[str, float] = next(iter(tested.values()))["summary"]
    return found


def _table(part: Part, options: argparse.Namespace, results: pd.DataFrame) -> str:
    """Markdown: a row per method and test set, and their mean; differences are paired by seed."""
    if part.tests:
        mean = results.groupby(["method", "candidate", "seed", "seconds"], as_index=False)[list(SCORES)].mean()
        results = pd.concat([results, mean.assign(test="mean")])
    lines = [
        f"## {part.name}: {options.steps} updates, {options.size} px, {results['seed'].nunique()} seeds",
        "",
        "| method | candidate | test | F1@val | F1@0.5 | AP | AUROC | F1@val - supervised | AP - supervised | s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (method, test), rows in results.groupby(["method", "test"], sort=False):
        rows = rows.set_index("seed")
        base = results[(results["method"] == BASELINE) & (results["test"] == test)].set_index("seed")
        cells = [_spread(rows[score]) for score in SCORES]
        gains = [_spread(rows[score] - base[score], sign="+") for score in ("f1_val", "ap")]
        seconds = f"{rows['seconds'].mean():.0f}"
        lines.append(f"| {method} | {rows['candidate'].iloc[0]} | {test} | {' | '.join([*cells, *gains, seconds])} |")
    return "\n".join(lines)


def _spread(values: pd.Series[float], sign: str = "") -> str:
    return f"{values.mean():{sign}.3f} +- {values.std():.3f}"


def _write_label_files(data: Path, work: Path) -> None:
    """Label files below one images folder: studio, source, and the two halves of the target domains."""
    work.mkdir(parents=True, exist_ok=True)
    frames = {domain: _labels(data, domain) for domain in (*SOURCE, *TARGETS)}
    frames["studio"].to_csv(work / "studio.csv", index=False)
    pd.concat([frames[domain] for domain in SOURCE]).to_csv(work / "source.csv", index=False)
    unlabelled = []
    for domain in TARGETS:
        subjects = sorted(frames[domain]["subject"].unique())
        first = frames[domain]["subject"].isin(subjects[: len(subjects) // 2])
        unlabelled.append(frames[domain][first])
        frames[domain][~first].to_csv(work / f"{domain}_test.csv", index=False)
    pd.concat(unlabelled).to_csv(work / "targets_unlabeled.csv", index=False)


def _labels(data: Path, domain: str) -> pd.DataFrame:
    path = data / "labels.csv"
    frame = pd.read_csv(path) if path.is_file() else pd.DataFrame({"domain": []})
    frame = frame[frame["domain"] == domain]
    if frame.empty:
        sys.exit(
            f"--data: expected the rendered benchmark with domain '{domain}' in its labels.csv, got '{data}'; render "
            "it: faceflow-render experiment=benchmark output=benchmark"
        )
    return frame.assign(filename="crops/" + frame["filename"])


def _command(name: str, jobs: int, *overrides: str) -> None:
    _say(f"faceflow-{name} {' '.join(overrides)}")
    command = [str(Path(sys.executable).with_name(f"faceflow-{name}")), *overrides]
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs))} if jobs > 1 else {}
    finished = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False, env=os.environ | threads
    )
    if finished.returncode:
        _say(finished.stderr[-2000:])
        sys.exit(f"faceflow-{name} ended with code {finished.returncode}; fix it and start the study again")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("few", "shift", "all"))
    parser.add_argument("--data", type=Path, required=True, help="output of faceflow-render experiment=benchmark")
    parser.add_argument("--output", type=Path, default=Path("runs/study"), help="default: %(default)s")
    parser.add_argument("--model", default="tf_efficientnet_lite0", help="default: %(default)s")
    parser.add_argument("--weights", type=Path, help="file of pretrained weights; default: the model hub's")
    parser.add_argument("--size", type=int, default=80, help="pixels that the network sees; default: %(default)s")
    parser.add_argument("--seeds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=400, help="updates of every run; default: %(default)s")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, on a CPU; default: %(default)s")
    parser.add_argument("--workers", type=int, default=1, help="loader processes; default: %(default)s")
    parser.add_argument("--trainer", default="auto", help="of configs/trainer; default: %(default)s")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="further overrides of every faceflow-train")
    options = parser.parse_intermixed_args(argv)
    options.data, options.output = options.data.absolute(), options.output.absolute()
    return options


if __name__ == "__main__":
    sys.exit(main())
