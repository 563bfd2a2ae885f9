"""Check that the wheel installs and runs with each extra in a fresh virtual environment outside the checkout.

`python scripts/release_checks/installs.py WHEEL [--pythons python3.11 ...] [--extras base ...] [--versions tested ...]`

--versions  tested: those in constraints.txt. newest: whatever pip selects. lowest: the lowest version that the wheel
            allows for each of its own requirements.

The extras are those of the wheel, plus `base` for none. Trackers and sweeps are installed together with training.
Two environments are built in parallel and removed afterwards; the largest takes about 6 GB in TMPDIR.
"""

from __future__ import annotations

import argparse
import email
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
DETECTOR = Path(os.environ.get("FACEFLOW_MODELS", CHECKOUT.parent / "shared" / "models")) / "face_landmarker.task"
STORED = CHECKOUT / "tests" / "data" / "v0_1_0"
BASE = "base"
LEFT_OUT = ("dev",)  # for the checkout
VERSIONS = ("tested", "newest", "lowest")
NEEDS_TRAINING = ("tracking", "sweep")
TRAIN = (
    *("faceflow-train", "data.prepare.subjects=6", "data.prepare.frames=8", "data.prepare.size=64", "debug=fast"),
    *("model.backbone=test_resnet", "model.pretrained=false", "model.image_size=32", "loader.batch_size=8"),
    *("trainer=cpu", "trainer.enable_progress_bar=false", "split.val=0.3", "split.test=0.2"),
)
INFER = ("faceflow-infer", f"onnx={STORED / 'model.onnx'}", "source=face.avi", "crops=true", "overwrite=true")
Command = tuple[str, ...]


def commands(extra: str) -> Iterator[Command]:
    """The first commands that a user of an extra runs."""
    yield ("python", str(CHECKOUT / "scripts" / "synthetic_video.py"), "face.avi")
    yield (*INFER, "output=face.csv", "render=face.mp4", "plot=timeline.html")
    if extra in ("train", "export", "all"):
        yield (*TRAIN, "logger=tensorboard", "hydra.run.dir=trained")
        yield ("faceflow-test", "checkpoint=trained/checkpoints/best.ckpt", "accelerator=cpu", "hydra.run.dir=tested")
    if extra == "explain":
        yield (*TRAIN, "logger=none", "hydra.run.dir=trained")
        yield (
            *("faceflow-test", "checkpoint=trained/checkpoints/best.ckpt", "accelerator=cpu", "saliency=1"),
            "hydra.run.dir=looked",
        )
    if extra in ("export", "all"):
        yield ("faceflow-export", "checkpoint=trained/checkpoints/best.ckpt", "output=model.onnx")
        yield ("faceflow-infer", "onnx=model.onnx", "source=face.avi", "crops=true", "output=own.csv")
    if extra in ("tracking", "all"):
        yield (*TRAIN, "logger=[wandb,mlflow]", "paths.runs=tracked", "hydra.run.dir=tracked/run")
    if extra in ("sweep", "all"):
        yield (*TRAIN, "-m", "launcher=joblib", "seed=0,1", "logger=none", "hydra.sweep.dir=joblib")
        yield (*TRAIN, "sweep=search", "optimizer.lr=interval(0.0001,0.01)", "hydra.sweeper.n_trials=2", "logger=none")
    if extra in ("crop", "all"):
        if DETECTOR.is_file():
            detector = f"detector.model={DETECTOR}"
            yield ("faceflow-crop", "source=face.avi", "output=crops", detector)
            yield ("faceflow-infer", "source=face.avi", "output=built_in.csv", detector)
        else:
            yield ("python", "-c", "import mediapipe.tasks.python.vision")


def main() -> None:
    """Install and run every combination; the last line counts the failed ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--pythons", nargs="+", default=["python3.11", "python3.12", "python3.13"], metavar="PYTHON")
    parser.add_argument("--extras", nargs="+", metavar="EXTRA", help="default: base and all extras of the wheel")
    parser.add_argument("--versions", nargs="+", choices=VERSIONS, default=["tested"])
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="parallel environments (default: 2)")
    options = parser.parse_args()
    metadata = read_metadata(options.wheel)
    known = [BASE, *(extra for extra in metadata.get_all("Provides-Extra", ()) if extra not in LEFT_OUT)]

    def report(choice: tuple[str, str, str]) -> bool:
        started = time.monotonic()
        fault = check(options.wheel.resolve(), metadata, *choice)
        line = " | ".join((*choice, "failed" if fault else "ok", f"{time.monotonic() - started:.0f} s"))
        print(f"{line}\n{fault}".strip(), flush=True)
        return not fault

    with ThreadPoolExecutor(options.jobs) as pool:
        ended_well = list(
            pool.map(report, itertools.product(options.pythons, options.versions, options.extras or known))
        )
    print(f"{ended_well.count(False)} of {len(ended_well)} failed")
    sys.exit(0 if all(ended_well) else 1)


def check(wheel: Path, metadata: Message, python: str, versions: str, extra: str) -> str:
    """Install an extra into a separate environment and use it.

    Returns:
        The failed command with the end of its output; empty if all succeeded.
    """
    extras = {extra, *(("train",) if extra in NEEDS_TRAINING else ())} - {BASE}
    with tempfile.TemporaryDirectory(prefix="faceflow-") as folder:
        work = Path(folder)
        binaries = work / "venv" / "bin"
        what = f"{wheel}[{','.join(sorted(extras))}]" if extras else str(wheel)
        pins = constraints(metadata, versions, extras, work / "constraints.txt")
        steps: list[Command] = [
            (python, "-m", "venv", str(work / "venv")),
            ("pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", what, *pins),
            ("pip", "check"),
            ("python", "-c", f"import faceflow; assert faceflow.__file__.startswith({str(work)!r}), faceflow.__file__"),
            *commands(extra),
        ]
        outside = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
        settings = outside | {"OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"}
        for step in steps:
            program = shutil.which(step[0], path=str(binaries)) or step[0]
            done = subprocess.run([program, *step[1:]], cwd=work, env=settings, capture_output=True, text=True)
            if done.returncode:
                return f"$ {' '.join(step)}\n{done.stdout[-2000:]}{done.stderr[-1000:]}"
    return ""


def constraints(metadata: Message, versions: str, extras: set[str], file: Path) -> Sequence[str]:
    """Arguments for pip that choose the versions."""
    if versions == "newest":
        return ()
    if versions == "lowest":
        file.write_text("".join(f"{line}\n" for line in lowest(metadata, extras)))
        return ("--constraint", str(file))
    return ("--constraint", str(CHECKOUT / "constraints.txt"))


def lowest(metadata: Message, extras: set[str]) -> list[str]:
    """`name==version` with the lower bound of every requirement of the base install and of the extras."""
    bounds: dict[str, str] = {}
    for requirement in metadata.get_all("Requires-Dist", ()):
        what, _, marker = requirement.partition(";")
        name = re.split(r"[^\w.-]", what)[0]
        extra = re.search(r"extra == '(\w+)'", marker)
        bound = re.search(r"[>=]=([\w.]+)", what)
        if bound and (extra is None or extra[1] in extras):
            bounds[name] = max(
                bounds.get(name, "0"), bound[1], key=lambda version: [int(n) for n in version.split(".")]
            )
    return [f"{name}=={version}" for name, version in bounds.items()]


def read_metadata(wheel: Path) -> Message:
    """Metadata of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_string(archive.read(name).decode())


if __name__ == "__main__":
    main()
