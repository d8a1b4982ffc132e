"""Reads what Ringback's processes say about themselves at /metrics."""

import itertools
from collections.abc import Iterable
from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

SCRAPE_SECONDS = 2.0

Labels = frozenset[tuple[str, str]]


def fetch(url: str) -> str | None:
    """The text of a process's metrics, or None while it does not answer. ``url`` is of its admin port."""
    return _get(f"{url}/metrics")


def is_ready(url: str) -> bool:
    """Whether a process says at /readyz that it can work. ``url`` is of its admin port."""
    return _get(f"{url}/readyz") is not None


def _get(url: str) -> str | None:
    try:
        with urlopen(url, timeout=SCRAPE_SECONDS) as answer:  # noqa: S310 - http:// ports of one's own processes
            return str(answer.read().decode())
    except (URLError, OSError):
        return None


class Samples:
    """Samples of several processes at one moment; equal ones are summed."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._values: dict[str, dict[Labels, float]] = {}
        for text in texts:
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    series = self._values.setdefault(sample.name, {})
                    labels = frozenset(sample.labels.items())
                    series[labels] = series.get(labels, 0.0) + sample.value

    def value(self, name: str, **labels: str) -> float:
        """The sum over all samples that have these labels; 0 when there are none."""
        wanted = labels.items()
        return sum(value for have, value in self._values.get(name, {}).items() if wanted <= have)

    def by(self, name: str, label: str) -> dict[str, float]:
        """Sums by the value of a label, in the order of the values."""
        sums: dict[str, float] = {}
        for labels, value in self._values.get(name, {}).items():
            key = dict(labels).get(label, "")
            sums[key] = sums.get(key, 0.0) + value
        return dict(sorted(sums.items()))

    def by_two(self, name: str, first: str, second: str) -> dict[tuple[str, str], float]:
        """Sums by the values of two labels."""
        sums: dict[tuple[str, str], float] = {}
        for labels, value in self._values.get(name, {}).items():
            have = dict(labels)
            key = (have.get(first, ""), have.get(second, ""))
            sums[key] = sums.get(key, 0.0) + value
        return dict(sorted(sums.items()))

    def quantile(self, name: str, q: float) -> float | None:
        """A quantile of a histogram, by linear interpolation in its bucket as Prometheus does; None without samples.

        What lies beyond the last finite edge is told as that edge.
        """
        buckets = sorted((float(edge), count) for edge, count in self.by(f"{name}_bucket", "le").items())
        if not buckets or not buckets[-1][1]:
            return None
        rank = q * buckets[-1][1]
        for (low, below), (high, count) in itertools.pairwise([(0.0, 0.0), *buckets]):
            if count >= rank and count > below:
                return low if high == float("inf") else low + (high - low) * (rank - below) / (count - below)
        return None

    def minus(self, earlier: "Samples") -> "Samples":
        """What was counted since an earlier moment; of gauges, the difference."""
        since = Samples()
        since._values = {
            name: {labels: value - earlier.value(name, **dict(labels)) for labels, value in series.items()}
            for name, series in self._values.items()
        }
        return since

    def label_values(self) -> set[str]:
        """Every value of every label."""
        return {value for series in self._values.values() for labels in series for _, value in labels}
