"""Decisions and contacts for the tests of scoring."""

from collections.abc import Sequence
from math import isnan
from typing import Literal

from ringback.decisions import Decision, Reason, Route
from ringback.records import Channel, ContactEvent, ContactKind
from scoring.features import feature_hash as present


def decision(
    shopper_id: str,
    time: float,
    features: Sequence[float],
    *,
    arm: Literal["treated", "holdout", "ineligible"] = "treated",
    feature_hash: str | None = None,
    replay: bool = False,
) -> Decision:
    """A decision on a cart that became due at ``time``."""
    routes = {"treated": Route.VOICE, "holdout": Route.HOLDOUT, "ineligible": Route.NONE}
    return Decision(
        decision_id=f"{shopper_id}-{time:.0f}",
        shopper_id=shopper_id,
        cart_id="1",
        time=time,
        last_activity=time - 1800,
        value=5000,
        currency="USD",
        items=(),
        features=tuple(None if isnan(number) else float(number) for number in features),
        score=0.25,
        expected_value=1250,
        route=routes[arm],
        reason=Reason.HOLDOUT if arm == "holdout" else Reason.HIGH_VALUE,
        arm=arm,
        model_version="test",
        replay=replay,
        feature_hash=present() if feature_hash is None else feature_hash,
    )


def contact(shopper_id: str, kind: ContactKind, time: float, lead_id: str = "1") -> ContactEvent:
    """A step of a call."""
    return ContactEvent(
        contact_id=f"{shopper_id}-{time:.0f}",
        lead_id=lead_id,
        shopper_id=shopper_id,
        cart_id="1",
        channel=Channel.VOICE,
        kind=kind,
        time=time,
        agent="Grace",
    )
