"""The score against each key of a search, a panel per key."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_PANEL = (3.4, 3.0)  # inches
_DECADES = 20  # ratio of largest to smallest value from which an axis is logarithmic
_TICKS = 4  # at most, on a linear axis: they may be long numbers


def draw_slices(
    means: pd.DataFrame, *, keys: Sequence[str], metric: str, lower_is_better: bool, caption: str
) -> Figure:
    """Draw a dot per combination in every panel, with a ring around the best.

    Args:
        means: a row per combination with `keys` and mean.
        keys: searched keys.
        metric: name of the score.
        lower_is_better: whether the score is an error.
        caption: settings that all jobs share.
    """
    figure = Figure(figsize=(_PANEL[0] * len(keys) + 0.4, _PANEL[1] + 0.5), layout="constrained")
    scores = means["mean"].to_numpy()
    best = int(scores.argmin() if lower_is_better else scores.argmax())
    top = means.iloc[best]
    for axes, key in zip(figure.subplots(1, len(keys), sharey=True, squeeze=False)[0], keys, strict=True):
        numbers = pd.to_numeric(means[key], errors="coerce")
        named = bool(numbers.isna().any())
        values = means[key].astype(str) if named else numbers
        axes.scatter(values, means["mean"], s=22, alpha=0.7)
        axes.scatter([values.iloc[best]], [top["mean"]], s=110, facecolors="none", edgecolors="tab:red")
        if not named and numbers.min() > 0 and numbers.max() / numbers.min() > _DECADES:
            axes.set_xscale("log")
        elif not named:
            axes.xaxis.set_major_locator(MaxNLocator(_TICKS))
        axes.set_xlabel(f"{key}\nbest: {values.iloc[best] if named else format(numbers.iloc[best], '.3g')}")
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel(metric)
    figure.suptitle(f"{metric}: best {top['mean']:.3f} (red ring)")
    if caption:
        figure.supxlabel(textwrap.fill(caption, int(16 * figure.get_figwidth())), fontsize=8, color="0.35")
    return figure
