"""Which orders a contact won. Pure.

An order counts for the last contact that reached the shopper after the decision, when it follows within the window.
Orders of the holdout, and of treated shoppers whom nobody reached, are recorded too, without a channel: the lift is
what all treated shoppers bought against what the holdout bought. What is given back of an order is no longer won.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from ringback.records import Channel, Conversion
from scoring.fold import REMEMBERED_ORDERS, Order
from stream.carts import Returned, ShopperState

Arm = Literal["treated", "holdout"]


def attributed(shopper_id: str, state: ShopperState, window: float) -> tuple[ShopperState, list[Conversion], list[Arm]]:
    """The state with the conversions of its last orders, those that are to be published, and the arms of new ones.

    A conversion is published again when it becomes known that a contact won it, or that the order is worth something
    else. ``window`` is in seconds.
    """
    held = {conversion.order_id: conversion for conversion in state.conversions}
    made: list[Conversion] = []
    arms: list[Arm] = []
    for order in state.orders:
        before = held.get(order.order_id)
        after = attribute(shopper_id, state, order, window)
        if before is not None and (after is None or (after.channel is None and before.channel is not None)):
            after = before
        if after is None:
            continue
        after = msgspec.structs.replace(
            after, value=_value_left(order, state.returned), currency=order.currency, ordered=order.time
        )
        if before is None:
            arms.append(after.arm)
        if after != before:
            made.append(after)
            held[order.order_id] = after
    if not made:
        return state, [], []
    conversions = tuple(held.values())[-REMEMBERED_ORDERS:]
    return msgspec.structs.replace(state, conversions=conversions), made, arms


@dataclass(frozen=True, slots=True)
class Gain:
    """What became known of an order that a contact won: a new one, or what it is worth now.

    ``amount`` is in minor units, and negative for what was given back.
    """

    channel: Channel
    currency: str
    is_new: bool
    amount: int


def gains(held: Sequence[Conversion], made: Sequence[Conversion]) -> list[Gain]:
    """What conversions add to those of before; see `attributed`."""
    former = {one.order_id: one for one in held if one.channel is not None}
    found = []
    for one in made:
        if one.channel is not None:
            before = former.get(one.order_id)
            known = 0 if before is None else before.value
            found.append(Gain(one.channel, one.currency, is_new=before is None, amount=one.value - known))
    return found


def attribute(shopper_id: str, state: ShopperState, order: Order, window: float) -> Conversion | None:
    """The conversion of one order; None without a decision within ``window`` seconds before it."""
    decided, reached = state.decided, state.reached
    if decided is None or not 0 <= order.time - decided.time <= window:
        return None
    won = (
        decided.arm == "treated"
        and reached is not None
        and decided.time <= reached.time <= order.time
        and order.time - reached.time <= window
    )
    return Conversion(
        order_id=order.order_id,
        shopper_id=shopper_id,
        cart_id=decided.cart_id,
        decision_id=decided.decision_id,
        arm=decided.arm,
        channel=reached.channel if won and reached else None,
        contact_id=reached.contact_id if won and reached else None,
        value=order.value,
        currency=order.currency,
        ordered=order.time,
        decided=decided.time,
        window=window,
    )


def _value_left(order: Order, returned: tuple[Returned, ...]) -> int:
    for back in returned:
        if back.order_id == order.order_id:
            return 0 if back.cancelled else max(0, order.value - back.amount)
    return order.value
