"""The shadow price of the agents' time: what a minute must bring so that the next hour's calls just fill it. Pure.

Worth is measured per agent-minute, so the best use of scarce minutes takes calls from the top of that ranking until
they are full (the greedy rule of the fractional knapsack), and the last one taken has the price. What will be offered
is not known: the last hours are taken for the next one, by a histogram that forgets. All amounts are hundredths of the
unit that currencies are compared in (`decide.exchange`), times are business time.

The price moves only after it has been off by `BAND` for `HOLD` seconds, and by steps that take effect a little later
than they are made. So each step is known to every worker before a cart is judged by it, and a cart that is judged
again after a crash is judged by the same price: which one holds depends on when the cart became due.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ringback.capacity import Capacity
from ringback.decide_settings import DecideSettings
from ringback.decisions import Decision
from ringback.records import Channel, Record
from stream.worth import to_common

HOUR = 3600.0
# After so long an offer counts 1/e.
MEMORY = HOUR
WARM_UP = 900.0
BAND = 0.1
HOLD = 120.0
# Without word of the agents the last price holds for so long.
PATIENCE = 300.0
# No cart is judged later than `decide.max_age` after it was left.
KEEP = 6 * HOUR
BINS = 192
RATIO = 2.0 ** (1 / 6)


class Step(Record, frozen=True, kw_only=True):
    """A price from a moment on; None: there is none, thresholds are the fixed ones."""

    at: float
    price: int | None


class Market(Record, frozen=True, kw_only=True):
    """What the price is made of. ``offered``: agent-seconds by bin of worth, as remembered at ``time``.

    ``since``: when the watching began; ``known``: when the agents were last heard of; ``outside``: since when the price
    has been off by more than the band. ``steps`` are the prices of the last hours.
    """

    time: float = 0.0
    since: float | None = None
    known: float | None = None
    outside: float | None = None
    offered: Mapping[int, float] = {}
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Arrival:
    """A cart at ``time`` whose call would be worth so much an agent-minute, for so many agent-seconds."""

    time: float
    worth: float
    seconds: float


def arrival(decision: Decision, rules: DecideSettings) -> Arrival | None:
    """What a decision offers to the agents, whether it was taken or not; None where a call was out of the question.

    A holdout's cart is not offered. Nor is one that can't be called within the hour.
    """
    call = next((worth for worth in decision.worth if worth.channel is Channel.VOICE), None)
    if call is None or call.value <= 0 or decision.arm == "holdout" or decision.replay:
        return None
    if call.at - decision.time > HOUR:
        return None
    worth = to_common(call.per_minute or 0, decision.currency, rules)
    return Arrival(decision.time, float(worth), call.handling)


def free_seconds(capacity: Capacity, rules: DecideSettings) -> float:
    """How many agent-seconds of the next hour are not spoken for by calls in progress and leads that wait."""
    handling, rate = rules.handling, float(rules.answer.rate)
    queued = capacity.queued * (rate * handling.connected + (1 - rate) * handling.unanswered)
    return max(0.0, capacity.agents * HOUR - capacity.working * handling.connected / 2 - queued)


def price(now: float, market: Market, arrivals: Iterable[Arrival], free: float | None, ahead: float) -> Market:
    """The market at ``now``. ``free`` agent-seconds of the next hour, None where nobody tells.

    A new price takes effect ``ahead`` seconds later.
    """
    now = max(now, market.time)
    offered = _remembered(now, market, arrivals)
    since = now if market.since is None else market.since
    known = market.known if free is None else now
    current = market.steps[-1].price if market.steps else None
    outside, wanted = market.outside, current
    if known is None or now - known > PATIENCE:
        outside, wanted = None, None
    elif free is not None and now - since >= WARM_UP:
        hourly = HOUR / MEMORY / -math.expm1(-(now - since) / MEMORY)
        clearing = round(clearing_price({bin_: seconds * hourly for bin_, seconds in offered.items()}, free))
        if current is None:
            wanted = clearing
        elif current / (1 + BAND) <= clearing <= current * (1 + BAND):
            outside = None
        elif outside is None:
            outside = now
        elif now - outside >= HOLD:
            outside, wanted = None, clearing
    steps = market.steps
    if wanted != current:
        past = sum(step.at <= now - KEEP for step in steps)
        # The last one of the past is still the one that held when the kept hours began.
        steps = (*steps[max(0, past - 1) :], Step(at=now + ahead, price=wanted))
    return Market(time=now, since=since, known=known, outside=outside, offered=offered, steps=steps)


def in_force(market: Market, due: float) -> int | None:
    """The price by which a cart that became due then is judged; None where there was none."""
    return next((step.price for step in reversed(market.steps) if step.at <= due), None)


def clearing_price(offered: Mapping[int, float], free: float) -> float:
    """The worth from which on what is offered in an hour fills ``free`` seconds; 0 where all of it fits.

    Within a bin offers are taken to lie evenly on the scale of logarithms.
    """
    above = 0.0
    for bin_ in sorted(offered, reverse=True):
        seconds = offered[bin_]
        if above + seconds > free:
            fits = (free - above) / seconds
            return _edge(bin_ + 1) * (1 - fits if bin_ == 0 else RATIO**-fits)
        above += seconds
    return 0.0


def bin_of(worth: float) -> int:
    """The bin of a worth: 0 is below 1, each of the others is an eighth wide, the last has no end."""
    return 0 if worth < 1 else min(BINS, 1 + math.floor(math.log(worth, RATIO)))


def _edge(bin_: int) -> float:
    """Where a bin begins."""
    return 0.0 if bin_ == 0 else RATIO ** (bin_ - 1)


def _remembered(now: float, market: Market, arrivals: Iterable[Arrival]) -> dict[int, float]:
    fades = math.exp((market.time - now) / MEMORY)
    offered = {bin_: seconds * fades for bin_, seconds in market.offered.items()}
    for one in arrivals:
        bin_ = bin_of(one.worth)
        seconds = one.seconds * math.exp(min(0.0, one.time - now) / MEMORY)
        offered[bin_] = offered.get(bin_, 0.0) + seconds
    # What is forgotten takes no room.
    return {bin_: round(seconds, 3) for bin_, seconds in offered.items() if seconds >= 1e-3}
