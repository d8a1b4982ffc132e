"""Draws the dashboards as pictures from what a Prometheus answers to their queries, without a Grafana.

    python -m dashboards.preview --prometheus http://127.0.0.1:9090 --minutes 15 --into docs

Needs matplotlib (the extra ``train``). The pictures are near to what Grafana shows, and labelled as previews.
"""

import argparse
import json
import math
import re
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from dashboards.drawing import BACKGROUND, EDGE, FAINT, SURFACE, TEXT, Line, draw
from dashboards.queries import Json, boards, substituted

ANSWER_SECONDS = 30.0
POINTS = 180
WIDTH_INCHES, UNIT_INCHES, HEAD_INCHES = 17.0, 0.38, 0.75
INCHES_A_LETTER = 0.075
GRID = 24
_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Span:
    """The time that is drawn, in Unix seconds, how often processes are scraped, and over what rates are taken."""

    start: float
    end: float
    scrape_seconds: float
    rate_seconds: float

    @property
    def step(self) -> float:
        """Seconds from one point to the next."""
        return max((self.end - self.start) / POINTS, self.scrape_seconds)

    @property
    def variables(self) -> dict[str, str]:
        """What Grafana would put in place of the variables of the queries."""
        interval = f"{math.ceil(self.step)}s"
        rate = f"{math.ceil(max(self.step + self.scrape_seconds, self.rate_seconds))}s"
        everything = dict.fromkeys(("job", "instance", "campaign"), ".+")
        whole = f"{math.ceil(self.end - self.start)}s"
        return {"__rate_interval": rate, "__interval": interval, "__range": whole, **everything}


class Prometheus:
    """Reads from one server. Its methods raise `OSError` when it does not answer or refuses a query."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def lines(self, panel: Json, span: Span) -> list[Line]:
        """The series of a panel's queries over the span, by the names of their legend."""
        times = np.arange(span.start, span.end + span.step / 2, span.step)
        return [line for target in panel["targets"] for line in self._lines(target, times, span)]

    def _lines(self, target: Json, times: np.ndarray, span: Span) -> list[Line]:
        query = substituted(target["expr"], span.variables)
        if target["instant"]:
            now = times[-1:]
            series = self._ask("query", query=query, time=now[0])
            return [Line(_legend(target, one["metric"]), now, np.array([float(one["value"][1])])) for one in series]
        series = self._ask("query_range", query=query, start=times[0], end=times[-1], step=span.step)
        return [
            Line(_legend(target, one["metric"]), times, _on_grid(one["values"], times, span.step)) for one in series
        ]

    def _ask(self, endpoint: str, **parameters: str | float) -> list[Json]:
        body = urlencode(parameters).encode()
        with urllib.request.urlopen(f"{self._url}/api/v1/{endpoint}", body, ANSWER_SECONDS) as answer:  # noqa: S310 - http
            found: list[Json] = json.load(answer)["data"]["result"]
            return found


def _legend(target: Json, labels: dict[str, str]) -> str:
    form: str = target.get("legendFormat") or ""
    return _LABEL.sub(lambda found: labels.get(found[1], ""), form).strip()


def _on_grid(samples: Sequence[tuple[float, str]], times: np.ndarray, step: float) -> np.ndarray:
    values = np.full(times.size, np.nan)
    for at, value in samples:
        values[round((at - times[0]) / step)] = float(value)
    values[np.isinf(values)] = np.nan
    return values


def picture(board: Json, prometheus: Prometheus, span: Span) -> Figure:
    """One dashboard, drawn from the answers to its queries."""
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    height = HEAD_INCHES + UNIT_INCHES * rows + 0.1
    figure = Figure(figsize=(WIDTH_INCHES, height), facecolor=BACKGROUND)
    head = 1 - 0.36 / height
    figure.text(0.008, head, board["title"], color=TEXT, fontsize=16, va="center", weight="bold")
    said = "Preview: drawn from the panels' own queries, not by Grafana"
    figure.text(0.992, head, said, color=FAINT, fontsize=10, va="center", ha="right")
    for panel in board["panels"]:
        where = panel["gridPos"]
        left, width = where["x"] / GRID, where["w"] / GRID
        bottom = 1 - (HEAD_INCHES + UNIT_INCHES * (where["y"] + where["h"])) / height
        tall = UNIT_INCHES * where["h"] / height
        if panel["type"] == "row":
            figure.text(0.008, bottom + 0.4 * tall, f"⌄  {panel['title']}", color=TEXT, fontsize=11.5, va="center")
        else:
            _place(figure, panel, prometheus.lines(panel, span), (left, bottom, width, tall))
    return figure


def _place(figure: Figure, panel: Json, lines: Sequence[Line], box: tuple[float, float, float, float]) -> None:
    left, bottom, width, tall = box
    across, up = figure.get_size_inches()
    gap_x, gap_y = 0.04 / across, 0.04 / up
    figure.add_artist(
        FancyBboxPatch(
            (left + gap_x, bottom + gap_y),
            width - 2 * gap_x,
            tall - 2 * gap_y,
            boxstyle="square,pad=0",
            facecolor=SURFACE,
            edgecolor=EDGE,
            linewidth=0.7,
            transform=figure.transFigure,
            zorder=-1,
        )
    )
    top = bottom + tall
    figure.text(left + 0.13 / across, top - 0.2 / up, panel["title"], color=TEXT, fontsize=10, va="center")
    names = 0.3 + INCHES_A_LETTER * max((len(line.name) for line in lines), default=0)
    sides = {"stat": (0.06, 0.06, 0.06), "bargauge": (names, 0.15, 0.12), "timeseries": (0.75, 0.18, 0.72)}
    near, far, below = sides.get(panel["type"], (0.75, 0.18, 0.34))
    inner = (left + near / across, bottom + below / up, width - (near + far) / across, tall - (below + 0.38) / up)
    draw(panel, lines, figure.add_axes(inner))


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and write a PNG for each dashboard."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.preview", description=__doc__)
    parser.add_argument("--prometheus", required=True, help="its address, as http://127.0.0.1:9090")
    parser.add_argument("--minutes", type=float, default=15.0, help="how much of the past is drawn")
    parser.add_argument("--scrape-seconds", type=float, default=15.0, help="how often it scrapes")
    parser.add_argument("--rate-seconds", type=float, default=60.0, help="over what rates are taken, at least")
    parser.add_argument("--into", type=Path, default=Path("docs"), help="the folder of the pictures")
    flags = parser.parse_args(arguments)
    now = time.time()
    span = Span(now - 60 * flags.minutes, now, flags.scrape_seconds, flags.rate_seconds)
    try:
        for uid, board in boards().items():
            path = flags.into / f"dashboard-{uid.removeprefix('ringback-')}.png"
            picture(board, Prometheus(flags.prometheus), span).savefig(path, dpi=100)
            sys.stdout.write(f"{path}\n")
    except OSError as error:
        sys.stderr.write(f"--prometheus {flags.prometheus}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
