"""Charts as SVG inside a page: text in the page's font, colours by the page's variables, so they follow light and dark.

Needs matplotlib (extra ``train``).
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Colours that mean a variable of the page; nothing else may use them.
INK, MUTED, GRID, PAPER = "#010101", "#020202", "#030303", "#040404"
MODEL, LOGISTIC, CHAMPION, BASE = "#010102", "#010103", "#010104", "#010105"
BUYERS, OTHERS, GOOD, WARN, BAD = "#010106", "#010107", "#010108", "#010109", "#01010a"
VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    PAPER: "paper",
    MODEL: "model",
    LOGISTIC: "logistic",
    CHAMPION: "champion",
    BASE: "base",
    BUYERS: "buyers",
    OTHERS: "others",
    GOOD: "good",
    WARN: "warn",
    BAD: "bad",
}
STYLE: dict[Any, Any] = {
    # A dollar in a name is a dollar.
    "text.parse_math": False,
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
}


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart for the page. ``title`` says what is to be seen, ``text`` how to read it; ``svg`` is complete."""

    name: str
    title: str
    text: str
    svg: str


@contextmanager
def drawing(width: float, height: float, **layout: Any) -> Iterator[tuple[Figure, Any]]:
    """A figure of so many inches with its axes (``layout``: as for `Figure.subplots`), in the page's style."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots(**layout)


def bare(axes: Axes, *, grid: str = "both") -> None:
    """No ticks; the grid along one axis only, or both."""
    axes.tick_params(length=0)
    axes.grid(visible=False)
    if grid:
        axes.grid(visible=True, axis=grid)  # type: ignore[arg-type]  # a Literal in the stubs


def finished(figure: Figure, name: str, title: str, text: str) -> Chart:
    """The chart of a drawn figure. ``name`` keeps its ids apart from those of the page's other charts."""
    written = io.StringIO()
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # The page's fonts draw the text, so those at hand need not know every sign in it.
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(written, format="svg", dpi=144, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return Chart(name, title, text, _inline(written.getvalue(), name, f"{title}. {text}"))


def _inline(written: str, name: str, label: str) -> str:
    svg = written[written.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    svg = re.sub(r"(font: [^;\"]*?[\d.]+px) [^;\"]*", r"\1 var(--font)", svg)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: var(--font)", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*"([^>]*?)>', r"<svg \1\2>", svg, count=1)
    svg = re.sub(r'<svg ([^>]*?)height="[^"]*"([^>]*?)>', r"<svg \1\2>", svg, count=1)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1).rstrip()
