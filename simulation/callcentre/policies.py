"""Pacing rules to compare with: those of other dialers as they are documented, and yardsticks of theory.

None of them is meant for real calls. Rules that other dialers run every few seconds hold in between to the number of
lines that they last asked for; each is told by what it does, not by how its dialer is built.
"""

import math
from collections import deque
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

from dialer.pacing import Abandoned, Busy, Connected, Event, Floor, Kind, Resolved, TalkEnded

DAY = 8 * 3600.0


def _within(calls: float, floor: Floor) -> int:
    return max(0, min(math.floor(calls), floor.free_lines))


class Constant:
    """So many lines for each idle agent, always. ``up`` is the fraction of a line from which it is rounded up."""

    def __init__(self, lines_per_idle: float, up: float = 0.5) -> None:
        self._lines_per_idle = lines_per_idle
        self._up = up

    def decide(self, now: float, floor: Floor) -> int:
        """As many as are missing."""
        wanted = math.floor(self._lines_per_idle * floor.idle + 1 - self._up)
        return _within(wanted - len(floor.in_flight) - floor.waiting, floor)

    def observe(self, event: Event) -> None:
        """Nothing to learn."""


def erlang_b(servers: int, load: float) -> float:
    """Share of arrivals that find all servers busy. ``load`` in erlangs."""
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked


def load_for(servers: int, blocked: float) -> float:
    """The load in erlangs under which that share of arrivals is blocked."""
    low, high = 0.0, servers / (1 - blocked)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if erlang_b(servers, middle) < blocked else (low, middle)
    return low


class OpenLoop:
    """Calls as a Poisson stream, as many as Erlang-B allows for the limit; the campaign's means are known."""

    def __init__(self, agents: int, answer_rate: float, handling: float, limit: float = 0.03, seed: int = 1) -> None:
        self._rate = load_for(agents, limit) / handling / answer_rate
        self._random = Random(seed)
        self._next = self._random.expovariate(self._rate)

    def decide(self, now: float, floor: Floor) -> int:
        """Those whose time has come."""
        calls = 0
        while self._next <= now:
            self._next += self._random.expovariate(self._rate)
            calls += 1
        return _within(calls, floor)

    def observe(self, event: Event) -> None:
        """Nothing to learn."""


class Issabel:
    """Issabel's predictor: agents who are free, or soon will be by an exponential law of talk, less calls on the way.

    An agent counts as soon free when ``1 - exp(-(elapsed + mean ring time) / mean talk)`` is at least ``certainty``;
    with ``overcommits``, the number is divided by the answer rate of the last half hour, a fifth at least.
    """

    EVERY = 3.0
    SAMPLES, CALLS, SPAN, LEAST_RATE = 10, 10, 1800.0, 0.2

    def __init__(self, certainty: float = 0.97, *, overcommits: bool = True) -> None:
        self._certainty = certainty
        self._overcommits = overcommits
        self._due = 0.0
        self._now = 0.0
        self._rings: deque[tuple[float, bool]] = deque()
        self._answer_seconds, self._answers = 0.0, 0
        self._talk_seconds, self._talks = 0.0, 0

    def decide(self, now: float, floor: Floor) -> int:
        """Every three seconds, as many as are missing."""
        self._now = now
        if now < self._due:
            return 0
        self._due = now + self.EVERY
        calls = float(floor.idle + self._soon(floor) - floor.waiting - len(floor.in_flight))
        while self._rings and self._rings[0][0] < now - self.SPAN:
            self._rings.popleft()
        if self._overcommits and len(self._rings) >= self.CALLS:
            rate = sum(answered for _, answered in self._rings) / len(self._rings)
            calls /= max(rate, self.LEAST_RATE)
        return _within(calls, floor)

    def observe(self, event: Event) -> None:
        """Means of ring and talk, and who answered."""
        match event:
            case Resolved(kind, seconds):
                self._rings.append((self._now, kind is Kind.HUMAN))
                if kind is Kind.HUMAN:
                    self._answer_seconds += seconds
                    self._answers += 1
            case TalkEnded(seconds):
                self._talk_seconds += seconds
                self._talks += 1

    def _soon(self, floor: Floor) -> int:
        if self._talks < self.SAMPLES or not self._talk_seconds:
            return 0
        ring, talk = self._answer_seconds / self._answers, self._talk_seconds / self._talks
        enough = -math.log(1 - self._certainty) * talk - ring
        return sum(state == Busy.TALKING and seconds >= enough for state, seconds in floor.busy)


class Method(StrEnum):
    """VICIdial's automatic methods."""

    RATIO = "RATIO"
    HARD_LIMIT = "ADAPT_HARD_LIMIT"
    AVERAGE = "ADAPT_AVERAGE"
    TAPERED = "ADAPT_TAPERED"


class Tally(StrEnum):
    """Whose agents VICIdial multiplies by the dial level: all who wait or talk, or those who wait."""

    ALL = "N"
    AVAILABLE_ONLY = "Y"


@dataclass(frozen=True, slots=True)
class VicidialSettings:
    """A campaign's settings. ``level`` is where the dial level begins, and stays with RATIO; ``limit`` in percent."""

    method: Method = Method.HARD_LIMIT
    tally: Tally = Tally.ALL
    level: float = 1.0
    most: float = 3.0
    limit: float = 3.0
    difference: float = 0.0
    intensity: float = 0.0


@dataclass(slots=True)
class _Calls:
    """Calls that were resolved, those of them that a shopper answered, and those of these that were dropped."""

    resolved: int = 0
    answered: int = 0
    dropped: int = 0


class Vicidial:
    """VICIdial's documented rules: lines for a dial level, and a level that follows how many agents are ready.

    The lines are counted every 2.5 s, the level adapts every 15 s to the means of the last 15 seconds, and drops are
    counted every minute from the day's begin; a day has eight hours, and TAPERED's late hour is its end. One server,
    and drops after the floor's hold time.
    """

    DIALS_EVERY, SAMPLES_EVERY, ADAPTS_EVERY, COUNTS_EVERY = 2.5, 1.0, 15.0, 60.0
    SAMPLES = 15
    RUSH, RUSH_CALLS, FEW_CALLS = 50.0, 20, 50
    LAST_HOURS = 10.0

    def __init__(self, settings: VicidialSettings = VicidialSettings()) -> None:
        self._settings = settings
        self._level = settings.level
        self._samples: deque[tuple[int, int, int]] = deque(maxlen=self.SAMPLES)
        self._due = dict.fromkeys(("dial", "sample", "adapt", "count"), 0.0)
        self._day = 0
        self._today, self._counted, self._last_minute = _Calls(), _Calls(), _Calls()

    def decide(self, now: float, floor: Floor) -> int:
        """Every 2.5 seconds, as many as are missing."""
        self._follow(now, floor)
        if not self._is_due("dial", now, self.DIALS_EVERY):
            return 0
        talking = sum(state == Busy.TALKING for state, _ in floor.busy)
        only_ready = self._settings.tally is Tally.AVAILABLE_ONLY
        agents = floor.idle if only_ready else floor.idle + talking
        goal = math.floor(self._level * agents + 0.5) + (talking if only_ready else 0)
        return _within(goal - len(floor.in_flight) - floor.waiting - talking, floor)

    def observe(self, event: Event) -> None:
        """Calls, answers and drops of the day."""
        self._today.resolved += isinstance(event, Resolved)
        self._today.answered += isinstance(event, Connected | Abandoned)
        self._today.dropped += isinstance(event, Abandoned)

    def _is_due(self, what: str, now: float, every: float) -> bool:
        if now < self._due[what]:
            return False
        self._due[what] = now + every
        return True

    def _follow(self, now: float, floor: Floor) -> None:
        if int(now // DAY) != self._day:
            self._day = int(now // DAY)
            self._today, self._counted, self._last_minute = _Calls(), _Calls(), _Calls()
        if self._is_due("sample", now, self.SAMPLES_EVERY):
            self._samples.append((floor.idle, floor.waiting, floor.idle + len(floor.busy)))
        if self._is_due("count", now, self.COUNTS_EVERY):
            today, before = self._today, self._counted
            self._last_minute = _Calls(today.resolved - before.resolved, 0, today.dropped - before.dropped)
            self._counted = replace(today)
        if self._settings.method is not Method.RATIO and self._is_due("adapt", now, self.ADAPTS_EVERY):
            self._level = self._adapted(now)

    def _adapted(self, now: float) -> float:
        settings, samples = self._settings, len(self._samples)
        ready, waiting, agents = (sum(column) / samples for column in zip(*self._samples, strict=True))
        difference = ready - waiting + settings.difference
        percent = 100 * difference / agents if agents else 0.0
        percent *= abs(settings.intensity / 100 + (1 if percent >= 0 else -1))
        level = max(1.0, min(self._level * (1 + percent / 100), settings.most))
        minute, today = self._last_minute, self._counted
        if minute.resolved > self.RUSH_CALLS and 100 * minute.dropped > self.RUSH * minute.resolved:
            level /= 2
        if today.resolved > self.FEW_CALLS and 100 * today.dropped > settings.limit * today.answered:
            level = self._braked(level, now)
        return max(1.0, level)

    def _braked(self, level: float, now: float) -> float:
        match self._settings.method:
            case Method.AVERAGE:
                return level / 2
            case Method.TAPERED:
                hours_left = (DAY - now % DAY) / 3600
                return level * min(1.0, hours_left / self.LAST_HOURS)
            case _:
                return 1.0
