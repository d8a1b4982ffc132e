"""Draws panels with matplotlib, near to how Grafana shows them: one function for each kind of panel."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dashboards.queries import Json
from dashboards.units import written

BACKGROUND, SURFACE, EDGE, TEXT, FAINT = "#111217", "#181b1f", "#2c3036", "#d8d9e0", "#8e919b"
PALETTE = (
    *("#73bf69", "#f2cc0c", "#5794f2", "#ff780a", "#b877d9", "#3ab7c8", "#f2495c", "#8ab8ff", "#fade2a", "#ca95e5"),
    *("#96d98d", "#ffa6b0", "#c0d8ff", "#ffcb7d"),
)
HEAT = LinearSegmentedColormap.from_list("heat", [SURFACE, "#1f4f8f", "#5794f2", "#c0d8ff"])
MOST_LEGENDS = 8


@dataclass(frozen=True, slots=True)
class Line:
    """One series of a panel: its name, times in seconds, and values, with NaN where there is none."""

    name: str
    times: np.ndarray
    values: np.ndarray

    @property
    def last(self) -> float:
        """The last value that is a number; NaN when none is."""
        known = self.values[~np.isnan(self.values)]
        return float(known[-1]) if known.size else math.nan


def draw(panel: Json, lines: Sequence[Line], axes: Axes) -> None:
    """Draw a panel of the dashboard's JSON with the answers to its queries."""
    if not any(not math.isnan(line.last) for line in lines):
        _say(axes, panel["fieldConfig"]["defaults"]["noValue"])
        return
    _DRAW[panel["type"]](panel, lines, axes)


def _defaults(panel: Json) -> Json:
    defaults: Json = panel["fieldConfig"]["defaults"]
    return defaults


def _text(panel: Json, value: float) -> str:
    defaults = _defaults(panel)
    return written(value, defaults["unit"], defaults.get("decimals"))


def _limit_colour(panel: Json, value: float) -> str:
    steps = _defaults(panel)["thresholds"]["steps"]
    passed = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return str(passed[-1])


def _say(axes: Axes, text: str) -> None:
    axes.axis("off")
    axes.text(0.5, 0.5, text, color=FAINT, ha="center", va="center", fontsize=11, transform=axes.transAxes)


def _stat(panel: Json, lines: Sequence[Line], axes: Axes) -> None:
    axes.axis("off")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    shown = [line for line in lines if not math.isnan(line.last)]
    for index, line in enumerate(shown):
        left, width = index / len(shown), 1 / len(shown)
        words = _words(panel, line.last)
        colour = words[1] if words else _limit_colour(panel, line.last)
        text = words[0] if words else _text(panel, line.last)
        if words:
            axes.add_patch(FancyBboxPatch((left, 0), width, 1, boxstyle="square,pad=0", facecolor=colour, linewidth=0))
        elif panel["options"]["graphMode"] == "area":
            _sparkline(line, axes, left, width, colour)
        several = len(shown) > 1 and line.name
        size = min(26.0, 64 * width * panel["gridPos"]["w"] / max(len(text), 4))
        axes.text(
            left + width / 2, 0.5, text, color="white" if words else colour, ha="center", va="center", fontsize=size
        )
        if several or (line.name and not words and panel["fieldConfig"]["defaults"]["unit"] == "locale"):
            axes.text(left + width / 2, 0.9, line.name, color=FAINT, ha="center", va="center", fontsize=8)


def _words(panel: Json, value: float) -> tuple[str, str] | None:
    for mapping in _defaults(panel).get("mappings", []):
        found = mapping["options"].get(f"{value:g}")
        if found:
            return found["text"], found["color"]
    return None


def _sparkline(line: Line, axes: Axes, left: float, width: float, colour: str) -> None:
    known = ~np.isnan(line.values)
    values, times = line.values[known], line.times[known]
    if values.size < 2 or np.ptp(values) == 0:
        return
    x = left + width * (times - times[0]) / (times[-1] - times[0])
    y = 0.28 * (values - values.min()) / np.ptp(values)
    axes.fill_between(x, 0, y, color=colour, alpha=0.18, linewidth=0)
    axes.plot(x, y, color=colour, linewidth=1, alpha=0.7)


def _bars(panel: Json, lines: Sequence[Line], axes: Axes) -> None:
    shown = [line for line in lines if not math.isnan(line.last)][:10]
    top = _defaults(panel).get("max") or max([line.last for line in shown] + [1e-9])
    places = np.arange(len(shown))[::-1]
    axes.barh(places, [top] * len(shown), height=0.62, color="#22252b")
    for place, line in zip(places, shown, strict=True):
        colour = _limit_colour(panel, line.last)
        axes.barh(place, min(max(line.last, 0.0), top), height=0.62, color=colour, alpha=0.85)
        axes.text(1.02 * top, place, _text(panel, line.last), color=colour, va="center", fontsize=10)
    axes.set_yticks(places, [line.name for line in shown], fontsize=8.5, color=TEXT)
    axes.set_xlim(0, 1.22 * top)
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.set_facecolor("none")
    for side in axes.spines.values():
        side.set_visible(False)


def _chart(panel: Json, lines: Sequence[Line], axes: Axes) -> None:
    custom = _defaults(panel)["custom"]
    lines = [line for line in lines if not math.isnan(line.last)]
    colours = _colours(panel, lines)
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    style: Literal["steps-post", "default"] = "default"
    step: Literal["post"] | None = None
    if custom["lineInterpolation"] == "stepAfter":
        style, step = "steps-post", "post"
    if stacked:
        values = np.nan_to_num(np.vstack([line.values for line in lines]))
        base = np.zeros(values.shape[1])
        for row, colour in zip(values, colours, strict=True):
            axes.fill_between(lines[0].times, base, base + row, step=step, color=colour, alpha=0.6, linewidth=0)
            base = base + row
            if row.any():
                axes.plot(lines[0].times, base, color=colour, linewidth=0.8, drawstyle=style)
        highest = float(base.max())
    else:
        for line, colour in zip(lines, colours, strict=True):
            axes.plot(line.times, line.values, color=colour, linewidth=1.5, drawstyle=style)
        highest = max(float(np.nanmax(line.values)) for line in lines)
    _limits(panel, axes, highest)
    _axes_of_time(axes)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _text(panel, value)))
    _legend(axes, [line.name for line in lines], colours)


def _limits(panel: Json, axes: Axes, highest: float) -> None:
    """The axis, and the limits that are near enough to what was measured to be shown."""
    defaults = _defaults(panel)
    limits = [step for step in defaults["thresholds"]["steps"] if step["value"] is not None]
    near = [step for step in limits if step["value"] <= 4 * highest]
    top = defaults.get("max") or max([1.12 * highest, *(1.12 * step["value"] for step in near)])
    lowest = defaults.get("min")
    axes.set_ylim(bottom=lowest if lowest is not None else None, top=top if top > 0 else 1)
    for step in near:
        axes.axhline(step["value"], color=step["color"], linestyle=(0, (5, 4)), linewidth=1.1)


def _colours(panel: Json, lines: Sequence[Line]) -> list[str]:
    fixed = {
        override["matcher"]["options"]: value["value"]["fixedColor"]
        for override in panel["fieldConfig"].get("overrides", [])
        for value in override["properties"]
        if value["id"] == "color"
    }
    free = [colour for colour in PALETTE if colour not in fixed.values()]
    others = [line.name for line in lines if line.name not in fixed]
    return [fixed.get(line.name) or free[others.index(line.name) % len(free)] for line in lines]


def _legend(axes: Axes, names: Sequence[str], colours: Sequence[str]) -> None:
    named = [(name, colour) for name, colour in zip(names, colours, strict=True) if name]
    marks = [axes.plot([], [], color=colour, linewidth=3)[0] for _, colour in named[:MOST_LEGENDS]]
    if marks:
        axes.legend(
            marks,
            [name for name, _ in named[:MOST_LEGENDS]],
            loc="upper left",
            bbox_to_anchor=(-0.02, -0.13),
            ncol=3 if max(len(name) for name, _ in named) > 12 else 4,
            fontsize=7.5,
            frameon=False,
            labelcolor=TEXT,
            handlelength=1.0,
            columnspacing=1.0,
            handletextpad=0.5,
        )


def _axes_of_time(axes: Axes) -> None:
    axes.set_facecolor("none")
    axes.grid(visible=True, color=EDGE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(colors=FAINT, length=0, labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 3, 6, 10], prune="lower"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.margins(x=0)


def _heat(panel: Json, lines: Sequence[Line], axes: Axes) -> None:
    """Buckets over time. Those of a classic histogram hold all below their edge: each is taken less its neighbour."""
    buckets = sorted(lines, key=lambda line: float(line.name))
    counted = np.nan_to_num(np.vstack([line.values for line in buckets]))
    cells = np.clip(np.diff(counted, axis=0, prepend=0), 0, None)
    used = np.flatnonzero(cells.sum(axis=1))
    low, high = int(used.min()), int(used.max()) + 1
    times = buckets[0].times
    step = times[1] - times[0] if times.size > 1 else 1.0
    edges = np.append(times, times[-1] + step)
    axes.pcolormesh(edges, np.arange(low, high + 1), np.sqrt(cells[low:high]), cmap=HEAT, rasterized=True)
    _axes_of_time(axes)
    axes.grid(visible=False)
    ticks = range(low, high, max(1, (high - low) // 6))
    unit = _defaults(panel)["unit"]
    axes.set_yticks([tick + 1 for tick in ticks], [written(float(buckets[tick].name), unit) for tick in ticks])


_DRAW: dict[str, Callable[[Json, Sequence[Line], Axes], None]] = {
    "stat": _stat,
    "bargauge": _bars,
    "timeseries": _chart,
    "heatmap": _heat,
}
