"""One simulated shopper: what is wanted, what stands in the way, and the steps of a visit.

A need has an intent that nobody sees. It drives how a shopper behaves and whether the shopper buys, with chance in
both; so a model can learn something from behaviour, but not everything.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from ringback.cart import Cart
from ringback.records import Channel, EventKind, Item
from ringback.records import Shopper as Person
from simulation.catalogue import BY_CATEGORY, BY_ID, CURRENCY, POPULARITY, PRODUCTS, Product
from simulation.people import person

MOST_TURNS = 25
USUAL_CART_DOLLARS = 120.0
SHORT_TALK_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of shopper. ``weight``: how often they visit; ``thrift``: how much a dear cart puts them off."""

    name: str
    percent: int
    affinity: float
    weight: float
    thrift: float


KINDS = (
    Kind("regular", 22, affinity=0.6, weight=2.2, thrift=0.25),
    Kind("newcomer", 43, affinity=0.0, weight=0.8, thrift=0.4),
    Kind("bargain hunter", 20, affinity=-0.2, weight=1.5, thrift=0.9),
    Kind("window shopper", 15, affinity=-0.7, weight=1.6, thrift=0.4),
)


class Doubt(StrEnum):
    """What stands between a shopper and the order."""

    SHIPPING = "shipping"
    SIZE = "size"
    COMPARING = "comparing"
    PRICE = "price"
    PAYMENT = "payment"
    DISTRACTED = "distracted"


DOUBT_WEIGHTS = {
    Doubt.SHIPPING: 20,
    Doubt.SIZE: 16,
    Doubt.COMPARING: 24,
    Doubt.PRICE: 18,
    Doubt.PAYMENT: 7,
    Doubt.DISTRACTED: 15,
}
# How much a talk with an agent adds to the intent (log-odds); a question can be answered, a comparison can't.
VOICE_HELP = {
    Doubt.SHIPPING: 1.5,
    Doubt.SIZE: 1.4,
    Doubt.COMPARING: 0.3,
    Doubt.PRICE: 0.5,
    Doubt.PAYMENT: 1.6,
    Doubt.DISTRACTED: 0.9,
}
# A message reminds, and answers little.
MESSAGE_HELP = {
    Doubt.SHIPPING: 0.3,
    Doubt.SIZE: 0.2,
    Doubt.COMPARING: 0.1,
    Doubt.PRICE: 0.2,
    Doubt.PAYMENT: 0.4,
    Doubt.DISTRACTED: 0.8,
}


@dataclass(slots=True)
class Need:
    """What a shopper came for. ``intent`` is in log-odds; ``help`` is what contacts added to it."""

    product: Product
    intent: float
    doubt: Doubt
    help: float = 0.0
    visits: int = 0
    luck: float = 1.0


@dataclass(frozen=True, slots=True)
class Act:
    """The next thing a shopper does, ``delay`` seconds after the one before."""

    delay: float
    kind: EventKind
    items: tuple[Item, ...] = ()
    step: int | None = None


@dataclass(slots=True)
class Shopper:
    """A shopper and the state of the shopper's affairs; the shop that owns it moves it."""

    shopper_id: str
    person: Person
    kind: Kind
    affinity: float
    registered: bool
    currency: str
    need: Need | None = None
    cart: Cart | None = None
    visits: int = 0
    orders: int = 0
    contacts: int = 0
    visiting: bool = False
    returning: float | None = None
    opted_out: bool = False

    @property
    def has_open_cart(self) -> bool:
        """Whether something waits in the cart."""
        return self.cart is not None and bool(self.cart.lines)


def shopper(shopper_id: str, seed: int) -> Shopper:
    """The shopper of an id: the same for the same seed."""
    rng = Random(f"{seed}/{shopper_id}")
    kind = rng.choices(KINDS, [kind.percent for kind in KINDS])[0]
    who = person(shopper_id, seed)
    return Shopper(
        shopper_id=shopper_id,
        person=who,
        kind=kind,
        affinity=kind.affinity + rng.gauss(0.0, 0.5),
        registered=rng.random() < 0.65,
        currency=CURRENCY[who.country or "US"],
    )


def new_need(who: Shopper, rng: Random) -> Need:
    """What a shopper comes for this time."""
    return Need(
        product=rng.choices(PRODUCTS, cum_weights=POPULARITY)[0],
        intent=who.affinity + rng.gauss(0.0, 1.0),
        doubt=rng.choices(list(DOUBT_WEIGHTS), list(DOUBT_WEIGHTS.values()))[0],
    )


def comes_back(need: Need) -> float:
    """Probability that a shopper who left a full cart returns for it on account of intent and help."""
    return _logistic(1.5 * (need.intent + need.help) - 0.8 - 0.5 * need.visits)


def help_of(doubt: Doubt, channel: Channel, talk_seconds: float | None) -> float:
    """What a contact adds to the intent. Hardly begun talks help as little as a message."""
    if channel is Channel.VOICE and (talk_seconds or 0.0) >= SHORT_TALK_SECONDS:
        return VOICE_HELP[doubt]
    return MESSAGE_HELP[doubt]


@dataclass(slots=True)
class Visit:
    """One visit, act by act. The shop applies each act to the shopper's cart before it asks for the next."""

    who: Shopper
    need: Need
    rng: Random

    def acts(self) -> Iterator[Act]:
        """What the shopper does until the order or until leaving."""
        if self.who.registered:
            yield Act(0.0, EventKind.IDENTIFIED)
        if self.who.has_open_cart and not self.need.visits:
            yield from self._clears_up()
        if self.need.visits:
            yield from self._looks_again()
        else:
            yield from self._browses()
        for _ in range(MOST_TURNS):
            if not self.who.has_open_cart or self._chance(0.28 * _logistic(0.3 - 0.7 * self._drive())):
                return
            if self._chance(0.30 * _logistic(0.7 * self._drive() - 0.2)):
                yield from self._checks_out()
                return
            yield self._deliberates()

    def _drive(self) -> float:
        """Intent, with the help of contacts, less what the price takes away."""
        cart = self.who.cart
        dollars = sum(BY_ID[line.product_id].dollars * line.quantity for line in cart.lines) if cart else 0.0
        pain = self.who.kind.thrift * math.log(max(dollars, 10.0) / USUAL_CART_DOLLARS)
        return self.need.intent + self.need.help - pain

    def _browses(self) -> Iterator[Act]:
        for _ in range(1 + int(self.rng.expovariate(0.5))):
            again = self._chance(0.25 + 0.25 * _logistic(self.need.intent))
            yield self._act(EventKind.PRODUCT_VIEWED, self.need.product if again else self._another())
        if self._chance(_logistic(0.9 * self.need.intent - 0.6)):
            yield self._act(EventKind.ITEM_ADDED, self.need.product, quantity=2 if self._chance(0.1) else 1)

    def _clears_up(self) -> Iterator[Act]:
        """What was left in the cart for another need mostly has to go."""
        if self.who.cart and self._chance(0.7):
            yield Act(self._thinks(), EventKind.ITEM_REMOVED, self.who.cart.lines)

    def _looks_again(self) -> Iterator[Act]:
        self.need.intent += self.rng.gauss(0.0, 0.3)
        for _ in range(self.rng.randrange(3)):
            yield self._act(EventKind.PRODUCT_VIEWED, self._in_cart())

    def _deliberates(self) -> Act:
        doubt = self.need.doubt if not self.need.help else None
        removes = 0.05 + (0.12 if doubt is Doubt.PRICE else 0.0) + 0.10 * _logistic(-self.need.intent - 1.0)
        looks_back = 0.15 + (0.25 if doubt is Doubt.SIZE else 0.0) + 0.15 * _logistic(self.need.intent)
        thrown = self.rng.random()
        if thrown < removes:
            return self._removes()
        if thrown < removes + looks_back:
            return self._act(EventKind.PRODUCT_VIEWED, self._in_cart())
        if thrown < removes + looks_back + 0.16:
            return self._act(EventKind.ITEM_ADDED, self._another())
        pause = self.rng.uniform(240.0, 1200.0) if doubt is Doubt.DISTRACTED and self._chance(0.3) else 0.0
        return self._act(EventKind.PRODUCT_VIEWED, self._another(), pause=pause)

    def _checks_out(self) -> Iterator[Act]:
        doubt = self.need.doubt if not self.need.help else None
        lines = self.who.cart.lines if self.who.cart else ()
        yield Act(self._thinks(), EventKind.CHECKOUT_STARTED, lines, step=1)
        while self._chance(0.4 if doubt is Doubt.PRICE else 0.04):
            yield Act(self._thinks(), EventKind.COUPON_REFUSED)
            if not self._chance(_logistic(0.7 * self._drive() + 0.4)):
                return
        if not self._chance(_logistic(0.7 * self._drive() + 0.6)):
            return
        yield Act(self._thinks(), EventKind.CHECKOUT_STEP, step=2)
        if not self._chance(_logistic(0.8 * self._drive() + (-1.2 if doubt is Doubt.SHIPPING else 1.2))):
            return
        yield Act(self._thinks(), EventKind.CHECKOUT_STEP, step=3)
        while self._chance(0.5 if doubt is Doubt.PAYMENT else 0.05):
            yield Act(self._thinks(), EventKind.PAYMENT_FAILED, step=3)
            if not self._chance(_logistic(0.7 * self._drive())):
                return
        if self._chance(_logistic(0.7 * self._drive() + 1.2)):
            yield Act(self._thinks(), EventKind.ORDER_COMPLETED, lines)

    def _removes(self) -> Act:
        lines = self.who.cart.lines if self.who.cart else ()
        line = max(lines, key=lambda line: line.unit_price) if self._chance(0.6) else self.rng.choice(lines)
        return Act(self._thinks(), EventKind.ITEM_REMOVED, (line,))

    def _act(self, kind: EventKind, product: Product, *, quantity: int = 1, pause: float = 0.0) -> Act:
        return Act(self._thinks() + pause, kind, (product.item(self.who.currency, quantity),))

    def _another(self) -> Product:
        if self._chance(0.7):
            return self.rng.choice(BY_CATEGORY[self.need.product.category])
        return self.rng.choices(PRODUCTS, cum_weights=POPULARITY)[0]

    def _in_cart(self) -> Product:
        lines = self.who.cart.lines if self.who.cart else ()
        return BY_ID[self.rng.choice(lines).product_id] if lines else self.need.product

    def _thinks(self) -> float:
        """Seconds until the next act: the keener, the quicker, and mostly chance."""
        return max(2.0, self.rng.lognormvariate(3.4 - 0.2 * self.need.intent, 0.7))

    def _chance(self, probability: float) -> bool:
        return self.rng.random() < probability


def _logistic(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-log_odds))
