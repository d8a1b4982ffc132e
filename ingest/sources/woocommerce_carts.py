"""Abandoned carts of WooCommerce shops, as their two usual plug-ins tell them. Pure.

Field names are those of the plug-ins' own code. TycheSoftwares, ``includes/class-wcal-webhooks.php`` (JSON): ``id,
user_id, user_type (GUEST|REGISTERED), product_details[{product_id, variation_id, product_name, line_subtotal}], total,
total_tax, timestamp, billing_first_name, billing_last_name, billing_country, email_id, phone, checkout_link``; a
recovered cart has ``order_id, total`` of the order. CartFlows, ``trigger_zapier_webhook`` (a form): ``first_name,
last_name, phone_number, email, checkout_url, product_names, order_status (abandoned|completed), cart_total``.

Both are sent at the moment they tell of and never again, and neither says when in UTC: CartFlows has no time, Tyche's
``timestamp`` is the site's wall clock. So their time is when they were taken. They are told once a cart was left for
the plug-in's cut-off time; every change before that is unknown, and so is the currency, which is the shop's in the
settings.

CartFlows lists the products as one text for people: its cart becomes one line with that title and the cart's total.
Its cart is known by the session in ``checkout_url``. A completed cart of its empties the cart, since it does not know
the order: WooCommerce's own order webhook counts it.
"""

import base64
import binascii
import re
from urllib.parse import parse_qsl, unquote

from ingest import fields
from ingest.contact import consent_at, country_of, e164
from ingest.fields import Json
from ingest.ids import email
from ingest.source import Parsed, Shop
from ingest.whereabouts import alpha2
from ringback.errors import BadEvent
from ringback.records import CartEvent, DeadLetterReason, EventKind, Item, Refs, Shopper
from ringback.settings import IngestSettings
from ringback.validation import check

MOST_FORM_FIELDS = 200

_TOKEN = re.compile(r"[?&;]wcf_ac_token=([^&#]{1,1000})")
_SESSION = re.compile(rb"(?:^|&)wcf_session_id=([0-9A-Za-z_-]{1,100})")


def form_of(body: bytes) -> Json:
    """The fields of a body that is a form, or a JSON object. Raises `BadEvent` where it is neither."""
    if body.lstrip()[:1] == b"{":
        return fields.json_object(body)
    try:
        text = body.decode("ascii")
        return dict(parse_qsl(text, keep_blank_values=True, strict_parsing=True, max_num_fields=MOST_FORM_FIELDS))
    except ValueError:
        detail = f"a request without X-WC-Webhook-Topic must be a form of at most {MOST_FORM_FIELDS} fields, or JSON"
        raise BadEvent(DeadLetterReason.MALFORMED, detail) from None


def parse_tyche(topic: str, cart: Json, digest: str, *, shop: Shop, now: float, limits: IngestSettings) -> Parsed:
    """``wcap_cart.cutoff`` gives a CART_SNAPSHOT, ``wcap_cart.recovered`` an ORDER_COMPLETED."""
    cart_id = fields.entity_id(cart, "id", "webhook_resource_id")
    order_id = fields.entity_id(cart, "order_id")
    if topic.endswith(".recovered") and order_id is None:
        raise BadEvent(DeadLetterReason.WRONG_TYPE, f"{topic} has no order_id")
    phone = e164(cart.get("phone"), _country(cart) or shop.country)
    shopper = _shopper(
        (fields.shown(cart, "billing_first_name"), fields.shown(cart, "billing_last_name")),
        phone,
        _country(cart),
        cart,
        shop,
        now,
    )
    items = _tyche_items(cart, shop.currency)
    registered = (fields.text(cart, "user_type") or "").upper() == "REGISTERED"
    value = fields.minor(cart, ["total"], shop.currency, rounded=True) if order_id else None
    event = CartEvent(
        event_id=digest,
        source=shop.source,
        kind=EventKind.ORDER_COMPLETED if topic.endswith(".recovered") else EventKind.CART_SNAPSHOT,
        time=now,
        cart_id=f"tyche-{cart_id}" if cart_id else None,
        order_id=order_id,
        items=items,
        currency=shop.currency if items or value is not None else None,
        value=value,
        shopper=shopper,
        refs=Refs(
            customer=fields.entity_id(cart, "user_id") if registered else None,
            email=email(cart, "email_id"),
            phone=phone,
            cart=f"tyche-{cart_id}" if cart_id else None,
            order=order_id,
        ),
    )
    check(event, now=now, limits=limits)
    return [event]


def parse_cartflows(cart: Json, digest: str, *, shop: Shop, now: float, limits: IngestSettings) -> Parsed:
    """A CART_SNAPSHOT: with one line for an abandoned cart, without lines for a completed one."""
    status = (fields.text(cart, "order_status") or "").lower()
    if status not in ("abandoned", "completed", "lost"):
        raise BadEvent(DeadLetterReason.WRONG_TYPE, "order_status is none of abandoned, completed, lost")
    if status == "lost":
        return []
    session = _session(fields.text(cart, "checkout_url") or "")
    phone = e164(fields.text(cart, "phone_number", "phone"), shop.country)
    names = (fields.shown(cart, "first_name"), fields.shown(cart, "last_name"))
    total = fields.minor(cart, ["cart_total"], shop.currency, rounded=True)
    items: tuple[Item, ...] = ()
    if status == "abandoned" and total:
        title = fields.shown(cart, "product_names")
        items = (Item(product_id=f"cartflows-{session or digest[:32]}", unit_price=total, title=title),)
    event = CartEvent(
        event_id=digest,
        source=shop.source,
        kind=EventKind.CART_SNAPSHOT,
        time=now,
        cart_id=f"cartflows-{session}" if session else None,
        items=items,
        currency=shop.currency if items else None,
        shopper=_shopper(names, phone, None, cart, shop, now),
        refs=Refs(
            email=email(cart, "email"),
            phone=phone,
            cart=f"cartflows-{session}" if session else None,
        ),
    )
    check(event, now=now, limits=limits)
    return [event]


def _tyche_items(cart: Json, currency: str | None) -> tuple[Item, ...]:
    items: list[Item] = []
    for line in fields.objects(cart, "product_details"):
        item = Item(
            product_id=fields.entity_id(line, "product_id", "variation_id") or "custom",
            title=fields.shown(line, "product_name"),
        )
        total = fields.minor(line, ["line_subtotal", "line_total"], currency, rounded=True)
        items += fields.shared(total or 0, fields.quantity(line, "quantity"), item)
    return tuple(items)


def _session(url: str) -> str | None:
    """The session in CartFlows' link back to the cart: a query in base64, which newer versions sign."""
    found = _TOKEN.search(url.replace("&#038;", "&"))
    if found is None:
        return None
    token = unquote(found[1])
    try:
        query = base64.b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return None
    named = _SESSION.search(query)
    return named[1].decode() if named else None


def _shopper(
    names: tuple[str | None, str | None], phone: str | None, country: str | None, cart: Json, shop: Shop, now: float
) -> Shopper | None:
    shopper = Shopper(
        name=" ".join(name for name in names if name) or None,
        phone=phone,
        country=country or country_of(phone),
        consent=consent_at(cart, shop, now),
    )
    return None if shopper == Shopper() else shopper


def _country(cart: Json) -> str | None:
    return alpha2(fields.text(cart, "billing_country"))
