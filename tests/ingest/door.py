"""Ingest without its process: the app, with Kafka, Redis and a disk behind it, and what a shop sends to it."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from redis.asyncio import Redis

from ingest.app import create
from ingest.delivery import Delivery, Takes
from ingest.intake import Admitted, Intake, Taken
from ingest.publisher import Publisher
from ingest.registry import Registry
from ingest.shops import endpoints
from ingest.source import Refused
from ingest.sources import SOURCES
from ingest.spool import Spool
from ringback.clock import Clock
from ringback.envelope import is_packed, unpack
from ringback.metrics import IngestMetrics
from ringback.records import CartEvent, DeadLetter, Topic, decoder
from ringback.settings import IngestSettings
from tests.integration.topics import read, records
from tests.servers.embedded import EmbeddedKafka

NOW = 1_790_000_000.0
SECRET = "a secret"
SHOPS = {
    "shopify:example": {"secrets": ["shopify secret", "next shopify secret"], "currency": "USD"},
    "woocommerce:example": {"secrets": ["woo secret"], "currency": "USD"},
    "native:example": {"secrets": ["native secret"]},
    "shopify:off": {"secrets": []},
}

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


def signature(body: bytes, secret: str = SECRET) -> str:
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def base64_signature(body: bytes, secret: str) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


async def cart_events(bootstrap: str) -> list[CartEvent]:
    """Every event on Kafka, taken out of its envelope."""
    found = []
    for record in await records(bootstrap, Topic.CART_EVENTS):
        parts = unpack(record.value) if is_packed(record.value) else [record.value]
        found += [decoder(CartEvent).decode(part) for part in parts]
    return found


def intake_of(publisher: Publisher, redis: Redis, settings: IngestSettings) -> Intake:
    return Intake(publisher, Registry(redis, settings), limits=settings, key="key", now=lambda: NOW)


def settings_for(folder: Path, **more: Any) -> IngestSettings:
    given = {"secret": SECRET, "shops": SHOPS, "spool_dir": folder / "spool", "max_event_bytes": 10_000, **more}
    return IngestSettings.model_validate(given)


class Door:
    """Sends requests to an app whose intake and drain run as in the process."""

    def __init__(self, settings: IngestSettings, intake: Takes) -> None:
        self.metrics = IngestMetrics()
        self.spool = Spool(settings.spool_dir, settings.spool_bytes)
        shops = endpoints(settings, SOURCES)
        delivery = Delivery(settings, shops, intake, self.spool, self.metrics)
        clock = Clock(origin=NOW, wall_origin=time.time(), speed=0)
        app = create(settings, shops, delivery, self.metrics, clock)
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop", timeout=30)
        self._beside = [delivery.drain(), *([intake.run()] if isinstance(intake, Intake) else [])]
        self._tasks: list[asyncio.Task[None]] = []

    async def post(
        self, path: str, body: bytes | AsyncIterator[bytes], headers: dict[str, str] | None = None
    ) -> httpx.Response:
        return await self._client.post(path, content=body, headers=headers)

    async def send(self, body: object, **headers: str) -> httpx.Response:
        """To /v1/events, signed unless a signature is given."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signed = {"X-Ringback-Signature": signature(raw)}
        return await self.post("/v1/events", raw, signed | {name.replace("_", "-"): it for name, it in headers.items()})

    def counted(self, outcome: str) -> float:
        (family,) = self.metrics.requests.collect()
        return sum(sample.value for sample in family.samples if sample.labels["outcome"] == outcome)

    async def emptied(self) -> None:
        """Return when the spool is empty; the test's own time limit ends the wait."""
        while self.spool.holds:  # noqa: ASYNC110 - it tells nobody when it is
            await asyncio.sleep(0.01)

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(work) for work in self._beside]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.spool.close()


class World:
    """A door with a broker and a Redis behind it."""

    def __init__(self, broker: EmbeddedKafka, door: Door) -> None:
        self.broker = broker
        self.door = door

    async def events(self) -> list[CartEvent]:
        return await cart_events(self.broker.bootstrap)

    async def letters(self) -> list[DeadLetter]:
        return await read(self.broker.bootstrap, Topic.DEAD_LETTERS, DeadLetter)


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
