"""What Prometheus would have seen, and what an alert would make of it.

Values are in promtool's notation, a sample a minute: ``0+2x60`` is 0, 2, 4 … 120.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Series = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Series, and the alert that fires at ``minute`` with these labels and this description; ``None``: it does not.

    Whatever is critical fires as a warning too, if the alert knows both; Alertmanager holds that back.
    """

    alert: str
    minute: int
    series: Series
    severities: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    description: str | None = None


STREAM = 'job="stream", instance="s:1"'
DIALER = 'job="dialer", instance="d:1"'
INGEST = 'job="ingest", instance="i:1"'
ON_STREAM, ON_DIALER, ON_INGEST = (
    {"job": "stream", "instance": "s:1"},
    {"job": "dialer", "instance": "d:1"},
    {"job": "ingest", "instance": "i:1"},
)
