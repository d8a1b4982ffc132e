"""What Redis and the hopper know of a person: the history that `dialer.compliance.check.may_call` judges by.

To explain, not to dial: what is read here may be otherwise a moment later. The gate is the script that reserves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import phonenumbers
from redis.asyncio import Redis

from dialer.compliance.case import History, Person
from dialer.compliance.places import Place
from dialer.hopper import Hopper, reachable
from ringback.decisions import Lead
from ringback.privacy import phone_ref
from ringback.records import Consent
from ringback.redis_client import NATIONAL_LISTS
from ringback.settings import Settings

_HOUR, _DAY = 3600, 86400
_MINUTE, _TEN_MINUTES = 60, 600
_MILLIONTHS = 1e6


@dataclass(frozen=True, slots=True)
class Dossier:
    """Who is meant, what happened so far, and the lead that is queued or being called (its ``state``), if there is one.

    Consent is known of leads only: it is in the shop's events, and the stream asks for it before there is a lead.
    ``lists`` are the national do-not-call lists by their country, with when each was obtained.
    """

    person: Person
    history: History
    lead: Lead | None
    state: str | None
    lists: Mapping[str, float]


async def of_phone(redis: Redis, settings: Settings, phone: str, now: float) -> Dossier:
    """The dossier of an E.164 number. Raises `ringback.errors.Unavailable`."""
    lead = await _find(redis, settings, phone=phone)
    return await _dossier(redis, settings, phone, lead, now)


async def of_cart(redis: Redis, settings: Settings, cart_id: str, now: float) -> Dossier | None:
    """The dossier of the shopper of a cart, None when no lead is about it. Raises `ringback.errors.Unavailable`."""
    lead = await _find(redis, settings, cart_id=cart_id)
    return await _dossier(redis, settings, lead.phone, lead, now) if lead else None


async def _find(
    redis: Redis, settings: Settings, *, phone: str | None = None, cart_id: str | None = None
) -> Lead | None:
    async for lead in Hopper.of(redis, settings).each():
        if lead.phone == phone or lead.cart_id == cart_id:
            return lead
    return None


async def _dossier(redis: Redis, settings: Settings, phone: str, lead: Lead | None, now: float) -> Dossier:
    ref = phone_ref(phone, settings.privacy.phone_key.get_secret_value())
    shopper = lead.shopper_id if lead else ""
    campaign = f"ringback:campaign:{settings.dialer.campaign}:"
    with reachable():
        async with redis.pipeline(transaction=True) as look:
            look.sismember("ringback:opted-out:phones", ref)
            look.sismember("ringback:opted-out:shoppers", shopper)
            look.sismember("ringback:do-not-call", ref)
            look.sismember("ringback:do-not-call:national", ref)
            look.hexists("ringback:in-call:phones", ref)
            look.hexists("ringback:in-call:shoppers", shopper)
            look.mget(f"ringback:lockout:{ref}", f"ringback:lockout-of:{shopper}", f"ringback:bought:{shopper}")
            look.zrange(f"ringback:attempts:{ref}", 0, -1, withscores=True)
            look.zrange(f"ringback:attempts-of:{shopper}", 0, -1, withscores=True)
            look.hmget(f"{campaign}lead:{lead.lead_id if lead else ''}", "state", "attempts")
            look.hmget(f"{campaign}placed", _intervals(now, _HOUR, _MINUTE))
            look.hmget(f"{campaign}spent", _intervals(now, _DAY, _TEN_MINUTES))
            look.hgetall(NATIONAL_LISTS)
            found: list[Any] = await look.execute()
    (
        phone_out,
        person_out,
        own_list,
        national,
        phone_busy,
        person_busy,
        marks,
        calls,
        calls_of,
        of_lead,
        placed,
        spent,
        loaded,
    ) = found
    locks = [float(lock) for lock in marks[:2] if lock is not None]
    state, attempts = of_lead
    history = History(
        to_number=[at for _, at in calls],
        to_person=[at for _, at in calls_of],
        about_cart=int(attempts or 0),
        locked_until=max(locks, default=None),
        opted_out=bool(phone_out or person_out),
        do_not_call=bool(own_list),
        national_do_not_call=bool(national),
        bought=None if marks[2] is None else float(marks[2]),
        last_activity=lead.last_activity if lead else None,
        in_call=bool(phone_busy or person_busy),
        replay=bool(lead and lead.replay),
        campaign_calls=int(_sum(placed)),
        campaign_spent=_sum(spent) / _MILLIONTHS,
    )
    lists = {country.decode(): float(obtained) for country, obtained in loaded.items()}
    return Dossier(_person(phone, lead), history, lead, state.decode() if state else None, lists)


def _person(phone: str, lead: Lead | None) -> Person:
    if lead is None:
        return Person(phone=phone, country=_country(phone))
    place = Place(lead.jurisdictions, lead.zones) if lead.zones else None
    evidence, captured = lead.consent_evidence, lead.consent_captured
    # There is no lead without a yes; what shows it comes with the lead.
    consent = Consent(voice=True, evidence=evidence, captured=captured)
    return Person(phone=phone, country=lead.country, consent=consent, place=place)


def _country(phone: str) -> str | None:
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(phone))
    except phonenumbers.NumberParseException:
        return None


def _intervals(now: float, window: int, width: int) -> list[int]:
    """The intervals of ``width`` seconds that the last ``window`` seconds touch, numbered as the scripts do."""
    return list(range(int((now - window) // width), int(now // width) + 1))


def _sum(counts: list[bytes | None]) -> float:
    return sum(float(count) for count in counts if count)
