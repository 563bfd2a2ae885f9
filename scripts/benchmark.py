"""Measure the overhead of FaceFlow over bare code that does the same work: `scripts/benchmark.py COMMAND --help`.

Every figure is a ratio ours / reference. Both are measured alternately in this process (reference, ours, reference,
ours, ...), so that anything else that slows the machine down affects both. A table row gives the median and the range
over these rounds. The first round is not counted, because it starts workers and fills caches.
Check the ranges first: if they are wide, or if the load in the caption was not near 0, measure again.

`data`: images/s of the training loader (data set, sampler, collation, worker processes) against one process that
only decodes and augments the same images with the same random draws.
    ratio         per worker: rate / (workers * bare rate); without workers, rate / bare rate. The target is 0.9 or
                  more. More workers than free cores cannot reach it, because the main process needs a core too.
    memory        of the main process and the workers after each epoch, without mapped files (libraries); shared pages
                  count once.
    growth        slope over the epochs; after about 5 epochs it should be near 0, also with persistent workers.

`train`: images/s of `faceflow-train` (its config, loader, Lightning Trainer, logging) against a bare PyTorch loop
with a copy of the same network, optimizer and clipping, on batches that are already in the device's memory.
    ratio         the target is 0.9 or more. It needs enough workers, and cores that the network does not use. On a CPU,
                  workers and network share the cores, so the ratio shows the cost of loading.
    waiting       share of the time between steps: waiting for the loader, copying the batch, callbacks. If the ratio
                  is low and waiting is high, use more workers; if waiting is low, the cost is in our step.
    methods       --methods supervised,fixmatch,miro: the bare loop makes the passes that the method needs
                  (unlabelled rows in the same pass or a separate one, MIRO's oracle). images/s counts labelled images,
                  and notes below the table give the cost of each method relative to supervised training.
    Progress bars are drawn on terminals only. Output of the runs is discarded here, so their cost is not included.

`crop`: frames/s of `faceflow-crop` from a video to crops and rows on disk against the slower of decoding and the face
detector alone, on the same frames.
    ratio         per worker; the target with one worker is 0.85 or more. Each worker needs a core, plus part of another
                  core for decoding.
    start         time of the command for one frame of each video; it is subtracted.
    memory        of the main process while it crops one long video, without mapped files; it keeps one row per frame.

`infer`: frames/s of `faceflow-infer` from a video to rows on disk against its slowest part alone: decoding, the face
detector, or the network in ONNX Runtime. Without --onnx it uses the built-in model (model=fast: the one that reads no
pixels).
    ratio         the target is 0.85 or more, 0.95 with the built-in model. It needs a core for each slow part. The
                  columns decode, detector and network are the rates of each part alone, the detector on one core.
    CPU time      of all threads; other load on the machine hardly changes it. It limits the frames/s that all cores
                  together can reach.
    memory        of the process (with torch, which this script imports) while it reads one long video.

`render`: images/s of `faceflow-render`, from start to images and labels on disk, against its camera and shader alone,
on one static face of the first domain.
    ratio         per worker; the rest of the time goes into the subject's skin, expressions, the sensor and files.
                  The target is 14 images/s per core at 160 px. Each worker needs a core.
    start         time of the command for one image of each domain, including the face model; it is subtracted.
    memory        of a process that renders one subject after another; it should not grow.

`labels`: rows/s of reading and checking a generated label file without opening its images, in a separate process,
against pandas, which parses its cells and checks nothing.
    seconds       the target is 10 or less for 1,000,000 rows.
    peak          by how much the peak memory of the process grew, per row; it should not depend on the number of rows.

`metrics`: frames/s of all occurrence metrics of a test set, generated in memory, against scikit-learn (one AU at a
time) and torchmetrics (all AUs at once). These compute F1 at two thresholds, AP and AUROC, and must give equal values.
    ratio         a note gives the additional time for the intervals over subjects.

`sweep`: jobs/h of small training runs in parallel with launcher=joblib, against one after another; from the start of
the command to the table.
    ratio         1 means no gain; the limit is the number of parallel jobs. Sequential jobs also use all cores, as far
                  as a small network can, and import the libraries once.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import crop, data, infer, labels, metrics, render, sweep, train
from benchmarks.report import show, write

from faceflow.errors import FaceFlowError

COMMANDS = (data, train, crop, infer, render, labels, metrics, sweep)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        options = command.add_command(commands)
        options.add_argument("--json", type=Path, metavar="PATH", help="write every measured round to this file")
        options.set_defaults(measure=command.measure)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        report = arguments.measure(arguments)
        show(report)
        if arguments.json:
            settings = {key: value for key, value in vars(arguments).items() if key not in ("measure", "json")}
            write(report, arguments.json, settings=settings)
    except FaceFlowError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
