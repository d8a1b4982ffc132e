"""The published JSON schema of cart events: the record's own, with the limits that `ringback.validation` checks."""

from inspect import cleandoc
from typing import Any

import msgspec

from ringback.records import INTERNAL_KINDS, CartEvent, EventKind
from ringback.validation import (
    BEST_RATING,
    E164,
    LAST_TIME,
    LONGEST_ID,
    LONGEST_STEP,
    MOST_MINOR_UNITS,
    MOST_QUANTITY,
    REGION,
)

_ID = {"minLength": 1, "maxLength": LONGEST_ID}
_AMOUNT = {"minimum": 0, "maximum": MOST_MINOR_UNITS}

# What Ringback itself adds on the way: nothing that a shop may send.
_INTERNAL_FIELDS = ("received_wall", "other", "carried")

_LIMITS: dict[str, dict[str, dict[str, Any]]] = {
    "CartEvent": {
        "event_id": _ID,
        "source": _ID,
        "shopper_id": _ID,
        "cart_id": _ID,
        "session_id": _ID,
        "order_id": _ID,
        "value": _AMOUNT,
        "step": {"minimum": 0, "maximum": LONGEST_STEP},
        "rating": {"minimum": 1, "maximum": BEST_RATING},
        "currency": {"pattern": "^[A-Z]{3}$", "description": "ISO 4217; needed where there is an amount"},
    },
    "Item": {
        "product_id": _ID,
        "quantity": {"minimum": 1, "maximum": MOST_QUANTITY},
        "unit_price": _AMOUNT,
    },
    "Shopper": {
        "phone": {"pattern": f"^{E164}$"},
        "country": {"pattern": "^[A-Z]{2}$"},
        "region": {"pattern": f"^{REGION}$"},
    },
}


def cart_event_schema() -> dict[str, Any]:
    """The schema of one event as a shop sends it (JSON Schema 2020-12)."""
    schema = msgspec.json.schema(CartEvent)
    for definition in schema["$defs"].values():
        # Python 3.13 takes the indentation out of docstrings, older ones leave it.
        definition["description"] = cleandoc(definition.get("description", definition["title"]))
    event = schema["$defs"]["CartEvent"]["properties"]
    for name in _INTERNAL_FIELDS:
        del event[name]
    schema["$defs"]["EventKind"]["enum"] = sorted(kind.value for kind in EventKind if kind not in INTERNAL_KINDS)
    for record, fields in _LIMITS.items():
        properties = schema["$defs"][record]["properties"]
        for name, limits in fields.items():
            properties[name].update(limits)
    event["time"] = {
        "description": "when it happened: epoch seconds UTC, or RFC 3339 with the offset",
        "anyOf": [{"type": "number", "minimum": 0, "maximum": LAST_TIME}, {"type": "string", "format": "date-time"}],
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Ringback cart event", **schema}


def text() -> str:
    """The schema as the file docs/cart-event.schema.json."""
    return msgspec.json.format(msgspec.json.encode(cart_event_schema()), indent=2).decode() + "\n"
