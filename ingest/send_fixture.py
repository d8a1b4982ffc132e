"""``ringback send-fixture``: a sample of what a platform sends, signed as the platform signs it, and sent."""

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from http.client import HTTPException
from math import floor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import Request, urlopen

import msgspec

from ingest.secrets import Secrets
from ingest.shops import DEFAULT, endpoints
from ingest.source import Refused, Shop
from ingest.sources import SOURCES
from ringback.errors import BadEvent, SettingsError, Unavailable
from ringback.records import CartEvent
from ringback.settings import Settings

FIXTURES = Path(__file__).parent / "fixtures"
ANSWER_SECONDS = 10.0
FORM = "application/x-www-form-urlencoded"
SHORTEST_ID = 12
EARLIEST = 1e9  # a smaller number is no time

_ID_KEYS = frozenset(
    {
        *("id", "token", "key", "cart_token", "checkout_token", "checkout_id", "cart_id", "cart_hash", "order_id"),
        *("order_key", "customer_id", "user_id", "client_id", "session_id", "ga_session_id", "transaction_id"),
        *("event_id", "shopper_id", "messageid", "anonymousid", "userid", "previousid", "domain_userid"),
        *("domain_sessionid", "network_userid", "orders_to_redact", "anonymous", "customer", "cart", "checkout"),
        *("order", "session"),
    }
)
_ID_HEADERS = re.compile(r"(?i)(x-)?(shopify-(webhook|event)-id|wc-webhook-delivery-id)|ce-id|webhook-id")
# Products keep their ids: they are the shop's, and not of one cart.
_PRODUCTS = re.compile(r"(?i)product|items$")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)([T ])(\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)?")
_EMAIL = re.compile(r"([\w.%+-]+)@([\w-]+(?:\.[\w-]+)+)")


class Fixture(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sample: a JSON ``body``, or the ``text`` of a body of another kind. It has no signature."""

    description: str
    headers: dict[str, str] = {}
    body: Any = None
    text: str | None = None

    def content(self) -> bytes:
        """The bytes that are sent."""
        if self.text is not None:
            return self.text.encode()
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to send where. ``run`` draws the fresh ids: the same text, the same ids."""

    name: str
    to: str
    shop: str
    secret: str | None = None
    secret_file: Path | None = None
    run: str | None = None
    as_is: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What was sent, answered and understood; people's data in ``understood`` are masked."""

    url: str
    size: int
    signed_by: str
    status: int
    answer: str
    understood: str

    @property
    def ok(self) -> bool:
        """Whether the fixture was taken."""
        return self.status == 200


def names() -> list[str]:
    """Every fixture, as ``platform/topic``."""
    return sorted(file.relative_to(FIXTURES).with_suffix("").as_posix() for file in FIXTURES.glob("*/*.json"))


def load(name: str) -> Fixture:
    """Read a fixture. Raises `SettingsError` when there is none of this name."""
    if name not in names():
        close = get_close_matches(name, names(), 3)
        hint = f"perhaps {' or '.join(close)}?" if close else "`ringback send-fixture` lists them"
        raise SettingsError(f"no fixture {name}: {hint}")
    return msgspec.json.decode((FIXTURES / f"{name}.json").read_bytes(), type=Fixture)


def send(order: Order, settings: Settings) -> Sent:
    """Send a fixture. Raises `SettingsError`, and `Unavailable` when nobody answers."""
    fixture = load(order.name)
    platform = order.name.partition("/")[0]
    endpoint = endpoints(settings.ingest, SOURCES).get(f"{platform}:{order.shop}")
    key = _secret(order, endpoint.secrets.live() if endpoint else ())
    now = time.time()
    if not order.as_is:
        fixture = fresh(fixture, order.run or secrets.token_hex(8), now)
    body = fixture.content()
    signature = sign(platform, fixture.headers, body, key, now)
    headers = {"Content-Type": "application/json"} if fixture.text is None else {}
    headers |= {name.title(): value for name, value in (fixture.headers | signature).items()}
    path = "/v1/events" if f"{platform}:{order.shop}" == DEFAULT else f"/v1/{platform}/{order.shop}"
    url = f"{order.to.rstrip('/')}{path}"
    status, answer = _post(url, headers, body)
    shop = endpoint.shop if endpoint else Shop(platform, order.shop)
    lower = {name.lower(): value for name, value in headers.items()}
    return Sent(
        url=url,
        size=len(body),
        signed_by=next(reversed(signature)),
        status=status,
        answer=answer,
        understood=_understood(shop, lower, body, now, settings),
    )


def fresh(fixture: Fixture, run: str, now: float) -> Fixture:
    """A fixture as it would be sent now, of another cart: new ids and addresses drawn from ``run``, times up to now.

    What was the same id stays the same id; numbers stay numbers. Products and phone numbers stay.
    """
    latest = max(_times([fixture.headers, fixture.body]), default=now)

    def renewed(value: Any, key: str, in_products: bool) -> Any:
        if isinstance(value, dict):
            return {
                name: renewed(one, name, in_products or bool(_PRODUCTS.search(name))) for name, one in value.items()
            }
        if isinstance(value, list):
            return [renewed(one, key, in_products) for one in value]
        if key.lower() in _ID_KEYS and not in_products and not isinstance(value, bool) and value not in (None, "", 0):
            return _drawn(value, run)
        if isinstance(value, str) and value.isdecimal() and _unit(key, float(value)):
            return str(renewed(int(value), key, in_products))
        if isinstance(value, str):
            moved = _TIME.sub(lambda found: _moved(found, now - latest), value)
            return _EMAIL.sub(lambda found: f"{found[1]}+{_letters(run)}@{found[2]}", moved)
        if isinstance(value, int | float) and (unit := _unit(key, value)):
            return value + round((now - latest) / unit)
        return value

    headers = {
        name: _drawn(value, run) if _ID_HEADERS.fullmatch(name) else renewed(value, "", in_products=False)
        for name, value in fixture.headers.items()
    }
    body, text = renewed(fixture.body, "", in_products=False), fixture.text
    if text is not None and FORM in fixture.headers.values():
        text = urlencode({key: renewed(value, key, in_products=False) for key, value in parse_qsl(text)})
    return msgspec.structs.replace(fixture, headers=headers, body=body, text=text)


def sign(platform: str, headers: Mapping[str, str], body: bytes, secret: bytes, now: float) -> dict[str, str]:
    """The headers by which a platform proves who sends; the one that does so is the last."""
    signer = _SIGNERS[platform]
    if platform == "woocommerce" and not any(name.lower() == "x-wc-webhook-topic" for name in headers):
        signer = _static_key  # plug-ins for abandoned carts do not sign
    return signer(body, secret, now)


def _sha256_base64(header: str) -> Callable[[bytes, bytes, float], dict[str, str]]:
    def signer(body: bytes, secret: bytes, now: float) -> dict[str, str]:
        return {header: base64.b64encode(hmac.digest(secret, body, hashlib.sha256)).decode()}

    return signer


def _sha1_hex(body: bytes, secret: bytes, now: float) -> dict[str, str]:
    return {"X-Signature": hmac.digest(secret, body, hashlib.sha1).hex()}


def _static_key(body: bytes, secret: bytes, now: float) -> dict[str, str]:
    return {"X-Ringback-Key": secret.decode()}


def _standard_webhooks(body: bytes, secret: bytes, now: float) -> dict[str, str]:
    name, timestamp = f"msg_{secrets.token_hex(12)}", str(int(now))
    prefix = b"whsec_"
    key = base64.b64decode(secret.removeprefix(prefix)) if secret.startswith(prefix) else secret
    mac = hmac.digest(key, b".".join((name.encode(), timestamp.encode(), body)), hashlib.sha256)
    signature = f"v1,{base64.b64encode(mac).decode()}"
    return {"Webhook-Id": name, "Webhook-Timestamp": timestamp, "Webhook-Signature": signature}


_SIGNERS: Mapping[str, Callable[[bytes, bytes, float], dict[str, str]]] = {
    "shopify": _sha256_base64("X-Shopify-Hmac-Sha256"),
    "woocommerce": _sha256_base64("X-WC-Webhook-Signature"),
    "segment": _sha1_hex,
    "cloudevents": _standard_webhooks,
    "native": _standard_webhooks,
    "ga4": _static_key,
    "snowplow": _static_key,
}


def _secret(order: Order, configured: tuple[bytes, ...]) -> bytes:
    if order.secret:
        return order.secret.encode()
    found = Secrets((), order.secret_file).live() if order.secret_file else configured
    if not found:
        raise SettingsError("nothing to sign with: give --secret-file FILE, --secret …, or set the shop's secrets")
    return found[0]


def _post(url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
    if urlsplit(url).scheme not in ("http", "https"):
        raise SettingsError(f"--to {url}: expected http://host:port or https://…")
    try:
        request = Request(url, body, dict(headers), method="POST")  # noqa: S310 - only http and https come here
        with urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - as above
            return answer.status, answer.read().decode(errors="replace")
    except HTTPError as answer:
        with answer:
            return answer.code, answer.read().decode(errors="replace")
    except (OSError, HTTPException) as error:
        raise Unavailable(f"no answer from {url}: {error}; is `ringback ingest` running there?") from None


def _understood(shop: Shop, headers: Mapping[str, str], body: bytes, now: float, settings: Settings) -> str:
    source = SOURCES[shop.platform]
    if source.is_ping(headers, body):
        return "a ping: nothing to do"
    try:
        parsed = source.parse(headers, body, shop=shop, now=now, limits=settings.ingest)
    except BadEvent as error:
        return f"nothing: {error}"
    if not parsed:
        return "nothing of interest"
    return "\n".join(f"refused: {one.error}" if isinstance(one, Refused) else _shown(one) for one in parsed)


def _shown(event: CartEvent) -> str:
    """An event as JSON, without what would tell who the shopper is."""
    shopper, refs = event.shopper, event.refs
    if shopper is not None:
        shopper = msgspec.structs.replace(shopper, name=_masked(shopper.name), phone=_masked_phone(shopper.phone))
    if refs is not None:
        refs = msgspec.structs.replace(refs, email=_masked(refs.email), phone=_masked_phone(refs.phone))
    plain = msgspec.to_builtins(msgspec.structs.replace(event, shopper=shopper, refs=refs))
    return json.dumps(plain, ensure_ascii=False, indent=2)


def _masked(text: str | None) -> str | None:
    return text and f"{text[0]}***"


def _masked_phone(phone: str | None) -> str | None:
    return phone and f"{phone[:2]}***{phone[-2:]}"


def _drawn(value: Any, run: str) -> Any:
    """Another id of the same kind, long enough to be nobody else's; equal ones stay equal."""
    if not isinstance(value, str | int):
        return value
    old = str(value).ljust(SHORTEST_ID, "0")
    digest = hashlib.shake_256(f"{run}\0{old}".encode()).digest(len(old))
    text = "".join(_another(char, byte) for char, byte in zip(old, digest, strict=True))
    text = "1" + text[1:] if old.isdecimal() else text
    return int(text) if isinstance(value, int) else text


def _another(char: str, byte: int) -> str:
    for alphabet in ("0123456789", "abcdef", "ghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
        if char in alphabet:
            return alphabet[byte % len(alphabet)]
    return char


def _letters(run: str) -> str:
    return hashlib.sha256(run.encode()).hexdigest()[:10]


def _times(value: Any, key: str = "") -> Iterator[float]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _times(one, name)
    elif isinstance(value, list):
        for one in value:
            yield from _times(one, key)
    elif isinstance(value, str) and value.isdecimal():
        yield from _times(int(value), key)
    elif isinstance(value, str):
        yield from (_moment(found).timestamp() + float(found[4] or 0) for found in _TIME.finditer(value))
    elif isinstance(value, int | float) and (unit := _unit(key, value)):
        yield value * unit


def _unit(key: str, value: float) -> float | None:
    """How many seconds a number is told in where it is a time, else None."""
    if key.endswith("_micros"):
        return 1e-6
    return 1.0 if key in ("time", "timestamp") and value > EARLIEST else None


def _moment(found: re.Match[str]) -> datetime:
    moment = datetime.fromisoformat(f"{found[1]}T{found[3]}{found[5] or ''}")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _moved(found: re.Match[str], seconds: float) -> str:
    """The same moment later, written as it was."""
    moved = _moment(found) + timedelta(seconds=floor(seconds))
    return f"{moved:%Y-%m-%d}{found[2]}{moved:%H:%M:%S}{found[4] or ''}{found[5] or ''}"
