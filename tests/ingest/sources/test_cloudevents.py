"""CloudEvents over HTTP in their three modes, each with one of our own events in it."""

import base64
import hashlib
import hmac
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.source import Parsed, Refused
from ingest.sources.cloudevents import BATCHED, SOURCE, STRUCTURED
from ringback.errors import BadEvent
from ringback.records import CartEvent, DeadLetterReason, EventKind, Refs
from tests.ingest.sources.test_native import ADDED, IDENTIFIED, ORDERED
from tests.ingest.sources.tracked import (
    ANY_JSON,
    NOW,
    SECRETS,
    TIME,
    fixture,
    mutated,
    names,
    refused,
    sent,
    sent_fixture,
    survives,
)


def from_cloud(event: CartEvent, source: str = "/shops/example") -> CartEvent:
    return msgspec.structs.replace(
        event,
        event_id=f"{source} {event.event_id}",
        source="cloudevents/example",
        shopper_id="",
        refs=event.refs or Refs(customer=event.shopper_id),
    )


GOLDEN: dict[str, list[CartEvent]] = {
    "structured": [from_cloud(ADDED)],
    "batch": [from_cloud(ADDED), from_cloud(ORDERED)],
    "binary": [from_cloud(IDENTIFIED, "/shops/exämple")],
}


@pytest.mark.parametrize("name", sorted(names("cloudevents")))
def test_golden(name: str) -> None:
    assert sent_fixture(SOURCE, name) == GOLDEN[name]


def cloud(**attributes: Any) -> dict[str, Any]:
    structured: dict[str, Any] = fixture("cloudevents", "structured")["body"]
    return structured | attributes


def structured(**attributes: Any) -> Parsed:
    return sent(SOURCE, cloud(**attributes), {"Content-Type": STRUCTURED})


def event_ids(parsed: Parsed) -> list[str]:
    return [one.event_id for one in parsed if isinstance(one, CartEvent)]


def test_source_and_id_make_the_event() -> None:
    pairs = [("/a", "1"), ("/a", "2"), ("/b", "1"), ("/a b", "1"), ("/a", "b 1")]
    ids = [one for source, id_ in pairs for one in event_ids(structured(source=source, id=id_))]
    assert len(set(ids)) == len(pairs)
    assert event_ids(structured(time=None, data={**cloud()["data"], "time": TIME})) == event_ids(structured())


def test_what_the_attributes_say_holds() -> None:
    told = {**cloud()["data"], "event_id": "x", "source": "y", "time": "2020-01-01T00:00:00Z"}
    assert structured(data=told) == structured()


def test_data_in_base64() -> None:
    attributes = cloud()
    data = attributes.pop("data")
    packed = {**attributes, "data_base64": base64.b64encode(json.dumps(data).encode()).decode()}
    assert sent(SOURCE, packed, {"Content-Type": STRUCTURED}) == structured()


def test_binary_without_a_content_type() -> None:
    loaded = fixture("cloudevents", "binary")
    headers = {name: value for name, value in loaded["headers"].items() if name != "Content-Type"}
    assert sent(SOURCE, loaded["body"], headers) == GOLDEN["binary"]


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"specversion": "0.3"}, DeadLetterReason.WRONG_TYPE),
        ({"id": ""}, DeadLetterReason.WRONG_TYPE),
        ({"id": 7}, DeadLetterReason.WRONG_TYPE),
        ({"source": ""}, DeadLetterReason.WRONG_TYPE),
        ({"type": "com.example.other"}, DeadLetterReason.UNKNOWN_TOPIC),
        ({"datacontenttype": "text/xml"}, DeadLetterReason.WRONG_TYPE),
        ({"time": "2026-09-21T14:13:20"}, DeadLetterReason.WRONG_TYPE),
        ({"time": "soon"}, DeadLetterReason.WRONG_TYPE),
        ({"time": None}, DeadLetterReason.WRONG_TYPE),
        ({"data": "text"}, DeadLetterReason.WRONG_TYPE),
        ({"data": {}}, DeadLetterReason.WRONG_TYPE),
        ({"data_base64": "?"}, DeadLetterReason.WRONG_TYPE),
        ({"data": {"kind": "moved", "other": "s2", "shopper_id": "s1"}}, DeadLetterReason.WRONG_TYPE),
    ],
)
def test_what_is_refused(attributes: dict[str, Any], reason: DeadLetterReason) -> None:
    one = refused(structured(**attributes))
    assert one.error.reason == reason
    assert json.loads(one.raw) == cloud(**attributes)


def test_data_may_not_be_missing() -> None:
    attributes = cloud()
    del attributes["data"]
    assert isinstance(refused(sent(SOURCE, attributes, {"Content-Type": STRUCTURED})), Refused)


def test_a_refused_order_still_stops_calls() -> None:
    one = refused(structured(data={"kind": "order_completed", "shopper_id": "s1", "value": -1, "currency": "USD"}))
    assert one.error.reason == DeadLetterReason.NEGATIVE_PRICE
    assert one.stop == CartEvent(
        event_id="/shops/example n1",
        source="cloudevents/example",
        kind=EventKind.ORDER_COMPLETED,
        time=TIME,
        refs=Refs(customer="s1"),
    )


def test_a_bad_event_spoils_no_other() -> None:
    batch = [cloud(), 7, cloud(type="other"), cloud(id="n2")]
    parsed = sent(SOURCE, batch, {"Content-Type": BATCHED})
    assert [isinstance(one, CartEvent) for one in parsed] == [True, False, False, True]


def test_what_is_no_batch() -> None:
    for raw in (b"", b"{}", b"[", b"[" * 5000):
        with pytest.raises(BadEvent):
            sent(SOURCE, raw, {"Content-Type": BATCHED})


def signed(body: bytes, secret: bytes) -> dict[str, str]:
    stamp = str(int(NOW))
    mac = hmac.new(secret, b".".join((b"msg_1", stamp.encode(), body)), hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(mac).decode()}"
    return {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": signature}


def test_authentic() -> None:
    for secret in SECRETS:
        headers = signed(b"{}", secret)
        assert SOURCE.authentic(headers, b"{}", secrets=SECRETS, now=NOW, window=300)
        assert not SOURCE.authentic(headers, b"[]", secrets=SECRETS, now=NOW, window=300)
        assert not SOURCE.authentic(headers, b"{}", secrets=SECRETS, now=NOW - 301, window=300)
    plain = {"x-ringback-signature": f"sha256={hmac.new(SECRETS[0], b'{}', hashlib.sha256).hexdigest()}"}
    for headers in ({}, plain, signed(b"{}", b"another")):
        assert not SOURCE.authentic(headers, b"{}", secrets=SECRETS, now=NOW, window=300)


@given(mutated("cloudevents"))
def test_any_mutation(case: tuple[bytes, dict[str, str]]) -> None:
    survives(SOURCE, *case)


@given(
    raw=st.binary(max_size=200),
    content=st.sampled_from([STRUCTURED, BATCHED, "application/json", ""]) | st.text(max_size=20),
    attribute=st.text(max_size=20),
)
def test_any_body(raw: bytes, content: str, attribute: str) -> None:
    headers = {"content-type": content, "ce-specversion": "1.0", "ce-type": "ringback.cart-event", "ce-id": attribute}
    survives(SOURCE, raw, headers | {"ce-source": attribute, "ce-time": attribute})


@given(st.dictionaries(st.sampled_from(sorted(cloud())), ANY_JSON))
def test_any_attribute(attributes: dict[str, Any]) -> None:
    survives(SOURCE, json.dumps(cloud(**attributes)).encode(), {"Content-Type": STRUCTURED})
