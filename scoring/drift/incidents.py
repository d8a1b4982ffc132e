"""Incidents in the checkout: spans of time in which fewer visits than before made it from one step to the next.

The model's features change with an incident only where a cart is left behind, and a week of a small shop has few of
those. Here every visit with a cart counts, and weeks of the same trouble add up.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from ringback import cart as carts
from ringback.records import CartEvent, EventKind
from scoring.drift.psi import LEAST_SHARE, WARN
from scoring.features import VISIT_GAP_SECONDS

LEAST_BEFORE = 100
LEAST_WITHIN = 20
LONGEST_PERIODS = 8
# One false incident in a hundred logs that have none.
FALSE_ALARMS = 0.01
SECOND_STEP = 2
DAY = 86400.0

Period = tuple[float, float]
Passed = tuple[int, int]


@dataclass(slots=True)
class Visit:
    """How far a shopper came in one visit, which ends with silence or another session. Epoch seconds."""

    began: float
    last: float
    session: str | None
    cart: bool = False
    checkout: bool = False
    payment: bool = False
    failed: bool = False
    bought: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A step from visits that ``reached`` something to those of them that ``passed``; ``worse`` is fewer, or more."""

    name: str
    reached: str
    passed: str
    worse: Literal[-1, 1] = -1


STEPS = (
    Step("cart to checkout", "cart", "checkout"),
    Step("checkout to payment", "checkout", "payment"),
    Step("payment to order", "payment", "bought"),
    Step("failed payments", "payment", "failed", worse=1),
)


@dataclass(frozen=True, slots=True)
class Incident:
    """A span of time, epoch seconds, in which a step's rate was not what it had been.

    ``share`` of ``visits`` passed the step then, and ``share_before`` before. ``z`` is the signed root of the
    likelihood ratio: standard deviations.
    """

    step: str
    begin: float
    end: float
    visits: int
    share: float
    share_before: float
    psi: float
    z: float


class Funnel:
    """Counts, day by day (UTC), how many of the visits with a cart made each step. Takes events in order of time."""

    def __init__(self, gap: float = VISIT_GAP_SECONDS) -> None:
        self._gap = gap
        self._going: dict[str, Visit] = {}
        self._counts: dict[int, list[Passed]] = {}
        self._swept = -math.inf

    def take(self, event: CartEvent) -> None:
        """Take an event."""
        visit = self._going.get(event.shopper_id)
        if visit is None or _is_over(visit, event, self._gap):
            if visit is not None:
                self._count(visit)
            visit = self._going[event.shopper_id] = Visit(event.time, event.time, event.session_id)
        _note(visit, event)
        if event.time - self._swept > DAY:
            self._swept = event.time
            for shopper_id, old in list(self._going.items()):
                if event.time - old.last > DAY:
                    self._count(self._going.pop(shopper_id))

    def finish(self) -> None:
        """Count the visits that had not ended when the log did."""
        for visit in self._going.values():
            self._count(visit)
        self._going.clear()

    def days(self) -> list[int]:
        """The days, counted from 1970, on which visits with a cart began."""
        return sorted(self._counts)

    def between(self, begin: float, end: float) -> list[Passed]:
        """For each of `STEPS`, of the visits that began in whole days between: how many passed, of how many."""
        counts = [of_day for day, of_day in self._counts.items() if begin <= day * DAY < end]
        return [(sum(day[at][0] for day in counts), sum(day[at][1] for day in counts)) for at in range(len(STEPS))]

    def _count(self, visit: Visit) -> None:
        if visit.cart:
            before = self._counts.get(int(visit.began // DAY), [(0, 0)] * len(STEPS))
            self._counts[int(visit.began // DAY)] = [
                (
                    passed + (reached := bool(getattr(visit, step.reached))) * bool(getattr(visit, step.passed)),
                    of + reached,
                )
                for step, (passed, of) in zip(STEPS, before, strict=True)
            ]


def _is_over(visit: Visit, event: CartEvent, gap: float) -> bool:
    if event.session_id and visit.session:
        return event.session_id != visit.session
    return event.time - visit.last > gap


def _note(visit: Visit, event: CartEvent) -> None:
    kind = event.kind
    visit.last = max(visit.last, event.time)
    visit.bought |= kind is EventKind.ORDER_COMPLETED
    visit.failed |= kind is EventKind.PAYMENT_FAILED
    visit.payment |= visit.bought or visit.failed or (event.step or 0) >= SECOND_STEP
    visit.checkout |= visit.payment or kind in (EventKind.CHECKOUT_STARTED, EventKind.CHECKOUT_STEP)
    visit.cart |= visit.checkout or carts.opens(event)


def incidents(funnel: Funnel, periods: Sequence[Period], quiet: Period) -> list[Incident] | None:
    """The incidents within ``periods``, in order of time; None where the ``quiet`` time has too few visits to compare.

    Periods follow each other and are epoch seconds at the beginning of days. For each step all spans of up to 8 periods
    are held against the quiet time (a scan statistic: Kulldorff, Communications in Statistics 26, 1997); a span is an
    incident where it is worse, chance would not show one in a hundred such logs, and the shares' PSI is at least 0.1.
    Of spans that overlap, the least likely is told.
    """
    usual = funnel.between(*quiet)
    if usual[0][1] < LEAST_BEFORE:
        return None
    counts = [funnel.between(*period) for period in periods]
    spans = [
        range(first, last)
        for first in range(len(periods))
        for last in range(first + 1, min(first + LONGEST_PERIODS, len(periods)) + 1)
    ]
    limit = NormalDist().inv_cdf(1 - FALSE_ALARMS / (max(1, len(spans)) * len(STEPS)))
    found: list[Incident] = []
    for at, step in enumerate(STEPS):
        of_step = []
        for span in spans:
            passed, reached = (sum(counts[period][at][part] for period in span) for part in (0, 1))
            if reached < LEAST_WITHIN or not usual[at][1]:
                continue
            one = _incident(step, (periods[span[0]][0], periods[span[-1]][1]), (passed, reached), usual[at])
            if one.z * step.worse >= limit and one.psi >= WARN:
                of_step.append(one)
        found += _apart(of_step)
    return sorted(found, key=lambda one: (one.begin, one.step))


def _incident(step: Step, period: Period, now: Passed, usual: Passed) -> Incident:
    share, before = now[0] / now[1], usual[0] / usual[1]
    together = (now[0] + usual[0]) / (now[1] + usual[1])
    ratio = _likelihood(*now, share) + _likelihood(*usual, before)
    ratio -= _likelihood(*now, together) + _likelihood(*usual, together)
    bins = ((share, before), (1 - share, 1 - before))
    floored = [(max(a, LEAST_SHARE), max(b, LEAST_SHARE)) for a, b in bins]
    return Incident(
        step=step.name,
        begin=period[0],
        end=period[1],
        visits=now[1],
        share=share,
        share_before=before,
        psi=sum((a - b) * math.log(a / b) for a, b in floored),
        z=math.copysign(math.sqrt(max(0.0, 2 * ratio)), share - before),
    )


def _likelihood(passed: int, reached: int, share: float) -> float:
    """The log-likelihood of so many successes."""
    terms = ((passed, share), (reached - passed, 1 - share))
    return sum(count * math.log(probability) for count, probability in terms if count)


def _apart(spans: list[Incident]) -> list[Incident]:
    chosen: list[Incident] = []
    for one in sorted(spans, key=lambda span: -abs(span.z)):
        if all(one.end <= other.begin or other.end <= one.begin for other in chosen):
            chosen.append(one)
    return chosen
