"""The data card of a rendered data set (README.md in the Hugging Face format) and the licence file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from faceflow.aus import DESCRIPTIONS
from faceflow.cards import TAGS, markdown_table, size_category, write_card
from faceflow.files import whole_file
from faceflow.rendering.action_units import AUS
from faceflow.rendering.facekit_files import COMMIT
from faceflow.rendering.tables import BY_SIDE, EVENTS, FRAMES, FRAMES_BY_SIDE, LABELS, SUBJECTS, Counts

CARD = "README.md"
LICENCE_FILE = "LICENSE.ICT-FaceKit"
_LICENCE = """\
MIT License

Copyright (c) 2020 USC Institute for Creative Technologies

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""


def write_data_card(output: Path, counts: Counts, settings: Mapping[str, Any], version: str) -> None:
    """Write the card and the licence of the face model.

    Args:
        output: folder of the data set.
        counts: what the data set holds.
        settings: as stored in render.json.
        version: version of FaceFlow.

    Raises:
        DataError: a file cannot be written.
    """
    with whole_file(output / LICENCE_FILE) as partial:
        partial.write_text(_LICENCE, encoding="utf-8")
    images, still = counts.images.total(), settings["video"]["layout"] == "images"
    front = {
        "license": "mit",
        "pretty_name": f"Rendered faces with Action Units, seed {settings['seed']}",
        "task_categories": ["image-classification"],
        "tags": [*TAGS, "synthetic"],
        "size_categories": [size_category(images)],
        "configs": [{"config_name": "default", "data_files": LABELS if still else FRAMES}],
    }
    domains = [[name, str(counts.subjects[name]), str(count)] for name, count in counts.images.items()]
    parts = [
        f"# {front['pretty_name']}",
        _overview(counts, settings, version),
        "## Domains\n\n" + markdown_table(["domain", "subjects", "images"], domains),
        "## Action Units\n\nImages by level, 0 (absent) to 5; the stronger side of the face counts.\n\n"
        + markdown_table(["AU", "", *map(str, range(6)), "one side only"], _au_rows(counts)),
        "## Subjects\n\n" + _subjects(counts),
        "## Settings\n\n```yaml\n" + yaml.safe_dump(dict(settings), sort_keys=False) + "```",
        _limits(counts, settings),
        _terms(),
    ]
    write_card(output / CARD, front, parts)


def _overview(counts: Counts, settings: Mapping[str, Any], version: str) -> str:
    video = settings["video"]
    still = video["layout"] == "images"
    width, height = (settings["image"]["size"],) * 2 if still else (video["width"], video["height"])
    joined, by_side = (LABELS, BY_SIDE) if still else (FRAMES, FRAMES_BY_SIDE)
    further = (
        "- `crops.json`: how faces are placed in the images, for `faceflow-infer`.\n\n"
        f"To train on it: `faceflow-train data=csv data.labels={LABELS}`."
        if still
        else f"- `{EVENTS}`: onset, apex, offset and end of each AU, in frames (counted from 1) and in seconds."
    )
    return (
        f"{counts.images.total()} images of {width} x {height} pixels of {counts.subjects.total()} subjects who do not "
        f"exist, rendered with `faceflow-render` {version} (seed {settings['seed']}) from ICT-FaceKit. Labels are "
        "exact: the faces were rendered from them. AU25 is measured from the gap between the lips.\n\n"
        f"- `{joined}`: intensities 0-5 of {len(AUS)} AUs, file, subject, domain, frame; pose and gaze in degrees "
        "(yaw to the subject's left, pitch downwards, roll to the right shoulder).\n"
        f"- `{by_side}`: the same, with separate intensities for the subject's left and right side.\n"
        f"- `{SUBJECTS}`: sex, age, skin tone (0 light to 9 dark), hair, beard and glasses.\n{further}"
    )


def _au_rows(counts: Counts) -> list[list[str]]:
    rows = []
    for au in AUS:
        levels = [str(counts.levels[au, level]) for level in range(6)]
        rows.append([au, DESCRIPTIONS[int(au[2:])], *levels, str(counts.one_sided[au])])
    return rows


def _subjects(counts: Counts) -> str:
    lines = [
        f"- age: {min(counts.ages)} to {max(counts.ages)} years",
        f"- skin tone: {min(counts.tones)} to {max(counts.tones)} on a scale from 0 (light) to 9 (dark)",
    ]
    for trait in dict.fromkeys(trait for trait, _ in sorted(counts.traits)):
        shares = [f"{value} {count}" for (name, value), count in sorted(counts.traits.items()) if name == trait]
        lines.append(f"- {trait}: {', '.join(shares)}")
    return "\n".join(lines)


def _limits(counts: Counts, settings: Mapping[str, Any]) -> str:
    children = "; the proportions of faces under 20 years change too" if min(counts.ages) < 20 else ""
    both_sides = [] if settings["expression"]["uneven"] else ["AU17", "AU22"]
    return (
        "## Limits\n\nThe faces come from a model, not from people: use them to train and to test software, and "
        f"evaluate on real people. Age changes skin, hair and wrinkles on the face shapes of adults{children}. "
        f"{', '.join([*both_sides, 'AU25', 'AU26'])} and AU28 move both sides together."
    )


def _terms() -> str:
    return (
        "## Licence\n\nDerived from ICT-FaceKit (MIT, (c) 2020 USC Institute for Creative Technologies, "
        f"https://github.com/ICT-VGL/ICT-FaceKit, commit {COMMIT[:7]}). Include its licence, `{LICENCE_FILE}`, with "
        "copies of these images. Li et al. 2020, Learning formation of physically-based face attributes, CVPR."
    )
