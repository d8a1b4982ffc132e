"""The event loop of a simulated call floor. Its clock is the heap of what comes next; the same seed plays the same."""

import heapq
from bisect import bisect
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, count
from random import Random
from typing import NamedTuple, TypeVar, overload

from dialer.pacing import (
    Abandoned,
    Busy,
    BusyAgent,
    Connected,
    Floor,
    Kind,
    Pacing,
    Resolved,
    TalkEnded,
    WrapUpEnded,
)
from simulation.callcentre.laws import uniform
from simulation.callcentre.scenario import Detection, Scenario
from simulation.callcentre.tally import HOUR, Result, Tally

LINES_PER_AGENT = 20
ABANDONED = "abandoned"
TRUNK_FAILS = uniform(1.0, 4.0)

T = TypeVar("T")


class Span(NamedTuple):
    """What an agent did or a call was, from when to when.

    ``what`` is a `Busy` of agent ``who``; or, of call ``who``, its `Kind` while it rang, or `ABANDONED` for a moment.
    """

    who: int
    what: str
    begins: float
    ends: float


class _Call(NamedTuple):
    number: int
    started: float
    kind: Kind
    is_live: bool
    waited: float
    hold: float


class _Later(Sequence[T]):
    """A sequence made when it is first read: most rules of thumb want nothing but its length."""

    __slots__ = ("_length", "_made", "_make")

    def __init__(self, length: int, make: Callable[[], list[T]]) -> None:
        self._length = length
        self._make = make
        self._made: list[T] | None = None

    def _all(self) -> list[T]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        return iter(self._all())

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        return self._all()[index]


class CallCentre:
    """A floor at work. `run` goes on from where it was; ``result`` holds what came of it so far.

    The floor that the policy is shown must be read within ``decide``. With ``spans`` it remembers what agents and calls
    did.
    """

    def __init__(self, scenario: Scenario, policy: Pacing, seed: int, *, spans: bool = False) -> None:
        self.result = Result(hours=[Tally()])
        self._spans: list[Span] | None = [] if spans else None
        self._scenario = scenario
        self._policy = policy
        # Laws of their own, so that two policies meet the same talks and the same shoppers.
        self._calls_random, self._talks_random = Random(f"{seed}/calls"), Random(f"{seed}/talks")
        self._breaks_random = Random(f"{seed}/breaks")
        self._most_lines = scenario.lines or LINES_PER_AGENT * scenario.agents
        self._shares = list(accumulate(outcome.share for outcome in scenario.outcomes))
        self._now = self._asks_at = 0.0
        self._heap: list[tuple[float, int, Callable[[int], None], int]] = []
        self._number = count()
        self._idle: deque[tuple[int, float]] = deque((agent, 0.0) for agent in range(scenario.agents))
        self._busy: dict[int, tuple[Busy, float]] = {}
        self._away: set[int] = set()
        self._leaving: set[int] = set()
        self._in_flight: dict[int, _Call] = {}
        self._waiting: dict[int, tuple[_Call, float]] = {}
        self._talking = 0
        self._trunk_is_down = False
        self._at(HOUR, self._hour_ends)
        if scenario.breaks:
            self._at(scenario.breaks.every, self._break_begins)
        if scenario.outages:
            self._at(scenario.outages.every, self._outage_begins)

    @property
    def spans(self) -> list[Span]:
        """What agents and calls did; what is not over ends now."""
        agents = [Span(agent, what, since, self._now) for agent, (what, since) in self._busy.items()]
        calls = [Span(call.number, call.kind, call.started, self._now) for call in self._in_flight.values()]
        return [*(self._spans or ()), *agents, *calls]

    def run(self, seconds: float) -> None:
        """Go on for so many seconds. In how many parts makes no difference."""
        until, heap = self._now + seconds, self._heap
        while self._now < until:
            at, _, handle, argument = heap[0]
            if at <= self._asks_at and at <= until:
                heapq.heappop(heap)
                self._advance(at)
                handle(argument)
            elif self._asks_at <= until:
                self._advance(self._asks_at)
            else:
                self._advance(until)
                return
            self._decide()

    def _at(self, seconds: float, handle: Callable[[int], None], argument: int = 0) -> None:
        heapq.heappush(self._heap, (self._now + seconds, next(self._number), handle, argument))

    def _advance(self, now: float) -> None:
        passed = now - self._now
        if passed:
            hour = self.result.hours[-1]
            busy = len(self._busy)
            lines = len(self._in_flight) + len(self._waiting) + self._talking
            hour.seconds += passed
            hour.busy += passed * busy
            hour.staffed += passed * (busy + len(self._idle))
            hour.lines += passed * lines
            self.result.line_seconds[lines] += passed
            self._now = now

    def _decide(self) -> None:
        lines = len(self._in_flight) + len(self._waiting) + self._talking
        floor = Floor(
            idle=len(self._idle),
            busy=_Later(len(self._busy), self._busy_agents),
            in_flight=_Later(len(self._in_flight), self._ages),
            waiting=len(self._waiting),
            free_lines=self._most_lines - lines,
        )
        self._asks_at = self._now + self._scenario.tick
        calls = self._policy.decide(self._now, floor)
        if not 0 <= calls <= floor.free_lines:
            raise ValueError(f"{type(self._policy).__name__} starts {calls} calls with {floor.free_lines} free lines")
        for _ in range(calls):
            self._dial()

    def _busy_agents(self) -> list[BusyAgent | tuple[str, float]]:
        now = self._now
        return [BusyAgent(state, now - since) for state, since in self._busy.values()]

    def _ages(self) -> list[float]:
        now = self._now
        return [now - call.started for call in self._in_flight.values()]

    def _dial(self) -> None:
        scenario, random = self._scenario, self._calls_random
        rate = scenario.answer_rate * (scenario.swing.at(self._now) if scenario.swing else 1.0)
        draw = random.random()
        is_live = draw < rate
        if is_live:
            kind, seconds = Kind.HUMAN, scenario.answer(random)
        else:
            share = (draw - rate) / (1.0 - rate) * self._shares[-1]
            outcome = scenario.outcomes[min(bisect(self._shares, share), len(self._shares) - 1)]
            kind, seconds = outcome.kind, outcome.seconds(random)
        waited = 0.0
        if self._trunk_is_down:
            kind, is_live, seconds = Kind.FAILED, False, TRUNK_FAILS(random)
        elif scenario.detection and kind in (Kind.HUMAN, Kind.MACHINE):
            kind, waited = _detect(kind, scenario.detection, random)
        if scenario.lateness:
            waited += scenario.lateness(random)
        hold = scenario.patience(random) if scenario.patience else scenario.hold
        number = next(self._number)
        self._in_flight[number] = _Call(number, self._now, kind, is_live, waited, hold)
        self.result.hours[-1].dials += 1
        self._at(seconds + waited, self._resolve, number)

    def _resolve(self, number: int) -> None:
        call = self._in_flight.pop(number)
        hour = self.result.hours[-1]
        self._did(number, call.kind, call.started)
        self._policy.observe(Resolved(call.kind, self._now - call.started))
        hour.live += call.is_live
        if call.kind is not Kind.HUMAN:
            hour.mistaken += call.is_live
        elif call.waited > call.hold:
            self._abandon(call)
        elif self._idle:
            self._connect(call, call.waited)
        else:
            self._waiting[number] = (call, self._now)
            self._at(call.hold - call.waited, self._give_up, number)

    def _give_up(self, number: int) -> None:
        if number in self._waiting:
            call, _ = self._waiting.pop(number)
            self._abandon(call)

    def _abandon(self, call: _Call) -> None:
        self.result.hours[-1].abandoned += call.is_live
        self._did(call.number, ABANDONED, self._now)
        self._policy.observe(Abandoned())

    def _connect(self, call: _Call, waited: float) -> None:
        agent, since = self._idle.popleft()
        hour = self.result.hours[-1]
        self.result.agent_waits.append(self._now - since)
        self._busy[agent] = (Busy.TALKING, self._now)
        self._talking += 1
        self._policy.observe(Connected())
        if call.is_live:
            hour.connected += 1
            self.result.shopper_waits.append(waited)
            talk = self._scenario.talk(self._talks_random)
        else:
            hour.machines_connected += 1
            talk = self._scenario.detection.wasted if self._scenario.detection else 0.0
        self._at(talk, self._talk_ends, agent)

    def _talk_ends(self, agent: int) -> None:
        _, since = self._busy[agent]
        self._talking -= 1
        self._did(agent, Busy.TALKING, since)
        self._policy.observe(TalkEnded(self._now - since))
        if self._scenario.wrap_up:
            self._busy[agent] = (Busy.WRAP_UP, self._now)
            self._at(self._scenario.wrap_up(self._talks_random), self._wrap_up_ends, agent)
        else:
            self._is_free(agent)

    def _wrap_up_ends(self, agent: int) -> None:
        _, since = self._busy[agent]
        self._did(agent, Busy.WRAP_UP, since)
        self._policy.observe(WrapUpEnded(self._now - since))
        self._is_free(agent)

    def _is_free(self, agent: int) -> None:
        del self._busy[agent]
        if agent in self._leaving:
            self._leaving.remove(agent)
            self._away.add(agent)
        else:
            self._is_there(agent)

    def _is_there(self, agent: int) -> None:
        self._idle.append((agent, self._now))
        if self._waiting:
            number = next(iter(self._waiting))
            call, since = self._waiting.pop(number)
            self._connect(call, call.waited + self._now - since)

    def _did(self, who: int, what: str, since: float) -> None:
        if self._spans is not None:
            self._spans.append(Span(who, what, since, self._now))

    def _hour_ends(self, _: int) -> None:
        self.result.hours.append(Tally())
        self._at(HOUR, self._hour_ends)

    def _break_begins(self, _: int) -> None:
        if breaks := self._scenario.breaks:
            agents = range(self._scenario.agents)
            leaving = set(self._breaks_random.sample(agents, round(breaks.share * len(agents))))
            self._leaving = leaving & set(self._busy)
            self._away = leaving - set(self._busy)
            self._idle = deque(one for one in self._idle if one[0] not in leaving)
            self._at(breaks.lasts, self._break_ends)
            self._at(breaks.every, self._break_begins)

    def _break_ends(self, _: int) -> None:
        back, self._away = sorted(self._away), set()
        self._leaving.clear()
        for agent in back:
            self._is_there(agent)

    def _outage_begins(self, _: int) -> None:
        if outages := self._scenario.outages:
            self._trunk_is_down = True
            self._at(outages.lasts, self._outage_ends)
            self._at(outages.every, self._outage_begins)

    def _outage_ends(self, _: int) -> None:
        self._trunk_is_down = False


def play(scenario: Scenario, policy: Pacing, hours: float, seed: int) -> Result:
    """What comes of so many hours of a floor under a policy."""
    centre = CallCentre(scenario, policy, seed)
    centre.run(hours * HOUR)
    return centre.result


def _detect(kind: Kind, detection: Detection, random: Random) -> tuple[Kind, float]:
    """What an answered call is taken for, and how long its shopper has waited by then."""
    is_wrong = random.random() < (detection.human_as_machine if kind is Kind.HUMAN else detection.machine_as_human)
    if is_wrong:
        kind = Kind.MACHINE if kind is Kind.HUMAN else Kind.HUMAN
    return kind, detection.takes
