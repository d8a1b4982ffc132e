"""The HTTP side of ingest: who may send, how much, and what the shop is answered."""

import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ingest.native import parse
from ingest.publisher import Outgoing
from ingest.source import Parsed, Refused
from ringback.errors import Unavailable
from ringback.metrics import IngestMetrics, IngestOutcome
from ringback.records import CartEvent, Topic, encode
from ringback.settings import IngestSettings
from ringback.validation import dead_letter, too_large

log = logging.getLogger(__name__)

SIGNATURE = "x-ringback-signature"
SOURCE = "native"
# Up to this size the signature of a request that is too large is still checked, so that its sender gets a dead letter.
MOST_BODY_BYTES = 16 * 1024 * 1024
RETRY_AFTER_SECONDS = 5


class Publishes(Protocol):
    """Where events go; see `ingest.publisher.Publisher`."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Return when all messages are acknowledged; raise `Unavailable` otherwise."""


class _Body(NamedTuple):
    start: bytes
    size: int
    digest: str


def create(
    settings: IngestSettings, publisher: Publishes, metrics: IngestMetrics, business_time: Callable[[], float]
) -> Starlette:
    """The ASGI app: ``POST /v1/events``."""
    secret = settings.secret.get_secret_value().encode()

    async def events(request: Request) -> Response:
        if not secret:
            return _answer(404, "off: set ingest.secret, and sign requests with it")
        with metrics.duration.time():
            response, outcome = await _take(request)
        metrics.requests.labels(outcome.value).inc()
        return response

    async def _take(request: Request) -> tuple[Response, IngestOutcome]:
        body = await _read(request, secret, settings.max_event_bytes)
        if body is None:
            return _answer(413, f"more than {MOST_BODY_BYTES} bytes"), IngestOutcome.UNAUTHENTIC
        if not hmac.compare_digest(request.headers.get(SIGNATURE, "").encode(), f"sha256={body.digest}".encode()):
            expected = f"{SIGNATURE} must be sha256=<hex HMAC-SHA256 of the body, keyed with ingest.secret>"
            return _answer(401, expected), IngestOutcome.UNAUTHENTIC
        parsed: Parsed
        if body.size > settings.max_event_bytes:
            parsed = [Refused(too_large(body.size, settings), body.start)]
        else:
            parsed = parse(request.headers, body.start, now=business_time(), limits=settings)
        try:
            await publisher.publish(_messages(parsed, business_time()))
        except Unavailable as error:
            log.warning("%s; the shop is asked to send again", error)
            again = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            return _answer(503, "can't take events now; send them again", again), IngestOutcome.UNAVAILABLE
        refused = [one for one in parsed if isinstance(one, Refused)]
        for one in refused:
            metrics.dead_letters.labels(one.error.reason).inc()
        outcome = IngestOutcome.DEAD_LETTER if refused else IngestOutcome.ACCEPTED
        return JSONResponse({"results": [_result(one) for one in parsed]}), outcome

    return Starlette(routes=[Route("/v1/events", events, methods=["POST"])])


async def _read(request: Request, secret: bytes, limit: int) -> _Body | None:
    """The body's start, one byte over the limit at most, with its whole size and HMAC; None where it never ends."""
    mac = hmac.new(secret, digestmod=hashlib.sha256)
    start, size = b"", 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MOST_BODY_BYTES:
            return None
        mac.update(chunk)
        start += chunk[: limit + 1 - len(start)]
    return _Body(start, size, mac.hexdigest())


def _messages(parsed: Parsed, now: float) -> list[Outgoing]:
    messages = []
    for one in parsed:
        if isinstance(one, Refused):
            letter = dead_letter(one.error, one.raw, source=SOURCE, stage="ingest", time=now)
            messages.append(Outgoing(Topic.DEAD_LETTERS, SOURCE, encode(letter)))
        event = one.stop if isinstance(one, Refused) else one
        if event is not None:
            arrived = msgspec.structs.replace(event, received_wall=time.time())
            messages.append(Outgoing(Topic.CART_EVENTS, event.shopper_id, encode(arrived)))
    return messages


def _result(one: CartEvent | Refused) -> dict[str, str]:
    if isinstance(one, Refused):
        return {"status": "dead_letter", "reason": one.error.reason, "detail": one.error.detail}
    return {"status": "accepted", "event_id": one.event_id}


def _answer(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": message}, status, headers)
