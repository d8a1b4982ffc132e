"""Why a cart got its score: what each feature added to it, and that in an agent's words.

Contributions are the model's TreeSHAP values (Lundberg et al., 2020) in log-odds, before calibration. They take a
hundred times as long as the score itself: 2 to 3 ms for 300 trees of 31 leaves. So they are asked only of carts that
are pushed, and not between two events.
"""

import logging
import math
from collections import Counter
from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ringback.cart import Cart
from ringback.records import Record
from scoring.features import FEATURES, FeatureState
from scoring.model import Model
from scoring.reasons import Basket, Phrases

log = logging.getLogger(__name__)

# Relative to the largest number in the sum, of which each rounds its last digits away.
TOLERANCE = 1e-9


class Contribution(Record, frozen=True, kw_only=True):
    """What a feature's value added to the score, log-odds. ``value`` is None where it is missing."""

    feature: str
    value: float | None
    contribution: float


class Explanation(Record, frozen=True, kw_only=True):
    """Why a cart got its score. ``base`` is the mean score of the training data, log-odds; the strongest come first.

    ``reasons`` and ``contributions`` are empty and ``base`` is None where the contributions did not add up.
    """

    reasons: tuple[str, ...]
    talking_points: tuple[str, ...]
    base: float | None = None
    contributions: tuple[Contribution, ...] = ()


def basket(state: FeatureState, cart: Cart) -> Basket:
    """What a cart holds, and which of it the shopper looked at most."""
    views = Counter(state.viewed)
    seen = [(views[crc32(line.product_id.encode())], line.product_id) for line in cart.lines]
    most = max(seen, key=lambda pair: pair[0], default=(0, ""))
    return Basket(cart.lines, cart.currency, most[1] if most[0] else None)


def explain(model: Model, row: Sequence[float], held: Basket, phrases: Phrases) -> Explanation:
    """Explain the score of one row, in the order of `scoring.features.FEATURES`."""
    return tell(row, contributions(model, [row])[0], held, phrases)


def contributions(model: Model, rows: Sequence[Sequence[float]]) -> list[tuple[float, ...] | None]:
    """What each feature added to each row's score, then the base; log-odds, which sum to the raw score.

    None for a row where they do not, which is logged. Computed without the interpreter's lock, so that a thread that
    asks does not keep others from scoring with the same model.
    """
    matrix = np.array(rows, dtype=np.float64)
    parts: NDArray[np.float64] = np.asarray(model.booster.predict(matrix, pred_contrib=True, num_threads=1))
    raw: NDArray[np.float64] = np.asarray(model.booster.predict(matrix, raw_score=True, num_threads=1))
    if parts.shape != (len(rows), len(FEATURES) + 1):
        log.warning("model %s gives contributions of another shape: no reasons are given", model.version)
        return [None] * len(rows)
    return [_summing(model, part, float(score)) for part, score in zip(parts.tolist(), raw, strict=True)]


def _summing(model: Model, parts: list[float], raw: float) -> tuple[float, ...] | None:
    total = math.fsum(parts)
    if abs(total - raw) <= TOLERANCE * max(abs(raw), *map(abs, parts)):
        return tuple(parts)
    log.warning("model %s: contributions sum to %r, the raw score is %r: no reasons", model.version, total, raw)
    return None


def tell(row: Sequence[float], parts: Sequence[float] | None, held: Basket, phrases: Phrases) -> Explanation:
    """The explanation of a row, from what `contributions` says of it; None: talking points only. Pure."""
    points = phrases.points_for(row, held)
    if parts is None:
        return Explanation(reasons=(), talking_points=points)
    table = [
        Contribution(feature=feature.name, value=None if math.isnan(value) else value, contribution=part)
        for feature, value, part in zip(FEATURES, row, parts, strict=False)
    ]
    table.sort(key=lambda one: -abs(one.contribution))
    return Explanation(
        reasons=phrases.reasons_for(row, parts, held),
        talking_points=points,
        base=parts[-1],
        contributions=tuple(table),
    )
