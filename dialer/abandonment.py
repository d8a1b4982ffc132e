"""Abandoned calls as the law counts them: which calls count, over which period, against which limit, and a hard guard.

The control of `dialer.pacing` keeps the long-run rate; the guard here keeps the periods of the law. Pure: times are
seconds since the epoch, taken from Asterisk's own time stamps.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from enum import StrEnum

from dialer.pacing import Floor

DAYS_30 = 30 * 86_400.0
KEPT_PERIODS = 3


class Period(StrEnum):
    """Over what a rate is measured. Each period stands alone: none slides."""

    SUCCESSIVE_30_DAYS = "successive_30_days"
    """From the campaign's beginning, and anew every 30 days."""
    DAY = "day"
    """From midnight to midnight."""
    MONTH = "month"
    """A calendar month."""


class Formula(StrEnum):
    """What is divided by what."""

    LIVE_ANSWERS = "live_answers"
    """Abandoned calls / calls that a person answered."""
    MACHINES_ESTIMATED_OUT = "machines_estimated_out"
    """The same, where answered calls may be machines that nobody detected. Of the abandoned calls, as many are taken
    for machines as agents met among the calls that they got; neither those nor these count.
    """


@dataclass(frozen=True, slots=True)
class Limit:
    """A rule on abandoned calls. ``share`` is of live answers, ``hold_seconds`` count from the end of the greeting."""

    name: str
    share: float
    period: Period
    source: str
    formula: Formula = Formula.LIVE_ANSWERS
    hold_seconds: float = 2.0


LIMITS: Mapping[str, Limit] = {
    limit.name: limit
    for limit in (
        Limit(
            "us",
            0.03,
            Period.SUCCESSIVE_30_DAYS,
            "16 CFR 310.4(b)(4)(i) (73 FR 51164, 2008) and 47 CFR 64.1200(a)(7): 3 % of calls answered by a person, "
            "over the campaign or each successive 30 days of it",
        ),
        Limit(
            "gb",
            0.03,
            Period.DAY,
            "Ofcom, statement of policy on persistent misuse (1 March 2017), annex 3: the formula; no rate is a safe "
            "harbour any more, so the 3 % a day per campaign of its statement of 2010 is kept",
            Formula.MACHINES_ESTIMATED_OUT,
        ),
        Limit(
            "ca",
            0.05,
            Period.MONTH,
            "CRTC, Unsolicited Telecommunications Rules, part III (Telecom Decision 2007-48): 5 % in a calendar month",
        ),
        Limit("strict", 0.03, Period.DAY, "no law: a house rule, stricter than those of the US and of Canada"),
    )
}


def is_abandoned(
    greeting_ended: float, connected: float | None, hung_up: float | None = None, hold_seconds: float = 2.0
) -> bool:
    """Whether an answered call counts as abandoned: no agent within the hold time after the person's greeting ended.

    Where nothing tells the end of the greeting, the time of the answer is the strict stand-in. ``hung_up`` is when the
    person ended the call of their own accord: sooner than the deadline, nobody abandoned them.
    """
    deadline = greeting_ended + hold_seconds
    if connected is not None:
        return connected > deadline
    return hung_up is None or hung_up > deadline


@dataclass(slots=True)
class Count:
    """The calls of one period.

    Answered (the abandoned among them), abandoned, connected to what the agent said is a machine, and hung up because
    answering machine detection took them for one.
    """

    answered: int = 0
    abandoned: int = 0
    machines: int = 0
    detected: int = 0

    def reckoned(self, formula: Formula, mistaken: float = 0.0) -> tuple[float, float]:
        """Abandoned calls and live answers by a formula, if detection takes so many persons for machines."""
        silent = self.detected * mistaken
        if formula is Formula.LIVE_ANSWERS:
            return self.abandoned + silent, self.answered + silent
        connected = max(0, self.answered - self.abandoned)
        people = connected - min(self.machines, connected)
        abandoned = (self.abandoned * people / connected if connected else self.abandoned) + silent
        return abandoned, people + abandoned

    def rate(self, formula: Formula, mistaken: float = 0.0) -> float:
        """The abandonment rate of the period; 0 without answers."""
        abandoned, live = self.reckoned(formula, mistaken)
        return abandoned / live if live else 0.0


@dataclass(slots=True)
class Ledger:
    """The answered and abandoned calls of one campaign, by the periods of its limits; and the guard.

    ``began`` is when the campaign began, ``zone`` where its days and months begin. ``credit`` is how many abandoned
    calls each period may have whatever the rate, since no rate is known before the first answers: with less than one,
    the first answered call of a day could never be dialled ahead. ``mistaken`` is the reasoned estimate of how many of
    the calls that answering machine detection ends were answered by a person: each was a silent, abandoned call.
    """

    limits: Sequence[Limit]
    began: float
    zone: tzinfo
    credit: int = 1
    mistaken: float = 0.0
    _counts: dict[str, dict[float, Count]] = field(default_factory=dict)

    def record(
        self, time: float, *, answered: int = 0, abandoned: int = 0, machines: int = 0, detected: int = 0
    ) -> None:
        """Calls that were answered at ``time``, and what they turned out to be (see `Count`) when that is known.

        So a call comes as answered first and perhaps as abandoned or machine later, each time with the time of its
        answer. One that detection ends comes as detected alone.
        """
        for limit in self.limits:
            count = self._count(limit, time)
            count.answered += answered
            count.abandoned += abandoned
            count.machines += machines
            count.detected += detected

    def headroom(self, now: float) -> int:
        """How many more calls may be abandoned now, were all of them, without a limit being broken. Not negative."""
        return min((self._headroom(limit, now) for limit in self.limits), default=0)

    def room(self, now: float, floor: Floor) -> int:
        """The guard: how many calls may be started.

        Even if every call that no idle agent stands by for were abandoned (those in flight, those waiting and the new
        ones) all limits must hold. So the guard lets one line for each idle agent through in any case: such a call is
        abandoned only if its agent leaves while it rings. Calls in flight when a period ends count in the next one.
        """
        return max(0, floor.uncovered + self.headroom(now))

    def allowed(self, now: float, at_risk: int = 0) -> bool:
        """Whether a call may be started that no idle agent stands by for, with so many of the kind in flight."""
        return self.headroom(now) > at_risk

    def rates(self, now: float) -> dict[str, float]:
        """The abandonment rate of the running period, by the name of the limit."""
        return {limit.name: self._count(limit, now).rate(limit.formula, self.mistaken) for limit in self.limits}

    def broken(self, now: float) -> list[Limit]:
        """The limits that the running period is over, the credit granted."""
        over = []
        for limit in self.limits:
            abandoned, live = self._count(limit, now).reckoned(limit.formula, self.mistaken)
            if abandoned > max(self.credit, limit.share * live):
                over.append(limit)
        return over

    def state(self) -> dict[str, dict[str, list[int]]]:
        """What has been counted, to be kept and given to `restore`: by limit, by the period's beginning."""
        return {
            name: {
                str(start): [count.answered, count.abandoned, count.machines, count.detected]
                for start, count in periods.items()
            }
            for name, periods in self._counts.items()
        }

    def restore(self, state: Mapping[str, Mapping[str, Sequence[int]]]) -> None:
        """Take up what another ledger of the campaign had counted; replaces what this one has."""
        self._counts = {
            name: {float(start): Count(*count) for start, count in periods.items()} for name, periods in state.items()
        }

    def _headroom(self, limit: Limit, now: float) -> int:
        abandoned, live = self._count(limit, now).reckoned(limit.formula, self.mistaken)
        # A call that is abandoned was answered, too: r more of both keep abandoned + r <= share * (live + r).
        by_rate = (limit.share * live - abandoned) / (1.0 - limit.share)
        return max(0, math.floor(max(by_rate, self.credit - abandoned) + 1e-9))

    def _count(self, limit: Limit, time: float) -> Count:
        periods = self._counts.setdefault(limit.name, {})
        start = self._start(limit.period, time)
        if start not in periods:
            periods[start] = Count()
            for old in sorted(periods)[:-KEPT_PERIODS]:
                del periods[old]
        return periods.get(start) or Count()

    def _start(self, period: Period, time: float) -> float:
        if period is Period.SUCCESSIVE_30_DAYS:
            return self.began + DAYS_30 * math.floor((time - self.began) / DAYS_30)
        midnight = datetime.fromtimestamp(time, self.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        if period is Period.MONTH:
            midnight = midnight.replace(day=1)
        return midnight.timestamp()
