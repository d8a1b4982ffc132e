"""Leads for tests. Numbers are of the ranges kept for fiction."""

from ringback.decisions import Lead
from ringback.privacy import phone_ref

KEY = "test"
NOON = 1_750_000_000.0


def fictional(n: int) -> str:
    """One of a hundred US numbers that belong to nobody."""
    return f"+1212555{100 + n % 100:04d}"


def lead(n: int = 0, **changes: object) -> Lead:
    """Lead ``n`` of shopper ``n``: callable for an hour from NOON on, unless changed."""
    phone = str(changes.pop("phone", fictional(n)))
    fields: dict[str, object] = {
        "lead_id": f"lead-{n}",
        "shopper_id": f"shopper-{n}",
        "cart_id": f"cart-{n}",
        "phone": phone,
        "phone_ref": phone_ref(phone, KEY),
        "name": "Ada",
        "country": "US",
        "value": 10_000,
        "currency": "USD",
        "items": (),
        "score": 0.5,
        "priority": 5_000,
        "last_activity": NOON - 1800,
        "callable_from": NOON,
        "callable_until": NOON + 3600,
    }
    return Lead(**{**fields, **changes})  # type: ignore[arg-type]  # the fields are those of Lead, checked when decoded
