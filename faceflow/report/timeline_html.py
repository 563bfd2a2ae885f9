"""A timeline as a page that needs nothing else: SVG curves, and numbers under the pointer."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from faceflow.aus import description
from faceflow.report.palette import ACTIVE, GAP, GRAY, INK, PALE
from faceflow.report.timeline import Timeline

_LEFT, _RIGHT, _WIDTH, _ROW, _GAP = 210, 60, 1160, 44, 16  # pixels
_COLUMNS = 2000  # points of a curve; more could not be seen

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 13px system-ui, sans-serif; color: {ink}; background: #fff; margin: 24px; max-width: {width}px }}
h1 {{ font-size: 17px; margin: 0 0 4px }} p {{ color: {gray}; margin: 0 0 12px; min-height: 1.2em }}
text {{ font-size: 12px; fill: {ink} }} text.small {{ font-size: 10px; fill: {gray} }}
path {{ fill: none; stroke-width: 1.3; stroke-linejoin: round; stroke-linecap: round }}
</style></head><body>
<h1>{title}</h1><p>{caption}</p>
<svg viewBox="0 -4 {width} {height}" width="100%" role="img" aria-label="{title}">
{panels}
<line id="now" y1="0" y2="{bottom}" stroke="{ink}" stroke-width="1" visibility="hidden"/>
</svg>
<script>
const D = {data};
const svg = document.querySelector("svg"), now = document.getElementById("now");
svg.addEventListener("mousemove", event => {{
  const x = (event.clientX - svg.getBoundingClientRect().left) * {width} / svg.clientWidth;
  const share = (x - {left}) / {plot};
  if (share < 0 || share > 1) return;
  const time = D.from + share * (D.to - D.from);
  let i = 0;
  while (i < D.time.length - 1 && Math.abs(D.time[i + 1] - time) <= Math.abs(D.time[i] - time)) i++;
  const at = {left} + (D.time[i] - D.from) / (D.to - D.from) * {plot};
  now.setAttribute("x1", at); now.setAttribute("x2", at); now.setAttribute("visibility", "visible");
  document.querySelector("p").textContent =
    (D.unit === "s" ? D.time[i].toFixed(2) + " s" : "frame " + D.time[i]);
  D.values.forEach((values, row) =>
    document.getElementById("v" + row).textContent = values[i] === null ? "" : values[i].toFixed(2));
}});
svg.addEventListener("mouseleave", () => {{
  now.setAttribute("visibility", "hidden");
  document.querySelector("p").textContent = {caption_js};
  D.values.forEach((_, row) => document.getElementById("v" + row).textContent = "");
}});
</script></body></html>
"""


def timeline_page(timeline: Timeline) -> str:
    """Draw a timeline as HTML; numbers under the pointer are those of the first face."""
    bottom = len(timeline.aus) * (_ROW + _GAP)
    return _PAGE.format(
        title=html.escape(timeline.title),
        caption=html.escape(timeline.caption),
        caption_js=_script(timeline.caption),
        panels="\n".join([*_panels(timeline), *_axis(timeline, bottom)]),
        data=_script(_numbers(timeline)),
        width=_LEFT + _WIDTH + _RIGHT,
        height=bottom + 44,
        bottom=bottom - _GAP,
        left=_LEFT,
        plot=_WIDTH,
        ink=INK,
        gray=GRAY,
    )


def _panels(timeline: Timeline) -> Iterator[str]:
    for index, au in enumerate(timeline.aus):
        top = index * (_ROW + _GAP)
        yield f'<text x="{_LEFT - 30}" y="{top + _ROW / 2 + 4}" text-anchor="end">{au}  {description(au)}</text>'
        yield f'<text class="small" x="{_LEFT - 6}" y="{top + 8}" text-anchor="end">{timeline.top:g}</text>'
        yield f'<text class="small" x="{_LEFT - 6}" y="{top + _ROW}" text-anchor="end">0</text>'
        for start, end in timeline.gaps():
            yield _rectangle(timeline, start, end, top, GAP)
        for face in timeline.values:
            for start, end in timeline.spans(timeline.active[face][:, index]):
                yield _rectangle(timeline, start, end, top, ACTIVE)
        yield _line(top + _ROW, PALE, "")
        if not timeline.intensity:
            threshold = timeline.thresholds[au]
            yield _line(top + _ROW * (1 - threshold), INK, ' stroke-dasharray="5 4" stroke-width="0.8"')
        for face, values in timeline.values.items():
            yield f'<path stroke="{timeline.colors[face]}" d="{_curve(timeline, values[:, index], top)}"/>'
        yield f'<text id="v{index}" x="{_LEFT + _WIDTH + 10}" y="{top + _ROW / 2 + 4}"></text>'


def _axis(timeline: Timeline, bottom: int) -> Iterator[str]:
    start, end = timeline.time[0], timeline.time[-1]
    for tick in _ticks(start, end):
        x = _x(timeline, tick)
        yield f'<text class="small" x="{x:.1f}" y="{bottom + 4}" text-anchor="middle">{tick:g}</text>'
    name = "time, s" if timeline.unit == "s" else "frame"
    yield f'<text x="{_LEFT + _WIDTH / 2}" y="{bottom + 26}" text-anchor="middle">{name}</text>'


def _curve(timeline: Timeline, values: NDArray[np.float32], top: int) -> str:
    """Path through the values, broken at gaps; of many frames to a pixel the lowest and the highest."""
    parts, begun = [], False
    for index in _shown(values):
        if not np.isfinite(values[index]):
            begun = False
            continue
        y = top + _ROW * (1 - float(np.clip(values[index] / timeline.top, 0, 1)))
        # A point alone between two gaps shows as the round cap of a line without length.
        place = f"{_x(timeline, timeline.time[index]):.1f} {y:.1f}"
        parts.append(f"L{place}" if begun else f"M{place}h0")
        begun = True
    return "".join(parts)


def _shown(values: NDArray[np.float32]) -> Iterator[int]:
    if len(values) <= _COLUMNS:
        yield from range(len(values))
        return
    for block in np.array_split(np.arange(len(values)), _COLUMNS // 2):
        part = values[block]
        if not np.isfinite(part).all():
            yield int(block[int(np.argmin(np.isfinite(part)))])
        if np.isfinite(part).any():
            yield from sorted({int(block[int(np.nanargmin(part))]), int(block[int(np.nanargmax(part))])})


def _ticks(start: float, end: float) -> Iterator[float]:
    span = max(end - start, 1e-6)
    step = float(10 ** np.floor(np.log10(span)))
    step = next((step / part for part in (1, 2, 5, 10) if span / (step / part) >= 5), step / 10)
    yield from np.arange(np.ceil(start / step - 1e-9) * step, end + 1e-9, step).round(6) + 0.0  # no -0


def _x(timeline: Timeline, time: float) -> float:
    half = timeline.step / 2
    start, end = timeline.time[0] - half, timeline.time[-1] + half
    return float(_LEFT + _WIDTH * (time - start) / (end - start))


def _rectangle(timeline: Timeline, start: float, end: float, top: int, color: str) -> str:
    left, right = _x(timeline, start), _x(timeline, end)
    return f'<rect x="{left:.1f}" y="{top}" width="{right - left:.1f}" height="{_ROW}" fill="{color}"/>'


def _line(y: float, color: str, more: str) -> str:
    return f'<line x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="{color}"{more}/>'


def _numbers(timeline: Timeline) -> dict[str, object]:
    half = timeline.step / 2
    first = next(iter(timeline.values.values()))
    return {
        "unit": timeline.unit,
        "from": round(float(timeline.time[0] - half), 4),
        "to": round(float(timeline.time[-1] + half), 4),
        "time": [round(float(time), 4) for time in timeline.time],
        "values": [[round(float(v), 3) if np.isfinite(v) else None for v in column] for column in first.T],
    }


def _script(value: object) -> str:
    """JSON that cannot end the script it stands in."""
    return json.dumps(value, allow_nan=False).replace("</", "<\\/")
