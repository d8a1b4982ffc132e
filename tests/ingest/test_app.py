"""The endpoints for shops: who is let in, what is answered, and that 200 never lies."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from ingest import app as app_module
from ingest import delivery
from ingest.intake import Admitted, Taken
from ingest.publisher import Publisher
from ingest.source import Parsed, Refused, Shop
from ingest.sources import SOURCES
from ringback.errors import Unavailable
from ringback.records import CartEvent, DeadLetter, EventKind, Topic
from ringback.redis_client import connect
from ringback.settings import IngestSettings, KafkaSettings, RedisSettings
from tests.ingest.door import NOW, SECRET, Door, base64_signature, cart_events, intake_of, settings_for, signature
from tests.integration.topics import read
from tests.servers.embedded import EmbeddedKafka

EVENT: dict[str, Any] = {
    "event_id": "e1",
    "source": "shop",
    "shopper_id": "s1",
    "kind": "item_added",
    "time": NOW,
    "items": [{"product_id": "p", "unit_price": 1999}],
    "currency": "EUR",
}
CART: dict[str, Any] = {
    "id": "c1",
    "token": "c1",
    "line_items": [{"id": 1, "product_id": 2, "variant_id": 3, "quantity": 1, "title": "Lamp", "price": "19.99"}],
    "created_at": "2026-09-21T14:13:20Z",
    "updated_at": "2026-09-21T14:13:20Z",
}


class World:
    """A door with a broker and a Redis behind it."""

    def __init__(self, broker: EmbeddedKafka, door: Door) -> None:
        self.broker = broker
        self.door = door

    async def events(self) -> list[CartEvent]:
        return await cart_events(self.broker.bootstrap)

    async def letters(self) -> list[DeadLetter]:
        return await read(self.broker.bootstrap, Topic.DEAD_LETTERS, DeadLetter)


@pytest.fixture
async def publisher(embedded_kafka: EmbeddedKafka) -> AsyncIterator[Publisher]:
    publishing = Publisher(embedded_kafka.kafka_settings(partitions=2, request_timeout=1.0))
    await publishing.connect()
    yield publishing
    await publishing.close()


@pytest.fixture
async def world(
    publisher: Publisher, redis: Redis, embedded_kafka: EmbeddedKafka, tmp_path: Path
) -> AsyncIterator[World]:
    settings = settings_for(tmp_path)
    async with Door(settings, intake_of(publisher, redis, settings)) as door:
        yield World(embedded_kafka, door)


@pytest.fixture
def door(world: World) -> Door:
    return world.door


class Stub:
    """An intake that does what a test needs: takes, refuses, hangs or breaks."""

    def __init__(self) -> None:
        self.taken: list[Admitted] = []
        self.failure: Exception | None = None
        self.poison: str | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def take(self, admitted: Admitted) -> Taken:
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        ids = {one.event_id for one in admitted.parsed if isinstance(one, CartEvent)}
        if self.poison in ids:
            raise KeyError(self.poison)
        self.taken.append(admitted)
        refused = sum(isinstance(one, Refused) for one in admitted.parsed)
        return Taken(len(admitted.parsed) - refused, 0, refused)

    def ids(self) -> list[str]:
        return [one.event_id for admitted in self.taken for one in admitted.parsed if isinstance(one, CartEvent)]

    def reasons(self) -> list[str]:
        return [one.error.reason for admitted in self.taken for one in admitted.parsed if isinstance(one, Refused)]


@pytest.fixture
def stub() -> Stub:
    return Stub()


def event(number: int) -> dict[str, Any]:
    return {**EVENT, "event_id": f"e{number}"}


async def post_cart(door: Door, secret: str, path: str = "/v1/shopify/example", **more: str) -> httpx.Response:
    body = json.dumps(CART).encode()
    headers = {
        "Content-Type": "application/json",
        "X-Shopify-Topic": "carts/update",
        "X-Shopify-Webhook-Id": "w1",
        "X-Shopify-Hmac-Sha256": base64_signature(body, secret),
    }
    return await door.post(path, body, headers | more)


# What is taken.


async def test_an_event_is_taken(world: World) -> None:
    answer = await world.door.send(EVENT)
    assert answer.status_code == 200
    assert answer.json() == {"results": [{"status": "accepted", "event_id": "e1"}]}
    (event,) = await world.events()
    assert (event.shopper_id, event.kind, event.source) == ("s1", EventKind.ITEM_ADDED, "shop")
    assert event.received_wall > NOW / 2
    assert world.door.counted("accepted") == 1


@pytest.mark.parametrize("secret", ["shopify secret", "next shopify secret"])
async def test_a_webhook_of_a_platform_is_taken(world: World, secret: str) -> None:
    assert (await post_cart(world.door, secret)).status_code == 200
    (event,) = await world.events()
    assert (event.source, event.kind, event.currency) == ("shopify/example", EventKind.CART_SNAPSHOT, "USD")
    assert event.shopper_id
    assert event.refs is None


async def test_a_repeated_webhook_is_published_once(world: World) -> None:
    for _ in range(3):
        assert (await post_cart(world.door, "shopify secret")).status_code == 200
    assert len(await world.events()) == 1
    registry = world.door.metrics.registry
    assert registry.get_sample_value("ringback_ingest_events_total", {"result": "repeated"}) == 2


async def test_each_event_of_a_request_has_its_own_result(world: World) -> None:
    answer = await world.door.send([EVENT, {**EVENT, "event_id": "e2", "currency": "ABC"}])
    assert answer.status_code == 200
    accepted, refused = answer.json()["results"]
    assert accepted == {"status": "accepted", "event_id": "e1"}
    assert (refused["status"], refused["reason"]) == ("dead_letter", "unknown_currency")
    (letter,) = await world.letters()
    assert (letter.stage, letter.reason) == ("ingest", "unknown_currency")
    assert json.loads(letter.payload)["event_id"] == "e2"
    assert world.door.counted("dead_letter") == 1


async def test_authentic_nonsense_is_a_dead_letter(world: World) -> None:
    answer = await world.door.send(b"{nonsense")
    assert answer.status_code == 200
    assert answer.json()["results"][0]["reason"] == "malformed"
    assert [letter.payload for letter in await world.letters()] == [b"{nonsense"]


async def test_an_order_that_is_refused_stops_calls_all_the_same(world: World) -> None:
    await world.door.send({**EVENT, "kind": "order_completed", "value": -1})
    assert [event.kind for event in await world.events()] == [EventKind.ORDER_COMPLETED]
    assert [letter.reason for letter in await world.letters()] == ["negative_price"]


async def test_a_large_event_is_a_dead_letter(world: World) -> None:
    answer = await world.door.send({**EVENT, "cart_id": "c" * 20_000})
    assert answer.status_code == 200
    assert answer.json()["results"][0]["reason"] == "too_large"


async def test_deep_json_is_a_dead_letter(world: World) -> None:
    answer = await world.door.send(b"[" * 41 + b"]" * 41)
    assert answer.status_code == 200
    assert [letter.reason for letter in await world.letters()] == ["too_deep"]


async def test_a_ping_is_answered_though_nobody_signed_it(world: World) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await world.door.post("/v1/woocommerce/example", b"webhook_id=17", headers)
    assert answer.status_code == 200
    assert world.door.counted("ping") == 1
    assert not await world.events()
    assert not await world.letters()


async def test_gzip(world: World) -> None:
    packed = gzip.compress(json.dumps(EVENT).encode())
    assert (await world.door.send(packed, Content_Encoding="gzip")).status_code == 200
    assert len(await world.events()) == 1


async def test_what_is_no_gzip_is_a_dead_letter(world: World) -> None:
    answer = await world.door.send(json.dumps(EVENT).encode(), Content_Encoding="gzip")
    assert answer.json()["results"][0]["reason"] == "malformed"
    assert len(await world.letters()) == 1


# Who is not let in.


@pytest.mark.parametrize(
    "given",
    ["", "sha256=", "sha256=" + "0" * 64, "sha1=" + "0" * 40, signature(b"another body"), "sha256=é"],
)
async def test_a_wrong_signature(world: World, given: str) -> None:
    raw = json.dumps(EVENT).encode()
    headers = {"X-Ringback-Signature": given} if given else {}
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    answer = await world.door._client.post("/v1/events", content=raw, headers=encoded)
    assert answer.status_code == 401
    assert world.door.counted("unauthentic") == 1
    assert not await world.events()
    assert not await world.letters()


async def test_another_secret(door: Door) -> None:
    assert (await post_cart(door, "woo secret")).status_code == 401


async def test_the_signature_is_of_the_bytes_as_they_came(door: Door) -> None:
    plain = json.dumps(EVENT).encode()
    headers = {"X-Ringback-Signature": signature(plain), "Content-Encoding": "gzip"}
    assert (await door.post("/v1/events", gzip.compress(plain), headers)).status_code == 401


@pytest.mark.parametrize("path", ["/v1/shopify/off", "/v1/shopify/unknown", "/v1/unknown/example", "/v1/ga4/example"])
async def test_unknown_shops_and_those_that_are_off_look_the_same(door: Door, path: str) -> None:
    answer = await post_cart(door, "shopify secret", path)
    assert answer.status_code == 404
    assert answer.json() == {"error": "no such shop, or its endpoint is off: it has no secrets"}


async def test_an_empty_secret_is_no_secret(stub: Stub, tmp_path: Path) -> None:
    async with Door(settings_for(tmp_path, secret=""), stub) as door:
        raw = json.dumps(EVENT).encode()
        answer = await door.send(raw, X_Ringback_Signature=signature(raw, ""))
        assert answer.status_code == 404
        assert "off" in answer.json()["error"]


# Limits.


async def test_a_body_without_end_is_not_read_to_it(stub: Stub, tmp_path: Path) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield bytes(1024)

    async with Door(settings_for(tmp_path, max_body_bytes=100_000), stub) as door:
        assert (await door.post("/v1/events", endless())).status_code == 413
        assert read < 110
        assert (await door.send(b" " * 100_001)).status_code == 413
        assert (await door.send(b" " * 100_000)).status_code == 200
        assert door.counted("rejected") == 2


async def test_a_body_that_is_large_after_gzip(stub: Stub, tmp_path: Path) -> None:
    async with Door(settings_for(tmp_path, max_body_bytes=100_000), stub) as door:
        assert (await door.send(gzip.compress(bytes(100_001)), Content_Encoding="gzip")).status_code == 413
        assert not stub.taken


async def test_an_unknown_encoding(stub: Stub, tmp_path: Path) -> None:
    async with Door(settings_for(tmp_path), stub) as door:
        answer = await door.send(EVENT, Content_Encoding="br")
        assert answer.status_code == 415
        assert "gzip" in answer.json()["error"]


async def test_a_slow_client(stub: Stub, tmp_path: Path) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with Door(settings_for(tmp_path, client_timeout=0.05), stub) as door:
        answer = await door.post("/v1/events", slow())
        assert answer.status_code == 408
        assert answer.headers["Connection"] == "close"


async def test_too_many_at_once(stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "MOST_REQUESTS", 2)
    stub.open.clear()
    async with Door(settings_for(tmp_path), stub) as door:
        sent = [asyncio.create_task(door.send(event(number))) for number in range(3)]
        (refused,), waiting = await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
        assert (await refused).status_code == 503
        stub.open.set()
        assert [(await answer).status_code for answer in waiting] == [200, 200]
        assert (await door.send(event(10))).status_code == 200


# Kafka or Redis away.


async def test_while_kafka_was_never_there_requests_are_spooled(redis: Redis, tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    intake = intake_of(Publisher(KafkaSettings(bootstrap="127.0.0.1:1")), redis, settings)
    async with Door(settings, intake) as door:
        answer = await door.send(EVENT)
        assert (answer.status_code, answer.json()) == (200, {"results": [{"status": "spooled"}]})
        assert door.counted("spooled") == 1
        assert door.spool.records == 1
        assert door.metrics.registry.get_sample_value("ringback_ingest_spool_requests") == 1


async def test_while_redis_is_away_requests_are_spooled(publisher: Publisher, tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    away = connect(RedisSettings(url=SecretStr("redis://127.0.0.1:1/0")))
    async with Door(settings, intake_of(publisher, away, settings)) as door:
        assert (await post_cart(door, "shopify secret")).json() == {"results": [{"status": "spooled"}]}
        assert (await post_cart(door, "shopify secret")).json() == {"results": [{"status": "spooled"}]}
        assert door.spool.records == 2
    await away.aclose()


async def test_without_room_on_the_disk_the_shop_must_send_again(redis: Redis, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, spool_bytes=0)
    intake = intake_of(Publisher(KafkaSettings(bootstrap="127.0.0.1:1")), redis, settings)
    async with Door(settings, intake) as door:
        answer = await door.send(EVENT)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert door.counted("unavailable") == 1


async def test_kafka_goes_and_comes_back(world: World) -> None:
    door, broker = world.door, world.broker
    assert (await door.send(event(1))).json()["results"][0]["status"] == "accepted"
    broker.stop()
    for number in range(2, 6):
        assert (await door.send(event(number))).status_code == 200
    assert door.spool.holds
    broker.start()
    await door.emptied()
    assert (await door.send(event(6))).status_code == 200
    found = [event.event_id for event in await world.events()]
    assert list(dict.fromkeys(found)) == [f"e{number}" for number in range(1, 7)]


async def test_what_is_left_of_an_earlier_run_comes_first(stub: Stub, tmp_path: Path) -> None:
    stub.failure = Unavailable("away")
    async with Door(settings_for(tmp_path), stub) as door:
        for number in range(5):
            assert (await door.send(event(number))).status_code == 200
    stub.failure = None
    async with Door(settings_for(tmp_path), stub) as door:
        assert (await door.send(event(5))).status_code == 200
        await door.emptied()
    assert stub.ids() == [f"e{number}" for number in range(6)]


async def test_new_requests_go_behind_those_that_wait(stub: Stub, tmp_path: Path) -> None:
    stub.failure = Unavailable("away")
    async with Door(settings_for(tmp_path), stub) as door:
        await door.send(event(0))
        stub.failure = None
        await asyncio.gather(*(door.send(event(number)) for number in range(1, 50)))
        await door.emptied()
        assert (await door.send(event(50))).json()["results"][0]["status"] == "accepted"
    assert stub.ids()[0] == "e0"
    assert sorted(stub.ids()) == sorted(f"e{number}" for number in range(51))


async def test_an_intake_that_does_not_answer(stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "TAKE_SECONDS", 0.05)
    stub.open.clear()
    async with Door(settings_for(tmp_path), stub) as door:
        assert (await door.send(EVENT)).json() == {"results": [{"status": "spooled"}]}
        stub.open.set()
        await door.emptied()
    assert stub.ids() == ["e1"]


async def test_a_crowd_does_not_wait_for_the_intake(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "MOST_WAITING", 0)
    async with Door(settings_for(tmp_path), stub) as door:
        assert (await door.send(EVENT)).json() == {"results": [{"status": "spooled"}]}
        await door.emptied()
    assert stub.ids() == ["e1"]


async def test_spooled_requests_are_judged_by_when_they_came(stub: Stub, tmp_path: Path) -> None:
    stub.failure = Unavailable("away")
    async with Door(settings_for(tmp_path), stub) as door:
        await door.send(EVENT)
        arrival = delivery._decode((await door.spool.oldest(1))[0])
        assert arrival.received == NOW
        assert arrival.received_wall > NOW


async def test_no_secret_lies_on_the_disk(stub: Stub, tmp_path: Path) -> None:
    stub.failure = Unavailable("away")
    async with Door(settings_for(tmp_path), stub) as door:
        await door.send(EVENT, Authorization="Bearer hunter2", Cookie="hunter2", X_Ringback_Key="hunter2")
    (file,) = (tmp_path / "spool").glob("*.spool")
    content = file.read_bytes()
    assert b"e1" in content
    assert b"hunter2" not in content
    assert SECRET.encode() not in content


# Bugs.


def broken(headers: Mapping[str, str], body: bytes, *, shop: Shop, now: float, limits: IngestSettings) -> Parsed:
    raise KeyError(body.decode())


async def test_a_parsers_bug_loses_nothing(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(SOURCES, "native", replace(SOURCES["native"], parse=broken))
    async with Door(settings_for(tmp_path), stub) as door:
        answer = await door.send(b'{"name": "Ada Example"}')
        assert answer.status_code == 200
        assert answer.json()["results"][0]["reason"] == "unexpected"
        assert door.metrics.registry.get_sample_value("ringback_ingest_bugs_total") == 1
    (admitted,) = stub.taken
    (refused,) = admitted.parsed
    assert isinstance(refused, Refused)
    assert refused.raw == b'{"name": "Ada Example"}'
    assert "KeyError in broken" in caplog.text
    assert "Ada" not in caplog.text + answer.text


async def test_a_poisoned_request_does_not_block_those_behind_it(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "FIRST_PAUSE", 0.001)
    stub.failure = Unavailable("away")
    stub.poison = "e1"
    async with Door(settings_for(tmp_path), stub) as door:
        for number in range(3):
            await door.send(event(number))
        await door.spool.append(b"not what was written")
        stub.failure = None
        await door.emptied()
    assert sorted(stub.ids()) == ["e0", "e2"]
    assert stub.reasons() == ["unexpected", "unexpected"]


async def test_a_bug_in_the_intake_is_kept_on_disk(stub: Stub, tmp_path: Path) -> None:
    stub.failure = ZeroDivisionError()
    async with Door(settings_for(tmp_path), stub) as door:
        assert (await door.send(EVENT)).json() == {"results": [{"status": "spooled"}]}
        stub.failure = None
        await door.emptied()
    assert stub.ids() == ["e1"]


async def test_a_shop_that_is_gone_from_the_settings(stub: Stub, tmp_path: Path) -> None:
    stub.failure = Unavailable("away")
    async with Door(settings_for(tmp_path), stub) as door:
        await post_cart(door, "shopify secret")
    stub.failure = None
    async with Door(settings_for(tmp_path, shops={}), stub) as door:
        await door.emptied()
    (admitted,) = stub.taken
    assert admitted.shop.source == "shopify/example"
    assert stub.reasons() == ["unexpected"]
