"""What a due cart is worth, and where it goes. Pure: event time in, decision out, no clock.

Expected value = score x cart value, minor units. The first rule that applies decides, and is the decision's reason.
"""

import hmac
from dataclasses import dataclass
from hashlib import blake2b, sha256
from math import isnan
from typing import Literal

from dialer.compliance.consent import consents
from dialer.compliance.destination import fault
from dialer.compliance.hours import next_window
from ringback.cart import Cart
from ringback.decisions import Decision, Lead, Message, Reason, Route
from ringback.privacy import phone_ref
from ringback.records import Channel, Shopper
from ringback.settings import Settings
from stream.carts import ShopperState

NOBODY = Shopper()
HOLDOUT_SLOTS = 10_000


@dataclass(frozen=True, slots=True)
class Scored:
    """A cart's features and score at a moment, and the model that gave it."""

    features: tuple[float, ...]
    score: float
    model_version: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a cart would go, why, and from when until when (business time) the shopper may be contacted."""

    route: Route
    reason: Reason
    window: tuple[float, float] = (0.0, 0.0)


def decide(
    shopper_id: str, state: ShopperState, cart: Cart, due: float, scored: Scored, settings: Settings
) -> tuple[Decision, Verdict]:
    """Decide on a shopper's cart that became due at ``due``."""
    expected_value = round(scored.score * cart.value)
    verdict = route(state, cart, due, expected_value, settings)
    arm: Literal["treated", "holdout", "ineligible"] = "ineligible"
    if verdict.route is not Route.NONE:
        arm = "treated"
        if in_holdout(shopper_id, settings):
            arm, verdict = "holdout", Verdict(Route.HOLDOUT, Reason.HOLDOUT)
    decision = Decision(
        decision_id=decision_id(shopper_id, cart),
        shopper_id=shopper_id,
        cart_id=cart.cart_id,
        time=due,
        last_activity=cart.last_activity,
        value=cart.value,
        currency=cart.currency or "",
        items=cart.lines,
        features=tuple(None if isnan(number) else number for number in scored.features),
        score=scored.score,
        expected_value=expected_value,
        route=verdict.route,
        reason=verdict.reason,
        arm=arm,
        model_version=scored.model_version,
        replay=state.replay,
    )
    return decision, verdict


def route(state: ShopperState, cart: Cart, due: float, expected_value: int, settings: Settings) -> Verdict:
    """The route of a cart before the holdout is drawn.

    A call that consent, hours or a missing number forbid becomes a message where that is allowed; the reason names
    what forbade the call when nothing is left.
    """
    rules = settings.decide
    if cart.currency not in rules.voice_from or cart.currency not in rules.message_from:
        return Verdict(Route.NONE, Reason.NO_THRESHOLD)
    if expected_value < rules.message_from[cart.currency]:
        return Verdict(Route.NONE, Reason.LOW_VALUE)
    if state.opted_out:
        return Verdict(Route.NONE, Reason.OPTED_OUT)
    if state.reached is not None and due - state.reached.time < rules.contact_gap:
        return Verdict(Route.NONE, Reason.RECENTLY_CONTACTED)
    shopper = state.shopper or NOBODY
    if shopper.phone is None:
        return Verdict(Route.NONE, Reason.NO_PHONE)
    hours = settings.compliance.hours
    if shopper.country is None or shopper.country not in hours:
        return Verdict(Route.NONE, Reason.UNKNOWN_REGION)
    if fault(shopper.phone, shopper.country, hours):
        return Verdict(Route.NONE, Reason.NUMBER_NOT_ALLOWED)
    high = expected_value >= rules.voice_from[cart.currency]
    wanted = [Channel.VOICE, Channel.SMS, Channel.CHAT] if high else [Channel.SMS, Channel.CHAT]
    agreed = [channel for channel in wanted if consents(shopper.consent, channel)]
    if not agreed:
        return Verdict(Route.NONE, Reason.NO_CONSENT)
    latest = cart.last_activity + rules.max_age
    window = next_window(shopper.country, shopper.timezone, due, latest, hours)
    if window is None:
        return Verdict(Route.NONE, Reason.OUTSIDE_HOURS)
    is_call = agreed[0] is Channel.VOICE
    return Verdict(Route(agreed[0].value), Reason.HIGH_VALUE if is_call else Reason.MID_VALUE, window)


def in_holdout(shopper_id: str, settings: Settings) -> bool:
    """Whether a shopper belongs to those who are never contacted: for ever the same answer for the same salt."""
    salt = settings.decide.holdout_salt.get_secret_value().encode()
    draw = int.from_bytes(hmac.new(salt, shopper_id.encode(), sha256).digest()[:8], "big")
    return draw % HOLDOUT_SLOTS < settings.decide.holdout * HOLDOUT_SLOTS


def decision_id(shopper_id: str, cart: Cart) -> str:
    """The id of the decision on one abandonment of one cart; 32 hex digits."""
    abandonment = f"{shopper_id}\0{cart.cart_id}\0{cart.last_activity:.6f}"
    return blake2b(abandonment.encode(), digest_size=16).hexdigest()


def lead(decision: Decision, verdict: Verdict, shopper: Shopper, settings: Settings) -> Lead:
    """The lead that a decision for a call asks for; there is no such decision on a shopper without phone or country."""
    phone, country = _reachable(shopper)
    return Lead(
        lead_id=decision.decision_id,
        shopper_id=decision.shopper_id,
        cart_id=decision.cart_id,
        phone=phone,
        phone_ref=phone_ref(phone, settings.privacy.phone_key.get_secret_value()),
        name=shopper.name,
        country=country,
        value=decision.value,
        currency=decision.currency,
        items=decision.items,
        score=decision.score,
        priority=decision.expected_value,
        last_activity=decision.last_activity,
        callable_from=verdict.window[0],
        callable_until=verdict.window[1],
        replay=decision.replay,
        decided_wall=decision.decided_wall,
    )


def message(decision: Decision, verdict: Verdict, shopper: Shopper, settings: Settings) -> Message:
    """The message that a decision for SMS or chat asks for."""
    phone, country = _reachable(shopper)
    return Message(
        message_id=decision.decision_id,
        shopper_id=decision.shopper_id,
        cart_id=decision.cart_id,
        channel=Channel(decision.route.value),
        phone=phone,
        phone_ref=phone_ref(phone, settings.privacy.phone_key.get_secret_value()),
        name=shopper.name,
        country=country,
        value=decision.value,
        currency=decision.currency,
        items=decision.items,
        last_activity=decision.last_activity,
        send_from=verdict.window[0],
        send_until=verdict.window[1],
        time=decision.time,
        replay=decision.replay,
    )


def _reachable(shopper: Shopper) -> tuple[str, str]:
    if shopper.phone is None or shopper.country is None:
        raise ValueError("a shopper without phone or country got a route; stream.decide.route must not give one")
    return shopper.phone, shopper.country
