"""Who a Shopify webhook is about: references, phone and name, where they live, and consent to SMS. Pure."""

from ingest import fields
from ingest.contact import consent_at, country_of, e164, joined
from ingest.fields import Json
from ingest.ids import email
from ingest.source import Shop
from ingest.whereabouts import alpha2, region_of
from ringback.errors import BadEvent
from ringback.records import Consent, Refs, Shopper


def refs_of(topic: str, body: Json, shopper: Shopper | None) -> Refs:
    """By what names the shopper is known in a webhook of a topic."""
    entity = topic.partition("/")[0]
    customer = _customer(topic, body)
    is_order = entity == "orders"
    cart = fields.text(body, "token", "id") if entity == "carts" else fields.text(body, "cart_token")
    checkout = fields.text(body, "token" if entity == "checkouts" else "checkout_token")
    mail = email(body, "email", "contact_email") or email(customer, "email")
    phone = shopper.phone if shopper else phone_of(topic, body, None)[0]
    return Refs(
        customer=fields.entity_id(customer, "id", "customer_id"),
        email=mail,
        phone=phone,
        cart=_bare(cart),
        checkout=_bare(checkout),
        order=fields.entity_id(body, "id" if is_order else "order_id"),
    )


def shopper_of(body: Json, topic: str, shop: Shop, answered: float) -> Shopper | None:
    """What a webhook tells of its shopper; None where it tells nothing.

    ``answered`` is when it was last asked for consent, where the webhook itself does not say. Consent to SMS counts as
    a yes only for the very number that it was given for.
    """
    customer, places = _customer(topic, body), _places(topic, body)
    phone, country = phone_of(topic, body, shop.country)
    shopper = Shopper(
        name=_name(customer, *places),
        phone=phone,
        country=country or country_of(phone),
        region=region_of(country, ((_country(place), fields.text(place, "province_code")) for place in places)),
        consent=_consent(topic, body, shop, answered, phone),
    )
    return None if shopper == Shopper() else shopper


def phone_of(topic: str, body: Json, country: str | None) -> tuple[str | None, str | None]:
    """The number to reach a shopper at (E.164) and the country of the addresses.

    The first that can be valid: for SMS marketing, of the checkout or order, of the customer, of the shipping address,
    of the billing address, of the customer's default address. A national number is read in its address's country.
    """
    customer = _customer(topic, body)
    shipping, billing, default = _places(topic, body)
    places = [_country(place) for place in (shipping, billing, default)]
    known = next((place for place in places if place), None)
    candidates = (
        (body.get("sms_marketing_phone"), known),
        (body.get("phone"), known),
        (customer.get("phone"), _country(default) or known),
        (shipping.get("phone"), _country(shipping)),
        (billing.get("phone"), _country(billing)),
        (default.get("phone"), _country(default)),
    )
    numbers = (e164(raw, place or country) for raw, place in candidates)
    return next((number for number in numbers if number), None), known


def sms_consent(told: Json, topic: str, answered: float) -> Consent | None:
    """What ``sms_marketing_consent`` says: subscribed is yes, unsubscribed no, anything else (pending, …) unknown."""
    answers = {"subscribed": True, "unsubscribed": False}
    answer = answers.get((fields.text(told, "state") or "").lower())
    if answer is None:
        return None
    try:
        captured = fields.seconds(told, "consent_updated_at")
    except BadEvent:
        if answer:  # nobody knows what it is newer than
            return None
        captured = None
    evidence = f"shopify {topic} sms_marketing_consent"
    return Consent(sms=answer, evidence=evidence, captured=answered if captured is None else captured)


def _consent(topic: str, body: Json, shop: Shop, answered: float, phone: str | None) -> Consent | None:
    customer = _customer(topic, body)
    default = _country(_places(topic, body)[2])
    of_customer = sms_consent(fields.inner(customer, "sms_marketing_consent"), topic, answered)
    accepted = body.get("buyer_accepts_sms_marketing")
    of_checkout = None
    if isinstance(accepted, bool):
        evidence = f"shopify {topic} buyer_accepts_sms_marketing"
        of_checkout = Consent(sms=accepted, evidence=evidence, captured=answered)
    return joined(
        _for_number(of_customer, e164(customer.get("phone"), default or country_of(phone) or shop.country), phone),
        _for_number(of_checkout, e164(body.get("sms_marketing_phone"), country_of(phone) or shop.country), phone),
        consent_at(body, shop, answered),
    )


def _for_number(consent: Consent | None, number: str | None, phone: str | None) -> Consent | None:
    """A yes holds for the number that it was given for and no other; a no holds for all."""
    if consent is None or consent.sms is False:
        return consent
    return consent if number is not None and number == phone else None


def _customer(topic: str, body: Json) -> Json:
    if topic in ("customers/update", "customers_marketing_consent/update"):
        return body
    return fields.inner(body, "customer")


def _places(topic: str, body: Json) -> tuple[Json, Json, Json]:
    """Shipping address, billing address and the customer's default address."""
    default = fields.inner(_customer(topic, body), "default_address")
    return fields.inner(body, "shipping_address"), fields.inner(body, "billing_address"), default


def _country(place: Json) -> str | None:
    return alpha2(fields.text(place, "country_code"))


def _name(*nodes: Json) -> str | None:
    for node in nodes:
        parts = [part for part in (fields.shown(node, "first_name"), fields.shown(node, "last_name")) if part]
        if parts or fields.shown(node, "name"):
            return " ".join(parts) or fields.shown(node, "name")
    return None


def _bare(token: str | None) -> str | None:
    return (token.partition("?")[0] or None) if token else None
