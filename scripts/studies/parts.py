"""The two questions of the study, and the candidate settings of every method: the one place to edit them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from studies.label_files import POOL, SOURCES, STUDIO, TARGETS, target_file

BASELINE, REGULARIZED = "supervised", "miro"
SUPERVISED_ONLY = (BASELINE, REGULARIZED)  # methods that open no unlabelled face

Settings = tuple[str, ...]  # overrides of faceflow-train
Methods = Mapping[str, Sequence[Settings]]  # method -> its candidate settings, as many for each


def _pseudo_labels(method: str, *settings: str) -> Settings:
    """The averaged network labels the weak view, and the strong one must agree."""
    key = method.removesuffix("_miro")
    taught = ("augment=medium", f"method.{key}.teacher=ema")
    return (f"method={method}", *AVERAGE, *taught, *(_placed(key, setting) for setting in settings))


def _placed(key: str, setting: str) -> str:
    return setting if setting.startswith("optimizer.") else f"method.{key}.{setting}"


AVERAGE: Settings = ("average=ema", "loss.weighting=none")
SLOW, FAST = "optimizer.lr=1e-3", "optimizer.lr=2e-3"
SURE = ("p_cutoff=0.8", "n_cutoff=0.98")
SUPERVISED: Sequence[Settings] = (
    (*AVERAGE, "augment=medium", SLOW),
    (*AVERAGE, "augment=medium", FAST),
    (*AVERAGE, "augment=strong", FAST),
)
LABELS: Sequence[Settings] = ((*SURE, SLOW), (*SURE, FAST), ("coverage=0.15", FAST))
FROZEN, MOVING = "method.miro.freeze_batch_norm=true", "method.miro.freeze_batch_norm=false"
MIRO: Sequence[Settings] = (
    ("method.miro.weight=0.1", FROZEN, FAST),
    ("method.miro.weight=0.1", MOVING, FAST),
    ("method.miro.weight=0.01", MOVING, FAST),
)
FEW: Methods = {
    BASELINE: SUPERVISED,
    "fixmatch": [_pseudo_labels("fixmatch", "center=none", *labels) for labels in LABELS],
    "fixmatch_centred": [_pseudo_labels("fixmatch", "center=subject", *labels) for labels in LABELS],
    "defixmatch": [_pseudo_labels("defixmatch", "center=none", *labels) for labels in LABELS],
    "defixmatch_centred": [_pseudo_labels("defixmatch", "center=subject", *labels) for labels in LABELS],
}
SHIFT: Methods = {
    BASELINE: SUPERVISED,
    REGULARIZED: [("method=miro", *AVERAGE, "augment=medium", *miro) for miro in MIRO],
    "fixmatch": FEW["fixmatch"],
    "fixmatch_centred": FEW["fixmatch_centred"],
    "fixmatch_miro": [(*_pseudo_labels("fixmatch_miro", "center=subject", *SURE), *miro) for miro in MIRO],
}
METHODS = frozenset([*FEW, *SHIFT])


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One question.

    Args:
        name: on the command line and of its files.
        question: in words.
        data: settings of every training.
        pool: further ones of methods that read unlabelled faces.
        tests: label file of each test by name; none: the training tests on subjects of its own, `own_test` by name.
        methods: which are compared, the baseline first.
        references: methods that the others are compared with.
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
    """Settings of labels of the benchmark: an AU occurs from intensity 2 of 5."""
    return ("data=csv", f"data.labels={file}", f"data.images={images}", *_read("data.sources.csv"))


def all_parts(images: Path, folder: Path) -> list[Part]:
    """Both questions, on images with the label files in `folder`."""
    few = Part(
        name="few",
        question="a tenth of the subjects is labelled; do faces of the others help?",
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
    """Leave only some methods, and the baseline."""
    methods = {name: settings for name, settings in part.methods.items() if name in {BASELINE, *names}}
    return dataclasses.replace(part, methods=methods)


def _read(key: str) -> Settings:
    return (f"{key}.occurrence_min=2", f"{key}.score_max=5")
