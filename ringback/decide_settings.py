"""Settings of what a due cart must be worth, and of who is contacted at all."""

from pydantic import Field, SecretStr

from ringback.section import Minor, PositiveSeconds, Seconds, Section


class DecideSettings(Section):
    """What a due cart must be worth. Amounts are expected values (score x cart value) in minor units, per currency."""

    voice_from: dict[str, Minor] = Field({"USD": 2500, "EUR": 2300, "GBP": 2000, "CAD": 3400})
    message_from: dict[str, Minor] = Field({"USD": 600, "EUR": 550, "GBP": 480, "CAD": 820})
    holdout: float = Field(
        0.1, ge=0, le=0.5, description="share of shoppers who are never contacted, to measure the lift"
    )
    holdout_salt: SecretStr = Field(SecretStr("ringback"), description="draws the holdout; changing it draws anew")
    max_age: PositiveSeconds = Field(
        4 * 3600.0, description="seconds after the last activity until a contact comes too late"
    )
    contact_gap: Seconds = Field(24 * 3600.0, description="seconds after a contact in which no other one is made")
    attribution_window: PositiveSeconds = Field(
        72 * 3600.0, description="an order this long after a contact counts for it"
    )
