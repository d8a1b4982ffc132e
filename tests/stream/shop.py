"""Small builders of events and settings for the tests of the stream."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ringback.clock import Clock
from ringback.decisions import Decision
from ringback.records import INTERNAL_KINDS, CartEvent, Consent, EventKind, Item, Shopper, encode
from ringback.settings import Settings, load
from scoring.model import Served
from stream.carts import ShopperState, decode_state, decode_waiting, encode_state
from stream.partition import Partition

NOON = 1_790_000_000.0  # Monday 2026-09-21 14:13 UTC, 10:13 in New York: inside calling hours
ADA = Shopper(
    name="Ada",
    phone="+12125550123",
    country="US",
    timezone="America/New_York",
    consent=Consent(voice=True, sms=True, chat=True, evidence="checkout"),
)
# The order in which these come does matter: they end something.
UNORDERED = INTERNAL_KINDS | {EventKind.ERASED}
_numbers = itertools.count()


class Even:
    """A model that scores every cart the same."""

    version = "even"

    def __init__(self, score: float = 0.5) -> None:
        self._score = score

    def score(self, row: Sequence[float]) -> float:
        return self._score

    def judge(self, shopper_id: str, row: Sequence[float]) -> Served:
        return Served(self._score, self.version)


class HeldStates:
    """All states in memory, decoded."""

    def __init__(self) -> None:
        self.held: dict[bytes, ShopperState] = {}

    def get(self, key: bytes) -> ShopperState | None:
        return self.held.get(key)

    def peek(self, key: bytes) -> ShopperState | None:
        return self.held.get(key)

    def put(self, key: bytes, state: ShopperState) -> None:
        self.held[key] = state

    def delete(self, key: bytes) -> None:
        self.held.pop(key, None)

    def keys(self) -> Iterable[bytes]:
        return list(self.held)


def event(kind: EventKind, at: float, shopper_id: str = "ada", **fields: Any) -> CartEvent:
    """An event ``at`` seconds after `NOON`."""
    fields.setdefault("event_id", f"e{next(_numbers)}")
    fields.setdefault("shopper", ADA)
    return CartEvent(source="test", shopper_id=shopper_id, kind=kind, time=NOON + at, **fields)


def added(at: float, price: int = 10_000, shopper_id: str = "ada", product: str = "boots", **fields: Any) -> CartEvent:
    """Something put into the cart, USD."""
    items = (Item(product_id=product, unit_price=price),)
    kind = fields.pop("kind", EventKind.ITEM_ADDED)
    return event(kind, at, shopper_id, items=items, currency="USD", **fields)


def viewed(at: float, shopper_id: str = "ada", **fields: Any) -> CartEvent:
    """A product looked at."""
    return event(EventKind.PRODUCT_VIEWED, at, shopper_id, items=(Item(product_id="boots"),), **fields)


def ordered(at: float, shopper_id: str = "ada", **fields: Any) -> CartEvent:
    """An order."""
    return event(EventKind.ORDER_COMPLETED, at, shopper_id, **fields)


def settings(**flags: Any) -> Settings:
    """Settings without a holdout, in which a cart of 50 USD is worth a call; ``a__b=1`` sets ``a.b``."""
    chosen = {"decide.holdout": 0.0, "stream.lateness": 0.0}
    return load(chosen | {key.replace("__", "."): value for key, value in flags.items()})


def partition(config: Settings | None = None, score: float = 0.5) -> Partition:
    """An empty partition."""
    return Partition(0, config or settings(), Clock(), Even(score), HeldStates())


def held(part: Partition) -> dict[bytes, ShopperState]:
    """What a partition knows of its shoppers."""
    assert isinstance(part.states, HeldStates)
    return part.states.held


def take_over(part: Partition, states: Mapping[bytes, ShopperState]) -> None:
    """Give a partition what a worker wrote."""
    for key, state in states.items():
        encoded = encode_state(state)
        part.states.put(key, decode_state(encoded))
        part.load(key, decode_waiting(encoded))


def feed(part: Partition, events: Sequence[CartEvent], first_offset: int = 0) -> None:
    """Put events into a partition as records, each arriving the moment it happens."""
    for offset, one in enumerate(events, start=first_offset):
        part.records(one.shopper_id.encode(), encode(one), offset, one.time)


def essence(made: Sequence[Decision]) -> list[Decision]:
    """Decisions without when, on the wall, they were taken; those of the same time in the order of their ids."""
    stripped = [msgspec.structs.replace(decision, due_wall=0.0, decided_wall=0.0) for decision in made]
    return sorted(stripped, key=lambda decision: (decision.time, decision.decision_id))
