"""How old the national do-not-call list may be that a country's people are called by.

The law of some countries asks for a version no older than so many days (`dialer.compliance.book.NationalList`). The
scripts of the hopper apply this when they reserve and launch a lead (``dialer/lua/common.lua``).
"""

from collections.abc import Mapping
from math import inf

from dialer.compliance.book import Book, NationalList
from ringback.compliance_settings import ComplianceSettings


def demanded(country: str, settings: ComplianceSettings, known: Book) -> NationalList | None:
    """The list of a country that must be there and recent, the one whose version ages first; None: there is none.

    It holds on every day: a list that the law asks for no more loses its ``max_age_days``.
    """
    of_country = known.jurisdictions.get(country)
    if of_country is None or country in settings.scrubbed_elsewhere:
        return None
    aging = (one for one in of_country.national_list if one.max_age_days is not None)
    return min(aging, key=lambda one: one.max_age_days or 0, default=None)


def greatest_ages(settings: ComplianceSettings, known: Book) -> dict[str, float]:
    """Of each country that may be called and whose law says it: from how many seconds on its list is too old."""
    found = {country: demanded(country, settings, known) for country in settings.destinations}
    return {country: greatest_age(one, settings) for country, one in found.items() if one is not None}


def greatest_age(one: NationalList, settings: ComplianceSettings) -> float:
    """From how many seconds on a version of a list is too old: ``compliance.clock_skew`` is taken off."""
    return (one.max_age_days or 0) * 86400.0 - settings.clock_skew


def is_current(one: NationalList, obtained: float | None, now: float, settings: ComplianceSettings) -> bool:
    """Whether a list that was obtained at a time (None: there is none) may be called by."""
    return obtained is not None and now < obtained + greatest_age(one, settings)


def remaining(ages: Mapping[str, float], obtained: Mapping[str, float], now: float) -> dict[str, float]:
    """For how many seconds each country of ``ages`` may still be called by its list; 0: nobody there is called.

    ``ages`` as in `greatest_ages`. ``obtained`` is the business time at which a list was, of the countries that have
    one.
    """
    return {country: max(0.0, obtained.get(country, -inf) + age - now) for country, age in ages.items()}
