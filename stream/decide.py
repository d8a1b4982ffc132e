"""Whether a shopper may be contacted about a due cart, and if so, how. Pure: event time in, decision out, no clock.

First come the rules that leave a shopper in peace, whatever the cart is worth; the first one that applies decides, and
is the decision's reason. Then what each channel is worth (`stream.worth`) is held against its threshold.
"""

import hmac
from dataclasses import dataclass, replace
from hashlib import blake2b, sha256
from math import isnan
from typing import Literal
from zoneinfo import ZoneInfo

from dialer.compliance.attempts import strictest
from dialer.compliance.check import History, Person, may_call
from dialer.compliance.consent import consents
from dialer.compliance.destination import fault
from dialer.compliance.places import Place
from dialer.compliance.rules import Rules, rules_of
from ringback.cart import Cart
from ringback.decisions import Decision, Lead, Message, Reason, Route, Worth
from ringback.privacy import phone_ref
from ringback.records import Channel, Shopper
from ringback.settings import Settings
from scoring import industry
from scoring.features import feature_hash
from stream import worth
from stream.carts import ShopperState
from stream.worth import Prospect

NOBODY = Shopper()
HOLDOUT_SLOTS = 10_000
HOUR = 3600.0
MESSAGES = (Channel.SMS, Channel.CHAT)
NOWHERE = Place((), ())


@dataclass(frozen=True, slots=True)
class Scored:
    """A cart's features and score at a moment, and the model that gave it.

    ``uplift`` is the uplift model's answer for a call, None where there is none that is proven.
    """

    features: tuple[float, ...]
    score: float
    model_version: str
    uplift: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a cart would go, why, and from when until when (business time) the shopper may be contacted.

    ``worth`` is of each channel that the shopper agreed to; ``priorities`` are the ranks of a call by attempt.
    ``place`` is where the shopper may be: whose rules hold there, and in which time zones.
    """

    route: Route
    reason: Reason
    window: tuple[float, float] = (0.0, 0.0)
    worth: tuple[Worth, ...] = ()
    priorities: tuple[int, ...] = ()
    place: Place = NOWHERE


def decide(
    shopper_id: str,
    state: ShopperState,
    cart: Cart,
    due: float,
    scored: Scored,
    settings: Settings,
    price: int | None = None,
) -> tuple[Decision, Verdict]:
    """Decide on a shopper's cart that became due at ``due``.

    ``price`` is the shadow price of the agents' time then, None where there is none: see `stream.price`. A replay is
    always judged by the fixed thresholds, so that it comes to the same decisions whenever it is played.
    """
    verdict = route(state, cart, due, scored, settings, None if state.replay else price)
    arm: Literal["treated", "holdout", "ineligible"] = "ineligible"
    if verdict.route is not Route.NONE:
        arm = "treated"
        if in_holdout(shopper_id, settings):
            arm, verdict = "holdout", Verdict(Route.HOLDOUT, Reason.HOLDOUT, worth=verdict.worth)
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
        expected_value=round(scored.score * cart.value),
        route=verdict.route,
        reason=verdict.reason,
        arm=arm,
        model_version=scored.model_version,
        feature_hash=feature_hash(),
        replay=state.replay,
        worth=verdict.worth,
    )
    return decision, verdict


def route(
    state: ShopperState, cart: Cart, due: float, scored: Scored, settings: Settings, price: int | None
) -> Verdict:
    """The route of a cart before the holdout is drawn."""
    rules = settings.decide
    currency = cart.currency
    if currency is None or currency not in rules.voice_fixed or currency not in rules.message_from:
        return Verdict(Route.NONE, Reason.NO_THRESHOLD)
    if state.opted_out:
        return Verdict(Route.NONE, Reason.OPTED_OUT)
    if state.reached is not None and due - state.reached.time < rules.contact_gap:
        return Verdict(Route.NONE, Reason.RECENTLY_CONTACTED)
    shopper = state.shopper or NOBODY
    if shopper.phone is None:
        return Verdict(Route.NONE, Reason.NO_PHONE)
    agreed = [channel for channel in Channel if consents(shopper.consent, channel)]
    if not agreed:
        return Verdict(Route.NONE, Reason.NO_CONSENT)
    law = rules_of(settings)
    if shopper.country is None or shopper.country not in law.allowed:
        return Verdict(Route.NONE, Reason.UNKNOWN_REGION)
    if fault(shopper.phone, shopper.country, law.allowed):
        return Verdict(Route.NONE, Reason.NUMBER_NOT_ALLOWED)
    place = law.place(shopper.phone, shopper.country, shopper.timezone, shopper.region, shopper.ip_timezone)
    window = law.calendar(place).window(due, law.too_late(cart.last_activity))
    if window is None:
        return Verdict(Route.NONE, Reason.OUTSIDE_HOURS)
    prospect = Prospect(
        intent=scored.score,
        value=cart.value,
        currency=currency,
        at=window[0],
        zones=[ZoneInfo(zone) for zone in place.zones],
        industry=industry.basket(cart.lines) if rules.margins else None,
        uplift=scored.uplift,
    )
    # What the next hour's minutes cost says nothing of a call that can only be made later.
    verdict = _best(agreed, prospect, window, settings, price if window[0] - due <= HOUR else None)
    person = Person(phone=shopper.phone, country=shopper.country, consent=shopper.consent, place=place)
    return _lawful(replace(verdict, place=place), person, cart, law)


def _lawful(verdict: Verdict, person: Person, cart: Cart, law: Rules) -> Verdict:
    """No call but one that the function which judges all calls allows, should anything have been forgotten above."""
    if verdict.route is not Route.VOICE:
        return verdict
    allowed = may_call(person, History(last_activity=cart.last_activity), verdict.window[0], law).allowed
    return verdict if allowed else Verdict(Route.NONE, Reason.OUTSIDE_HOURS)


def _best(
    agreed: list[Channel], prospect: Prospect, window: tuple[float, float], settings: Settings, price: int | None
) -> Verdict:
    """Of the channels that reach their thresholds, the one that brings most; a call rather than as good a message."""
    rules = settings.decide
    call = worth.of_call(prospect, rules, price) if Channel.VOICE in agreed else None
    messages = tuple(worth.of_message(channel, prospect, rules) for channel in MESSAGES if channel in agreed)
    weighed = (call, *messages) if call else messages
    best = max(filter(worth.is_worth_it, weighed), key=lambda one: one.value, default=None)
    if best is None:
        return Verdict(Route.NONE, Reason.LOW_VALUE, window, weighed)
    if best is not call:
        return Verdict(Route(best.channel.value), Reason.MID_VALUE, window, weighed)
    ranks = worth.priorities(prospect, rules, settings.compliance.max_attempts_per_lead)
    return Verdict(Route.VOICE, Reason.HIGH_VALUE, window, weighed, ranks)


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
        priority=verdict.priorities[0],
        retry_priorities=verdict.priorities[1:],
        last_activity=decision.last_activity,
        callable_from=verdict.window[0],
        callable_until=verdict.window[1],
        consent_evidence=shopper.consent.evidence if shopper.consent else None,
        consent_captured=shopper.consent.captured if shopper.consent else None,
        caps=strictest(rules_of(settings).caps(verdict.place.codes, verdict.window[0])),
        jurisdictions=verdict.place.codes,
        zones=verdict.place.zones,
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
