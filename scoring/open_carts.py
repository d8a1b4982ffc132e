"""Scores the carts of a log, as the stream would have when they became due."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ringback.cart import Cart
from ringback.errors import BadEvent
from ringback.records import CartEvent, Record
from scoring.features import FeatureState, vector
from scoring.fold import Folded, advanced


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


@dataclass(frozen=True, slots=True)
class OpenCart:
    """An open cart, what is known of its shopper, and the model's row at the moment ``at``."""

    shopper_id: str
    cart: Cart
    features: FeatureState
    at: float
    row: tuple[float, ...]


def open_carts(events: Iterable[CartEvent], abandon_after: float) -> Iterator[OpenCart]:
    """The carts that are still open at the end of a log in order of time.

    Each is taken as of ``abandon_after`` seconds after its last activity, or the log's end where that comes earlier.
    Events that a cart refuses are passed over.
    """
    followed: dict[str, Folded] = {}
    end = 0.0
    for event in events:
        try:
            followed[event.shopper_id] = advanced(followed.get(event.shopper_id, Folded()), event)
        except BadEvent:
            continue
        end = max(end, event.time)
    for shopper_id, one in followed.items():
        if one.cart is not None and one.cart.lines:
            at = min(end, one.cart.last_activity + abandon_after)
            yield OpenCart(shopper_id, one.cart, one.features, at, vector(one.features, one.cart, at))


def score_open_carts(
    events: Iterable[CartEvent], score: Callable[[Sequence[float]], float], abandon_after: float
) -> list[ScoredCart]:
    """The `open_carts` of a log with their scores, those worth most first."""
    scored = [scored_cart(one, score) for one in open_carts(events, abandon_after)]
    return sorted(scored, key=lambda one: (one.expected_value, one.score), reverse=True)


def scored_cart(one: OpenCart, score: Callable[[Sequence[float]], float]) -> ScoredCart:
    """An open cart with its score."""
    probability = score(one.row)
    return ScoredCart(
        shopper_id=one.shopper_id,
        cart_id=one.cart.cart_id,
        at=one.at,
        pieces=one.cart.quantity,
        value=one.cart.value,
        currency=one.cart.currency,
        score=probability,
        expected_value=probability * one.cart.value,
    )
