"""When people of a country may be called, within what the law allows there (`dialer.compliance`)."""

from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from ringback.section import Section


class Hours(Section):
    """When people of one country may be called: local time of day, seconds since midnight UTC offset excluded."""

    open: str = Field("09:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    close: str = Field("20:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")
    days: tuple[Literal[0, 1, 2, 3, 4, 5, 6], ...] = Field((0, 1, 2, 3, 4, 5), description="0 is Monday")
    timezones: tuple[str, ...] = Field(
        (), description="of the country; the window must be open in all unless the shopper's is known"
    )

    @field_validator("timezones")
    @classmethod
    def _known_zones(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            try:
                ZoneInfo(name)
            except (KeyError, ValueError, OSError):
                raise ValueError(f"{name!r} is not an IANA time zone such as 'Europe/Paris'") from None
        return names


# Within the law's, which docs/compliance.md lists, and the hours that most shops would choose.
DEFAULT_HOURS: dict[str, Hours] = {
    "US": Hours(
        open="09:00",
        close="20:00",
        timezones=("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"),
    ),
    "CA": Hours(
        open="10:00",
        close="18:00",
        timezones=(
            "America/St_Johns",
            "America/Halifax",
            "America/Toronto",
            "America/Winnipeg",
            "America/Edmonton",
            "America/Vancouver",
        ),
    ),
    "GB": Hours(open="09:00", close="20:00", timezones=("Europe/London",)),
    "FR": Hours(open="14:00", close="20:00", days=(0, 1, 2, 3, 4), timezones=("Europe/Paris",)),
    "DE": Hours(open="09:00", close="20:00", timezones=("Europe/Berlin",)),
    "ES": Hours(open="10:00", close="20:00", days=(0, 1, 2, 3, 4), timezones=("Europe/Madrid", "Atlantic/Canary")),
    "IT": Hours(open="10:00", close="19:00", timezones=("Europe/Rome",)),
    "NL": Hours(open="10:00", close="20:00", days=(0, 1, 2, 3, 4), timezones=("Europe/Amsterdam",)),
}
