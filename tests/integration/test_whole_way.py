"""Signed webhooks over HTTP, half-carts that merge, Kafka away in the middle: Ringback's own ingest and stream."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TypeVar

import aiohttp
import msgspec
import pytest

from dialer.hopper import Hopper
from ingest.identity import names
from ingest.send_fixture import sign
from ringback.decisions import Decision
from ringback.envelope import is_packed, partition_of, unpack
from ringback.metrics import NeverEvent
from ringback.records import INTERNAL_KINDS, CartEvent, Conversion, DeadLetter, EventKind, Refs, Topic, decoder
from ringback.redis_client import connect
from ringback.settings import Settings, load
from tests.integration import topics
from tests.servers.kafka import Kafka
from tests.servers.process import free_port
from tests.servers.redis import Redis
from tests.servers.ringback import RingbackProcess
from tests.whole_way.requests import (
    NOON,
    Person,
    Sent,
    iso,
    segment_added,
    segment_identify,
    segment_track,
    shopify,
    shopify_checkout,
    shopify_order,
)

R = TypeVar("R", bound=msgspec.Struct)
T = TypeVar("T")
DEADLINE = 60.0
SECRETS = {"shopify": "the shop's secret", "segment": "the tracking's secret"}
CONSENT = {"shopify": "note_attributes.call_me", "segment": "traits.call_me"}
DEVICES = 1000


@pytest.fixture
def servers(kafka: Kafka, redis_server: Redis) -> Iterator[tuple[Kafka, Redis]]:
    """Servers of the test's own; ``kafka`` and ``redis_server`` say why there are none."""
    with Kafka() as broker, Redis() as redis:
        yield broker, redis


def environment(kafka: Kafka, redis: Redis) -> dict[str, str]:
    """Processes that live two hours after `NOON`, and judge carts by the events' own time alone."""
    shops = {
        f"{platform}:example": {
            "secrets": [secret],
            "currency": "USD",
            "country": "US",
            "consent": {"voice": CONSENT[platform]},
        }
        for platform, secret in SECRETS.items()
    }
    return {
        **kafka.settings,
        **redis.settings,
        "RINGBACK_DIALER__CHANNEL": "Local/{number}@shoppers",
        "RINGBACK_SIMULATION__ENABLED": "true",
        "RINGBACK_SIMULATION__ORIGIN": str(NOON + 7200),
        "RINGBACK_SIMULATION__WALL_ORIGIN": str(time.time()),
        "RINGBACK_STREAM__IDLE_AFTER": "3600",
        "RINGBACK_DECIDE__HOLDOUT": "0",
        "RINGBACK_DECIDE__VOICE_FROM": '{"USD": 1}',
        "RINGBACK_DECIDE__MESSAGE_FROM": '{"USD": 1}',
        "RINGBACK_INGEST__PORT": str(free_port()),
        "RINGBACK_INGEST__SHOPS": json.dumps(shops),
    }


class Shop:
    """Sends requests as its platforms do, one after the other."""

    def __init__(self, settings: Settings) -> None:
        self.url = f"http://127.0.0.1:{settings.ingest.port}/v1"
        self.sent: list[Sent] = []

    async def send(self, *requests: Sent) -> Counter[str]:
        """What became of the events, by the answers; every answer must be 200."""
        results: Counter[str] = Counter()
        async with aiohttp.ClientSession() as session:
            for one in requests:
                signature = sign(one.platform, one.headers, one.body, SECRETS[one.platform].encode(), time.time())
                url = f"{self.url}/{one.platform}/example"
                async with session.post(url, data=one.body, headers={**one.headers, **signature}) as answer:
                    assert answer.status == 200, await answer.text()
                    results.update(result["status"] for result in (await answer.json())["results"])
        self.sent += requests
        return results


class Names:
    """What ids these settings make of names, and so which partition."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.privacy.phone_key.get_secret_value().encode()
        self._partitions = settings.kafka.partitions

    def partition(self, **refs: str) -> int:
        return partition_of(names(Refs(**refs), "example", self._key).refs[0], self._partitions)

    def people(self) -> Iterator[Person]:
        """People whose device and whose customer number lead to two partitions."""
        for person in map(Person, range(100)):
            if self.partition(anonymous=person.device()) != self.partition(customer=str(person.customer)):
                yield person

    def passers_by(self, at: float) -> list[Sent]:
        """One look of a stranger in each partition: whatever was due before it will be judged."""
        devices = {self.partition(anonymous=f"passer-by-{n}"): f"passer-by-{n}" for n in range(DEVICES)}
        assert len(devices) == self._partitions
        return [
            segment_track("Product Viewed", at, {"product_id": "lamp"}, anonymousId=one) for one in devices.values()
        ]


def on_phone(person: Person, at: float) -> Sent:
    return segment_added(at, "boots", anonymousId=person.device())


def on_laptop(person: Person, at: float) -> Sent:
    yes = [{"name": "call_me", "value": "yes"}]
    customer = {"id": person.customer}
    return shopify_checkout(
        person, at, {"hat": 1}, customer=customer, email=person.email, phone=person.phone, note_attributes=yes
    )


def registered(person: Person, at: float) -> Sent:
    return shopify("customers/update", at, {"id": person.customer, "email": person.email, "updated_at": iso(at)})


def logged_in(person: Person, at: float) -> Sent:
    """The customer's name becomes known on the phone."""
    who = {"anonymousId": person.device(), "userId": str(person.customer)}
    return segment_identify(at, {"email": person.email}, **who)


def ordered(person: Person, at: float) -> Sent:
    return shopify_order(person, at, {"boots": 1}, customer={"id": person.customer}, email=person.email)


async def test_half_carts_merge_across_partitions_while_kafka_goes_and_comes(
    servers: tuple[Kafka, Redis], monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka, redis = servers
    env = environment(kafka, redis)
    for key, value in env.items():
        monkeypatch.setenv(key, value)
    settings = load()
    shop, known = Shop(settings), Names(settings)
    ann, bob, cid, *_ = known.people()
    client = connect(settings.redis)
    hopper = Hopper(client, settings.dialer.campaign)
    with ExitStack() as stack:
        stream, ingest = (stack.enter_context(RingbackProcess(name, env)) for name in ("stream", "ingest"))

        # Cid leaves a cart on the phone, and is to be called.
        yes = {"phone": cid.phone, "call_me": True}
        await shop.send(registered(cid, 0), on_phone(cid, 5), segment_identify(10, yes, anonymousId=cid.device()))
        await shop.send(*known.passers_by(1900))
        (lead,) = await published(kafka, Topic.DECISIONS, Decision, 1)
        await queued(hopper, {lead.cart_id})
        assert (lead.route, [item.product_id for item in lead.items]) == ("voice", ["boots"])

        # Ann and Bob have half a cart on the phone and half a cart on the laptop.
        await shop.send(on_laptop(ann, 2000), on_laptop(bob, 2010), on_phone(ann, 2020), on_phone(bob, 2030))
        await asyncio.to_thread(kafka.stop)
        links = [logged_in(ann, 2100), logged_in(bob, 2110), ordered(bob, 2120), logged_in(cid, 2130)]
        spooled = await shop.send(*links, ordered(cid, 2140), *links)
        assert spooled == {"spooled": 9}
        assert ingest.total("ringback_ingest_spool_requests") == 9
        await asyncio.to_thread(kafka.start)
        await counted(ingest, "ringback_ingest_spool_requests", 0)
        await shop.send(*shop.sent)
        await handed_over(kafka, 3)
        await shop.send(*known.passers_by(5000))
        decisions = await published(kafka, Topic.DECISIONS, Decision, 2)
        (won,) = await published(kafka, Topic.CONVERSIONS, Conversion, 1)
        await counted(stream, "ringback_stream_lag_records", 0)
        (both,) = [made for made in decisions if made != lead]
        await queued(hopper, {both.cart_id})
        await client.aclose()

        assert len(await topics.read(kafka.bootstrap, Topic.DECISIONS, Decision)) == len(decisions) == 2
        assert (both.route, both.value) == ("voice", 12_000 + 3_550)
        assert {item.product_id for item in both.items} == {"hat", "boots"}
        assert (won.order_id, won.decision_id, won.arm) == (str(cid.order), lead.decision_id, "treated")
        assert await topics.read(kafka.bootstrap, Topic.DEAD_LETTERS, DeadLetter) == []
        check_order(await cart_events(kafka))
        for process in (stream, ingest):
            for event in NeverEvent:
                assert process.total("ringback_never_events_total", event=event.value) == 0


def check_order(log: Sequence[tuple[int, CartEvent]]) -> None:
    """Within a partition events came first in the order in which they were sent, through the spool or not."""
    first: dict[int, dict[str, float]] = {}
    for partition, one in log:
        if one.kind not in INTERNAL_KINDS:
            first.setdefault(partition, {}).setdefault(one.event_id, one.time)
    assert sum(map(len, first.values())) > 15
    for times in first.values():
        assert list(times.values()) == sorted(times.values())


async def until(condition: Callable[[], Awaitable[T | None]], what: str) -> T:
    """What the condition gives, when it gives anything."""
    deadline = time.monotonic() + DEADLINE
    while (found := await condition()) is None:
        assert time.monotonic() < deadline, f"{what}: not within {DEADLINE:.0f} s"
        await asyncio.sleep(0.1)
    return found


async def counted(process: RingbackProcess, name: str, wanted: float) -> None:
    async def reached() -> bool | None:
        return await asyncio.to_thread(process.total, name) == wanted or None

    await until(reached, f"{name} is {wanted:g}")


async def published(kafka: Kafka, topic: Topic, kind: type[R], count: int) -> list[R]:
    """The records of a topic, as soon as there are so many."""

    async def enough() -> list[R] | None:
        found = await topics.read(kafka.bootstrap, topic, kind)
        return found if len(found) >= count else None

    return await until(enough, f"{count} in {topic}")


async def queued(hopper: Hopper, cart_ids: set[str]) -> None:
    async def right() -> bool | None:
        waiting = await hopper.candidates(NOON + 3 * 3600, 100)
        return (await hopper.size() == len(cart_ids) and {lead.cart_id for lead in waiting} == cart_ids) or None

    await until(right, f"the hopper holds {cart_ids}")


async def cart_events(kafka: Kafka) -> list[tuple[int, CartEvent]]:
    """Every cart event and its partition, partition by partition."""
    decode = decoder(CartEvent).decode
    return [
        (record.partition, decode(raw))
        for record in await topics.records(kafka.bootstrap, Topic.CART_EVENTS)
        for raw in (unpack(record.value) if is_packed(record.value) else [record.value])
    ]


async def handed_over(kafka: Kafka, count: int) -> None:
    async def all_of_them() -> bool | None:
        return sum(one.kind is EventKind.HANDED_OVER for _, one in await cart_events(kafka)) == count or None

    await until(all_of_them, f"{count} shoppers are handed over")
