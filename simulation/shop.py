"""A shop full of shoppers, who look, fill carts, hesitate, leave, come back and buy, in business time.

Everything follows from the seed and the calls made: there is no clock and no input but `Shop.events_until` and
`Shop.contacted`. Each visit has its own chance, drawn from the seed, the shopper and the visit's number, so that a
contact changes what its shopper does and nothing else: a run with contacts and one without can be compared shopper by
shopper.
"""

import heapq
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from random import Random

from ringback import cart as carts
from ringback.records import CartEvent, Channel, EventKind
from simulation.shopper import Act, Shopper, Visit, comes_back, help_of, new_need, shopper

HOUR = 3600.0
DAY = 24 * HOUR
# 1 January 2026, 00:00 UTC: where a training log begins.
TRAINING_START = 1_767_225_600.0
VISITS_PER_SHOPPER_AND_DAY = 0.13
# What the default model is trained on.
TRAINING_SHOPPERS = 8000
TRAINING_DAYS = 42

RESUMES = 0.5  # probability that a spontaneous visit is about the cart that still waits
OPTS_OUT = 0.02  # probability that a contact is answered with an opt-out
RETURN_MEDIAN_SECONDS = 3.5 * HOUR
CONTACT_MEDIAN_SECONDS = {Channel.VOICE: 600.0, Channel.SMS: 1500.0, Channel.CHAT: 1500.0}
MOST_RETURN_SECONDS = 3 * DAY
LEAST_RETURN_SECONDS = 60.0
# The shop asks soon after the order.
RATING_MEDIAN_SECONDS = 1800.0
RATINGS, RATING_WEIGHTS = (1, 2, 3, 4, 5), (4, 5, 13, 33, 45)

CART_KINDS = carts.CHANGES | {EventKind.ORDER_COMPLETED}
TELLS_WHO = frozenset({EventKind.IDENTIFIED, EventKind.CHECKOUT_STARTED})
# In percent, where visits come from: who comes back knows the way, or was written to.
TRAFFIC = {"(direct)": 15, "google / organic": 30, "google / cpc": 25, "newsletter": 10, "instagram": 15, "a-forum": 5}
RETURN_TRAFFIC = {"(direct)": 45, "google / organic": 15, "google / cpc": 10, "newsletter": 25, "instagram": 5}

Action = Callable[[float], CartEvent | None]


@dataclass(slots=True)
class _Visiting:
    """A visit that goes on: what comes next, and how many events it had."""

    who: Shopper
    acts: Iterator[Act]
    rng: Random
    traffic: str
    events: int = 0


class Shop:
    """The shop. ``shoppers`` people visit it ``visits_per_hour`` times in all, besides coming back for their carts.

    ``start`` is the business time at which it opens, epoch seconds; ``rated`` the probability that an order is rated
    afterwards. Not for concurrent use. A shopper's cart lives
    until it is bought; the next one has a new ``cart_id``.
    """

    def __init__(
        self, seed: int, *, visits_per_hour: float = 300.0, shoppers: int = 5000, start: float = 0.0, rated: float = 0.0
    ) -> None:
        self.seed = seed
        self.now = start
        self.source = f"simulated-shop-{seed}"
        self._everyone = [shopper(f"s{number:06d}", seed) for number in range(shoppers)]
        self._by_id = {who.shopper_id: who for who in self._everyone}
        self._weights = list(accumulate(who.kind.weight for who in self._everyone))
        self._rate = visits_per_hour / HOUR
        self._rated = rated
        self._arrivals = Random(f"{seed}/arrivals")
        self._agenda: list[tuple[float, int, Action]] = []
        self._entries = 0
        self._at(start + self._arrivals.expovariate(self._rate), self._arrive)

    def events_until(self, time: float) -> list[CartEvent]:
        """What happens from the last call up to ``time``, in order of time."""
        events: list[CartEvent] = []
        while self._agenda[0][0] <= time:
            moment, _, action = heapq.heappop(self._agenda)
            event = action(moment)
            if event is not None:
                events.append(event)
        self.now = max(self.now, time)
        return events

    def contacted(self, shopper_id: str, channel: Channel, time: float, talk_seconds: float | None = None) -> None:
        """Tell that a shopper was reached about a cart: it raises the odds of coming back and of buying.

        By how much depends on what stood in the way, and for a call on whether there was time to talk. It changes
        nothing for a shopper without an open cart. A ``time`` that the shop has passed counts as its present. Raises
        `KeyError` for a shopper that is not this shop's.
        """
        who = self._by_id[shopper_id]
        who.contacts += 1
        rng = Random(f"{self.seed}/{shopper_id}/contact/{who.contacts}")
        time = max(time, self.now)
        if rng.random() < OPTS_OUT and not who.opted_out:
            who.opted_out = True
            self._at(time + LEAST_RETURN_SECONDS, partial(self._opt_out, who))
        if who.need is None or not who.has_open_cart:
            return
        who.need.help = max(who.need.help, help_of(who.need.doubt, channel, talk_seconds))
        if not who.visiting and who.need.luck < comes_back(who.need):
            self._plan_return(who, time + _delay(rng, CONTACT_MEDIAN_SECONDS[channel], spread=0.6))

    def shopper(self, shopper_id: str) -> Shopper:
        """One of the shop's people, with what nobody outside can know; not to be changed. Raises `KeyError`."""
        return self._by_id[shopper_id]

    def _at(self, time: float, action: Action) -> None:
        self._entries += 1
        heapq.heappush(self._agenda, (time, self._entries, action))

    def _arrive(self, time: float) -> None:
        self._at(time + self._arrivals.expovariate(self._rate), self._arrive)
        who = self._arrivals.choices(self._everyone, cum_weights=self._weights)[0]
        if not who.visiting:
            self._begin(who, time, comes_for_cart=False)

    def _plan_return(self, who: Shopper, time: float) -> None:
        if who.returning is None or time < who.returning:
            who.returning = time
            self._at(time, partial(self._return, who))

    def _return(self, who: Shopper, time: float) -> None:
        if who.returning == time:
            self._begin(who, time, comes_for_cart=True)

    def _begin(self, who: Shopper, time: float, *, comes_for_cart: bool) -> None:
        who.visits += 1
        who.visiting = True
        who.returning = None
        rng = Random(f"{self.seed}/{who.shopper_id}/visit/{who.visits}")
        need = who.need if comes_for_cart or (who.has_open_cart and rng.random() < RESUMES) else None
        who.need = need = need or new_need(who, rng)
        came_by = RETURN_TRAFFIC if need.visits else TRAFFIC
        (traffic,) = rng.choices(tuple(came_by), tuple(came_by.values()))
        self._advance(_Visiting(who, Visit(who, need, rng).acts(), rng, traffic), time)

    def _advance(self, visit: _Visiting, time: float) -> None:
        act = next(visit.acts, None)
        if act is None:
            self._leave(visit, time)
        else:
            self._at(time + act.delay, partial(self._perform, visit, act))

    def _perform(self, visit: _Visiting, act: Act, time: float) -> CartEvent:
        who = visit.who
        event = self._event(visit, act, time)
        visit.events += 1
        who.cart = carts.apply(who.cart, event)
        if act.kind is EventKind.ORDER_COMPLETED:
            who.orders += 1
            who.need = None
            self._plan_rating(event, time)
            who.visiting = False
        else:
            self._advance(visit, time)
        return event

    def _leave(self, visit: _Visiting, time: float) -> None:
        who, rng = visit.who, visit.rng
        who.visiting = False
        if who.need is None or not who.has_open_cart:
            who.need = None
            return
        who.need.visits += 1
        who.need.luck = rng.random()
        delay = _delay(rng, RETURN_MEDIAN_SECONDS, spread=1.3)
        if who.need.luck < comes_back(who.need):
            self._plan_return(who, time + delay)

    def _event(self, visit: _Visiting, act: Act, time: float) -> CartEvent:
        who = visit.who
        is_order = act.kind is EventKind.ORDER_COMPLETED
        cart_id = f"{who.shopper_id}-c{who.orders + 1}"
        return CartEvent(
            event_id=f"{who.shopper_id}.{who.visits}.{visit.events}",
            source=self.source,
            shopper_id=who.shopper_id,
            kind=act.kind,
            time=time,
            cart_id=cart_id if act.kind in CART_KINDS else None,
            session_id=f"{who.shopper_id}-v{who.visits}",
            order_id=f"{cart_id}-order" if is_order else None,
            items=act.items,
            currency=who.currency if act.items else None,
            value=sum(item.unit_price * item.quantity for item in act.items) if is_order else None,
            step=act.step,
            traffic=None if visit.events else visit.traffic,
            shopper=who.person if act.kind in TELLS_WHO else None,
        )

    def _plan_rating(self, order: CartEvent, time: float) -> None:
        rng = Random(f"{self.seed}/{order.order_id}/rating")
        if rng.random() < self._rated:
            (rating,) = rng.choices(RATINGS, cum_weights=list(accumulate(RATING_WEIGHTS)))
            rated = CartEvent(
                event_id=f"{order.order_id}.rating",
                source=self.source,
                shopper_id=order.shopper_id,
                kind=EventKind.RATED,
                time=time + _delay(rng, RATING_MEDIAN_SECONDS, spread=0.6),
                order_id=order.order_id,
                rating=rating,
            )
            self._at(rated.time, lambda _: rated)

    def _opt_out(self, who: Shopper, time: float) -> CartEvent:
        return CartEvent(
            event_id=f"{who.shopper_id}.opt-out",
            source=self.source,
            shopper_id=who.shopper_id,
            kind=EventKind.OPTED_OUT,
            time=time,
        )


def training_log(shoppers: int = TRAINING_SHOPPERS, days: float = TRAINING_DAYS, seed: int = 7) -> Iterator[CartEvent]:
    """A shop's history of some days in which nobody was contacted, in order of time."""
    visits_per_hour = shoppers * VISITS_PER_SHOPPER_AND_DAY / 24
    shop = Shop(seed, visits_per_hour=visits_per_hour, shoppers=shoppers, start=TRAINING_START)
    for hour in range(1, round(days * 24) + 1):
        yield from shop.events_until(TRAINING_START + hour * HOUR)


def _delay(rng: Random, median: float, *, spread: float) -> float:
    return min(MOST_RETURN_SECONDS, max(LEAST_RETURN_SECONDS, rng.lognormvariate(math.log(median), spread)))
