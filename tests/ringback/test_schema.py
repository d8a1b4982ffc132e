"""The published schema: fresh, and of one mind with the validation."""

import json
from typing import Any

import jsonschema
import msgspec
import pytest

from ringback.errors import BadEvent
from ringback.records import CartEvent, EventKind, encode
from ringback.schema import cart_event_schema, text
from ringback.settings import IngestSettings
from ringback.validation import read_event
from tests.conftest import ROOT
from tests.ringback.test_validation import GOOD, NOW


def test_the_file_is_fresh() -> None:
    file = ROOT / "docs" / "cart-event.schema.json"
    assert file.read_text() == text(), "run: ringback schema > docs/cart-event.schema.json"


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(cart_event_schema())


def valid(event: Any) -> bool:
    return jsonschema.Draft202012Validator(cart_event_schema()).is_valid(event)


def accepted(event: Any) -> bool:
    try:
        read_event(json.dumps(event).encode(), key=None, now=NOW, limits=IngestSettings())
    except BadEvent:
        return False
    return True


def test_a_good_event_is_valid() -> None:
    assert valid(json.loads(encode(GOOD)))
    assert valid({**json.loads(encode(GOOD)), "time": "2026-09-21T14:13:20Z"})


@pytest.mark.parametrize(
    "fields",
    [
        {"event_id": ""},
        {"shopper_id": None},
        {"shopper_id": "x" * 257},
        {"kind": "teleported"},
        {"time": -1},
        {"value": -1},
        {"value": 10**14},
        {"step": -1},
        {"currency": "dollars"},
        {"items": [{"product_id": "p", "quantity": 0}]},
        {"items": [{"product_id": "p", "unit_price": -1}]},
        {"items": [{}]},
        {"shopper": {"phone": "020 7946 0123"}},
        {"shopper": {"country": "France"}},
        {"shopper": {"region": "Florida"}},
        {"replay": "yes"},
    ],
    ids=str,
)
def test_what_the_schema_refuses_is_refused(fields: dict[str, Any]) -> None:
    event = {**msgspec.to_builtins(GOOD), **fields}
    assert not valid(event)
    assert not accepted(event)


def test_every_field_is_in_it() -> None:
    properties = cart_event_schema()["$defs"]["CartEvent"]["properties"]
    assert set(properties) == set(CartEvent.__struct_fields__) - {"received_wall", "other", "carried"}


def test_what_only_ringback_sends_is_not_in_it() -> None:
    kinds = cart_event_schema()["$defs"]["EventKind"]["enum"]
    assert set(kinds) == {kind.value for kind in EventKind} - {"absorbed", "moved", "handed_over"}
