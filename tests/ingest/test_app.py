"""The endpoint for shops, on the embedded broker."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ingest.app import create
from ingest.publisher import Publisher
from ringback.metrics import IngestMetrics
from ringback.records import CartEvent, DeadLetter, EventKind, Topic
from ringback.settings import IngestSettings, KafkaSettings
from tests.integration.topics import read
from tests.servers.embedded import EmbeddedKafka

NOW = 1_790_000_000.0
SECRET = "a secret"
EVENT: dict[str, Any] = {
    "event_id": "e1",
    "source": "shop",
    "shopper_id": "s1",
    "kind": "item_added",
    "time": NOW,
    "items": [{"product_id": "p", "unit_price": 1999}],
    "currency": "EUR",
}


class Shop:
    """Sends signed requests to an app."""

    def __init__(self, publisher: Publisher, **settings: Any) -> None:
        self.metrics = IngestMetrics()
        limits = IngestSettings.model_validate({"secret": SECRET, "max_event_bytes": 10_000, **settings})
        app = create(limits, publisher, self.metrics, lambda: NOW)
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop")

    async def send(
        self, body: object, *, secret: str = SECRET, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signature = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
        signed = {"X-Ringback-Signature": f"sha256={signature}"} if headers is None else headers
        return await self._client.post("/v1/events", content=raw, headers=signed)

    def counted(self, outcome: str) -> float:
        return self.metrics.registry.get_sample_value("ringback_ingest_requests_total", {"outcome": outcome}) or 0.0

    async def close(self) -> None:
        await self._client.aclose()


@pytest.fixture
async def publisher(embedded_kafka: EmbeddedKafka) -> AsyncIterator[Publisher]:
    publishing = Publisher(embedded_kafka.kafka_settings(partitions=2, request_timeout=1.0))
    await publishing.connect()
    yield publishing
    await publishing.close()


@pytest.fixture
async def shop(publisher: Publisher) -> AsyncIterator[Shop]:
    sending = Shop(publisher)
    yield sending
    await sending.close()


async def events(broker: EmbeddedKafka) -> list[CartEvent]:
    return await read(broker.bootstrap, Topic.CART_EVENTS, CartEvent)


async def letters(broker: EmbeddedKafka) -> list[DeadLetter]:
    return await read(broker.bootstrap, Topic.DEAD_LETTERS, DeadLetter)


async def test_an_event_is_taken(shop: Shop, embedded_kafka: EmbeddedKafka) -> None:
    answer = await shop.send(EVENT)
    assert answer.status_code == 200
    assert answer.json() == {"results": [{"status": "accepted", "event_id": "e1"}]}
    (event,) = await events(embedded_kafka)
    assert (event.shopper_id, event.kind) == ("s1", EventKind.ITEM_ADDED)
    assert event.received_wall > NOW / 2
    assert shop.counted("accepted") == 1


async def test_each_event_of_a_request_has_its_own_result(shop: Shop, embedded_kafka: EmbeddedKafka) -> None:
    answer = await shop.send([EVENT, {**EVENT, "event_id": "e2", "currency": "ABC"}])
    assert answer.status_code == 200
    accepted, refused = answer.json()["results"]
    assert accepted == {"status": "accepted", "event_id": "e1"}
    assert (refused["status"], refused["reason"]) == ("dead_letter", "unknown_currency")
    (letter,) = await letters(embedded_kafka)
    assert (letter.source, letter.stage, letter.reason) == ("native", "ingest", "unknown_currency")
    assert json.loads(letter.payload)["event_id"] == "e2"
    assert shop.counted("dead_letter") == 1


async def test_authentic_nonsense_is_a_dead_letter(shop: Shop, embedded_kafka: EmbeddedKafka) -> None:
    answer = await shop.send(b"{nonsense")
    assert answer.status_code == 200
    assert answer.json()["results"][0]["reason"] == "malformed"
    assert [letter.payload for letter in await letters(embedded_kafka)] == [b"{nonsense"]


async def test_an_order_that_is_refused_stops_calls_all_the_same(shop: Shop, embedded_kafka: EmbeddedKafka) -> None:
    await shop.send({**EVENT, "kind": "order_completed", "value": -1})
    assert [event.kind for event in await events(embedded_kafka)] == [EventKind.ORDER_COMPLETED]
    assert [letter.reason for letter in await letters(embedded_kafka)] == ["negative_price"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Ringback-Signature": ""},
        {"X-Ringback-Signature": "sha256="},
        {"X-Ringback-Signature": "sha256=" + "0" * 64},
        {"X-Ringback-Signature": "sha1=" + "0" * 40},
    ],
    ids=str,
)
async def test_a_wrong_signature(shop: Shop, embedded_kafka: EmbeddedKafka, headers: dict[str, str]) -> None:
    assert (await shop.send(EVENT, headers=headers)).status_code == 401
    assert shop.counted("unauthentic") == 1
    assert not await events(embedded_kafka)
    assert not await letters(embedded_kafka)


async def test_another_secret(shop: Shop) -> None:
    assert (await shop.send(EVENT, secret="another")).status_code == 401


async def test_a_large_authentic_body_is_a_dead_letter(shop: Shop, embedded_kafka: EmbeddedKafka) -> None:
    answer = await shop.send(b" " * 5_000_000)
    assert answer.status_code == 200
    assert answer.json()["results"][0]["reason"] == "too_large"
    (letter,) = await letters(embedded_kafka)
    assert "5000000 bytes" in letter.detail
    assert len(letter.payload) == 4096


async def test_a_body_without_end_is_not_read_to_it(shop: Shop) -> None:
    assert (await shop.send(b" " * 17_000_000)).status_code == 413


async def test_without_a_secret_the_endpoint_is_off(publisher: Publisher) -> None:
    shop = Shop(publisher, secret="")
    answer = await shop.send(EVENT, secret="")
    assert answer.status_code == 404
    assert "off" in answer.json()["error"]
    await shop.close()


async def test_while_kafka_was_never_there() -> None:
    shop = Shop(Publisher(KafkaSettings(bootstrap="127.0.0.1:1")))
    answer = await shop.send(EVENT)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert shop.counted("unavailable") == 1
    await shop.close()


async def test_kafka_goes_and_comes_back(shop: Shop, embedded_kafka: EmbeddedKafka) -> None:
    assert (await shop.send(EVENT)).status_code == 200
    embedded_kafka.stop()
    assert (await shop.send({**EVENT, "event_id": "e2"})).status_code == 503
    embedded_kafka.start()
    status = 503
    while status == 503:  # the test's own time limit ends this
        status = (await shop.send({**EVENT, "event_id": "e2"})).status_code
    assert status == 200
    assert {event.event_id for event in await events(embedded_kafka)} == {"e1", "e2"}
