"""Test whether the methods help with few labels or new cameras, on the rendered AU benchmark.

    faceflow-render experiment=benchmark output=benchmark && python scripts/study.py all --data benchmark

`few`    A tenth of the studio subjects is labelled (3 of 30), 12 provide unlabelled faces, 3 are for validation
         (thresholds and checkpoint), 12 for testing. Each seed draws other subjects.
`shift`  Studio and office are labelled. Of webcam, harsh and ir, 15 subjects each provide unlabelled faces (one pool
         of all three domains), and the other 15 are for testing. Validation subjects come from studio and office only.

Every method, including supervised training, has the same number of labelled images, of updates and of candidate
settings, which are in scripts/studies/parts.py. The candidate with the best AP on the validation subjects of the first
--tuning-seeds seeds runs with all seeds. Test subjects are used for the chosen candidates only. Runs are kept in
--output: rerun the command to resume the study, even in the middle of a run.

Each part writes PART.md (protocol, test scores, differences from supervised training with 95 % intervals over seeds
and subjects, scores centred by subject, settings), PART.csv (every number of every run and test), PART_differences.csv
and PART.png.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from studies.commands import run_tests, train, training_record
from studies.label_files import write_label_files
from studies.parts import METHODS, Part, all_parts, with_methods
from studies.picture import draw_differences
from studies.progress import Progress, say
from studies.results import differences, results_frame
from studies.run_scores import RunScores, read_run
from studies.runs import Conditions, Run
from studies.tables import Choice, report

from faceflow.errors import FaceFlowError
from faceflow.files import whole_file
from faceflow.report.result_files import write_table


def main(argv: Sequence[str] | None = None) -> int:
    """Run the missing runs and write the results."""
    options = _options(argv)
    conditions = Conditions(
        images=options.data.absolute(),
        output=options.output.absolute(),
        model=options.model,
        weights=options.weights and options.weights.absolute(),
        size=options.size,
        steps=options.steps,
        jobs=options.jobs,
        workers=options.workers,
        trainer=options.trainer,
        overrides=tuple(options.overrides),
    )
    try:
        parts = [part for part in all_parts(conditions.images, conditions.output) if options.part in (part.name, "all")]
        parts = [with_methods(part, options.methods) for part in parts] if options.methods else parts
        write_label_files(conditions.images, conditions.output)
        plans = [_Plan(part, range(options.tuning_seeds), range(options.seeds)) for part in parts]
        progress = Progress(total=sum(plan.trainings for plan in plans), jobs=options.jobs)
        with ThreadPoolExecutor(options.jobs) as pool:
            for plan in plans:
                print(_study(plan, conditions, pool, progress), flush=True)
    except FaceFlowError as error:
        say(f"{type(error).__name__}: {error}")
        return 2
    return 0


@dataclass(frozen=True)
class _Plan:
    """A part, with the seeds for choosing candidates and the seeds for the results."""

    part: Part
    tuning: range
    seeds: range

    @property
    def candidates(self) -> list[Run]:
        methods = self.part.methods.items()
        return [
            Run(self.part, method, number, seed)
            for method, settings in methods
            for number in range(len(settings))
            for seed in self.tuning
        ]

    @property
    def trainings(self) -> int:
        return len(self.candidates) + len(self.part.methods) * len(set(self.seeds) - set(self.tuning))


def _study(plan: _Plan, conditions: Conditions, pool: Executor, progress: Progress) -> str:
    """Choose candidates, train and test them with all seeds, then write and return the report."""
    part = plan.part
    list(pool.map(lambda run: train(run, conditions, progress), plan.candidates))
    choices = {method: _choice(plan, method, conditions) for method in part.methods}
    for method, choice in choices.items():
        tried = ", ".join(choice.scores)
        say(f"{part.name} {method}: validation AP of the candidates {tried}; chose candidate {choice.candidate}")
    chosen = [Run(part, method, choice.candidate, seed) for method, choice in choices.items() for seed in plan.seeds]

    def finish(run: Run) -> list[RunScores]:
        if run.seed not in plan.tuning:
            train(run, conditions, progress)
        run_tests(run, conditions)
        return read_run(run, conditions)

    scores = [each for found in pool.map(finish, chosen) for each in found]
    results, compared = results_frame(scores), differences(scores, part.references)
    text = report(part, conditions, choices=choices, run_scores=scores, results=results, compared=compared)
    files = conditions.output / part.name
    write_table(files.with_suffix(".csv"), results)
    write_table(files.with_name(f"{part.name}_differences.csv"), compared)
    draw_differences(compared, files.with_suffix(".png"), title=f"{part.name}: {part.question}")
    with whole_file(files.with_suffix(".md")) as partial:
        partial.write_text(text, encoding="utf-8")
    return text


def _choice(plan: _Plan, method: str, conditions: Conditions) -> Choice:
    runs = [run for run in plan.candidates if run.method == method]
    tried = [
        [training_record(run, conditions)["ap"] for run in runs if run.candidate == number]
        for number in range(len(plan.part.methods[method]))
    ]
    return Choice(candidate=max(range(len(tried)), key=lambda number: sum(tried[number])), tried=tried)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("few", "shift", "all"))
    parser.add_argument(
        "--data", type=Path, required=True, help="output folder of faceflow-render experiment=benchmark"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("runs/study"), help="folder of runs and results; default: %(default)s"
    )
    parser.add_argument(
        "--methods", type=_names, help="such as fixmatch,miro; supervised is always included; default: all"
    )
    parser.add_argument("--model", default="tf_efficientnet_lite0", help="name in configs/model; default: %(default)s")
    parser.add_argument("--weights", type=Path, help="file of pretrained weights; default: from the model hub")
    parser.add_argument("--size", type=int, default=80, help="input size in pixels; default: %(default)s")
    parser.add_argument("--seeds", type=_count, default=5, help="number of seeds, starting at 0; default: %(default)s")
    parser.add_argument(
        "--tuning-seeds",
        type=_count,
        default=1,
        help="seeds whose validation subjects choose candidates; default: %(default)s",
    )
    parser.add_argument("--steps", type=_count, default=400, help="updates of every run; default: %(default)s")
    parser.add_argument("--jobs", type=_count, default=1, help="parallel runs, on a CPU; default: %(default)s")
    parser.add_argument("--workers", type=int, default=1, help="loader processes per run; default: %(default)s")
    parser.add_argument("--trainer", default="auto", help="name in configs/trainer; default: %(default)s")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="further overrides of every faceflow-train")
    return parser.parse_intermixed_args(argv)


def _count(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {number}")
    return number


def _names(text: str) -> list[str]:
    if unknown := set(found := text.split(",")) - METHODS:
        raise argparse.ArgumentTypeError(
            f"expected some of {','.join(sorted(METHODS))}, got {','.join(sorted(unknown))}"
        )
    return found


if __name__ == "__main__":
    sys.exit(main())
