"""What contacting a shopper about a cart is worth: the margin that it adds to what would have come anyway. Pure.

    value      = lift x margin x answer - cost             minor units of the cart's currency
    per minute = value / handling                          of a call, which an agent is busy with

``lift`` is what a contact adds to the probability of an order when the shopper is reached. Where the uplift model is
proven, it is its answer; else it is `prior`, from the intent alone. A cart that is bought anyway gains nothing by a
call however much is in it, nor does one that nobody wants: so expected value, score x cart value, ranks wrongly.

Shares are decimals of 28 digits; the margin, and then what comes out, is rounded to whole minor units, half to even. So
more margin, a better chance of an answer or less cost never lower a rank. (The first two as long as a call is no harm.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from ringback.decide_settings import AnswerSettings, DecideSettings
from ringback.decisions import Worth
from ringback.money import exponent
from ringback.records import Channel

MINUTE, HOUR = 60, 3600
ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Prospect:
    """A due cart whose shopper may be contacted from ``at`` (business time), and is in one of these ``zones``.

    ``uplift`` is what the uplift model says of a call, None where it is not proven: the difference that it makes to
    have a shopper called, answered or not, as a holdout shows it.
    """

    intent: float
    value: int
    currency: str
    at: float
    zones: Sequence[ZoneInfo]
    industry: str | None = None
    uplift: float | None = None


@dataclass(frozen=True, slots=True)
class Net:
    """A contact's value before it is rounded, and what it is made of."""

    lift: Decimal
    lift_source: Literal["uplift", "prior"]
    margin: int
    answer: Decimal
    cost: int
    handling: Decimal

    @property
    def value(self) -> Decimal:
        """Expected incremental margin less the cost, minor units."""
        return self.lift * self.margin * self.answer - self.cost

    def per(self, seconds: int) -> Decimal:
        """The same for so many seconds of an agent."""
        return self.value * seconds / self.handling


def prior(intent: float, lift: Decimal) -> Decimal:
    """What a contact adds to the probability of an order, from the intent alone: it makes the odds 1 + ``lift`` times.

    With p for the intent that is lift x p x (1 - p) / (1 + lift x p): for small intents lift x p, nothing where nobody
    wants the cart or it is bought anyway, and never more than is left. It is what a logistic model of the order says
    of a contact whose effect is the same for all.
    """
    probability = Decimal(intent)
    return lift * probability * (ONE - probability) / (ONE + lift * probability)


def answer(at: float, zones: Sequence[ZoneInfo], attempt: int, rules: AnswerSettings) -> Decimal:
    """The probability that a call at a moment is answered; ``attempt`` counts from 1.

    Where the shopper's zone is not known, the mean over ``zones``.
    """
    factors = [rules.by_hour[datetime.fromtimestamp(at, zone).hour] for zone in zones]
    hour = sum(factors, Decimal(0)) / len(factors) if factors else ONE
    return min(ONE, rules.rate * hour * rules.by_attempt[min(attempt, len(rules.by_attempt)) - 1])


def net_of_call(prospect: Prospect, rules: DecideSettings, attempt: int = 1) -> Net:
    """What a call is worth.

    The uplift of being called is that of being reached x the share of those who are reached (Bloom 1984, Evaluation
    Review 8), so it is divided by the usual rate of answers before the chance of an answer at this hour counts.
    """
    if prospect.uplift is None:
        lift = prior(prospect.intent, rules.lift.voice)
    else:
        lift = max(-ONE, min(ONE, Decimal(prospect.uplift) / rules.answer.rate))
    reached = answer(prospect.at, prospect.zones, attempt, rules.answer)
    connected, unanswered = Decimal(rules.handling.connected), Decimal(rules.handling.unanswered)
    return Net(
        lift=lift,
        lift_source="prior" if prospect.uplift is None else "uplift",
        margin=margin(prospect, rules),
        answer=reached,
        cost=rules.cost.voice[prospect.currency],
        handling=reached * connected + (ONE - reached) * unanswered,
    )


def of_call(prospect: Prospect, rules: DecideSettings, price: int | None) -> Worth:
    """What a call is worth, beside its threshold: ``price`` (see `stream.price`), or the fixed one where it is None."""
    net = net_of_call(prospect, rules)
    fixed = rules.voice_fixed[prospect.currency]
    return Worth(
        channel=Channel.VOICE,
        at=prospect.at,
        lift=float(net.lift),
        lift_source=net.lift_source,
        margin=net.margin,
        answer=float(net.answer),
        cost=net.cost,
        value=round(net.value),
        handling=float(net.handling),
        per_minute=round(net.per(MINUTE)),
        threshold=fixed if price is None else from_common(price, prospect.currency, rules),
        threshold_source="fixed" if price is None else "shadow_price",
    )


def of_message(channel: Channel, prospect: Prospect, rules: DecideSettings) -> Worth:
    """What an SMS or a chat message is worth. Whether it is read is part of the lift: ``answer`` is 1."""
    lift = prior(prospect.intent, rules.lift.sms if channel is Channel.SMS else rules.lift.chat)
    costs = rules.cost.sms if channel is Channel.SMS else rules.cost.chat
    net = Net(lift, "prior", margin(prospect, rules), ONE, costs[prospect.currency], Decimal(0))
    return Worth(
        channel=channel,
        at=prospect.at,
        lift=float(lift),
        lift_source="prior",
        margin=net.margin,
        answer=1.0,
        cost=net.cost,
        value=round(net.value),
        threshold=rules.message_from[prospect.currency],
    )


def is_worth_it(worth: Worth) -> bool:
    """Whether a contact brings more than it costs, and as much as its threshold asks."""
    measure = worth.value if worth.per_minute is None else worth.per_minute
    return worth.value > 0 and measure >= worth.threshold


def priorities(prospect: Prospect, rules: DecideSettings, attempts: int) -> tuple[int, ...]:
    """The ranks of a call at its first attempt and the following ones: the value of an agent-hour, in common units."""
    hourly = (net_of_call(prospect, rules, attempt).per(HOUR) for attempt in range(1, attempts + 1))
    return tuple(round(to_common(value, prospect.currency, rules)) for value in hourly)


def margin(prospect: Prospect, rules: DecideSettings) -> int:
    """What the shop earns when the basket is bought, minor units."""
    return round(prospect.value * rules.margins.get(prospect.industry or "", rules.margin))


def to_common(amount: Decimal | int, currency: str, rules: DecideSettings) -> Decimal:
    """Minor units of a currency in hundredths of the unit that currencies are compared in."""
    return (amount * rules.exchange.get(currency, ONE)).scaleb(2 - exponent(currency))


def from_common(amount: int, currency: str, rules: DecideSettings) -> int:
    """The other way round, to whole minor units."""
    return round((amount / rules.exchange.get(currency, ONE)).scaleb(exponent(currency) - 2))
