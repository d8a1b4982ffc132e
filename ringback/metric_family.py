"""How metrics are declared: a name, what it counts, its labels with their values; and what is known of each."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

# Without this, each counter and histogram brings one more series with its birth time; so does the environment variable
# PROMETHEUS_DISABLE_CREATED_SERIES, which need not be set.
disable_created_metrics()  # type: ignore[no-untyped-call] # the package leaves this function without types

PREFIX = "ringback_"
BASE_UNITS = frozenset({"seconds", "bytes", "ratio", "nats"})

# The values themselves, or in words what bounds them.
Label = type[StrEnum] | str
Known = Iterable[tuple[str, ...]]
M = TypeVar("M", Counter, Gauge, Histogram)


@dataclass(frozen=True, slots=True)
class Definition:
    """What is known of a metric.

    ``labels`` holds by label its values, or in words what bounds them. ``unit`` is empty where things are counted.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    meaning: str
    labels: Mapping[str, tuple[str, ...] | str]


class Tally:
    """One label set of `Tallies`."""

    __slots__ = ("_counts", "_edges", "_sum")

    def __init__(self, edges: tuple[float, ...]) -> None:
        self._edges = edges
        self._counts = [0] * (len(edges) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._edges, value)] += 1
        self._sum += value

    def read(self) -> tuple[list[tuple[str, float]], float]:
        """What there is by upper edge, cumulated, and the sum."""
        total, found = 0, []
        for edge, count in zip((*self._edges, float("inf")), tuple(self._counts), strict=True):
            total += count
            found.append((_shown(edge), float(total)))
        return found, self._sum


class Tallies(Collector):
    """A histogram that one thread alone writes, for what is measured with every event: it takes no lock.

    A fifth of the time that `prometheus_client.Histogram` takes, and no exemplars.
    """

    def __init__(
        self,
        name: str,
        meaning: str,
        edges: tuple[float, ...],
        label: tuple[str, tuple[str, ...]] | None,
        registry: CollectorRegistry,
    ) -> None:
        self._name, self._meaning = name, meaning
        self._label = (label[0],) if label else ()
        self._tallies = {value: Tally(edges) for value in (label[1] if label else ("",))}
        registry.register(self)

    def labels(self, value: str) -> Tally:
        """The tally of a label's value, which must be one of those that were declared."""
        return self._tallies[value]

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """Name and meaning."""
        yield HistogramMetricFamily(self._name, self._meaning, labels=self._label, unit=unit_of(self._name))

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """What was counted, as the registry asks for it."""
        family = next(self.describe())
        for value, tally in self._tallies.items():
            buckets, total = tally.read()
            family.add_metric([value] if self._label else [], buckets, total)
        yield family


class Family:
    """Metrics in one registry. Each label set that can be known beforehand is there from the start, so it reads 0."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.definitions: list[Definition] = []

    def _counter(self, name: str, meaning: str, known: Known | None = None, **labels: Label) -> Counter:
        """A counter ``ringback_<name>_total``. ``known`` are the label sets to start with; by default all there are."""
        full = f"{PREFIX}{name}_total"
        metric = Counter(full, meaning, tuple(labels), registry=self.registry, unit=unit_of(full))
        return self._declared(metric, Definition(full, "counter", unit_of(full), meaning, _values(labels)), known)

    def _gauge(self, name: str, meaning: str, known: Known | None = None, **labels: Label) -> Gauge:
        full = PREFIX + name
        metric = Gauge(full, meaning, tuple(labels), registry=self.registry, unit=unit_of(full))
        return self._declared(metric, Definition(full, "gauge", unit_of(full), meaning, _values(labels)), known)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], **labels: Label) -> Histogram:
        full = PREFIX + name
        metric = Histogram(full, meaning, tuple(labels), registry=self.registry, unit=unit_of(full), buckets=buckets)
        return self._declared(metric, Definition(full, "histogram", unit_of(full), meaning, _values(labels)), None)

    def _tally(self, name: str, meaning: str, edges: tuple[float, ...]) -> Tally:
        """A histogram for what is measured with every event; see `Tallies`."""
        return self._tallies(name, meaning, edges, None).labels("")

    def _tallies(
        self, name: str, meaning: str, edges: tuple[float, ...], label: tuple[str, type[StrEnum]] | None
    ) -> Tallies:
        full, values = PREFIX + name, _values(dict([label]) if label else {})
        self.definitions.append(Definition(full, "histogram", unit_of(full), meaning, values))
        known = (label[0], tuple(one.value for one in label[1])) if label else None
        return Tallies(full, meaning, edges, known, self.registry)

    def _declared(self, metric: M, definition: Definition, known: Known | None) -> M:
        self.definitions.append(definition)
        values = definition.labels.values()
        if values:
            closed = [one for one in values if not isinstance(one, str)]
            start = product(*closed) if len(closed) == len(values) else ()
            for label_set in start if known is None else known:
                metric.labels(*label_set)
        return metric


def _shown(edge: float) -> str:
    shown: str = floatToGoString(edge)  # type: ignore[no-untyped-call] # the package leaves this function without types
    return shown


def unit_of(name: str) -> str:
    """The base unit that a metric's name ends in, if it does."""
    last = name.removesuffix("_total").rpartition("_")[2]
    return last if last in BASE_UNITS else ""


def _values(labels: Mapping[str, Label]) -> dict[str, tuple[str, ...] | str]:
    return {
        name: values if isinstance(values, str) else tuple(one.value for one in values)
        for name, values in labels.items()
    }
