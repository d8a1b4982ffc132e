"""Which numbers may be dialled at all: ordinary phones in countries that have calling hours.

Guards against toll fraud as much as against nuisance: premium, shared-cost, personal and satellite numbers cost the
caller, and Caribbean numbers that look like US ones are the classic trap. Numbering facts come from libphonenumber.
"""

import re
from collections.abc import Container
from enum import StrEnum

import phonenumbers
from phonenumbers import PhoneNumberType

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


def fault(phone: str, country: str, allowed: Container[str]) -> Destination | None:
    """Why a number may not be dialled, or None.

    ``country`` is the shopper's; a number of another country is refused, since it is unknown what time it is there.
    ``allowed`` are the countries (ISO 3166 alpha-2) that may be called.
    """
    if not _E164.fullmatch(phone):
        return Destination.NOT_E164
    number = phonenumbers.parse(phone)
    if not phonenumbers.is_possible_number(number):
        return Destination.IMPOSSIBLE
    region = phonenumbers.region_code_for_number(number)
    if region is None and number.country_code not in (None, _NORTH_AMERICA):
        region = phonenumbers.region_code_for_country_code(number.country_code)
    if region is None or region != country or region not in allowed:
        return Destination.COUNTRY
    if phonenumbers.number_type(number) not in _ORDINARY:
        return Destination.SPECIAL
    return None
