"""Who a shopper is and what was agreed to: phone numbers as E.164, and consent that is yes, no or unknown. Pure."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal

import phonenumbers

from ingest.source import Shop
from ringback.records import Consent

YES = frozenset({"yes", "y", "true", "1", "on", "accepted", "granted", "subscribed", "opted_in", "opt_in"})
NO = frozenset(
    {"no", "n", "false", "0", "off", "denied", "declined", "revoked", "unsubscribed", "opted_out", "opt_out"}
)
CHANNELS: tuple[Literal["voice", "sms", "chat"], ...] = ("voice", "sms", "chat")

_LONGEST_PHONE = 40
_LONGEST_ANSWER = 40


def e164(raw: object, country: str | None) -> str | None:
    """A phone number as E.164, or None where it can't be valid or it can't be told which it is.

    ``country`` (ISO 3166 alpha-2) is where a number without a country code is from. A number with an extension is
    left out: E.164 can't hold one, and somebody else would answer.
    """
    if isinstance(raw, bool) or not isinstance(raw, str | int):
        return None
    if isinstance(raw, int) and not 0 < raw < 10**15:  # also: Python refuses to print integers without end
        return None
    text = str(raw)
    return _e164(text, country.upper() if country else None) if 0 < len(text) <= _LONGEST_PHONE else None


@lru_cache(maxsize=4096)
def country_of(phone: str | None) -> str | None:
    """The country (ISO 3166 alpha-2) that an E.164 number belongs to; None for none, or one of no country (+800)."""
    if phone is None:
        return None
    code = phonenumbers.region_code_for_number(phonenumbers.parse(phone))
    return code if code and code.isalpha() else None


@lru_cache(maxsize=4096)
def _e164(text: str, country: str | None) -> str | None:
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    if number.extension or not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def consent_at(payload: object, shop: Shop, captured: float) -> Consent | None:
    """What an event's JSON says at the shop's consent paths; None where it says nothing.

    A path goes through objects by their names, separated by dots, and through a list of ``{"name": …, "value": …}`` or
    ``{"key": …, "value": …}`` by those names: ``note_attributes.call_me``, ``meta_data._call_me``. True, 1 and what is
    in `YES` are yes; False, 0 and what is in `NO` are no; anything else is unknown. Where a path leads to several
    values, one no is enough for no, and yes needs all of them.
    """
    told = {channel: _agreed(_at(payload, path)) for channel, path in shop.consent.items() if channel in CHANNELS}
    answers = {channel: answer for channel, answer in told.items() if answer is not None}
    if not answers:
        return None
    paths = ", ".join(sorted({shop.consent[channel] for channel in answers}))
    return Consent(**answers, evidence=f"{shop.platform} {paths}", captured=captured)


def answer(value: object) -> bool | None:
    """What one value says: yes, no, or unknown."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, str | int) or value in ("", None):
        return None
    if isinstance(value, int):
        return {1: True, 0: False}.get(value)
    word = value[:_LONGEST_ANSWER].strip().lower().replace("-", "_").replace(" ", "_")
    return True if word in YES else False if word in NO else None


def joined(*consents: Consent | None) -> Consent | None:
    """All that one event says of consent, in one record with one time; a no outweighs a yes to the same channel.

    No answer may look newer than it is, or it would replace what was said after it: the time is that of the oldest yes.
    But a no is never put back in time: beside a later no, an older yes to another channel is left out.
    """
    said = [
        (channel, value, one)
        for one in consents
        if one is not None
        for channel in CHANNELS
        if (value := getattr(one, channel)) is not None
    ]
    refused = {channel: one for channel, value, one in said if not value}
    since = max((one.captured or 0.0 for _, value, one in said if not value), default=None)
    agreed = {
        channel: one
        for channel, value, one in said
        if value and channel not in refused and (since is None or (one.captured or 0.0) >= since)
    }
    kept = [*refused.values(), *agreed.values()]
    if not kept:
        return None
    return Consent(
        **dict.fromkeys(refused, False),
        **dict.fromkeys(agreed, True),
        evidence="; ".join(dict.fromkeys(one.evidence for one in kept if one.evidence)) or None,
        captured=since if since is not None else min(one.captured or 0.0 for one in kept),
    )


def _agreed(values: Iterator[object]) -> bool | None:
    answers = [answer(value) for value in values]
    if False in answers:
        return False
    return True if answers and None not in answers else None


def _at(node: Any, path: str) -> Iterator[object]:
    """All values at a path; a name may itself have dots."""
    if isinstance(node, list):
        pairs = [pair for pair in node if isinstance(pair, dict)]
        for pair in pairs:
            named = {pair.get("name", pair.get("key")): pair.get("value")} if _is_named(pair) else pair
            yield from _at(named, path)
        return
    if not isinstance(node, dict):
        return
    if path in node:
        yield node[path]
        return
    parts = path.split(".")
    for end in range(1, len(parts)):
        head = ".".join(parts[:end])
        if head in node:
            yield from _at(node[head], ".".join(parts[end:]))
            return


def _is_named(pair: dict[str, Any]) -> bool:
    return isinstance(pair.get("name", pair.get("key")), str) and "value" in pair
