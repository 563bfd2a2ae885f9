"""Measure how time and memory grow with the number of packed crops: packing, reading, splitting, an epoch, a test.

    python scripts/growth.py --folder /tmp/growth --rows 10000 100000

The crops are generated. Every stage runs in a separate process, whose memory without mapped files is sampled every
second: `memory` is the peak of a stage, `growth` is by how much the peak of its second half exceeds the peak of its
second quarter. docs/reference/growth.md has results up to 10^8 rows.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

AUS = [f"AU{number}" for number in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)]
FRAMES = 250  # per subject
SIZE = 32  # pixels
BATCH = 256
TINY = (
    *("model=default", "model.backbone=test_resnet", "model.pretrained=false", f"model.image_size={SIZE}"),
    *("augment=light", "method=supervised", "average=none", "trainer=cpu", "trainer.max_epochs=1", "split.val=0.05"),
    *("split.test=0.1", f"loader.batch_size={BATCH}", "loader.workers=1", "logger=none", "pictures=false"),
    *("bootstrap.resamples=0", "trainer.enable_progress_bar=false"),
)


def pack(folder: Path, count: int) -> dict[str, Any]:
    """Pack generated crops without writing a file for each."""
    import cv2
    import numpy as np

    from faceflow.images import encode_image, hash_of
    from faceflow.packing.pictures import Picture
    from faceflow.packing.source import Rows
    from faceflow.packing.write import write_pack
    from faceflow.packs.layout import Source
    from faceflow.tables.table import Table

    rng = np.random.default_rng(0)
    shapes = [cv2.GaussianBlur(rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8), (0, 0), 3) for _ in range(256)]
    faces = [encode_image(np.asarray(shape, np.uint8), ".jpg", quality=90) for shape in shapes]
    names = [f"s{row // FRAMES:06d}/{row:08d}.jpg" for row in range(count)]

    def read(files: Sequence[str]) -> Iterator[Picture]:
        for name in files:  # bytes after the end of the JPEG make the crops differ
            image = faces[int(name[-8:-4]) % len(faces)] + name[-12:-4].encode()
            yield Picture(image=image, content=hash_of(io.BytesIO(image)), fault=None)

    cells = rng.integers(0, 6, (count, len(AUS))).astype("U1")
    header = (*AUS, "filename", "subject")
    columns = [*cells.T.tolist(), names, [name[:7] for name in names]]
    table = Table(path=folder, header=header, columns=columns, lines=range(2, count + 2), notes=())
    source = Source(labels="labels.csv", images="crops", sha256="", state="")
    start, busy = time.perf_counter(), time.process_time()
    made = Rows(table=table, files=names, names=names, source=source)
    packed = write_pack(made, folder / "pack", shard_bytes=256 * 2**20, keep_broken=False, read=read)
    size = sum(shard.bytes for shard in packed.manifest.shards)
    found = {"seconds": time.perf_counter() - start, "cpu_s": time.process_time() - busy}
    return found | {"mb": size / 1e6, "shards": len(packed.manifest.shards)}


def read(folder: Path, count: int) -> dict[str, Any]:
    """Read and check the labels and draw a split, as a run does before its first step."""
    from faceflow.config.composition import compose
    from faceflow.config.instantiate import plain_dict
    from faceflow.data.assembly import read_tables
    from faceflow.data.splits import SplitConfig, check_leaks, make_splits

    config = compose("train", ["data=csv", f"data.labels={folder / 'pack'}", f"paths.output={folder}", *TINY])
    start, busy = time.perf_counter(), time.process_time()
    tables = read_tables(plain_dict(config.data)["sources"], levels=1)
    middle, done = time.perf_counter(), time.process_time()
    check_leaks(make_splits(tables, SplitConfig(**plain_dict(config.split))))
    assert sum(map(len, tables)) == count
    split = {"split_s": time.perf_counter() - middle, "split_cpu_s": time.process_time() - done}
    return {"seconds": middle - start, "cpu_s": done - busy} | split


def train(folder: Path, count: int) -> dict[str, Any]:
    """Train for an epoch; the test at the end counts towards the memory but not the seconds."""
    from faceflow.cli.train import main

    sys.argv = [
        "faceflow-train",
        f"hydra.run.dir={folder / 'run'}",
        "data=csv",
        f"data.labels={folder / 'pack'}",
        *TINY,
    ]
    sys.argv += ["overwrite=true"]
    _run(main)
    cost = json.loads((folder / "run/metrics.json").read_text("utf-8"))["training"]
    return {
        "images_per_second": cost["images_per_second"],
        "seconds": cost["updates"] * BATCH / cost["images_per_second"],
    }


def test(folder: Path, count: int) -> dict[str, Any]:
    """Test the network from `train` on a tenth of the subjects."""
    from faceflow.cli.test import main

    where = (f"hydra.run.dir={folder / 'test'}", f"checkpoint={folder / 'run/checkpoints/best.ckpt'}")
    faces = ("data=csv", f"data.labels={folder / 'pack'}")
    sys.argv = [
        "faceflow-test",
        *where,
        *faces,
        "accelerator=cpu",
        "pictures=false",
        "bootstrap.resamples=0",
        "overwrite=true",
    ]
    start = time.perf_counter()
    _run(main)
    return {"seconds": time.perf_counter() - start}


STAGES: dict[str, Callable[[Path, int], dict[str, Any]]] = {"pack": pack, "read": read, "train": train, "test": test}


def _run(command: Callable[[], object]) -> None:
    try:
        command()
    except SystemExit as stop:
        if stop.code:
            raise


def memory_mb(process: int) -> float:
    """Memory of a process and its children without mapped files; shared pages count once."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "status").read_text().partition("PPid:")[2].split()[0])
            if process in (int(folder.name), parent):
                lines = (folder / "smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))
        except (OSError, ValueError, IndexError):
            continue
    return total / 1024


def watched(stage: str, folder: Path, count: int) -> dict[str, Any]:
    """Run a stage in a separate process."""
    command = [sys.executable, __file__, f"--folder={folder}", f"--rows={count}", f"--stage={stage}"]
    log = (folder / f"{stage}.log").open("w")
    start = time.perf_counter()
    series = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process:
        while process.poll() is None:
            series.append(memory_mb(process.pid))
            time.sleep(1)
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
    if process.returncode:
        raise SystemExit(f"{stage} of {count} rows: exit code {process.returncode}, see {log.name}")
    result = json.loads(lines[-1])
    quarter = len(series) // 4
    middle, end = series[quarter : 2 * quarter], series[2 * quarter :]
    growth = max(end, default=0.0) - max(middle, default=0.0)
    whole = {"total_s": time.perf_counter() - start, "memory_mb": max(series, default=0.0), "growth_mb": growth}
    return result | whole | {"series_mb": [round(value, 1) for value in series]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="folder for the packed sets and runs")
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[10_000, 100_000], help="numbers of crops; default: %(default)s"
    )
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES), help="default: all")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="results file; default: growth.json in --folder")
    options = parser.parse_args()
    if options.stage:
        result = STAGES[options.stage](options.folder, options.rows[0])
        result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print("\n" + json.dumps(result))
        return
    results: dict[str, dict[str, Any]] = {}
    print(f"{'rows':>9}  {'stage':6} {'seconds':>9} {'CPU s':>7} {'memory MB':>10} {'growth MB':>10}")
    for count in options.rows:
        folder = options.folder / str(count)
        folder.mkdir(parents=True, exist_ok=True)
        for stage in options.stages:
            found = results.setdefault(str(count), {})[stage] = watched(stage, folder, count)
            seconds = found["seconds"]
            busy = found.get("cpu_s", float("nan"))
            shown = f"{seconds:9.1f} {busy:7.1f} {found['memory_mb']:10.0f} {found['growth_mb']:10.0f}"
            print(f"{count:9}  {stage:6} {shown}", flush=True)
    path = options.json or options.folder / "growth.json"
    path.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
