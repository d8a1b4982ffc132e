"""Sentences with placeholders for a feature's value, in words that an agent can say. Pure.

``{product}``   the product that it is about
``{times}``     once, twice, three times
``{ordinal}``   first, second, third
``{count:product|products}``  one product, three products
``{duration}``  40 minutes, three days
``{step}``      the name of a step of the checkout

`{product}` goes with any feature, the others with the units that they make sense of.
"""

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ringback.errors import SettingsError

DAY = 86400.0
_HOUR, _MINUTE = 3600.0, 60.0
_UNITS = ((30 * DAY, 2 * 30 * DAY, "month"), (DAY, 1.5 * DAY, "day"), (_HOUR, 1.5 * _HOUR, "hour"))
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_ORDINALS = (
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
)
FEATURE_UNITS = {
    "times": ("count",),
    "ordinal": ("count",),
    "count": ("count",),
    "duration": ("seconds", "days"),
    "step": ("step",),
}
_FORMS = 2


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence that was checked. ``unit`` is that of the feature whose value it tells; see `parse`."""

    parts: tuple[tuple[str, str | None, str], ...]
    unit: str

    def say(self, value: float, product: str, steps: Mapping[int, str]) -> str:
        """The sentence for a value, with a capital at its beginning."""
        said = "".join(text + self._filled(name, spec, value, product, steps) for text, name, spec in self.parts)
        return said[:1].upper() + said[1:]

    def _filled(self, name: str | None, spec: str, value: float, product: str, steps: Mapping[int, str]) -> str:
        if name is None:
            return ""
        if name == "product":
            return product
        if name == "duration":
            return duration(value * DAY if self.unit == "days" else value)
        if name == "step":
            return steps[max((step for step in steps if step <= value), default=min(steps))]
        if name == "count":
            return count(round(value), *spec.split("|"))
        say: Callable[[int], str] = times if name == "times" else ordinal
        return say(round(value))


def parse(text: str, unit: str) -> Sentence:
    """A sentence about a feature with this unit.

    Raises `SettingsError` for a placeholder that does not exist, or that does not go with the unit.
    """
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError as error:
        raise SettingsError(f"“{text}”: {error}; write {{{{ for a brace") from None
    for _, name, spec, conversion in parsed:
        if name is not None:
            _check(text, name, spec or "", conversion, unit)
    return Sentence(tuple((literal, name, spec or "") for literal, name, spec, _ in parsed), unit)


def _check(text: str, name: str, spec: str, conversion: str | None, unit: str) -> None:
    known = ["product", *(known for known, units in FEATURE_UNITS.items() if unit in units)]
    if name not in known:
        known_here = ", ".join(f"{{{one}}}" for one in known)
        raise SettingsError(f"“{text}”: there is no {{{name}}} for a feature in {unit}, only {known_here}")
    forms = [form for form in spec.split("|") if form]
    if name == "count" and len(forms) != _FORMS:
        raise SettingsError(f"“{text}”: {{count}} needs singular and plural, such as {{count:product|products}}")
    if conversion or (spec and name != "count"):
        raise SettingsError(f"“{text}”: {{{name}}} takes nothing behind its name")


def number(amount: int) -> str:
    """A whole number as it is said: in words up to twelve."""
    return _NUMBERS[amount] if 0 <= amount < len(_NUMBERS) else f"{amount:,}"


def count(amount: int, singular: str, plural: str) -> str:
    """``one product``, ``three products``."""
    return f"{number(amount)} {singular if amount == 1 else plural}"


def times(amount: int) -> str:
    """``once``, ``twice``, ``three times``."""
    return {1: "once", 2: "twice"}.get(amount) or count(amount, "time", "times")


def ordinal(place: int) -> str:
    """``first``, ``twelfth``, ``21st``."""
    if 1 <= place <= len(_ORDINALS):
        return _ORDINALS[place - 1]
    teen = place % 100 in (11, 12, 13)
    ending = "th" if teen else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place:,}{ending}"


def duration(seconds: float) -> str:
    """A span of time in its largest fitting unit: ``one minute``, ``40 minutes``, ``three days``."""
    for size, least, unit in _UNITS:
        if seconds >= least:
            return count(round(seconds / size), unit, f"{unit}s")
    return count(max(1, round(seconds / _MINUTE)), "minute", "minutes")
