"""The HTTP side of ingest: who may send, how much, and what the shop is answered."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ingest.body import Encoding, Room, TooLarge, gunzip, read
from ingest.delivery import Arrival, Delivery
from ingest.shops import DEFAULT, Endpoint
from ingest.source import Refused
from ringback.clock import Clock
from ringback.errors import BadEvent, Unavailable
from ringback.metrics import IngestMetrics, IngestOutcome
from ringback.records import CartEvent
from ringback.settings import IngestSettings

log = logging.getLogger(__name__)

MOST_REQUESTS = 3000
MOST_BODIES_BYTES = 128 * 1024 * 1024
LONGEST_LENGTH = 15  # digits of a Content-Length
RETRY_AFTER_SECONDS = 5
# They prove who sends and say nothing of the event: never spooled, so that no secret lies on the disk.
CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie", "x-ringback-key"})
_ENCODINGS = frozenset(Encoding)


class _Answer(NamedTuple):
    response: Response
    outcome: IngestOutcome


def create(
    settings: IngestSettings,
    endpoints: Mapping[str, Endpoint],
    delivery: Delivery,
    metrics: IngestMetrics,
    clock: Clock,
    wall: Callable[[], float] = time.time,
) -> Starlette:
    """The ASGI app: ``POST /v1/{platform}/{name}`` for every shop, and ``POST /v1/events`` for `shops.DEFAULT`.

    ``clock`` makes business time of ``wall`` time, which signed timestamps are compared with.
    """
    door = _Door(settings, endpoints, delivery, metrics, clock, wall)
    return Starlette(
        routes=[
            Route("/v1/events", door.events, methods=["POST"]),
            Route("/v1/{platform}/{name}", door.shop, methods=["POST"]),
        ]
    )


class _Door:
    def __init__(
        self,
        settings: IngestSettings,
        endpoints: Mapping[str, Endpoint],
        delivery: Delivery,
        metrics: IngestMetrics,
        clock: Clock,
        wall: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._endpoints = endpoints
        self._delivery = delivery
        self._metrics = metrics
        self._clock = clock
        self._wall = wall
        self._room = Room(MOST_BODIES_BYTES)
        self._under_way = 0
        for endpoint in endpoints.values():
            if endpoint.secrets.live():
                metrics.expect(endpoint.shop.platform)

    async def events(self, request: Request) -> Response:
        return await self._answer(request, DEFAULT)

    async def shop(self, request: Request) -> Response:
        return await self._answer(request, f"{request.path_params['platform']}:{request.path_params['name']}")

    async def _answer(self, request: Request, key: str) -> Response:
        endpoint = self._endpoints.get(key)
        secrets = endpoint.secrets.live() if endpoint else ()
        if endpoint is None or not secrets:
            return _error(404, "no such shop, or its endpoint is off: it has no secrets")
        platform, started = endpoint.shop.platform, time.perf_counter()
        outcome = IngestOutcome.FAILED
        self._under_way += 1
        try:
            if self._under_way > MOST_REQUESTS or self._room.is_full:
                response, outcome = _busy("too many requests at once; send it again")
            else:
                response, outcome = await self._take(request, endpoint, secrets)
        finally:
            self._under_way -= 1
            self._metrics.duration.labels(platform).observe(time.perf_counter() - started)
            self._metrics.requests.labels(platform, outcome.value).inc()
        return response

    async def _take(self, request: Request, endpoint: Endpoint, secrets: tuple[bytes, ...]) -> _Answer:
        most, headers = self._settings.max_body_bytes, dict(request.headers.items())
        encoding = headers.get("content-encoding", Encoding.IDENTITY).strip().lower()
        if encoding not in _ENCODINGS:
            return _rejected(415, f"Content-Encoding {encoding[:40]!r}: only gzip is understood")
        declared = headers.get("content-length", "")
        if declared.isdecimal() and (len(declared) > LONGEST_LENGTH or int(declared) > most):
            return _too_large(most)
        with self._room.hold() as held:
            try:
                async with asyncio.timeout(self._settings.client_timeout):
                    body = await read(request.stream(), most, held)
                return await self._admit(endpoint, secrets, headers, body)
            except TooLarge:
                return _too_large(most)
            except TimeoutError:
                return _rejected(408, f"the request did not end within {self._settings.client_timeout:g} s")
            except ClientDisconnect:  # nobody hears the answer
                return _rejected(400, "the request was broken off")

    async def _admit(
        self, endpoint: Endpoint, secrets: tuple[bytes, ...], headers: dict[str, str], body: bytes
    ) -> _Answer:
        source, now = endpoint.source, self._wall()
        if source.is_ping(headers, body):
            return _Answer(JSONResponse({"results": []}), IngestOutcome.PING)
        if not source.authentic(headers, body, secrets=secrets, now=now, window=endpoint.window):
            return _Answer(_error(401, "not signed by a secret of this shop"), IngestOutcome.UNAUTHENTIC)
        headers, body = _plain(headers, body, self._settings.max_body_bytes)
        arrival = Arrival(endpoint.shop.platform, endpoint.shop.name, headers, body, self._clock.at(now), now)
        try:
            parsed = await self._delivery.deliver(arrival)
        except Unavailable as error:
            log.warning("%s; the shop is asked to send again", error)
            return _busy("can't take events now; send them again")
        if parsed is None:
            return _Answer(JSONResponse({"results": [{"status": "spooled"}]}), IngestOutcome.SPOOLED)
        refused = any(isinstance(one, Refused) for one in parsed)
        outcome = IngestOutcome.DEAD_LETTER if refused else IngestOutcome.ACCEPTED
        return _Answer(JSONResponse({"results": [_result(one) for one in parsed]}), outcome)


def _plain(headers: dict[str, str], body: bytes, most: int) -> tuple[dict[str, str], bytes]:
    """The headers to keep and the body without gzip; a body that is no gzip keeps its Content-Encoding."""
    kept = {name: value for name, value in headers.items() if name not in CREDENTIALS}
    if kept.get("content-encoding", "").strip().lower() == Encoding.GZIP:
        try:
            body = gunzip(body, most)
        except BadEvent:
            return kept, body
    kept.pop("content-encoding", None)
    return kept, body


def _result(one: CartEvent | Refused) -> dict[str, str]:
    if isinstance(one, Refused):
        return {"status": "dead_letter", "reason": one.error.reason, "detail": one.error.detail}
    return {"status": "accepted", "event_id": one.event_id}


def _too_large(most: int) -> _Answer:
    return _rejected(413, f"more than ingest.max_body_bytes = {most}")


def _rejected(status: int, message: str) -> _Answer:
    # What is left of the request is not read.
    return _Answer(_error(status, message, {"Connection": "close"}), IngestOutcome.REJECTED)


def _busy(message: str) -> _Answer:
    return _Answer(_error(503, message, {"Retry-After": str(RETRY_AFTER_SECONDS)}), IngestOutcome.UNAVAILABLE)


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": message}, status, headers)
