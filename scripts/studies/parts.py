"""The two parts of the study, and the candidate settings of every method; edit them here."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from studies.label_files import POOL, SOURCES, STUDIO, TARGETS, target_file

BASELINE, REGULARIZED = "supervised", "miro"
SUPERVISED_ONLY = (BASELINE, REGULARIZED)  # methods that read no unlabelled faces

Settings = tuple[str, ...]  # overrides of faceflow-train
Methods = Mapping[str, Sequence[Settings]]  # method -> its candidate settings, the same number for each


def _pseudo_labels(method: str, center: str, view: str, *labels: str) -> Settings:
    """The averaged network labels the weak view, and the strong view must agree; `view` is for labelled faces."""
    key = method.removesuffix("_miro")
    own = ("teacher=ema", f"center={center}", *labels)
    placed = (setting if setting.startswith("optimizer.") else f"method.{key}.{setting}" for setting in own)
    return (f"method={method}", *AVERAGE, view, *placed)


AVERAGE: Settings = ("average=ema", "loss.weighting=none")
SLOW, FAST = "optimizer.lr=1e-3", "optimizer.lr=2e-3"
MEDIUM, STRONG = "augment=medium", "augment=strong"
SURE = ("p_cutoff=0.8", "n_cutoff=0.98")
SUPERVISED: Sequence[Settings] = (
    (*AVERAGE, MEDIUM, SLOW),
    (*AVERAGE, MEDIUM, FAST),
    (*AVERAGE, STRONG, FAST),
)
LABELS, CAMERAS = (
    ((view, *SURE, SLOW), (view, *SURE, FAST), (view, "coverage=0.15", FAST)) for view in (MEDIUM, STRONG)
)
FROZEN, MOVING = "method.miro.freeze_batch_norm=true", "method.miro.freeze_batch_norm=false"
MIRO: Sequence[Settings] = (
    (STRONG, "method.miro.weight=0.1", FROZEN, FAST),
    (STRONG, "method.miro.weight=0.1", MOVING, FAST),
    (STRONG, "method.miro.weight=0.01", MOVING, FAST),
)
FEW: Methods = {
    BASELINE: SUPERVISED,
    "fixmatch": [_pseudo_labels("fixmatch", "none", *labels) for labels in LABELS],
    "fixmatch_centred": [_pseudo_labels("fixmatch", "subject", *labels) for labels in LABELS],
    "defixmatch": [_pseudo_labels("defixmatch", "none", *labels) for labels in LABELS],
    "defixmatch_centred": [_pseudo_labels("defixmatch", "subject", *labels) for labels in LABELS],
}
SHIFT: Methods = {
    BASELINE: SUPERVISED,
    REGULARIZED: [("method=miro", *AVERAGE, *miro) for miro in MIRO],
    "fixmatch": [_pseudo_labels("fixmatch", "none", *labels) for labels in CAMERAS],
    "fixmatch_centred": [_pseudo_labels("fixmatch", "subject", *labels) for labels in CAMERAS],
    "fixmatch_miro": [(*_pseudo_labels("fixmatch_miro", "subject", STRONG, *SURE), *miro[1:]) for miro in MIRO],
}
METHODS = frozenset([*FEW, *SHIFT])


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One part of the study.

    Args:
        name: name on the command line and in file names.
        question: title of the report.
        data: settings of every training run.
        pool: additional settings of methods that read unlabelled faces.
        tests: label file of each test by name; if empty, the training tests on its own subjects, under `own_test`.
        methods: methods to compare, the baseline first.
        references: methods with which the others are compared.
    """

    name: str
    question: str
    data: Settings
    pool: Settings
    tests: Mapping[str, Path]
    own_test: str
    methods: Methods
    references: tuple[str, ...]


def labels_of(file: Path, images: Path) -> Settings:
    """Settings for the benchmark's labels: an AU occurs from intensity 2 of 5."""
    return ("data=csv", f"data.labels={file}", f"data.images={images}", *_read("data.sources.csv"))


def all_parts(images: Path, folder: Path) -> list[Part]:
    """Both parts, for images with the label files in `folder`."""
    few = Part(
        name="few",
        question="a tenth of the subjects is labelled; do unlabelled faces help?",
        data=(*labels_of(folder / STUDIO, images), "split.val=0.1", "split.test=0.4", "split.labeled=0.2"),
        pool=(),
        tests={},
        own_test="studio",
        methods=FEW,
        references=(BASELINE,),
    )
    shift = Part(
        name="shift",
        question="cameras without labels; do methods and unlabelled faces help?",
        data=(*labels_of(folder / SOURCES, images), "split.val=0.15", "split.test=0"),
        pool=(
            *(f"unlabeled={folder / POOL}", f"data.unlabeled.own.images={images}"),
            *_read("data.unlabeled.own"),
        ),
        tests={domain: folder / target_file(domain) for domain in TARGETS},
        own_test="",
        methods=SHIFT,
        references=(BASELINE, REGULARIZED),
    )
    return [few, shift]


def with_methods(part: Part, names: Collection[str]) -> Part:
    """Keep only some methods and the baseline."""
    methods = {name: settings for name, settings in part.methods.items() if name in {BASELINE, *names}}
    return dataclasses.replace(part, methods=methods)


def _read(key: str) -> Settings:
    return (f"{key}.occurrence_min=2", f"{key}.score_max=5")
