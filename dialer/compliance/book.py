"""The rules of law as data: one TOML file a jurisdiction in ``data/``, read and checked once.

Each rule has an id, the day from which (and until which) it is in force, and its source. ``verified = false`` marks
what neither the text itself nor two publications that agree have confirmed; of several readings the strictest is in the
file. ``Book.version`` goes into every trace.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from dialer.compliance.days import WEEKDAYS, Observed, days_of
from ringback.errors import SettingsError
from ringback.records import Outcome

SHIPPED = Path(__file__).with_name("data")
EVERYWHERE = "everywhere"
# What a shopper answered or an agent reported, beside the outcomes of calls.
REFUSED = "refused"
_OTHER_FILES = frozenset({"area_codes", "special_numbers"})
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d"
_SPAN = re.compile(rf"({_CLOCK})-({_CLOCK}|24:00)")
_DAYS = re.compile(rf"({'|'.join(WEEKDAYS)})(?:-({'|'.join(WEEKDAYS)}))?")
EVE = "eve"

# Minutes of a local day: opens <= minute < closes.
Span = tuple[int, int]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, eq=False):
    """What all rules have. ``until`` is the last day on which it holds; a rule of our own has no first one."""

    id: str
    source: str
    since: date = date.min
    until: date | None = None
    verified: bool = True

    def in_force(self, day: date) -> bool:
        """Whether it holds on a local day."""
        return self.since <= day and (self.until is None or day <= self.until)

    def in_force_somewhere(self, moment: float) -> bool:
        """Whether it is a day on which it holds anywhere on earth."""
        first, last = (datetime.fromtimestamp(moment + hours * 3600, UTC).date() for hours in (-12, 14))
        return self.since <= last and (self.until is None or first <= self.until)


class Stated(Rule, frozen=True, kw_only=True, eq=False):
    """A rule without numbers, which `dialer.compliance.check` has by its id."""

    text: str


class NationalList(Rule, frozen=True, kw_only=True, eq=False):
    """A list of numbers that must not be called. ``max_age_days``: nobody is called by an older version, or by none."""

    name: str
    max_age_days: Annotated[int, msgspec.Meta(ge=1, le=366)] | None = None


class HoursRule(Rule, frozen=True, kw_only=True, eq=False):
    """When calls may be made, by local weekdays (``mon-fri``); a weekday that is missing is closed.

    ``on`` restricts the rule to some days; ``eve`` among them is any day before a closed one.
    """

    open: dict[str, tuple[str, ...]]
    on: tuple[str, ...] = ()


class ClosedDays(Rule, frozen=True, kw_only=True, eq=False):
    """Days without calls, as `dialer.compliance.days` names them."""

    days: tuple[str, ...]
    observed: Observed | None = None


class CapRule(Rule, frozen=True, kw_only=True, eq=False):
    """At most so many calls to one person, and to one number, within so many days."""

    calls: Annotated[int, msgspec.Meta(ge=1)]
    days: Annotated[float, msgspec.Meta(gt=0, le=90)]

    @property
    def seconds(self) -> float:
        """The window in seconds."""
        return self.days * 86400.0


class SpacingRule(Rule, frozen=True, kw_only=True, eq=False):
    """No call to a person, and to a number, for so long after a call that ended so, or after a refusal."""

    after: str
    hours: Positive

    @property
    def seconds(self) -> float:
        """The same in seconds."""
        return self.hours * 3600.0


class Jurisdiction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, eq=False):
    """The rules of one country or state.

    ``zones`` are where people of the country may be when nothing else is known. ``consent`` are the sources of the rule
    that holds everywhere.
    """

    code: str
    name: str
    reviewed: date
    zones: tuple[str, ...] = ()
    stated: tuple[Stated, ...] = ()
    consent: tuple[Rule, ...] = ()
    national_list: tuple[NationalList, ...] = ()
    hours: tuple[HoursRule, ...] = ()
    closed: tuple[ClosedDays, ...] = ()
    cap: tuple[CapRule, ...] = ()
    spacing: tuple[SpacingRule, ...] = ()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All of them."""
        return (*self.stated, *self.consent, *self.national_list, *self.hours, *self.closed, *self.cap, *self.spacing)


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """All jurisdictions by their code (ISO 3166: ``US``, ``US-FL``), and which edition of the data they are of."""

    version: str
    jurisdictions: Mapping[str, Jurisdiction]

    def of(self, codes: Iterable[str]) -> list[Jurisdiction]:
        """Those of some places that have rules of their own, after those that hold everywhere."""
        return [self.jurisdictions[code] for code in dict.fromkeys((EVERYWHERE, *codes)) if code in self.jurisdictions]

    def stated(self, rule_id: str) -> Stated:
        """The rule that holds everywhere under an id. Raises KeyError."""
        return next(rule for rule in self.jurisdictions[EVERYWHERE].stated if rule.id == rule_id)


@cache
def book() -> Book:
    """The rules that ship with Ringback."""
    return load(SHIPPED)


def load(folder: Path) -> Book:
    """Read and check a folder of rules. Raises `SettingsError`, which names the file and what is wrong in it."""
    files = sorted(folder.glob("*.toml"))
    found = [jurisdiction(file) for file in files if file.stem not in _OTHER_FILES]
    if EVERYWHERE not in {one.code for one in found}:
        raise SettingsError(f"{folder}: {EVERYWHERE}.toml is missing; install ringback again")
    seen: dict[str, str] = {}
    for one in found:
        for rule in one.rules:
            if rule.id in seen:
                raise SettingsError(f"{folder}: the rule {rule.id} is in {seen[rule.id]}.toml and in {one.code}.toml")
            seen[rule.id] = one.code
    content = sha256(b"\0".join(file.name.encode() + b"\0" + file.read_bytes() for file in files)).hexdigest()
    newest = max(one.reviewed for one in found)
    return Book(f"{newest:%Y.%m.%d}+{content[:8]}", {one.code: one for one in found})


def jurisdiction(file: Path) -> Jurisdiction:
    """One file of rules. Raises `SettingsError`."""
    found = read(file, Jurisdiction)
    try:
        if found.code != file.stem:
            raise ValueError(f"code = {found.code!r} is not the file's name")  # noqa: TRY301 - all are one error here
        for zone in found.zones:
            ZoneInfo(zone)
        for rule in found.rules:
            if rule.until is not None and rule.until < rule.since:
                raise ValueError(f"{rule.id}: until is before since")  # noqa: TRY301 - as above
        for hours in found.hours:
            week(hours)
            days_of((day for day in hours.on if day != EVE), None)
        for closed in found.closed:
            days_of(closed.days, closed.observed)
        known = {outcome.value for outcome in Outcome} | {REFUSED}
        for spacing in found.spacing:
            if spacing.after not in known:
                raise ValueError(f"{spacing.id}: after = {spacing.after!r} is none of {sorted(known)}")  # noqa: TRY301 - as above
    except (KeyError, ValueError, OSError) as error:
        raise SettingsError(f"{file}: {error}") from None
    return found


T = TypeVar("T")


def read(file: Path, kind: type[T]) -> T:
    """A TOML file as a record. Raises `SettingsError`."""
    try:
        content: Any = tomllib.loads(file.read_text())
        return msgspec.convert(content, kind)
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{file}: {error}") from None


def week(rule: HoursRule) -> tuple[tuple[Span, ...], ...]:
    """The open spans of each weekday, Monday first. Raises ValueError for a weekday or a span that is none."""
    found: list[tuple[Span, ...]] = [()] * len(WEEKDAYS)
    for names, spans in rule.open.items():
        match = _DAYS.fullmatch(names)
        if not match:
            raise ValueError(f"{rule.id}: {names!r} is not 'mon' or 'mon-fri'")
        first, last = WEEKDAYS.index(match[1]), WEEKDAYS.index(match[2] or match[1])
        if first > last or any(found[first : last + 1]):
            raise ValueError(f"{rule.id}: {names!r} goes backwards, or names a day twice")
        found[first : last + 1] = [tuple(_span(rule, text) for text in spans)] * (last + 1 - first)
    return tuple(found)


def _span(rule: HoursRule, text: str) -> Span:
    match = _SPAN.fullmatch(text)
    if not match or match[1] >= match[2]:
        raise ValueError(f"{rule.id}: {text!r} is no span such as '08:00-20:00'")
    return minutes(match[1]), minutes(match[2])


def minutes(clock: str) -> int:
    """Minutes since midnight of ``HH:MM``."""
    hours, past = clock.split(":")
    return int(hours) * 60 + int(past)
