"""What one event or contact does to its shopper: the next state, and what else it asks for. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import msgspec

from ringback.cart import PASSIVE
from ringback.errors import BadEvent
from ringback.records import CartEvent, Channel, ContactEvent, ContactKind, Conversion, DeadLetterReason, EventKind
from stream import carts, merge
from stream.attribution import Arm, attributed
from stream.carts import Returned, ShopperState

WithdrawalReason = Literal["bought", "opted_out", "changed"]


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A shopper who may not be called any more."""

    shopper_id: str
    reason: WithdrawalReason
    at: float


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where an event stands in the log of its partition, and how long after its own time it arrived there, seconds."""

    offset: int
    index: int = 0
    lag: float = 0.0


class Rated(msgspec.Struct, frozen=True):
    """What a shopper said of an order, 1 to 5, and by what channel the order was won, if by any."""

    channel: Channel | None
    rating: int


class Reaction(msgspec.Struct):
    """``refusal`` is why the event does not count, or counts in part only. ``forwards`` are for other shoppers."""

    state: ShopperState
    refusal: BadEvent | None = None
    withdrawals: Sequence[Withdrawal] = ()
    forwards: Sequence[CartEvent] = ()
    conversions: Sequence[Conversion] = ()
    arms: Sequence[Arm] = ()
    rating: Rated | None = None


STOPS: dict[EventKind, WithdrawalReason] = {
    EventKind.ORDER_COMPLETED: "bought",
    EventKind.OPTED_OUT: "opted_out",
    EventKind.ERASED: "opted_out",
}


def react(state: ShopperState, event: CartEvent, print_: bytes, place: Place, window: float) -> Reaction:
    """The reaction to an event that is not repeated. ``window`` is `decide.attribution_window`.

    Raises `BadEvent` for an internal event that does not make sense.
    """
    if state.moved_to is not None:
        return _forwarded(state, state.moved_to, event, print_, place)
    if state.erased is not None and event.time <= state.erased:
        return _forgotten(state, event, print_, place)
    if event.kind not in PASSIVE:
        return _shopped(state, event, print_, place, window)
    match event.kind:
        case EventKind.CONSENT_CHANGED:
            return _consent_changed(state, event, print_, place)
        case EventKind.ORDER_CANCELLED | EventKind.ORDER_REFUNDED:
            return _given_back(state, event, print_, place, window)
        case EventKind.ERASED:
            after = carts.emptied(carts.moved_on(state, event, print_, place.offset, place.index))
            after = msgspec.structs.replace(after, erased=event.time)
            return Reaction(after, withdrawals=withdrawn(state, event.shopper_id, "opted_out", event.time))
        case EventKind.ABSORBED:
            return _absorbed(state, event, print_, place)
        case EventKind.MOVED:
            return _moved(state, event, print_, place)
        case EventKind.HANDED_OVER:
            return _taken_over(state, event, print_, place, window)
        case _:
            after = carts.moved_on(state, event, print_, place.offset, place.index)
            return Reaction(after, rating=_rating(state, event))


def react_to_contact(state: ShopperState, contact: ContactEvent, offset: int, window: float) -> Reaction:
    """The reaction to a contact that is not repeated."""
    shopper_id = contact.shopper_id
    reaction = Reaction(carts.contacted(state, contact, offset))
    after = reaction.state
    if contact.kind is ContactKind.OPTED_OUT:
        reaction.withdrawals = withdrawn(state, shopper_id, "opted_out", contact.time)
    if state.moved_to is not None:
        learnt = ShopperState(moved_to=state.moved_to, reached=after.reached, opted_out=after.opted_out)
        told = f"{shopper_id}\0{contact.contact_id}\0{contact.kind}\0{contact.time}"
        name = blake2b(told.encode(), digest_size=16).hexdigest()
        carrier = _carrier(f"contact-{name}", "ringback", state.moved_to, shopper_id, learnt, contact.time)
        reaction.forwards = [msgspec.structs.replace(carrier, replay=state.replay)]
    elif after.reached != state.reached and after.orders:
        reaction.state, reaction.conversions, reaction.arms = attributed(shopper_id, after, window)
    return reaction


def withdrawn(state: ShopperState, shopper_id: str, reason: WithdrawalReason, at: float) -> list[Withdrawal]:
    """The withdrawals of a shopper under every known id: leads may wait under each of them."""
    ids = dict.fromkeys((shopper_id, *state.aliases, *([state.moved_to] if state.moved_to else [])))
    return [Withdrawal(one, reason, at) for one in ids]


def _shopped(state: ShopperState, event: CartEvent, print_: bytes, place: Place, window: float) -> Reaction:
    after, refusal = carts.follow(state, event, print_, place.offset, place.index, place.lag)
    reaction = Reaction(after, refusal)
    stop = STOPS.get(event.kind)
    if stop is not None:
        reaction.withdrawals = withdrawn(state, event.shopper_id, stop, event.time)
    elif state.decided is not None and state.decided.called and carts.has_come_back(state, after):
        reaction.withdrawals = withdrawn(state, event.shopper_id, "changed", event.time)
    if after.orders != state.orders:
        reaction.state, reaction.conversions, reaction.arms = attributed(event.shopper_id, after, window)
    return reaction


def _forgotten(state: ShopperState, event: CartEvent, print_: bytes, place: Place) -> Reaction:
    """An event from before its shopper was erased: it stops calls, and nothing of it is kept."""
    after = carts.moved_on(state, event, print_, place.offset, place.index)
    if event.kind is EventKind.OPTED_OUT:
        after = msgspec.structs.replace(after, opted_out=True)
    stop = STOPS.get(event.kind)
    return Reaction(after, withdrawals=withdrawn(state, event.shopper_id, stop, event.time) if stop else [])


def _consent_changed(state: ShopperState, event: CartEvent, print_: bytes, place: Place) -> Reaction:
    after, _ = carts.follow(state, event, print_, place.offset, place.index, place.lag)
    said = event.shopper.consent if event.shopper else None
    holds = after.shopper.consent if after.shopper else None
    if said is None or holds is None or said.voice is not False or holds.voice is not False:
        return Reaction(after)
    return Reaction(after, withdrawals=withdrawn(state, event.shopper_id, "opted_out", event.time))


def _given_back(state: ShopperState, event: CartEvent, print_: bytes, place: Place, window: float) -> Reaction:
    if event.order_id is None:
        raise _wrong(event, "names no order")
    all_of_it = event.kind is EventKind.ORDER_CANCELLED or event.value is None
    back = Returned(order_id=event.order_id, amount=event.value or 0, cancelled=all_of_it)
    known = {one.order_id: one for one in state.returned}
    known[back.order_id] = merge.added(known.pop(back.order_id, None), back)
    after = msgspec.structs.replace(
        carts.moved_on(state, event, print_, place.offset, place.index),
        returned=tuple(known.values())[-merge.REMEMBERED_RETURNS :],
    )
    after, conversions, arms = attributed(event.shopper_id, after, window)
    return Reaction(after, conversions=conversions, arms=arms)


def _rating(state: ShopperState, event: CartEvent) -> Rated | None:
    if event.kind is not EventKind.RATED or event.rating is None:
        return None
    won_by = next((one.channel for one in state.conversions if one.order_id == event.order_id), None)
    return Rated(won_by, event.rating)


def _absorbed(state: ShopperState, event: CartEvent, print_: bytes, place: Place) -> Reaction:
    other = _other(event)
    after = carts.moved_on(state, event, print_, place.offset, place.index)
    after = msgspec.structs.replace(after, aliases=merge.united_ids(state.aliases, (other,)))
    withdrawals = []
    if state.opted_out:
        withdrawals.append(Withdrawal(other, "opted_out", event.time))
    if state.orders:
        withdrawals.append(Withdrawal(other, "bought", state.orders[-1].time))
    return Reaction(after, withdrawals=withdrawals)


def _moved(state: ShopperState, event: CartEvent, print_: bytes, place: Place) -> Reaction:
    shopper_id, other = event.shopper_id, _other(event)
    if other >= shopper_id:
        raise _wrong(event, "moves its shopper to one with a larger id; it could be moved in circles")
    carrier = _carrier(f"handed-over-{print_.hex()}", event.source, other, shopper_id, state, event.time)
    carrier = msgspec.structs.replace(carrier, replay=event.replay, received_wall=event.received_wall)
    after = carts.moved_on(state, event, print_, place.offset, place.index)
    stub = msgspec.structs.replace(
        carts.emptied(after), seen=after.seen, replay=after.replay, moved_to=other, aliases=after.aliases
    )
    return Reaction(stub, forwards=[carrier])


def _taken_over(state: ShopperState, event: CartEvent, print_: bytes, place: Place, window: float) -> Reaction:
    shopper_id, other = event.shopper_id, _other(event)
    before = carts.moved_on(state, event, print_, place.offset, place.index)
    try:
        half = carts.decode_state(event.carried or b"")
    except (ValueError, RecursionError) as error:
        raise _wrong(event, f"carries no state: {error}") from None
    refusal = None
    if half.moved_to is not None:
        # From a shopper who moved before: only what became known of contacts since then.
        half = ShopperState(reached=half.reached, opted_out=half.opted_out)
        after = merge.merged(before, half)
        after = msgspec.structs.replace(after, history=before.history)
    elif other in state.joined:
        return Reaction(before)
    else:
        after = merge.merged(before, half)
        joined = merge.united_ids(after.joined, (other,))
        after = msgspec.structs.replace(after, joined=joined, aliases=merge.united_ids(after.aliases, (other,)))
        lost = merge.given_up(after, state, half)
        if lost is not None:
            detail = f"cart {lost.cart_id} in {lost.currency} is given up: the other one has another currency"
            refusal = BadEvent(DeadLetterReason.MIXED_CURRENCIES, detail)
    withdrawals = _of_one_shopper(state, half, after, shopper_id, event.time)
    after, conversions, arms = attributed(shopper_id, after, window)
    return Reaction(after, refusal, withdrawals, [], conversions, arms)


def _of_one_shopper(
    winner: ShopperState, loser: ShopperState, both: ShopperState, shopper_id: str, at: float
) -> list[Withdrawal]:
    """What one half knew that must stop a call under the other's id."""
    withdrawals: list[Withdrawal] = []
    if winner.opted_out != loser.opted_out:
        withdrawals += withdrawn(both, shopper_id, "opted_out", at)
    if both.orders and both.orders[-1] != (winner.orders or (None,))[-1]:
        withdrawals += withdrawn(both, shopper_id, "bought", both.orders[-1].time)
    called = any(half.judged is not None and half.decided and half.decided.called for half in (winner, loser))
    if called and both.waiting_since is not None:
        withdrawals += withdrawn(both, shopper_id, "changed", both.waiting_since)
    return withdrawals


def _forwarded(state: ShopperState, to: str, event: CartEvent, print_: bytes, place: Place) -> Reaction:
    after = carts.moved_on(state, event, print_, place.offset, place.index)
    reaction = Reaction(after)
    stop = STOPS.get(event.kind)
    if stop is not None:
        reaction.withdrawals = withdrawn(state, event.shopper_id, stop, event.time)
    if event.other == to:
        return reaction
    if event.kind is EventKind.MOVED:
        # Who moved twice is one with both: the two are to be merged.
        winner, loser = sorted((to, _other(event)))
        reaction.forwards = [
            msgspec.structs.replace(event, kind=EventKind.ABSORBED, shopper_id=winner, other=loser),
            msgspec.structs.replace(event, shopper_id=loser, other=winner),
        ]
    else:
        reaction.forwards = [msgspec.structs.replace(event, shopper_id=to)]
    return reaction


def _carrier(event_id: str, source: str, to: str, other: str, state: ShopperState, at: float) -> CartEvent:
    return CartEvent(
        event_id=event_id,
        source=source,
        shopper_id=to,
        kind=EventKind.HANDED_OVER,
        time=at,
        other=other,
        carried=carts.encode_state(state),
    )


def _other(event: CartEvent) -> str:
    if event.other is None or event.other == event.shopper_id:
        raise _wrong(event, "names no other shopper")
    return event.other


def _wrong(event: CartEvent, detail: str) -> BadEvent:
    return BadEvent(DeadLetterReason.WRONG_TYPE, f"event {event.event_id!r} ({event.kind}) {detail}")
