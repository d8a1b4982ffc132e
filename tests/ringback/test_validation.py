"""What comes in is either a usable event or a `BadEvent` with its reason, whatever the bytes."""

import contextlib
import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback import validation
from ringback.errors import BadEvent
from ringback.records import (
    DEAD_LETTER_PAYLOAD_BYTES,
    CartEvent,
    Consent,
    DeadLetterReason,
    EventKind,
    Item,
    Shopper,
    encode,
)
from ringback.settings import IngestSettings
from ringback.validation import dead_letter, read_event, salvage_stop

NOW = 1_790_000_000.0
LIMITS = IngestSettings(max_event_bytes=20_000)

GOOD = CartEvent(
    event_id="e1",
    source="shop",
    shopper_id="s1",
    kind=EventKind.ITEM_ADDED,
    time=NOW - 60,
    cart_id="c1",
    items=(Item(product_id="p1", quantity=2, unit_price=1999),),
    currency="USD",
    step=1,
    shopper=Shopper(
        name="Ada",
        phone="+442079460123",
        country="GB",
        timezone="Europe/London",
        consent=Consent(voice=True),
        region="GB-ENG",
        ip_timezone="Europe/London",
    ),
)


def changed(**fields: Any) -> bytes:
    return json.dumps({**msgspec.to_builtins(GOOD), **fields}).encode()


def read(raw: bytes | None, key: bytes | None = None) -> CartEvent:
    return read_event(raw, key=key, now=NOW, limits=LIMITS)


def test_a_good_event_comes_out_as_it_went_in() -> None:
    assert read(encode(GOOD), key=b"s1") == GOOD


REFUSED: list[tuple[str, bytes | None, DeadLetterReason]] = [
    ("no value", None, DeadLetterReason.MALFORMED),
    ("nothing", b"", DeadLetterReason.MALFORMED),
    ("no JSON", b"{", DeadLetterReason.MALFORMED),
    ("NaN", encode(GOOD).replace(b'"time":1789999940.0', b'"time":NaN'), DeadLetterReason.MALFORMED),
    ("no UTF-8", encode(GOOD).replace(b'"s1"', b'"\xff"'), DeadLetterReason.MALFORMED),
    ("infinite time", encode(GOOD).replace(b"1789999940.0", b"1e999"), DeadLetterReason.WRONG_TYPE),
    ("an array", b"[]", DeadLetterReason.WRONG_TYPE),
    ("a field missing", b"{}", DeadLetterReason.WRONG_TYPE),
    ("a number for an id", changed(shopper_id=7), DeadLetterReason.WRONG_TYPE),
    ("a fraction of a cent", changed(value=19.99), DeadLetterReason.WRONG_TYPE),
    ("unknown kind", changed(kind="teleported"), DeadLetterReason.WRONG_TYPE),
    ("empty event id", changed(event_id=""), DeadLetterReason.WRONG_TYPE),
    ("blank shopper id", changed(shopper_id="  "), DeadLetterReason.WRONG_TYPE),
    ("empty source", changed(source=""), DeadLetterReason.WRONG_TYPE),
    ("empty cart id", changed(cart_id=""), DeadLetterReason.WRONG_TYPE),
    ("endless id", changed(event_id="x" * 300), DeadLetterReason.WRONG_TYPE),
    ("empty product", changed(items=[{"product_id": ""}]), DeadLetterReason.WRONG_TYPE),
    ("before 1970", changed(time=-1), DeadLetterReason.WRONG_TYPE),
    ("absurd arrival", changed(received_wall=1e300), DeadLetterReason.WRONG_TYPE),
    ("negative step", changed(step=-1), DeadLetterReason.WRONG_TYPE),
    ("no piece", changed(items=[{"product_id": "p", "quantity": 0}]), DeadLetterReason.WRONG_TYPE),
    ("astronomic price", changed(items=[{"product_id": "p", "unit_price": 10**30}]), DeadLetterReason.WRONG_TYPE),
    ("phone of no country", changed(shopper={"phone": "020 7946 0123"}), DeadLetterReason.WRONG_TYPE),
    ("phone in other digits", changed(shopper={"phone": "+٤٤٢٠٧٩٤٦٠١٢٣"}), DeadLetterReason.WRONG_TYPE),
    ("country's name", changed(shopper={"country": "France"}), DeadLetterReason.WRONG_TYPE),
    ("no such zone", changed(shopper={"timezone": "../../etc/passwd"}), DeadLetterReason.WRONG_TYPE),
    ("no such network zone", changed(shopper={"ip_timezone": "Eastern"}), DeadLetterReason.WRONG_TYPE),
    ("endless zone", changed(shopper={"timezone": "A/" * 5000}), DeadLetterReason.WRONG_TYPE),
    ("state's name", changed(shopper={"region": "Florida"}), DeadLetterReason.WRONG_TYPE),
    ("another country's state", changed(shopper={"country": "GB", "region": "US-FL"}), DeadLetterReason.WRONG_TYPE),
    ("negative price", changed(items=[{"product_id": "p", "unit_price": -1}]), DeadLetterReason.NEGATIVE_PRICE),
    ("negative quantity", changed(items=[{"product_id": "p", "quantity": -1}]), DeadLetterReason.NEGATIVE_PRICE),
    (
        "endless negative step",
        encode(GOOD).replace(b'"step":1', b'"step":-' + b"9" * 4300),
        DeadLetterReason.WRONG_TYPE,
    ),
    ("endless price", changed(value=10**4000), DeadLetterReason.WRONG_TYPE),
    ("endless negative price", changed(value=-(10**4200)), DeadLetterReason.NEGATIVE_PRICE),
    ("negative value", changed(value=-1), DeadLetterReason.NEGATIVE_PRICE),
    ("unknown currency", changed(currency="ABC"), DeadLetterReason.UNKNOWN_CURRENCY),
    ("lower-case currency", changed(currency="usd"), DeadLetterReason.UNKNOWN_CURRENCY),
    ("price without currency", changed(currency=None), DeadLetterReason.UNKNOWN_CURRENCY),
    ("ahead", changed(time=NOW + LIMITS.max_ahead + 1), DeadLetterReason.FROM_THE_FUTURE),
    ("milliseconds", changed(time=NOW * 1000), DeadLetterReason.FROM_THE_FUTURE),
    ("two years old", changed(time=NOW - 2 * 365 * 86400), DeadLetterReason.TOO_OLD),
    ("large", changed(traffic="x" * 30_000), DeadLetterReason.TOO_LARGE),
]


def test_nesting_without_end_is_no_crash() -> None:
    # How deep is too deep differs by Python version.
    with contextlib.suppress(BadEvent):
        read(encode(GOOD)[:-1] + b',"x":' + b"[" * 9000 + b"]" * 9000 + b"}")


@pytest.mark.parametrize(("raw", "reason"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_is_refused_and_why(raw: bytes | None, reason: DeadLetterReason) -> None:
    with pytest.raises(BadEvent) as refused:
        read(raw)
    assert refused.value.reason is reason
    assert refused.value.detail


def test_a_replay_is_never_too_old_but_may_still_be_in_the_future() -> None:
    assert read(changed(time=NOW - 10 * 365 * 86400, replay=True)).replay
    with pytest.raises(BadEvent):
        read(changed(time=NOW + 3600, replay=True))


def test_the_limits_of_time_are_still_good() -> None:
    assert read(changed(time=NOW + LIMITS.max_ahead))
    assert read(changed(time=NOW - LIMITS.max_age))


def test_the_kafka_key_must_be_the_shopper() -> None:
    with pytest.raises(BadEvent) as refused:
        read(encode(GOOD), key=b"s2")
    assert refused.value.reason is DeadLetterReason.WRONG_KEY


def test_an_event_without_prices_needs_no_currency() -> None:
    assert read(changed(items=[{"product_id": "p"}], currency=None)).currency is None


def test_a_refused_phone_number_is_not_repeated() -> None:
    with pytest.raises(BadEvent) as refused:
        read(changed(shopper={"phone": "0044 20 7946 0987"}))
    assert "0987" not in str(refused.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


def assert_total(raw: bytes, key: bytes | None) -> None:
    try:
        event = read(raw, key)
    except BadEvent as refused:
        DeadLetterReason(refused.reason)  # raises for a reason that nobody counts
        encode(dead_letter(refused, raw, source="shop", stage="stream", time=NOW))
        return
    assert decode_again(event) == event
    assert sum(item.unit_price * item.quantity for item in event.items) >= 0
    assert math.isfinite(event.time)


def decode_again(event: CartEvent) -> CartEvent:
    return read(encode(event), key=event.shopper_id.encode())


@given(raw=st.binary(max_size=300), key=st.none() | st.binary(max_size=5))
def test_any_bytes(raw: bytes, key: bytes | None) -> None:
    assert_total(raw, key)


@given(value=json_values)
def test_any_json(value: object) -> None:
    assert_total(json.dumps(value).encode(), None)


@given(field=st.sampled_from(CartEvent.__struct_fields__), value=json_values)
def test_any_value_in_any_field(field: str, value: object) -> None:
    assert_total(changed(**{field: value}), None)


@given(
    field=st.sampled_from(Item.__struct_fields__),
    value=json_values | st.integers(-(10**20), 10**20),
    count=st.integers(1, 3),
)
def test_any_value_in_a_line(field: str, value: object, count: int) -> None:
    assert_total(changed(items=[{"product_id": "p", field: value}] * count), None)


@given(field=st.sampled_from(Shopper.__struct_fields__), value=json_values)
def test_any_value_of_a_shopper(field: str, value: object) -> None:
    assert_total(changed(shopper={field: value}), None)


@given(good=st.from_type(CartEvent))
def test_any_record(good: CartEvent) -> None:
    try:
        raw = encode(good)
    except (UnicodeEncodeError, OverflowError):  # what can't be written can't arrive
        return
    assert_total(raw, None)


def test_a_dead_letter_says_where_and_is_cut() -> None:
    error = BadEvent(DeadLetterReason.TOO_LARGE, "too many")
    letter = dead_letter(error, b"x" * 10_000, source="shop", stage="stream", time=NOW, partition=3, offset=9)
    assert (letter.reason, letter.detail, letter.partition, letter.offset) == ("too_large", "too many", 3, 9)
    assert len(letter.payload) == DEAD_LETTER_PAYLOAD_BYTES


@pytest.mark.parametrize("kind", ["order_completed", "opted_out"])
@pytest.mark.parametrize("wrong", [{"value": -5}, {"currency": "ABC"}, {"shopper": {"phone": "1"}}, {"items": "none"}])
def test_a_stop_is_kept_when_its_details_are_wrong(kind: str, wrong: dict[str, Any]) -> None:
    raw = changed(kind=kind, **wrong)
    with pytest.raises(BadEvent):
        read(raw)
    stop = salvage_stop(raw, key=b"s1", now=NOW, limits=LIMITS)
    assert stop is not None
    assert (stop.kind.value, stop.shopper_id, stop.event_id) == (kind, "s1", "e1")
    assert read(encode(stop), key=b"s1") == stop


def test_a_stop_from_the_future_is_one_now() -> None:
    stop = salvage_stop(changed(kind="opted_out", time=NOW + 86400), key=None, now=NOW, limits=LIMITS)
    assert stop is not None
    assert stop.time == NOW


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        (changed(value=-5), None),
        (changed(kind="order_completed", value=-5, time=NOW - 30 * 86400), None),
        (changed(kind="order_completed", value=-5, shopper_id=""), None),
        (changed(kind="order_completed", value=-5), b"another"),
        (b"{", None),
        (None, None),
    ],
)
def test_what_is_no_stop_is_not_salvaged(raw: bytes | None, key: bytes | None) -> None:
    assert salvage_stop(raw, key=key, now=NOW, limits=LIMITS) is None


def test_every_limit_is_within_64_bits() -> None:
    assert validation.MOST_MINOR_UNITS * 900_000 < 2**63
