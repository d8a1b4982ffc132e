"""What every source of events promises for any request at all, and how it is seen that one does not keep it."""

import json
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from types import FrameType
from urllib.parse import parse_qsl

import msgspec

from fuzz.mutations import Request, fixtures
from ingest.contact import e164
from ingest.json_depth import depth_at_most
from ingest.judge import STOPS
from ingest.source import Parsed, Refused, Shop, Source
from ringback.errors import BadEvent
from ringback.records import CartEvent, encode
from ringback.settings import IngestSettings
from ringback.validation import check

LIMITS = IngestSettings()
NOW = 1_790_086_400.0  # a day after the first of the fixtures
DELIVERED_AGAIN = 5.0
SECRETS = (b"an old secret", b"whsec_bmV3IHNlY3JldA==")
# Ten times what any body may take, so that no busy or instrumented machine trips it: it is there for what never ends.
MOST_CPU_SECONDS = 10.0

_CONSENT = {"voice": "note_attributes.call_me", "sms": "meta_data._sms", "chat": "context.traits.chat.ok"}
_SETTINGS: tuple[tuple[str, str | None, str | None, Mapping[str, str]], ...] = (
    ("example", "USD", "US", _CONSENT),
    ("default", None, None, {}),
    ("bare", None, "GB", {"voice": "traits.call_me"}),
)
_EMAIL = re.compile(r"[\w.%+-]+@[\w-]+(?:\.[\w-]+)+")
_CONTACT_NAME = re.compile(r"mail|phone", re.IGNORECASE)


class BrokenPromiseError(AssertionError):
    """A request for which a source does not keep a promise."""


class TooSlowError(BaseException):
    """A request took more than `MOST_CPU_SECONDS`; no ``except Exception`` may keep it back."""


@contextmanager
def watchdog() -> Iterator[None]:
    """Raise `TooSlowError` in what takes too much processor time. In the main thread only."""

    def bark(number: int, frame: FrameType | None) -> None:
        raise TooSlowError(f"more than {MOST_CPU_SECONDS} s of processor time")

    before = signal.signal(signal.SIGVTALRM, bark)
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def keep(source: Source, request: Request) -> Parsed:
    """Take a request as ingest does. Raises `BrokenPromiseError`, `TooSlowError`, and whatever the source raises.

    Returns what the request was understood as.
    """
    headers, body = request
    name, currency, country, consent = _SETTINGS[len(body) % len(_SETTINGS)]
    shop = Shop(source.name, name, currency, country, consent)
    with watchdog():
        source.is_ping(headers, body)
        source.authentic(headers, body, secrets=SECRETS, now=NOW, window=300.0)
        depth_at_most(body, LIMITS.max_depth)
        first = _parsed(source, request, shop, NOW)
        again = _parsed(source, request, shop, NOW + DELIVERED_AGAIN)
    for one in first:
        _keep_one(source.name, one, body)
    for one, other in zip(first, again, strict=False):
        if isinstance(one, CartEvent) and isinstance(other, CartEvent) and one.event_id != other.event_id:
            raise BrokenPromiseError(f"delivered again, event {one.event_id!r} is {other.event_id!r}")
    return first


def _parsed(source: Source, request: Request, shop: Shop, now: float) -> Parsed:
    try:
        return source.parse(request.headers, request.body, shop=shop, now=now, limits=LIMITS)
    except BadEvent as error:
        return [Refused(error, request.body)]


def _keep_one(platform: str, one: CartEvent | Refused, body: bytes) -> None:
    if isinstance(one, CartEvent):
        _keep_event(platform, one, body)
        return
    if not isinstance(one, Refused) or not isinstance(one.error, BadEvent) or not isinstance(one.raw, bytes):
        raise BrokenPromiseError(f"a {type(one).__name__} is neither an event nor a refusal")
    _keep_secret(platform, one.error.detail.encode(), body, "an error")
    if one.stop is not None:
        if one.stop.kind not in STOPS:
            raise BrokenPromiseError(f"the stop of a refused event is {one.stop.kind}")
        _keep_event(platform, one.stop, body)


def _keep_event(platform: str, event: CartEvent, body: bytes) -> None:
    try:
        check(event, now=NOW, limits=LIMITS)
    except BadEvent as error:
        raise BrokenPromiseError(f"an event that was let through is not valid: {error}") from None
    rest = encode(msgspec.structs.replace(event, refs=None, shopper=None))
    _keep_secret(platform, rest, body, "an event, outside refs and shopper,")


def _keep_secret(platform: str, told: bytes, body: bytes, where: str) -> None:
    found = _contacts(platform).search(told)
    if found is not None and not _is_said_elsewhere(body, found[0].decode().lower()):
        raise BrokenPromiseError(f"{where} has a shopper's e-mail address or phone number")


@cache
def _contacts(platform: str) -> re.Pattern[bytes]:
    """The people's e-mail addresses and phone numbers in a platform's fixtures, as written and as E.164."""
    texts = [text for one in fixtures(platform) for text in _texts(one.body)]
    mails = {mail for _, text in texts for mail in _EMAIL.findall(text)}
    phones = {text for name, text in texts if _CONTACT_NAME.search(name) and "@" not in text and len(text) > 6}
    numbers = {number for text in phones for country in ("US", "GB") if (number := e164(text, country))}
    anything = "|".join(re.escape(one) for one in sorted(mails | phones | numbers))
    return re.compile(anything.encode() or rb"(?!)", re.IGNORECASE)


def _is_said_elsewhere(body: bytes, contact: str) -> bool:
    """Whether the sender wrote the contact where no contact belongs; also where that can't be told."""
    texts = _texts(body)
    return not texts or any(contact in text.lower() and not _CONTACT_NAME.search(name) for name, text in texts)


def _texts(body: bytes) -> Sequence[tuple[str, str]]:
    """All texts and whole numbers of a body with the names of their fields; none of what is neither JSON nor a form."""
    try:
        waiting: list[tuple[str, object]] = [("", json.loads(body))]
    except (ValueError, RecursionError):
        return parse_qsl(body.decode("ascii", "replace"))
    found = []
    while waiting:
        name, node = waiting.pop()
        if isinstance(node, dict):
            waiting += node.items()
            found += [("name of a field", one) for one in node]
        elif isinstance(node, list):
            waiting += [(name, one) for one in node]
        elif isinstance(node, str):
            found.append((name, node))
    return found
