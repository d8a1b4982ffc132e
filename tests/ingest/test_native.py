"""Our own events over HTTP: each judged on its own, whatever the body."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.native import parse
from ingest.source import Parsed, Refused
from ringback.records import CartEvent, DeadLetterReason, EventKind, Item
from ringback.settings import IngestSettings

NOW = 1_790_000_000.0
LIMITS = IngestSettings()
GOOD = CartEvent(
    event_id="e1",
    source="shop",
    shopper_id="s1",
    kind=EventKind.ITEM_ADDED,
    time=NOW,
    items=(Item(product_id="p", unit_price=1999),),
    currency="EUR",
)


def body(**fields: Any) -> dict[str, Any]:
    return {**msgspec.to_builtins(GOOD), **fields}


def parsed(given_body: object) -> Parsed:
    raw = given_body if isinstance(given_body, bytes) else json.dumps(given_body).encode()
    return parse({}, raw, now=NOW, limits=LIMITS)


def test_one_event() -> None:
    assert parsed(body()) == [GOOD]


def test_an_array_keeps_its_order() -> None:
    assert parsed([body(event_id=name) for name in "cab"]) == [
        msgspec.structs.replace(GOOD, event_id=name) for name in "cab"
    ]
    assert parsed([]) == []


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-09-21T14:13:20Z", NOW),
        ("2026-09-21T16:13:20.25+02:00", NOW + 0.25),
        ("2026-09-21 14:13:20Z", NOW),
    ],
)
def test_times_in_rfc_3339(text: str, time: float) -> None:
    assert parsed(body(time=text)) == [msgspec.structs.replace(GOOD, time=time)]


@pytest.mark.parametrize("text", ["2026-09-21T14:13:20", "yesterday", "", "1790000000"])
def test_a_time_without_its_offset_is_refused(text: str) -> None:
    (refused,) = parsed(body(time=text))
    assert isinstance(refused, Refused)
    assert refused.error.reason == DeadLetterReason.WRONG_TYPE


def test_a_bad_event_spoils_no_other() -> None:
    first, second, third = parsed([body(), body(event_id="e2", currency="ABC"), body(event_id="e3")])
    assert isinstance(first, CartEvent)
    assert isinstance(second, Refused)
    assert second.error.reason == DeadLetterReason.UNKNOWN_CURRENCY
    assert json.loads(second.raw)["event_id"] == "e2"
    assert isinstance(third, CartEvent)


def test_an_order_with_a_nonsensical_total_still_stops_calls() -> None:
    (refused,) = parsed(body(kind="order_completed", value=-1, time="2026-09-21T14:13:20Z"))
    assert isinstance(refused, Refused)
    assert refused.stop == CartEvent(
        event_id="e1", source="shop", shopper_id="s1", kind=EventKind.ORDER_COMPLETED, time=NOW
    )


@pytest.mark.parametrize("raw", [b"", b"[", b'[{"event_id"', b"\xff", b"[" * 5000, b"{" * 5000, b"null"])
def test_what_is_no_event_is_one_refusal(raw: bytes) -> None:
    (refused,) = parsed(raw)
    assert isinstance(refused, Refused)
    assert refused.raw == raw


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda raw: b"[" + raw + b"]"))
def test_any_body(raw: bytes) -> None:
    for one in parsed(raw):
        assert isinstance(one, Refused)


@given(value=st.recursive(st.none() | st.integers() | st.floats() | st.text(), lambda v: st.lists(v, max_size=3)))
def test_any_time(value: object) -> None:
    (one,) = parsed(body(time=value))
    assert isinstance(one, CartEvent | Refused)
