"""Compare candidate formats for packed crops: rates, memory, requests to a store; see docs/how_to/packed_crops.md.

    pip install --target formats datasets litdata webdataset
    PYTHONPATH=formats python scripts/packed_formats.py --folder /tmp/formats --pictures 50000

Every candidate writes the same JPEG bytes with the same label columns, then reads them back in a separate process: all
in order, some at random (warm, and after the kernel has dropped them from its cache), and some from a local web server
that counts requests and bytes. The median of three rounds is printed. Every process hashes the bytes that it read, and
all hashes must agree. Rates of data in memory are per second of processor time, so that other load on the machine does
not affect them; the other rates are per second.
"""

from __future__ import annotations

import argparse
import hashlib
import http.server
import importlib.util
import io
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

SHARD = 64 * 2**20
FORMATS = ("folder", "pack", "parquet", "datasets", "litdata", "webdataset")
DRAWS, COLD, REMOTE = 20_000, 2_000, 200
AUS = [f"AU{number}" for number in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)]


def make_crops(folder: Path, count: int) -> None:
    """Write images of 112 px of several subjects, each with different noise, and labels.csv."""
    rng = np.random.default_rng(0)
    bases = [cv2.GaussianBlur(rng.integers(0, 256, (112, 112, 3), np.uint8), (0, 0), 4) for _ in range(64)]
    rows = []
    for number in range(count):
        name = f"s{number // 500:04d}/{number:07d}.jpg"
        path = folder / "crops" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = bases[number % 64] + np.uint8(rng.integers(0, 8))
        cv2.putText(image, str(number), (4, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1)
        path.write_bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
        rows.append([*rng.integers(0, 6, len(AUS)).tolist(), name, f"s{number // 500:04d}"])
    pd.DataFrame(rows, columns=[*AUS, "filename", "subject"]).to_csv(folder / "labels.csv", index=False)


def sample(crops: Path, row: int) -> dict[str, Any]:
    """A row as litdata's processes create it."""
    frame = _frame(str(crops))
    cells = frame.iloc[row].to_dict()
    return {"image": (crops / "crops" / cells["filename"]).read_bytes(), **cells}


_frames: dict[str, pd.DataFrame] = {}


def _frame(folder: str) -> pd.DataFrame:
    if folder not in _frames:
        _frames[folder] = pd.read_csv(Path(folder, "labels.csv"), dtype=str)
    return _frames[folder]


def rows_of(crops: Path) -> Iterator[dict[str, Any]]:
    return (sample(crops, row) for row in range(len(_frame(str(crops)))))


def write(kind: str, crops: Path, place: Path) -> None:
    """Write all rows in a format."""
    if kind == "folder":
        place.symlink_to(crops.resolve())
    elif kind == "pack":
        from faceflow.packing.source import find_rows
        from faceflow.packing.write import write_pack

        rows = find_rows(str(crops / "labels.csv"), str(crops / "crops"), {"filename": "filename"})
        write_pack(rows, place, shard_bytes=SHARD, keep_broken=False)
    elif kind == "parquet":
        import pyarrow as arrow
        import pyarrow.parquet as parquet

        place.mkdir()
        schema = arrow.schema([("image", arrow.binary()), *((name, arrow.string()) for name in _frame(str(crops)))])
        shard, size, batch, writer = 0, 0, [], None
        for row in rows_of(crops):
            writer = writer or parquet.ParquetWriter(place / f"{shard:05d}.parquet", schema, compression="none")
            batch.append(row)
            size += len(row["image"])
            if len(batch) == 100:  # rows of a group, the smallest unit of reading
                writer.write_table(arrow.Table.from_pylist(batch, schema))
                batch = []
                if size >= SHARD:
                    writer.close()
                    shard, size, writer = shard + 1, 0, None
        if writer:
            writer.write_table(arrow.Table.from_pylist(batch, schema))
            writer.close()
    elif kind == "datasets":
        import datasets

        kinds = {"image": datasets.Value("binary")} | {name: datasets.Value("string") for name in _frame(str(crops))}
        made = datasets.Dataset.from_generator(
            rows_of, gen_kwargs={"crops": crops}, features=datasets.Features(kinds), cache_dir=str(place) + "_cache"
        )
        made.save_to_disk(str(place), max_shard_size=SHARD)
    elif kind == "litdata":
        import functools

        import litdata

        count = len(_frame(str(crops)))
        litdata.optimize(
            functools.partial(sample, crops), list(range(count)), str(place), chunk_bytes=SHARD, num_workers=1
        )
    else:
        import webdataset

        place.mkdir()
        with webdataset.ShardWriter(str(place / "%05d.tar"), maxsize=SHARD, verbose=0) as writer:
            for number, row in enumerate(rows_of(crops)):
                image = row.pop("image")
                writer.write({"__key__": f"{number:09d}", "jpg": image, "json": json.dumps(row).encode()})


def reader(kind: str, place: Path) -> tuple[Callable[[int], bytes] | None, Callable[[], Iterator[bytes]]]:
    """A function that reads the image of a row, None if the format has no random access, and one that reads all."""
    if kind in ("folder", "pack"):
        from faceflow.data.packed import table_of
        from faceflow.images import read_content

        root = place / ("crops" if kind == "folder" else "pack.json")
        table = table_of(place / "labels.csv" if kind == "folder" else place, key="labels")
        files = [str(root / name) for name in table.named("filename") or ()]
        return (lambda row: read_content(files[row])), lambda: map(read_content, files)
    if kind == "parquet":
        import pyarrow.parquet as parquet

        shards = [parquet.ParquetFile(path) for path in sorted(place.glob("*.parquet"))]
        groups = [(shard, group) for shard in shards for group in range(shard.num_row_groups)]

        def one(row: int) -> bytes:
            shard, group = groups[row // 100]
            return shard.read_row_group(group, columns=["image"])["image"][row % 100].as_py()

        def every() -> Iterator[bytes]:
            for shard, group in groups:
                yield from shard.read_row_group(group, columns=["image"])["image"].to_pylist()

        return one, every
    if kind == "datasets":
        import datasets

        found = datasets.load_from_disk(str(place)).select_columns(["image"])
        return (lambda row: found[row]["image"]), lambda: (row["image"] for row in found)
    if kind == "litdata":
        import litdata

        stream = litdata.StreamingDataset(str(place), shuffle=False, drop_last=False)
        return (lambda row: stream[row]["image"]), lambda: (row["image"] for row in stream)
    import webdataset

    shards = [str(path) for path in sorted(place.glob("*.tar"))]
    return None, lambda: (row["jpg"] for row in webdataset.WebDataset(shards, shardshuffle=False))


def memory_mb() -> float:
    """Memory of this process without mapped files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def drop(place: Path) -> None:
    """Make the kernel drop the cached pages of all files in a folder."""
    os.sync()  # unwritten pages would stay
    for path in place.resolve().rglob("*"):
        if path.is_file():
            number = os.open(path, os.O_RDONLY)
            os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(number)


def measure(kind: str, place: Path, count: int) -> dict[str, Any]:
    """Rates of one round, in this process."""
    if kind == "pack" or kind == "folder":
        import faceflow.images  # noqa: F401  (FaceFlow imports it anyway)
    began = time.perf_counter()
    one, every = reader(kind, place)
    opened, busy = time.perf_counter(), time.process_time()
    before, seen, digest = memory_mb(), 0, hashlib.sha256()
    highest = before
    for image in every():
        seen += 1
        if seen % 500 == 0:
            digest.update(image)
        if seen % 5000 == 0:
            highest = max(highest, memory_mb())
    swept = time.process_time()
    assert seen == count, (seen, count)
    result: dict[str, Any] = {"open_s": opened - began, "sequential": count / (swept - busy)}
    if one is not None:
        draws = np.random.default_rng(1).integers(0, count, DRAWS).tolist()
        start = time.process_time()
        for row in draws:
            one(row)
        result["random"] = DRAWS / (time.process_time() - start)
        digest.update(b"".join(one(row) for row in draws[:50]))
        highest = max(highest, memory_mb())
        drop(place)
        start = time.perf_counter()
        for row in draws[:COLD]:
            one(row)
        result["cold"] = COLD / (time.perf_counter() - start)
    return result | {"memory_mb": highest - before, "digest": digest.hexdigest() if one else ""}


class Counting(http.server.SimpleHTTPRequestHandler):
    """Serves ranges of files, and counts requests and bytes."""

    requests = sent = 0
    disable_nagle_algorithm = True  # it would delay small responses by 40 ms
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        size = path.stat().st_size if path.is_file() else 0
        asked = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")
        first = int(asked[0]) if asked[0] else size - int(asked[1])
        last = min(int(asked[1]), size - 1) if asked[0] and asked[1] else size - 1
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        with path.open("rb") as file:
            file.seek(first)
            self.wfile.write(file.read(last - first + 1))
        Counting.requests += 1
        Counting.sent += last - first + 1

    def log_message(self, *arguments: object) -> None: ...


def remote(kind: str, place: Path, count: int) -> dict[str, Any]:
    """Read some images at random from a web server, through fsspec."""
    import fsspec

    handler = lambda *arguments: Counting(*arguments, directory=str(place))  # noqa: E731
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    root = f"http://127.0.0.1:{server.server_port}"
    rows = np.random.default_rng(2).integers(0, count, REMOTE).tolist()
    files = fsspec.filesystem("http")
    if kind == "pack":
        manifest = json.loads(files.cat_file(f"{root}/pack.json"))
        from faceflow.packs.layout import name_hash

        index = np.load(io.BytesIO(files.cat_file(f"{root}/index.npy")))
        setup = (Counting.requests, Counting.sent)
        start = time.perf_counter()
        for row in rows:
            place_in = int(np.searchsorted(index[0], name_hash(f"s{row // 500:04d}/{row:07d}.jpg")))
            shard, first, size = index[2:5, place_in].tolist()
            files.cat_file(f"{root}/{manifest['shards'][shard]['name']}", start=first, end=first + size)
    elif kind == "parquet":
        import pyarrow.parquet as parquet

        opened = [files.open(f"{root}/{path.name}", cache_type="none") for path in sorted(place.glob("*.parquet"))]
        shards = [parquet.ParquetFile(file) for file in opened]
        groups = [(shard, group) for shard in shards for group in range(shard.num_row_groups)]
        setup = (Counting.requests, Counting.sent)
        start = time.perf_counter()
        for row in rows:
            shard, group = groups[row // 100]
            shard.read_row_group(group, columns=["image"])["image"][row % 100].as_py()
    else:
        return {}
    seconds = time.perf_counter() - start
    done = {"remote": REMOTE / seconds, "requests": (Counting.requests - setup[0]) / REMOTE}
    return done | {"kb": (Counting.sent - setup[1]) / REMOTE / 1000, "setup_mb": setup[1] / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--formats", nargs="+", default=FORMATS, choices=FORMATS)
    parser.add_argument("--one", choices=FORMATS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    crops = options.folder / "crops"
    if options.one:
        place = options.folder / options.one
        found = measure(options.one, place, options.pictures) | remote(options.one, place, options.pictures)
        print(json.dumps(found))
        return
    if not crops.is_dir():
        make_crops(crops, options.pictures)
    table: dict[str, dict[str, Any]] = {}
    for kind in options.formats:
        needs = {"parquet": "pyarrow", "pack": "pyarrow", "folder": "cv2"}.get(kind, kind)
        if importlib.util.find_spec(needs) is None:
            print(f"{kind}: not installed")
            continue
        place = options.folder / kind
        start = time.perf_counter()
        if not place.exists():
            write(kind, crops, place)
        written = time.perf_counter() - start
        rounds = []
        for _ in range(options.rounds):
            command = [sys.executable, __file__, *sys.argv[1:], "--one", kind]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"{kind}: {done.stderr}")
            rounds.append(json.loads(done.stdout.splitlines()[-1]))
        numbers = {key: statistics.median(each[key] for each in rounds) for key in rounds[0] if key != "digest"}
        size = sum(path.stat().st_size for path in place.resolve().rglob("*") if path.is_file()) / 1e6
        table[kind] = {"write_s": written, "size_mb": size, **numbers, "digest": rounds[0]["digest"]}
        print(kind, json.dumps(table[kind]), flush=True)
    (options.folder / "formats.json").write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
