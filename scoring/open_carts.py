"""Scores the carts of a log, as the stream would have when they became due."""

from collections.abc import Callable, Iterable, Sequence

from ringback.cart import Cart, apply
from ringback.errors import BadEvent
from ringback.records import CartEvent, Record
from scoring.features import EMPTY, FeatureState, update, vector


class ScoredCart(Record, frozen=True, kw_only=True):
    """An open cart with its score. ``at`` is the moment it was scored for; amounts are minor units."""

    shopper_id: str
    cart_id: str
    at: float
    pieces: int
    value: int
    currency: str | None
    score: float
    expected_value: float


def score_open_carts(
    events: Iterable[CartEvent], score: Callable[[Sequence[float]], float], abandon_after: float
) -> list[ScoredCart]:
    """The carts that are still open at the end of a log in order of time, those worth most first.

    Each is scored as of ``abandon_after`` seconds after its last activity, or the log's end where that comes earlier.
    Events that a cart refuses are passed over.
    """
    followed: dict[str, tuple[FeatureState, Cart | None]] = {}
    end = 0.0
    for event in events:
        state, cart = followed.get(event.shopper_id, (EMPTY, None))
        try:
            cart = apply(cart, event)
        except BadEvent:
            continue
        followed[event.shopper_id] = (update(state, event), cart)
        end = max(end, event.time)
    scored = [
        _scored(shopper_id, state, cart, min(end, cart.last_activity + abandon_after), score)
        for shopper_id, (state, cart) in followed.items()
        if cart is not None and cart.lines
    ]
    return sorted(scored, key=lambda one: (one.expected_value, one.score), reverse=True)


def _scored(
    shopper_id: str, state: FeatureState, cart: Cart, at: float, score: Callable[[Sequence[float]], float]
) -> ScoredCart:
    probability = score(vector(state, cart, at))
    return ScoredCart(
        shopper_id=shopper_id,
        cart_id=cart.cart_id,
        at=at,
        pieces=cart.quantity,
        value=cart.value,
        currency=cart.currency,
        score=probability,
        expected_value=probability * cart.value,
    )
