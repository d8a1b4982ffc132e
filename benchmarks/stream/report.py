"""What the runs amount to: pure functions from outputs to numbers, and from numbers to the table and the last line."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from rich.table import Table

from benchmarks.stream.catalogue import OURS
from benchmarks.stream.job import INPUTS_PER_OUTPUT, Output


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from an event's sending to its score, at ``rate`` events/s."""

    rate: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Drain:
    """A backlog worked off."""

    events_per_s: float
    cpu_us: float


@dataclass(slots=True)
class Run:
    """One round of one engine; what could not be measured is None, and ``faults`` say what was wrong."""

    drain: Drain | None = None
    half: Latency | None = None
    at_1000: Latency | None = None
    faults: list[str] = field(default_factory=list)


def drained(outputs: Sequence[Output], cpu_at: Callable[[float], float]) -> Drain:
    """Speed from the first score to the last; doubles count once. Raises `ValueError` for less than two outputs."""
    scored = sorted({output.number: output.scored for output in outputs}.values())
    if len(scored) < 2 or scored[-1] <= scored[0]:
        raise ValueError(f"{len(scored)} outputs tell no speed")
    events = (len(scored) - 1) * INPUTS_PER_OUTPUT
    cpu = cpu_at(scored[-1]) - cpu_at(scored[0])
    return Drain(events / (scored[-1] - scored[0]), 1e6 * cpu / events)


def latency(outputs: Sequence[Output], rate: float) -> Latency:
    """The spread of sending to score. Raises `ValueError` for no outputs."""
    taken = sorted(1000 * (output.scored - output.sent) for output in outputs)
    if not taken:
        raise ValueError("no outputs tell no latency")
    return Latency(rate, quantile(taken, 0.5), quantile(taken, 0.99))


def quantile(rising: Sequence[float], part: float) -> float:
    """The smallest value that at least this part of the values does not exceed."""
    return rising[max(0, math.ceil(part * len(rising)) - 1)]


def faults(outputs: Sequence[Output], counted: int | None, events: int) -> list[str]:
    """What is lost or doubled. ``counted`` is what the changelog's states sum to, None where there is none."""
    expected = events // INPUTS_PER_OUTPUT
    different = len({output.number for output in outputs})
    found = []
    if different < expected:
        found.append(f"{expected - different} of {expected} outputs lost")
    if len(outputs) > different:
        found.append(f"{len(outputs) - different} outputs doubled")
    if counted is not None and counted != events:
        found.append(f"states count {counted:,} of {events:,} events")
    return found


def table(runs: dict[str, list[Run]]) -> Table:
    """All engines side by side."""
    made = Table(title="One worker on one core, the same job; medians of the rounds")
    made.add_column("engine")
    for name in ("events/s", "min-max", "CPU µs/event", "p50/p99 ms at half", "p50/p99 ms at 1,000/s", "to ours"):
        made.add_column(name, justify="right")
    ours = _speed(runs.get(OURS, []))
    for engine, rounds in runs.items():
        rates = [run.drain.events_per_s for run in rounds if run.drain]
        speed = _speed(rounds)
        made.add_row(
            f"{engine} (!)" if wrong(rounds) else engine,
            f"{speed:,.0f}" if speed else "-",
            f"{min(rates):,.0f}-{max(rates):,.0f}" if speed else "-",
            f"{median(run.drain.cpu_us for run in rounds if run.drain):.1f}" if speed else "-",
            _spread(_middle([run.half for run in rounds])),
            _spread(_middle([run.at_1000 for run in rounds])),
            f"{speed / ours:.2f}" if speed and ours else "-",
        )
    return made


def last_line(runs: dict[str, list[Run]]) -> str:
    """The results as one JSON object; what could not be measured is left out."""
    measured = {engine: [run.drain for run in rounds if run.drain] for engine, rounds in runs.items()}
    latencies = {}
    for engine, rounds in runs.items():
        found = {"half": _middle([run.half for run in rounds]), "at_1000": _middle([run.at_1000 for run in rounds])}
        told = {
            name: {"rate": round(at.rate), "p50": round(at.p50, 2), "p99": round(at.p99, 2)}
            for name, at in found.items()
            if at
        }
        if told:
            latencies[engine] = told
    return json.dumps(
        {
            "events_per_s": {
                name: round(median(d.events_per_s for d in all_)) for name, all_ in measured.items() if all_
            },
            "cpu_us": {name: round(median(d.cpu_us for d in all_), 2) for name, all_ in measured.items() if all_},
            "latency_ms": latencies,
            "faults": {engine: wrong(rounds) for engine, rounds in runs.items() if wrong(rounds)},
        }
    )


def line(run: Run) -> str:
    """One round in one line."""
    told = [f"{run.drain.events_per_s:>8,.0f} events/s  {run.drain.cpu_us:6.1f} µs" if run.drain else "not measured"]
    told += [f"{at.rate:,.0f}/s: {_spread(at)} ms" for at in (run.half, run.at_1000) if at]
    return "  ".join([*told, *run.faults])


def _speed(rounds: Sequence[Run]) -> float | None:
    rates = [run.drain.events_per_s for run in rounds if run.drain]
    return median(rates) if rates else None


def _middle(found: Sequence[Latency | None]) -> Latency | None:
    known = [at for at in found if at]
    if not known:
        return None
    return Latency(median(at.rate for at in known), median(at.p50 for at in known), median(at.p99 for at in known))


def _spread(at: Latency | None) -> str:
    return f"{at.p50:.1f}/{at.p99:.1f}" if at else "-"


def wrong(rounds: Sequence[Run]) -> list[str]:
    """All that went wrong, each once."""
    return list(dict.fromkeys(fault for run in rounds for fault in run.faults))
