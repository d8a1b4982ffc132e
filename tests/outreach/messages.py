"""Messages for tests. Numbers are of the ranges kept for fiction."""

from ringback.decisions import Message
from ringback.privacy import phone_ref
from ringback.records import Channel, Item

KEY = "test"
NOON = 1_750_000_000.0


def message(n: int = 0, **changes: object) -> Message:
    """Message ``n`` to shopper ``n``: for an hour from NOON on, unless changed."""
    phone = str(changes.pop("phone", f"+1212555{100 + n % 100:04d}"))
    fields: dict[str, object] = {
        "message_id": f"message-{n}",
        "shopper_id": f"shopper-{n}",
        "cart_id": f"cart-{n}",
        "channel": Channel.SMS,
        "phone": phone,
        "phone_ref": phone_ref(phone, KEY),
        "name": "Ada",
        "country": "US",
        "value": 10_000,
        "currency": "USD",
        "items": (Item(product_id="mug", title="Blue mug", unit_price=1_000), Item(product_id="pot")),
        "last_activity": NOON - 1800,
        "send_from": NOON,
        "send_until": NOON + 3600,
        "time": NOON,
    }
    return Message(**{**fields, **changes})  # type: ignore[arg-type]  # the fields are those of Message
