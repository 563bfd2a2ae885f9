"""What FaceFlow costs over bare code that does the same work: `scripts/benchmark.py COMMAND --help`.

Every figure is a ratio ours / reference. Both are measured in this process, in turn (reference, ours, reference,
ours, ...), and a line of the table gives the median and the range over these rounds, so that whatever else slows
the machine down falls on both. One round more, the first, is not counted: it starts workers and fills caches.
Read the ranges first: where they are wide, or where the load in the caption was not near 0, measure again.

`data`: images/s of the training loader (data set, sampler, collation, worker processes) against one process that
only decodes and augments the same images with the same random draws.
    ratio         per worker: rate / (workers * bare rate). Without workers the same per process. At least 0.9 is the
                  aim; more workers than free cores cannot reach it, as the main process needs one too.
    memory        of the main process and the workers after each epoch, without mapped files (libraries); pages that
                  they share are counted once.
    growth        slope over the epochs; after some 5 epochs it should be near 0, with persistent workers too.

`train`: images/s of `faceflow-train` (its config, loader, Lightning Trainer, logging) against a bare PyTorch loop
with a copy of the same network, optimizer and clipping on batches that already lie in the device's memory.
    ratio         0.9 or more is the aim. It needs enough workers, and cores that the network does not use: on a CPU
                  workers and network share them, so that the ratio says what loading costs there.
    waiting       share of the time between steps: waiting for the loader, copying the batch, callbacks. A low ratio
                  with much waiting asks for workers; one with little waiting is the cost of our step.
    methods       --methods supervised,fixmatch,miro: the bare loop makes the passes that the method asks for
                  (unlabelled rows in the same pass or apart, MIRO's oracle), images/s counts labelled images, and notes
                  below the table give the cost of each method over supervised training.
    A progress bar is drawn on terminals only, and output of the runs is discarded here: its cost is not in.

`crop`: frames/s of `faceflow-crop` from a video to crops and rows on disk against the slower of decoding and the face
detector alone, on the same frames.
    ratio         per worker; 0.85 or more is the aim with one. Each worker needs a core, and decoding part of another.
    start         what the command takes for one frame of each video; it is taken off.
    memory        of the main process without mapped files, while it crops one long video; a row is kept per frame.

`infer`: frames/s of `faceflow-infer` from a video to rows on disk against the slowest of its parts alone: decoding, the
face detector, the network in ONNX Runtime. Without --onnx with the built-in model (model=fast: the one without pixels).
    ratio         0.85 or more is the aim, 0.95 with the built-in model. It needs a core for each part that takes much
                  of the time; the columns decode, detector and network are what each part does alone, the detector on
                  one core.
    CPU time      of all threads, which what else runs on the machine changes little; all cores together make no more
                  frames/s than it allows.
    memory        of the process (with torch, which this script imports) while it reads one long video.

`render`: images/s of `faceflow-render`, from nothing to images and labels on disk, against its camera and shader alone,
on one face of the first domain that does not move.
    ratio         per worker; what remains goes into the subject's skin, expressions, the sensor and files. 14 images/s
                  per core at 160 px is the aim. Each worker needs a core.
    start         what the command takes for one image of each domain, face model included; it is taken off.
    memory        of a process that renders one subject after another; it should not grow.

`labels`: rows/s of reading and checking a made-up label file without opening its pictures, in a process of its own,
against pandas, which parses its cells and checks nothing.
    seconds       10 or less for 1,000,000 rows is the aim.
    peak          by how much the memory of the process grew at its highest; the same for every number of rows.

`metrics`: frames/s of all occurrence metrics of a test set, made up in memory, against scikit-learn, an AU at a time,
and torchmetrics, all AUs at once, which compute F1 at two thresholds, AP and AUROC and must find the same.
    ratio         The caption says what the intervals over subjects take besides.

`sweep`: jobs/h of small trainings that run side by side with launcher=joblib, against one after another; from the start
of the command to the table.
    ratio         1 would be no gain, the number of jobs at a time is the limit. Jobs one after another use all cores
                  too, as far as a small network can, and import the libraries once.
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
