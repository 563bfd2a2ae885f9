"""Shells, schedulers and thread counts under which a command runs."""
# ruff: noqa: E501 (a row of the table is a line)

from __future__ import annotations

from pathlib import Path

from tests.helpers.markers import MARKERS, face_at, moving_faces, write_photo, write_video
from tests.helpers.odd_inputs.row import INFER, TRAIN, Row, faces, photos
from tests.integration.command import Outcome

INFER_STDOUT = f"faceflow-infer onnx={{folder}}/model.onnx output=- {' '.join(MARKERS)}"
SLURM = {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "train", "SLURM_JOB_ID": "1"} | dict.fromkeys(
    ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID"), "0"
)


def video(folder: Path) -> None:
    photos(folder)
    write_video(folder / "v.avi", moving_faces(2000))


def accent(folder: Path) -> None:
    photos(folder)
    write_photo(folder / "photos/\u00e4.png", face_at(40, 40))
    (folder / "photos/a.png").unlink()


def header_and_silence(outcome: Outcome, folder: Path) -> None:
    assert outcome.stdout.startswith("file,frame,time_s,")
    assert outcome.stdout.count("\n") == 1
    assert [line for line in outcome.stderr.splitlines() if not line.startswith("INFO ")] == []


def row_in_utf8(outcome: Outcome, folder: Path) -> None:
    assert outcome.stdout.splitlines()[1].startswith(f"{folder}/photos/\u00e4.png,1,,0,ok,")


def trained(outcome: Outcome, folder: Path) -> None:
    assert (folder / "run/checkpoints/best.ckpt").is_file()
    assert (folder / "run/metrics.json").is_file()
    assert outcome.stderr == ""


# fmt: off
ROWS = [
    Row(fed="rows piped into `head -1`", thread="python/cpython#90650", command="infer", prepare=video, shell=f"{INFER_STDOUT} source={{folder}}/v.avi | head -1; exit ${{PIPESTATUS[0]}}",
        right="ends without a message, with the exit code of a closed pipe", check=header_and_silence, code=141),
    Row(fed="ASCII output, and a file name with an umlaut", thread="Textualize/rich#212", command="infer", prepare=accent, shell=f"LC_ALL=C PYTHONIOENCODING=ascii {INFER_STDOUT} source={{folder}}/photos",
        right="the row is UTF-8", check=row_in_utf8),
    Row(fed="no standard output, as in a service", thread="joblib/joblib#856", command="train", prepare=faces, shell=f"faceflow-train {' '.join(TRAIN)} hydra.run.dir={{folder}}/run >&-",
        right="trains and writes its files", check=trained),
    Row(fed="working directory that was removed", thread="pypa/pip#4255", command="infer", prepare=lambda folder: (folder / "gone").mkdir(), shell="cd {folder}/gone && rmdir {folder}/gone && faceflow-infer source=a.mp4",
        line="ConfigError: working directory: expected an existing folder, got one that was removed; change to another one with cd"),
    Row(fed="10,000 loader processes", thread="TharinduDR/TransQuest#12", command="train", overrides=(*TRAIN, "loader.workers=10000"), prepare=faces,
        line="ConfigError: loader.workers: expected a whole number from 0 to *, 16 for each core of this machine, got 10000"),
    Row(fed="10,000 network threads", thread="embeddings-benchmark/mteb#1331", command="infer", overrides=(*INFER, "threads=10000"), prepare=photos,
        line="ConfigError: threads: expected a whole number from 0 to *, 16 for each core of this machine, got 10000"),
    Row(fed="Slurm job with `--ntasks=4` instead of `--ntasks-per-node`", thread="Lightning-AI/pytorch-lightning#20391", command="train", overrides=TRAIN, prepare=faces, environment=SLURM,
        line="ConfigError: trainer: You set `--ntasks=4` in your SLURM bash script, but this variable is not supported. HINT: Use `--ntasks-per-node=4` instead."),
]
