"""docs/metrics.md: every metric with its meaning, and where it is looked at."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ringback.metric_family import Definition
from ringback.metrics import PROCESSES, ProcessMetrics

_HEAD = """# Metrics

Made by `ringback metrics > docs/metrics.md` from `ringback/metrics.py` and `dashboards/`; do not edit.

Every process serves `/metrics`, `/livez` and `/readyz` on its own admin listener, on loopback unless `admin.host` says
otherwise: ingest 9101, stream 9102, dialer 9103, outreach 9104. Who asks for OpenMetrics gets exemplars: the
`decision_id` or `call_id` beside slow decisions and calls. Label sets that are known beforehand read 0 from the start.
Besides what is here there are `process_*` and `python_info`.

What several workers count is to be summed: `sum by (channel) (rate(ringback_contacts_total[5m]))`. Counters begin anew
when their process does, and orders come long after contacts: for cohorts, and for the books, use `ringback export`.
"""
_ROW = re.compile(r"^ *- (?P<kind>record|alert): *(?P<name>\S+)", re.MULTILINE)
_SLO = re.compile(r"^ *slo: *(?P<name>\S+)", re.MULTILINE)
_PARTS = ("", "_bucket", "_sum", "_count")


@dataclass(frozen=True, slots=True)
class Series:
    """A metric or what is recorded of one; of some names there is a series for each objective."""

    name: str
    slo: str = ""

    def is_in(self, text: str) -> bool:
        """Whether a query asks for it."""
        found = re.finditer(rf"(?<![\w:]){re.escape(self.name)}(?![\w:])(\{{[^}}]*)?", text)
        return any('slo="' not in (one[1] or "") or f'slo="{self.slo}"' in one[1] for one in found)


@dataclass(slots=True)
class Watching:
    """Who looks at which series: dashboards by title, alerts by name, each with its text; and what is recorded."""

    boards: dict[str, str] = field(default_factory=dict)
    alerts: dict[str, str] = field(default_factory=dict)
    records: dict[Series, str] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "Watching":
        """What ``grafana/*.json`` and ``prometheus/*.yml`` in a folder hold; nothing where it does not exist."""
        found = cls()
        for file in sorted((folder / "grafana").glob("*.json")):
            text = file.read_text()
            title = str(json.loads(text)["title"])
            found.boards[title.rpartition("/")[2].strip()] = text.replace('\\"', '"')
        for file in sorted((folder / "prometheus").glob("*.yml")):
            text = file.read_text()
            rows = list(_ROW.finditer(text))
            for row, after in zip(rows, [*rows[1:], None], strict=True):
                found._add(row["kind"], row["name"], text[row.end() : after.start() if after else None])
        return found

    def _add(self, kind: str, name: str, body: str) -> None:
        if kind == "alert":
            self.alerts[name] = self.alerts.get(name, "") + body
        else:
            slo = _SLO.search(body)
            self.records[Series(name, slo["name"] if slo else "")] = body

    def of(self, metric: str) -> tuple[list[str], list[str]]:
        """The dashboards and the alerts that ask for a metric, themselves or by what was recorded of it."""
        series = {Series(metric + part) for part in _PARTS}
        while more := {record for record, body in self.records.items() if _asks(body, series)} - series:
            series |= more
        return (
            [title for title, text in self.boards.items() if _asks(text, series)],
            [alert for alert, text in self.alerts.items() if _asks(text, series)],
        )


def text(folder: Path) -> str:
    """The file docs/metrics.md. ``folder`` holds dashboards and rules."""
    return "\n".join(_lines(Watching.read(folder)))


def _lines(watching: Watching) -> Iterator[str]:
    common = ProcessMetrics().definitions
    yield _HEAD
    yield from _table("Every process", common, watching)
    for name, metrics in PROCESSES.items():
        yield from _table(f"`ringback {name}`", metrics().definitions[len(common) :], watching)


def _table(title: str, definitions: list[Definition], watching: Watching) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| name | type | unit | labels | meaning | dashboards | alerts |"
    yield "|---|---|---|---|---|---|---|"
    for one in definitions:
        boards, alerts = watching.of(one.name)
        cells = (
            f"`{one.name}`",
            one.kind,
            one.unit,
            _labels(one.labels),
            one.meaning,
            ", ".join(boards),
            ", ".join(alerts),
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def _labels(labels: Mapping[str, tuple[str, ...] | str]) -> str:
    return "; ".join(
        f"`{name}`: {values if isinstance(values, str) else ', '.join(values)}" for name, values in labels.items()
    )


def _asks(text: str, series: set[Series]) -> bool:
    return any(one.is_in(text) for one in series)
