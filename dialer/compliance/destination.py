"""Which numbers may be dialled at all: ordinary phones in countries that may be called.

Guards against toll fraud as much as against nuisance: premium, shared-cost, personal and satellite numbers cost the
caller, and Caribbean numbers that look like US ones are the classic trap. Numbering facts come from libphonenumber and
from our own list (``data/special_numbers.toml``); what either of them refuses is refused.
"""

import re
from collections.abc import Container
from datetime import date
from enum import StrEnum
from functools import cache, lru_cache

import msgspec
import phonenumbers
from phonenumbers import PhoneNumberType

from dialer.compliance.book import SHIPPED, read

_E164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
# UNKNOWN: numbers of a possible length that no plan lists, such as some of the ranges kept for fiction.
_ORDINARY = frozenset(
    {
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.MOBILE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE,
        PhoneNumberType.VOIP,
        PhoneNumberType.UNKNOWN,
    }
)
_NORTH_AMERICA = 1


class Destination(StrEnum):
    """What is wrong with a number."""

    NOT_E164 = "not_e164"
    IMPOSSIBLE = "impossible_number"
    COUNTRY = "country_not_allowed"
    SPECIAL = "special_number"


class Refused(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers that begin so, or are so, and why they are never dialled."""

    why: str
    source: str
    prefixes: tuple[str, ...] = ()
    pattern: str | None = None


class _SpecialNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reviewed: date
    refused: tuple[Refused, ...]


@cache
def special_numbers() -> tuple[Refused, ...]:
    """Our own list. Raises `SettingsError` when it can't be read."""
    return read(SHIPPED / "special_numbers.toml", _SpecialNumbers).refused


def fault(phone: str, country: str, allowed: Container[str]) -> Destination | None:
    """Why a number may not be dialled, or None.

    ``country`` is the shopper's; a number of another country is refused, since it is unknown what time it is there.
    ``allowed`` are the countries (ISO 3166 alpha-2) that may be called.
    """
    wrong, region, special = _facts(phone)
    if wrong:
        return wrong
    if region is None or region != country or region not in allowed:
        return Destination.COUNTRY
    return Destination.SPECIAL if special else None


@lru_cache(maxsize=65536)
def _facts(phone: str) -> tuple[Destination | None, str | None, bool]:
    """What is wrong with a number wherever it is, its country, and whether it is no ordinary one."""
    if not _E164.fullmatch(phone):
        return Destination.NOT_E164, None, False
    number = phonenumbers.parse(phone)
    if not phonenumbers.is_possible_number(number):
        return Destination.IMPOSSIBLE, None, False
    region = phonenumbers.region_code_for_number(number)
    if region is None and number.country_code not in (None, _NORTH_AMERICA):
        region = phonenumbers.region_code_for_country_code(number.country_code)
    ours = _special().match(phone) is not None
    return None, region, ours or phonenumbers.number_type(number) not in _ORDINARY


@cache
def _special() -> re.Pattern[str]:
    prefixes = [re.escape(prefix) for refused in special_numbers() for prefix in refused.prefixes]
    patterns = [f"{refused.pattern}$" for refused in special_numbers() if refused.pattern]
    return re.compile("|".join(prefixes + patterns), re.ASCII)
