"""All rules that hold, made once from the settings and the book: what `dialer.compliance.check` judges by."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from dialer.compliance.attempts import Cap, caps
from dialer.compliance.book import Book, book
from dialer.compliance.hours import Calendar, Opening, openings, own_closed_days, own_hours
from dialer.compliance.places import Place, place_of
from ringback.compliance_settings import ComplianceSettings
from ringback.settings import Settings

_REMEMBERED = 4
_CALENDARS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """The settings, the book, and what is made of them; `rules_of` makes it of settings.

    ``any_hour`` (`simulation.any_hour`) leaves out the law's hours, not those of the settings. ``cart_age`` is how old
    a cart may be.
    """

    settings: ComplianceSettings
    book: Book
    cart_age: float
    simulated: bool = False
    any_hour: bool = False
    _calendars: "OrderedDict[Place, Calendar]" = field(default_factory=OrderedDict)

    @property
    def allowed(self) -> frozenset[str]:
        """Countries that may be called: on the allow-list, with hours in the settings, and with a file of rules."""
        return frozenset(self.settings.destinations) & self.settings.hours.keys() & self.book.jurisdictions.keys()

    def place(
        self,
        phone: str,
        country: str,
        timezone: str | None = None,
        region: str | None = None,
        ip_timezone: str | None = None,
    ) -> Place:
        """Where somebody may be: see `dialer.compliance.places.place_of`."""
        jurisdiction, own = self.book.jurisdictions.get(country), self.settings.hours.get(country)
        elsewhere = (*(jurisdiction.zones if jurisdiction else ()), *(own.timezones if own else ()))
        return place_of(phone, country, timezone, region, ip_timezone, elsewhere=elsewhere)

    def calendar(self, place: Place) -> Calendar:
        """When calls to a place may be made."""
        found = self._calendars.get(place)
        if found is None:
            found = Calendar(list(self._openings(place.codes)), place.zones, self.settings.clock_skew)
            if len(self._calendars) >= _CALENDARS:
                self._calendars.popitem(last=False)
            self._calendars[place] = found
        return found

    def too_late(self, last_activity: float) -> float:
        """From when on a call about a cart comes too late."""
        return last_activity + self.cart_age - self.settings.clock_skew

    def caps(self, codes: Iterable[str], now: float) -> list[Cap]:
        """How often one may be called there: see `dialer.compliance.attempts.caps`."""
        return caps(codes, self.settings, now, self.book)

    def _openings(self, codes: Iterable[str]) -> Iterable[Opening]:
        for code in codes:
            if code in self.settings.hours:
                yield own_hours(f"compliance.hours.{code}", self.settings.hours[code])
            if code in self.settings.closed_days:
                yield own_closed_days(f"compliance.closed_days.{code}", self.settings.closed_days[code])
        if not self.any_hour:
            for jurisdiction in self.book.of(codes):
                yield from openings(jurisdiction)


_made: "OrderedDict[int, tuple[Settings, Rules]]" = OrderedDict()


def rules_of(settings: Settings) -> Rules:
    """The rules of some settings: the same object for the same settings. Raises `SettingsError` for a broken book."""
    # Settings are frozen but not hashable; holding them keeps their id from being given to others.
    found = _made.get(id(settings))
    if found is None:
        simulation = settings.simulation
        rules = Rules(
            settings.compliance,
            book(),
            cart_age=settings.decide.max_age,
            simulated=simulation.enabled,
            any_hour=simulation.any_hour,
        )
        found = _made[id(settings)] = settings, rules
        if len(_made) > _REMEMBERED:
            _made.popitem(last=False)
    return found[1]
