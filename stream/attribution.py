"""Which orders a contact won. Pure.

An order counts for the last contact that reached the shopper after the decision, when it follows within the window.
Orders of the holdout, and of treated shoppers whom nobody reached, are recorded too, without a channel: the lift is
what all treated shoppers bought against what the holdout bought.
"""

from ringback.records import Conversion
from stream.carts import ShopperState


def attribute(shopper_id: str, state: ShopperState, window: float) -> Conversion | None:
    """The conversion of the shopper's last order; None without a decision within ``window`` seconds before it."""
    order, decided, reached = state.order, state.decided, state.reached
    if order is None or decided is None:
        return None
    if not 0 <= order.time - decided.time <= window:
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
