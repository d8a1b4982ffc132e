"""Where a shopper is, by the codes of an address and the zone of a clock or a network. Pure.

What is no such code is None: where somebody is may stay unknown, and is then taken at its strictest, but no event is
lost for it.
"""

from collections.abc import Iterable

from ringback.validation import is_region, is_zone


def alpha2(given: str | None) -> str | None:
    """A country's code, ISO 3166-1 alpha-2, in capitals."""
    # ASCII first: in capitals, ß is SS.
    return given.upper() if given and len(given) == 2 and given.isascii() and given.isalpha() else None


def subdivision(country: str | None, state: str | None) -> str | None:
    """The ISO 3166-2 code of a state in a country (alpha-2; None: in any): ``US-FL`` for ``FL`` or ``US-FL``.

    A state's name is no code, nor is a platform's own such as WooCommerce's ``JP13``.
    """
    if not state or not state.isascii():
        return None
    code = state.strip().upper()
    whole = code if "-" in code else f"{country or ''}-{code}"
    return whole if is_region(whole, country) else None


def region_of(country: str | None, addresses: Iterable[tuple[str | None, str | None]]) -> str | None:
    """What `subdivision` gives for the first of some addresses (country, state) in the shopper's country."""
    found = (subdivision(at, state) for at, state in addresses if at == country)
    return next((code for code in found if code), None)


def zone(given: str | None) -> str | None:
    """The IANA name of a time zone."""
    return given if given and is_zone(given) else None
