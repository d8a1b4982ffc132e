"""What a contact would really change: the simulated shop's own laws, played out for one shopper again and again.

No dialer can know this. It is what a benchmark holds decisions against.
"""

from dataclasses import replace
from random import Random

from ringback import cart as carts
from ringback.records import CartEvent, Channel, EventKind
from simulation.shopper import Shopper, Visit, comes_back, help_of

TALK_SECONDS = 165.0


def probability(who: Shopper, channel: Channel | None, seed: int, rounds: int) -> float:
    """The probability that a shopper with an open cart comes back for it and buys, after a contact or (None) without.

    The share of purchases is counted over ``rounds`` visits whose chance depends on the seed alone: so the difference
    of two channels has little noise.
    """
    if who.need is None or who.cart is None:
        return 0.0
    help_ = help_of(who.need.doubt, channel, TALK_SECONDS) if channel else 0.0
    need = replace(who.need, help=max(who.need.help, help_))
    bought = 0
    for number in range(rounds):
        rng = Random(f"{seed}/{who.shopper_id}/persuasion/{number}")
        bought += _buys(replace(who, need=replace(need)), rng)
    return comes_back(need) * bought / rounds


def _buys(who: Shopper, rng: Random) -> bool:
    """Whether a visit that is about the cart ends with an order."""
    if who.need is None:
        return False
    time = who.cart.last_activity if who.cart else 0.0
    for act in Visit(who, who.need, rng).acts():
        if act.kind is EventKind.ORDER_COMPLETED:
            return True
        time += act.delay
        event = CartEvent(
            event_id="imagined",
            source="persuasion",
            shopper_id=who.shopper_id,
            kind=act.kind,
            time=time,
            items=act.items,
            currency=who.currency if act.items else None,
            step=act.step,
        )
        who.cart = carts.apply(who.cart, event)
    return False
