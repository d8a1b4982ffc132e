"""The floors and the rules that are compared, as plain data that can go to other processes."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC
from enum import StrEnum
from functools import partial
from statistics import median
from typing import Any

from dialer.abandonment import LIMITS, Ledger
from dialer.pacing import Abandoned, Connected, Event, Floor, Pacer, Pacing, Progressive
from simulation.callcentre import (
    Breaks,
    CallCentre,
    Detection,
    Outages,
    Scenario,
    Swing,
    Tally,
    markov,
    play,
    realistic,
)
from simulation.callcentre.laws import exponential
from simulation.callcentre.policies import Constant, Issabel, Method, OpenLoop, Vicidial, VicidialSettings
from simulation.callcentre.policies import Tally as Whose
from simulation.callcentre.tally import HOUR, HOURS_A_DAY, quantile

LIMIT, DAILY_TARGET = 0.03, 0.025
ANSWER_RATE, TALK, WRAP_UP = 0.25, 165.0, 15.0
# The pacer looks again after a second at the latest; rules that only count do not depend on it.
TICK, RARE_TICK, LOOP_TICK = 1.0, 60.0, 0.5
BISECTIONS = 8
MOST_LINES = 20.0


class World(StrEnum):
    """What the floor's laws are."""

    REALISTIC = "realistic"
    SWING = "swing"
    MARKOV = "markov"
    BREAKS = "breaks"
    OUTAGES = "trunk outages"
    DETECTION = "machine detection that errs"
    LATENESS = "late events"


TROUBLES: dict[World, dict[str, Any]] = {
    World.SWING: {"swing": Swing()},
    World.BREAKS: {"breaks": Breaks()},
    World.OUTAGES: {"outages": Outages()},
    World.DETECTION: {"detection": Detection(takes=0.5, human_as_machine=0.01, machine_as_human=0.05)},
    World.LATENESS: {"lateness": exponential(0.5)},
}
STRESSES = (World.BREAKS, World.OUTAGES, World.DETECTION, World.LATENESS)


@dataclass(frozen=True, slots=True)
class Place:
    """A floor: its laws, agents, answer rate, and mean seconds of talk; in the Markov world: of handling."""

    world: World
    agents: int
    answer_rate: float = ANSWER_RATE
    talk: float = TALK

    def __str__(self) -> str:
        return f"{self.world}, {self.agents} agents, {self.answer_rate:.0%} answer, {self.talk:.0f} s"

    @property
    def is_usual(self) -> bool:
        """Whether the campaign is the one for which there are targets."""
        return (self.answer_rate, self.talk) == (ANSWER_RATE, TALK)

    @property
    def handling(self) -> float:
        """Mean seconds from connection to ready."""
        return self.talk if self.world is World.MARKOV else self.talk + WRAP_UP

    def scenario(self, tick: float) -> Scenario:
        """The floor as the simulator wants it."""
        if self.world is World.MARKOV:
            return markov(self.agents, self.answer_rate, self.talk, tick=tick)
        usual = realistic(self.agents, self.answer_rate, self.talk, WRAP_UP, tick=tick)
        return replace(usual, **TROUBLES.get(self.world, {}))


class Guarded:
    """The pacer under the guard of a daily limit. A day of the simulation has eight hours, and they begin at nine."""

    NIGHT = 86_400.0 - HOURS_A_DAY * HOUR

    def __init__(self) -> None:
        self._ledger = Ledger([LIMITS["strict"]], began=0.0, zone=UTC)
        self._pacer = Pacer(limit=DAILY_TARGET, guard=lambda now, floor: self._ledger.room(self._wall(now), floor))
        self._now = 0.0

    def decide(self, now: float, floor: Floor) -> int:
        """As the pacer."""
        self._now = now
        return self._pacer.decide(now, floor)

    def observe(self, event: Event) -> None:
        """As the pacer, and into the ledger."""
        if isinstance(event, Connected | Abandoned):
            self._ledger.record(self._wall(self._now), answered=1, abandoned=isinstance(event, Abandoned))
        self._pacer.observe(event)

    def _wall(self, now: float) -> float:
        return now + 9 * HOUR + now // (HOURS_A_DAY * HOUR) * self.NIGHT


PACER, GUARDED = "pacer", "pacer, guarded"
CONSTANT, RATIO = "constant, best in hindsight", "VICIdial RATIO, Y, best in hindsight"


def _vicidial(method: Method, whose: Whose) -> Callable[[Place], Pacing]:
    return lambda _: Vicidial(VicidialSettings(method, whose))


RULES: dict[str, tuple[float, Callable[[Place], Pacing]]] = {
    PACER: (TICK, lambda _: Pacer(limit=LIMIT)),
    GUARDED: (TICK, lambda _: Guarded()),
    "progressive": (RARE_TICK, lambda _: Progressive()),
    "open loop, Erlang-B": (LOOP_TICK, lambda place: OpenLoop(place.agents, place.answer_rate, place.handling, LIMIT)),
    "Issabel": (LOOP_TICK, lambda _: Issabel()),
    **{
        f"VICIdial {method}, {whose}": (LOOP_TICK, _vicidial(method, whose))
        for whose in Whose
        for method in (Method.HARD_LIMIT, Method.AVERAGE, Method.TAPERED)
    },
}
# Each rounding of a constant is a rule of its own: with few idle agents it matters.
TUNED: dict[str, tuple[float, tuple[Callable[[float], Pacing], ...]]] = {
    CONSTANT: (RARE_TICK, tuple(partial(Constant, up=up) for up in (0.25, 0.5, 0.75, 1.0))),
    RATIO: (LOOP_TICK, (lambda level: Vicidial(VicidialSettings(Method.RATIO, Whose.AVAILABLE_ONLY, level)),)),
}


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a place under a rule with a seed: over all, and each day. ``parameter`` is what was tuned."""

    total: Tally
    days: tuple[Tally, ...]
    parameter: float = 0.0


@dataclass(frozen=True, slots=True)
class Job:
    """A rule to be played at a place with each of the seeds, or to be tuned over all of them together."""

    place: Place
    rule: str
    days: int
    seeds: tuple[int, ...]

    def run(self) -> tuple[Run, ...]:
        """A run for each seed."""
        if self.rule in TUNED:
            return self._tuned()
        tick, make = RULES[self.rule]
        return tuple(self._play(tick, make(self.place), seed) for seed in self.seeds)

    def _tuned(self) -> tuple[Run, ...]:
        tick, makers = TUNED[self.rule]
        return max(
            (self._bisected(tick, make) for make in makers),
            key=lambda runs: total(runs).occupancy if total(runs).abandonment <= LIMIT else 0.0,
        )

    def _bisected(self, tick: float, make: Callable[[float], Pacing]) -> tuple[Run, ...]:
        """With the parameter that keeps agents busiest within the limit: more lines abandon more."""
        low, high = 1.0, MOST_LINES
        found = self._at(tick, make, low)
        for _ in range(BISECTIONS):
            middle = (low * high) ** 0.5
            tried = self._at(tick, make, middle)
            if total(tried).abandonment <= LIMIT:
                low, found = middle, tried
            else:
                high = middle
        return found

    def _at(self, tick: float, make: Callable[[float], Pacing], parameter: float) -> tuple[Run, ...]:
        return tuple(self._play(tick, make(parameter), seed, parameter) for seed in self.seeds)

    def _play(self, tick: float, policy: Pacing, seed: int, parameter: float = 0.0) -> Run:
        result = play(self.place.scenario(tick), policy, self.days * HOURS_A_DAY, seed)
        return Run(result.total, tuple(result.days()), parameter)


def total(runs: Iterable[Run]) -> Tally:
    """The sums over all runs."""
    return Tally.total(run.total for run in runs)


class _Timed:
    """A pacer on a floor of plain lists, whose decisions are timed while many calls are in flight."""

    def __init__(self, pacer: Pacing, least_in_flight: int) -> None:
        self.seconds: list[float] = []
        self._pacer = pacer
        self._least = least_in_flight

    def decide(self, now: float, floor: Floor) -> int:
        plain = Floor(floor.idle, list(floor.busy), list(floor.in_flight), floor.waiting, floor.free_lines)
        begins = time.thread_time()
        calls = self._pacer.decide(now, plain)
        if len(plain.in_flight) >= self._least:
            self.seconds.append(time.thread_time() - begins)
        return calls

    def observe(self, event: Event) -> None:
        self._pacer.observe(event)


def decide_seconds(agents: int = 100, in_flight: int = 300) -> tuple[float, float]:
    """Median and 99th percentile of a decision's processor seconds, with so many agents and calls in flight.

    So many are in flight where few answer and talk is short. The first half hour, when the pacer learns, is left out.
    """
    timed = _Timed(Pacer(limit=LIMIT), in_flight)
    centre = CallCentre(realistic(agents, answer_rate=0.07, talk=60.0, tick=TICK), timed, seed=1)
    centre.run(HOUR / 2)
    timed.seconds.clear()
    centre.run(HOUR / 4)
    if not timed.seconds:
        raise ValueError(f"{agents} agents never had {in_flight} calls in flight: let fewer shoppers answer")
    return median(timed.seconds), quantile(timed.seconds, 0.99)
