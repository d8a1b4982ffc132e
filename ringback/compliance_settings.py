"""Settings of the rules that may forbid a call."""

from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from ringback.calling_hours import DEFAULT_HOURS, Hours
from ringback.section import Section

Country = Annotated[str, Field(pattern="^[A-Z]{2}$")]
Jurisdiction = Annotated[str, Field(pattern="^[A-Z]{2}(-[A-Z]{2})?$")]

Amount = Annotated[Decimal, Field(ge=0, le=1_000_000_000)]


class ComplianceSettings(Section):
    """Rules that may forbid a call, beside those of the law (docs/compliance.md): they can only be stricter.

    But for ``scrubbed_elsewhere``, which leaves to others what the law asks for.
    """

    destinations: tuple[Country, ...] = Field(
        ("US", "CA", "GB", "FR", "DE"), description="ISO countries whose people may be called; empty: nobody"
    )
    hours: dict[str, Hours] = Field(
        DEFAULT_HOURS, description="by ISO country, within the law's; a country that is missing is never called"
    )
    closed_days: dict[Jurisdiction, tuple[date, ...]] = Field(
        {}, description="by country or state (US-LA): days without calls beside the law's, such as an emergency's"
    )
    scrubbed_elsewhere: tuple[Country, ...] = Field(
        (),
        description="countries whose national do-not-call list is heeded before leads come here: none need be loaded",
    )
    clock_skew: float = Field(
        5.0, ge=0, le=600, description="seconds by which clocks may be wrong: no call so near to the end of any rule"
    )
    max_attempts_per_day: int = Field(3, ge=1, description="calls to one person or number in 24 hours")
    max_attempts_per_week: int = Field(6, ge=1, description="calls to one person or number in 7 days")
    max_attempts_per_month: int = Field(10, ge=1, description="calls to one person or number in 30 days")
    max_attempts_per_lead: int = Field(2, ge=1, description="calls about one cart")
    max_calls_per_hour: int = Field(0, ge=0, description="calls of the campaign in any hour; 0: no limit")
    max_spend_per_day: Amount = Field(
        Decimal(0),
        description="what the campaign's calls may cost in any 24 hours, in the currency of the prices; 0: no limit",
    )
    price_per_call: Amount = Field(Decimal(0), description="what the carrier takes for each call that is placed")
    price_per_minute: Amount = Field(
        Decimal(0), description="what the carrier takes for each minute of talk that was begun"
    )
