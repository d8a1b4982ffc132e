"""Settings of the records of calls."""

from pydantic import Field

from ringback.section import Section


class LedgerSettings(Section):
    """What the record of each call says beside the call itself: see docs/operate.md."""

    seller: str = Field(
        "", max_length=200, description="on whose behalf shoppers are called; empty: outreach.shop_name"
    )
    purpose: str = Field("offer to complete an abandoned cart", max_length=200, description="why they are called")
    message: str = Field(
        "safe-harbour",
        max_length=100,
        description="the recorded message of abandoned calls: rename it when it is recorded anew, and keep the old one",
    )
    do_not_call: str = Field(
        "", max_length=100, description="version of the national do-not-call list in use, such as 2026-11-01"
    )
