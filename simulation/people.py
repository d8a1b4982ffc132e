"""Fictional people: a stable name, number, country and consent for any shopper id.

Numbers come only from ranges that regulators keep for fiction, so nobody can ever be reached by them. There are few,
so several people share a number, and the rules that count calls by number see them as one.
The mobile ranges for fiction are left out: libphonenumber does not take them for valid numbers.
"""

from dataclasses import dataclass
from hashlib import blake2b

import msgspec

from ringback.records import Consent, Shopper

NO_PHONE_PERCENT = 3


@dataclass(frozen=True, slots=True)
class Range:
    """``count`` consecutive numbers in E.164 from ``first`` on, and where they ring."""

    first: str
    count: int
    timezone: str

    def number(self, place: int) -> str:
        """The number at a place, counted from 0 and taken modulo the range."""
        return f"+{int(self.first) + place % self.count}"

    def __contains__(self, phone: str) -> bool:
        return phone[1:].isdecimal() and phone[0] == "+" and 0 <= int(phone) - int(self.first) < self.count


def _nanp(timezone: str, *area_codes: int) -> tuple[Range, ...]:
    """555-0100 to 555-0199 of an area code, kept for fiction by the North American Numbering Plan."""
    return tuple(Range(f"+1{area}5550100", 100, timezone) for area in area_codes)


RANGES: dict[str, tuple[Range, ...]] = {
    "US": (
        *_nanp("America/New_York", 212, 305, 404, 617, 202, 215),
        *_nanp("America/Chicago", 312, 214, 713, 612),
        *_nanp("America/Denver", 303, 801),
        *_nanp("America/Phoenix", 602),
        *_nanp("America/Los_Angeles", 213, 415, 206, 503),
    ),
    "CA": (
        *_nanp("America/Toronto", 416, 514, 613),
        *_nanp("America/Winnipeg", 204),
        *_nanp("America/Edmonton", 403),
        *_nanp("America/Vancouver", 604),
        *_nanp("America/Halifax", 902),
    ),
    # Ofcom, "Telephone numbers for use in TV and radio drama programmes".
    "GB": (
        Range("+442079460000", 1000, "Europe/London"),
        Range("+441214960000", 1000, "Europe/London"),
        Range("+441614960000", 1000, "Europe/London"),
        Range("+441314960000", 1000, "Europe/London"),
    ),
    # Arcep, decision 2018-0881: numbers for audiovisual works.
    "FR": (
        Range("+33199000000", 10_000, "Europe/Paris"),
        Range("+33261910000", 10_000, "Europe/Paris"),
        Range("+33353010000", 10_000, "Europe/Paris"),
        Range("+33465710000", 10_000, "Europe/Paris"),
        Range("+33536490000", 10_000, "Europe/Paris"),
    ),
    # Bundesnetzagentur, "Rufnummern für Medienproduktionen" (drama numbers).
    "DE": (
        Range("+493023125000", 1000, "Europe/Berlin"),
        Range("+496990009000", 1000, "Europe/Berlin"),
        Range("+494066969000", 1000, "Europe/Berlin"),
        Range("+492214710000", 1000, "Europe/Berlin"),
        Range("+498999998000", 1000, "Europe/Berlin"),
    ),
}

COUNTRY_PERCENT = {"US": 70, "GB": 10, "CA": 8, "FR": 6, "DE": 6}

EVIDENCE = "simulated checkout"

# Percent that said yes, and that said no; the rest was never asked.
CONSENT_PERCENT = {"voice": (70, 14), "sms": (58, 20), "chat": (40, 15)}

_ENGLISH_FIRST = (
    "Ada Alice Amir Amy Ben Carla Chloe Dan Diego Ella Eva Femi Grace Hana Hugo Ian Isla Jack Jada Jonas Kira Leo Lena "
    "Liam Lucy Malik Maya Mia Nina Noah Olga Omar Owen Priya Quinn Rosa Ruth Sam Sofia Tara Theo Uma Vera Wes Yara Zoe"
)
_ENGLISH_LAST = (
    "Adams Alvarez Baker Bell Brooks Carter Chen Cole Cruz Davis Diaz Evans Fisher Ford Garcia Grant Gray Hall Hayes "
    "Hughes James Jones Kelly Khan Kim Lee Lewis Lopez Mason Miller Moore Morris Nguyen Okafor Owens Park Patel Perez "
    "Price Reed Reyes Rivera Ross Scott Shah Singh Smith Stone Taylor Turner Vance Walsh Ward Webb West Wood Young"
)
_FRENCH_FIRST = (
    "Alice Anaïs Camille Chloé Élise Emma Gabriel Hugo Inès Jules Julie Léa Louis Lucas Manon Nadia Paul Yanis Zoé"
)
_FRENCH_LAST = (
    "Bernard Blanc Bonnet Chevalier Dubois Dupont Durand Fontaine Garnier Lambert Leroy Martin Mercier Morel Roussel"
)
_GERMAN_FIRST = (
    "Anna Ben Clara Deniz Emil Felix Finn Greta Hannah Ida Jonas Jule Lara Leon Lina Max Mia Paula Selin Theo"
)
_GERMAN_LAST = (
    "Becker Braun Fischer Hoffmann Keller König Krüger Lang Maier Neumann Peters Richter Schäfer Vogel Wagner Yilmaz"
)
_ENGLISH = (_ENGLISH_FIRST.split(), _ENGLISH_LAST.split())
NAMES: dict[str, tuple[list[str], list[str]]] = {
    "US": _ENGLISH,
    "CA": _ENGLISH,
    "GB": _ENGLISH,
    "FR": (_FRENCH_FIRST.split(), _FRENCH_LAST.split()),
    "DE": (_GERMAN_FIRST.split(), _GERMAN_LAST.split()),
}


def person(shopper_id: str, seed: int = 0) -> Shopper:
    """The person behind a shopper id: the same for the same id and seed, on any machine.

    A few left no phone number, and each channel's consent may be yes, no or unknown.
    """
    dice = _Dice(shopper_id, seed)
    country = dice.weighted(COUNTRY_PERCENT)
    home = RANGES[country][dice.below(len(RANGES[country]))]
    name = " ".join(names[dice.below(len(names))] for names in NAMES[country])
    phone = home.number(dice.below(home.count))
    reachable = dice.below(100) >= NO_PHONE_PERCENT
    return Shopper(
        name=name,
        phone=phone if reachable else None,
        country=country,
        timezone=home.timezone,
        consent=msgspec.convert(
            {channel: _consent(shares, dice) for channel, shares in CONSENT_PERCENT.items()} | {"evidence": EVIDENCE},
            Consent,
        ),
    )


def is_fictional(phone: str) -> bool:
    """Whether an E.164 number lies in one of the ranges kept for fiction."""
    return bool(phone) and any(phone in numbers for ranges in RANGES.values() for numbers in ranges)


class _Dice:
    """Throws that depend on nothing but the shopper id and the seed."""

    def __init__(self, shopper_id: str, seed: int) -> None:
        self._rest = int.from_bytes(blake2b(f"{seed}\0{shopper_id}".encode(), digest_size=32).digest())

    def below(self, sides: int) -> int:
        self._rest, thrown = divmod(self._rest, sides)
        return thrown

    def weighted(self, percents: dict[str, int]) -> str:
        thrown = self.below(100)
        for choice, percent in percents.items():
            thrown -= percent
            if thrown < 0:
                return choice
        raise ValueError(f"percents sum to less than 100: {percents}")


def _consent(shares: tuple[int, int], dice: _Dice) -> bool | None:
    yes, no = shares
    thrown = dice.below(100)
    if thrown < yes:
        return True
    return False if thrown < yes + no else None
