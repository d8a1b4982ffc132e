"""Settings of what a due cart must be worth, and of who is contacted at all.

Shares and factors are decimals, so that what they are multiplied with stays exact. Amounts are minor units of the
currency that they stand beside (cents).
"""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from ringback.section import Minor, PositiveSeconds, Seconds, Section

Share = Annotated[Decimal, Field(ge=0, le=1)]
Factor = Annotated[Decimal, Field(ge=0)]
Rate = Annotated[Decimal, Field(gt=0)]
# Those of `scoring.industry`.
Industry = Annotated[str, Field(pattern="^(electronics|home_improvement|beauty_wellness|dtc_lifestyle|other)$")]


class LiftSettings(Section):
    """By how much a contact raises the odds of an order, where no uplift model knows better: 0.5 is by half.

    The numbers are assumptions: a holdout and `ringback uplift` replace them. (What vendors publish are orders after a
    contact, most of which would have come anyway.) See `stream.worth.prior`.
    """

    voice: Factor = Field(Decimal("0.5"), description="of a shopper who answers")
    sms: Factor = Field(Decimal("0.05"), description="of a shopper who is written to")
    chat: Factor = Field(Decimal("0.05"), description="of a shopper who is written to")


class AnswerSettings(Section):
    """How probable it is that somebody answers: rate x factor of the hour x factor of the attempt, at most 1.

    The rate is an assumption (published ones go from a tenth to a half); your own calls say better, in
    ringback_calls_total. That evenings beat daytime, and a repeated call is less likely to be answered, is the common
    finding of survey research (Weeks, Kulka and Pierson 1987, Public Opinion Quarterly 51; Kulka and Weeks 1988,
    Journal of Official Statistics 4). The hours' ends are those of a count of 2.2 million calls to people at home
    (CallHub, United States, 2020): 17.6 % from 8 to 9, 23.4 % from 18 to 19; what lies between is interpolated, and
    by how much a second attempt falls behind the first is assumed.
    """

    rate: Rate = Field(Decimal("0.25"), le=1, description="share of calls that are answered by a person")
    by_hour: tuple[Factor, ...] = Field(
        tuple(Decimal(factor) for factor in ["0.85"] * 9 + ["0.9", "0.95", "1", "1", "1", "1", "1", "1.05", "1.1"])
        + tuple(Decimal(factor) for factor in ["1.13", "1.1", "1", "0.85", "0.85", "0.85"]),
        min_length=24,
        max_length=24,
        description="by hour of the shopper's day, the first is that after midnight",
    )
    by_attempt: tuple[Factor, ...] = Field(
        (Decimal(1), Decimal("0.8"), Decimal("0.65")),
        min_length=1,
        description="by attempt; the last holds for all that follow",
    )


class HandlingSettings(Section):
    """For how long a call keeps an agent."""

    connected: PositiveSeconds = Field(180.0, description="seconds of an answered call, with ringing and wrap-up")
    unanswered: PositiveSeconds = Field(20.0, description="seconds that a call which nobody answers holds an agent")

    @model_validator(mode="after")
    def _talking_takes_longer(self) -> "HandlingSettings":
        if self.unanswered > self.connected:
            raise ValueError(
                f"unanswered = {self.unanswered:g} is longer than connected = {self.connected:g}: "
                "a call that nobody answers can't take longer than one with a conversation"
            )
        return self


class CostSettings(Section):
    """What one contact costs besides the agent's time, minor units per currency."""

    voice: dict[str, Minor] = Field({"USD": 3, "EUR": 5, "GBP": 4, "CAD": 4}, description="one call, answered or not")
    sms: dict[str, Minor] = Field({"USD": 2, "EUR": 8, "GBP": 5, "CAD": 3}, description="one message")
    chat: dict[str, Minor] = Field({"USD": 2, "EUR": 6, "GBP": 5, "CAD": 3}, description="one message")


class DecideSettings(Section):
    """What a due cart must be worth, and who is left in peace whatever it is worth.

    Worth = expected incremental margin: see `stream.worth`.
    """

    voice_from: Literal["auto"] | dict[str, Minor] = Field(
        {"USD": 60, "EUR": 55, "GBP": 48, "CAD": 82},
        description="minor units per agent-minute, by currency: at least what the minute costs; "
        "or auto: what fills the free agent-minutes of the next hour",
    )
    voice_fallback: dict[str, Minor] = Field(
        {"USD": 60, "EUR": 55, "GBP": 48, "CAD": 82},
        description="instead of auto while no price is known: too few carts yet, no dialer, a replay",
    )
    message_from: dict[str, Minor] = Field(
        {"USD": 5, "EUR": 5, "GBP": 4, "CAD": 7},
        description="minor units that a message must be worth, its cost taken off",
    )
    margin: Share = Field(Decimal("0.3"), description="share of a basket's value that is margin")
    margins: dict[Industry, Share] = Field({}, description="the same for baskets of an industry")
    lift: LiftSettings = LiftSettings()
    answer: AnswerSettings = AnswerSettings()
    handling: HandlingSettings = HandlingSettings()
    cost: CostSettings = CostSettings()
    exchange: dict[str, Rate] = Field(
        {"USD": Decimal(1), "EUR": Decimal("1.09"), "GBP": Decimal("1.25"), "CAD": Decimal("0.73")},
        description="what a unit of each currency is worth in a common one; only ranks calls, so rough is enough",
    )
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

    @property
    def voice_fixed(self) -> dict[str, int]:
        """The thresholds of calls that depend on nothing but the settings."""
        return self.voice_fallback if self.voice_from == "auto" else self.voice_from

    @model_validator(mode="after")
    def _every_currency_is_complete(self) -> "DecideSettings":
        used = sorted(self.voice_fixed.keys() & self.message_from.keys())
        needed = {f"cost.{name}": getattr(self.cost, name) for name in ("voice", "sms", "chat")}
        if len(used) > 1:
            # One floor calls all of them: which call is the better one needs a common measure.
            needed["exchange"] = self.exchange
        for key, table in needed.items():
            for currency in used:
                if currency not in table:
                    raise ValueError(
                        f"{key} has no {currency}, which has thresholds: add it, such as {key}.{currency}=1"
                    )
        return self
