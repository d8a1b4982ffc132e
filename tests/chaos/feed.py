"""What is fed to the stream: a simulated shop's events as a bad day brings them, all of it from a seed."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer

from ringback.envelope import pack, partition_of
from ringback.records import CartEvent, EventKind, Item, Topic, encode
from simulation.shop import Shop

# Monday 2026-09-21 13:33 UTC.
OPENS = 1_790_000_000.0
LATE_PERCENT = 15
REPEATED_PERCENT = 6
MOST_PACKED = 40
SINGLE_PERCENT = 40
DAY = 86_400.0


class EventName(NamedTuple):
    """What an event is recognised by."""

    source: str
    event_id: str


class Place(NamedTuple):
    """Where something lies in the log of the cart events."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Sent:
    """One Kafka record: ``accepted`` are the usable events in it, of the others there are ``unusable``."""

    partition: int
    key: bytes | None
    value: bytes
    accepted: tuple[tuple[EventName, str], ...]
    unusable: int = 0
    events: int = 1


@dataclass(slots=True)
class Ledger:
    """Where each usable event was published, and whose it is; and where the unusable ones lie."""

    accepted: dict[EventName, list[Place]] = field(default_factory=dict)
    shopper: dict[EventName, str] = field(default_factory=dict)
    unusable: list[Place] = field(default_factory=list)

    def note(self, sent: Sent, place: Place) -> None:
        for name, shopper_id in sent.accepted:
            self.accepted.setdefault(name, []).append(place)
            self.shopper[name] = shopper_id
        self.unusable += [place] * sent.unusable


def shop_events(seed: int, count: int) -> list[CartEvent]:
    """The first ``count`` events of a simulated shop, in order of time."""
    shop = Shop(seed, visits_per_hour=900.0, shoppers=3000, start=OPENS)
    events: list[CartEvent] = []
    hour = 0
    while len(events) < count:
        hour += 1
        events += shop.events_until(OPENS + hour * 3600)
    return events[:count]


def disordered(events: Sequence[CartEvent], lateness: float, rng: Random) -> list[CartEvent]:
    """Some come late, by ``lateness`` at most, and some come again: at once, or long after."""
    arrivals: list[tuple[float, CartEvent]] = []
    for event in events:
        late = rng.uniform(0, lateness) if rng.randrange(100) < LATE_PERCENT else 0.0
        arrivals.append((event.time + late, event))
    arrivals.sort(key=lambda arrival: arrival[0])
    order = [event for _, event in arrivals]
    again: dict[int, list[CartEvent]] = {}
    for place, event in enumerate(order):
        if rng.randrange(100) < REPEATED_PERCENT:
            after = rng.choice((0, rng.randrange(1, 10), rng.randrange(100, 3000)))
            again.setdefault(min(place + after, len(order) - 1), []).append(event)
    return [one for place, event in enumerate(order) for one in (event, *again.get(place, ()))]


def records(events: Sequence[CartEvent], partitions: int, unusable: int, rng: Random) -> Iterator[Sent]:
    """The events as Kafka records, alone or packed, with some unusable ones among them."""
    broken_at = set(rng.sample(range(len(events)), unusable))
    place = 0
    while place < len(events):
        size = 1 if rng.randrange(100) < SINGLE_PERCENT else rng.randrange(2, MOST_PACKED)
        group = events[place : place + size]
        broken = [events[at] for at in range(place, place + len(group)) if at in broken_at]
        place += len(group)
        if size == 1:
            yield _single(group[0], partitions)
            yield from (_broken_record(event, partitions, rng) for event in broken)
        else:
            yield from _packed(group, broken, partitions)


def bulk(events: Sequence[CartEvent], partitions: int, padding: int) -> Iterator[Sent]:
    """Each event in a record of its own that is made large by what no reader asks for; of shoppers of its own.

    They only look: their times are far behind the watermark, and a worker that was just started does not know that yet.
    """
    for event in events:
        looking = msgspec.structs.replace(
            event, shopper_id=f"bulk-{event.shopper_id}", kind=EventKind.PRODUCT_VIEWED, cart_id=None, order_id=None
        )
        sent = _single(looking, partitions)
        larger = sent.value[:-1] + b',"note":"' + b"x" * padding + b'"}'
        yield replace(sent, value=larger)


def _name(event: CartEvent) -> tuple[EventName, str]:
    return EventName(event.source, event.event_id), event.shopper_id


def _single(event: CartEvent, partitions: int) -> Sent:
    number = partition_of(event.shopper_id, partitions)
    return Sent(number, event.shopper_id.encode(), encode(event), (_name(event),))


def _packed(group: Sequence[CartEvent], broken: Sequence[CartEvent], partitions: int) -> Iterator[Sent]:
    by_partition: dict[int, list[CartEvent]] = {}
    for event in group:
        by_partition.setdefault(partition_of(event.shopper_id, partitions), []).append(event)
    for number, held in by_partition.items():
        bad = [_priced_below_zero(one) for one in broken if partition_of(one.shopper_id, partitions) == number]
        (value,) = pack([encode(one) for one in (*held, *bad)])
        yield Sent(number, None, value, tuple(_name(one) for one in held), len(bad), len(held))


def _broken_record(event: CartEvent, partitions: int, rng: Random) -> Sent:
    number = partition_of(event.shopper_id, partitions)
    key = event.shopper_id.encode()
    value = rng.choice(
        (
            b'{"event_id": "cut off',
            b"\xff\xfe",
            encode(_priced_below_zero(event)),
            encode(msgspec.structs.replace(event, event_id=f"{event.event_id}-bad", time=event.time + 365 * DAY)),
            encode(msgspec.structs.replace(event, event_id=f"{event.event_id}-bad", shopper_id="somebody-else")),
            b"[1, 2",
        )
    )
    return Sent(number, key, value, (), 1, 0)


def _priced_below_zero(event: CartEvent) -> CartEvent:
    return msgspec.structs.replace(
        event,
        event_id=f"{event.event_id}-bad",
        kind=EventKind.ITEM_ADDED,
        items=(Item(product_id="p", unit_price=-1),),
        currency="USD",
        order_id=None,
        value=None,
    )


class Feeder:
    """Publishes the records, as far as it is told to, and notes where they came to lie. ``events`` counts them."""

    def __init__(self, producing: AIOKafkaProducer, planned: Sequence[Sent], rng: Random) -> None:
        self.ledger = Ledger()
        self.events = 0
        self.total = sum(sent.events for sent in planned)
        self._producing = producing
        self._planned = iter(planned)
        self._rng = rng

    async def up_to(self, events: int) -> None:
        """Publish until so many events are published, a few records at a time."""
        while self.events < events:
            group = []
            for sent in self._planned:
                group.append(sent)
                self.events += sent.events
                if self.events >= events or len(group) >= self._rng.randrange(1, 12):
                    break
            else:
                if not group:
                    return
            await self.publish(group)

    async def publish(self, group: Sequence[Sent]) -> None:
        """Publish records and wait until Kafka has them."""
        landing = [
            await self._producing.send(Topic.CART_EVENTS, one.value, key=one.key, partition=one.partition)
            for one in group
        ]
        for one, landed in zip(group, await asyncio.gather(*landing), strict=True):
            self.ledger.note(one, Place(landed.partition, landed.offset))
