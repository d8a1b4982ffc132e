"""A short `make fuzz`: changed fixtures for every source. RINGBACK_FUZZ_BODIES=1000000 makes it a long one."""

import json
import os
from itertools import islice

import pytest

from fuzz import envelopes
from fuzz.campaign import packed, run, unpacked
from fuzz.mutations import Request, fixtures, requests
from fuzz.promises import LIMITS, NOW, BrokenPromiseError, keep
from ingest.source import Parsed, Refused, Shop, Source, no_ping
from ingest.sources import SOURCES
from ringback.errors import BadEvent
from ringback.records import CartEvent, EventKind, Refs

BODIES = int(os.environ.get("RINGBACK_FUZZ_BODIES", "3000"))
# Fewer: one such body takes as long as a hundred others.
SHARE_OF_BIG = 0.001
LONG = 7200

FAKED = CartEvent(event_id="e1", source="fake/x", kind=EventKind.OTHER, time=NOW, refs=Refs(customer="c1"))


@pytest.mark.timeout(LONG)
@pytest.mark.parametrize("platform", SOURCES)
def test_whatever_a_shop_sends_its_source_keeps_its_promises(platform: str) -> None:
    report = run(SOURCES[platform], islice(requests(platform, 1, LIMITS.max_body_bytes, SHARE_OF_BIG), BODIES))
    assert report.findings == {}
    assert report.requests == BODIES
    assert min(report.events, report.refused) > BODIES // 10  # neither all good nor all nonsense


@pytest.mark.timeout(LONG)
def test_every_event_of_an_envelope_comes_to_its_end() -> None:
    report = envelopes.run(1, BODIES, LONG)
    assert report.findings == {}
    assert report.records == BODIES
    assert all(report.ends[end] > BODIES // 20 for end in ("state", "repeated", "dead"))
    assert report.ends.total() >= report.events > BODIES


@pytest.mark.parametrize("platform", SOURCES)
def test_the_same_seed_makes_the_same_requests(platform: str) -> None:
    first, again, other = (list(islice(requests(platform, seed, 1 << 20), 50)) for seed in (3, 3, 4))
    assert first == again != other


@pytest.mark.parametrize("platform", SOURCES)
def test_a_request_that_was_found_can_be_given_again(platform: str) -> None:
    for one in (*fixtures(platform), Request({}, b"\n{"), Request({"ce-id": "\xe9"}, b"")):
        assert unpacked(packed(one)) == one


def fake(*outcomes: CartEvent | Refused | Exception) -> Source:
    """A source that gives, or raises, one after the other."""
    left = iter(outcomes)

    def parse(*_: object, **__: object) -> Parsed:
        outcome = next(left)
        if isinstance(outcome, Exception):
            raise outcome
        return [outcome]

    return Source("segment", authentic=lambda *_, **__: False, parse=parse, is_ping=no_ping)


def faked(**changes: object) -> CartEvent:
    return CartEvent(**{**{name: getattr(FAKED, name) for name in FAKED.__struct_fields__}, **changes})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (fake(faked(currency="QQQ"), FAKED), "not valid"),
        (fake(FAKED, faked(event_id="e2")), "delivered again"),
        (fake(faked(cart_id="jo.sample@example.com"), FAKED), "e-mail"),
        (fake(BadEvent("wrong_type", "'+12025550143' is odd"), FAKED), "an error has a shopper's"),
        (fake(Refused(BadEvent("wrong_type", "odd"), b"", faked(kind=EventKind.OTHER)), FAKED), "the stop"),
    ],
)
def test_a_broken_promise_is_seen(source: Source, said: str) -> None:
    with pytest.raises(BrokenPromiseError, match=said):
        keep(source, Request({}, b'{"traits":{"email":"jo.sample@example.com","phone":"+12025550143"}}'))


def test_a_contact_that_the_sender_put_elsewhere_is_his_own() -> None:
    event = faked(cart_id="jo.sample@example.com")
    assert keep(fake(event, event), Request({}, b'{"cart_id":"Jo.Sample@example.com"}')) == [event]


def test_what_a_source_raises_is_a_finding() -> None:
    report = run(fake(FAKED, FAKED, KeyError("price")), [Request({}, b"1"), Request({}, b"2")])
    assert (report.requests, report.events) == (2, 1)
    ((what, request),) = report.findings.items()
    assert what.startswith("KeyError in test_fuzz.py")
    assert request.body == b"2"


MANY = 9_999
LONG_ID = "x" * 900_000
TRAITS = {f"k{number}": 0 for number in range(50_000)}


@pytest.mark.parametrize(
    ("platform", "topic", "body"),
    [
        ("segment", {}, {"batch": [{}] * MANY, "context": {"traits": TRAITS}}),
        ("ga4", {}, {"client_id": LONG_ID, "timestamp_micros": 1, "events": [{}] * MANY}),
        ("woocommerce", {"x-wc-webhook-topic": "order.updated"}, {"refunds": [{"id": 1}] * 60_000}),
        ("shopify", {"x-shopify-topic": "orders/create"}, {"line_items": [{}] * 60_000}),
    ],
)
def test_what_would_take_long_is_refused_at_once(platform: str, topic: dict[str, str], body: dict[str, object]) -> None:
    known = {"id": 1, "status": "refunded", "email": "jo@example.com", "billing": {"email": "jo@example.com"}}
    dated = {"created_at": "2026-09-21T14:13:20Z", "date_modified_gmt": "2026-09-21T14:13:20"}
    raw = json.dumps({**known, **dated, **body}).encode()
    try:
        parsed = SOURCES[platform].parse(topic, raw, shop=Shop(platform, "example", "USD"), now=NOW, limits=LIMITS)
    except BadEvent as error:
        parsed = [Refused(error, raw)]
    (refused,) = parsed
    assert isinstance(refused, Refused)
    assert refused.error.reason == "too_large"


def test_events_of_one_request_may_share_a_little() -> None:
    call = {"type": "page", "anonymousId": "a1", "timestamp": "2026-09-21T14:13:20Z"}
    batch = {"batch": [call] * 500, "context": {"traits": {"note": "x" * 4000}}}
    parsed = SOURCES["segment"].parse(
        {}, json.dumps(batch).encode(), shop=Shop("segment", "example"), now=NOW, limits=LIMITS
    )
    assert all(isinstance(one, CartEvent) for one in parsed)
    view = {"name": "page_view", "params": {}}
    many = {"client_id": "c1", "timestamp_micros": 1_790_000_000_000_000, "events": [view] * MANY}
    spread = json.dumps(many, indent=4).encode()
    parsed = SOURCES["ga4"].parse({}, spread, shop=Shop("ga4", "example"), now=NOW, limits=LIMITS)
    assert len(parsed) == MANY
    assert all(isinstance(one, CartEvent) for one in parsed)
