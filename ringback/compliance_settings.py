"""Settings of the rules that may forbid a call."""

from pydantic import Field

from ringback.calling_hours import DEFAULT_HOURS, Hours
from ringback.section import PositiveSeconds, Section


class ComplianceSettings(Section):
    """Rules that may forbid a call."""

    hours: dict[str, Hours] = Field(
        DEFAULT_HOURS, description="by ISO country; a country that is missing is never called"
    )
    max_attempts_per_day: int = Field(3, ge=1, description="calls to one number in 24 hours")
    max_attempts_per_lead: int = Field(2, ge=1, description="calls about one cart")
    retry_after: PositiveSeconds = Field(1800.0, description="seconds until a busy or unanswered number is tried again")
