"""What calls down a model's list would have earned, under stated assumptions: the curve that a capacity cuts off.

As in deciding, a call adds ``lift`` x p x (1 - p) to the probability p of an order where it is answered. On past rows p
is not known but the outcome y is, and with a calibrated score s, y x (1 - s) is p x (1 - p) on average; so what a call
would have added is counted from what happened, not from what the model hoped.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ringback.decide_settings import DecideSettings
from ringback.money import exponent
from scoring.dataset import Dataset
from scoring.judging.metrics import Scores

USUAL_CURRENCY = "USD"
BASKET = 100.0
VALUE = "cart_value_log"


@dataclass(frozen=True, slots=True)
class Terms:
    """What calls are reckoned with. Amounts are major units of ``currency``; shares are of 1; ``handling`` is minutes.

    ``minute`` is what an agent's minute costs: the settings' fixed threshold of voice.
    """

    currency: str
    margin: float
    lift: float
    answer: float
    cost: float
    minute: float
    handling: float

    @property
    def cost_of_call(self) -> float:
        """One call, answered or not, with the agent's time."""
        return self.cost + self.minute * self.handling


@dataclass(frozen=True, slots=True)
class Profit:
    """Earnings by share of the carts that are called, per 1,000 carts; ``carts`` starts at 0 and ends at 1."""

    carts: NDArray[np.float64]
    earned: NDArray[np.float64]

    @property
    def best(self) -> tuple[float, float]:
        """The share of carts at which most is earned, and how much."""
        place = int(self.earned.argmax())
        return float(self.carts[place]), float(self.earned[place])

    def at(self, share: float) -> float:
        """What is earned where agents have time for this share of the carts."""
        return float(np.interp(share, self.carts, self.earned))


def terms(rules: DecideSettings) -> Terms:
    """The terms that the settings say, in US dollars where the settings have them."""
    known = rules.voice_fixed.keys() & rules.cost.voice.keys()
    currency = USUAL_CURRENCY if USUAL_CURRENCY in known else min(known, default=USUAL_CURRENCY)
    unit = 10.0 ** exponent(currency)
    answer = float(rules.answer.rate)
    return Terms(
        currency=currency,
        margin=float(rules.margin),
        lift=float(rules.lift.voice),
        answer=answer,
        cost=rules.cost.voice.get(currency, 0) / unit,
        minute=rules.voice_fixed.get(currency, 0) / unit,
        handling=(answer * rules.handling.connected + (1 - answer) * rules.handling.unanswered) / 60,
    )


def baskets(data: Dataset) -> NDArray[np.float64] | None:
    """The carts' values in major units, 0 where no price is known; None where rows do not tell it, as a table's."""
    names = [column.name for column in data.columns]
    if data.kind != "log" or VALUE not in names:
        return None
    return np.nan_to_num(np.expm1(data.vectors[:, names.index(VALUE)]))


def profit(
    labels: NDArray[np.bool_], scores: Scores, order_by: Scores, values: NDArray[np.float64] | None, given: Terms
) -> Profit:
    """What is earned by calling the carts in order of their worth by the scores ``order_by``.

    ``scores`` are the judged model's, whoever orders: they say how many of the buyers needed no call. ``values`` are
    the baskets; None: each is 100.
    """
    basket = np.full(len(labels), BASKET) if values is None else values
    worth = order_by * (1.0 - order_by) * basket
    order = np.argsort(-worth, kind="stable")
    added = given.lift * given.answer * given.margin * basket * labels * (1.0 - scores)
    # Where worth is the same, nobody is first: the mean of the tied ones is what each earns.
    ranked = worth[order]
    runs = np.cumsum(np.append(False, ranked[1:] != ranked[:-1]))
    mean = np.bincount(runs, weights=added[order]) / np.bincount(runs)
    earned = np.cumsum(mean[runs] - given.cost_of_call) / len(labels) * 1000
    carts = np.arange(1, len(labels) + 1) / len(labels)
    return Profit(np.append(0.0, carts), np.append(0.0, earned))
