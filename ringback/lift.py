"""What contacts are worth: the share of buyers among treated shoppers less that among the holdout's."""

import math
from dataclasses import dataclass

Z_95 = 1.959964
# Below this an interval says little more than that nothing is known.
FEWEST_SHOPPERS = 30


@dataclass(frozen=True, slots=True)
class Lift:
    """A difference of shares, as a ratio from -1 to 1, with its 95 % interval."""

    difference: float
    low: float
    high: float


def wilson(buyers: float, shoppers: float, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval of a share."""
    share = buyers / shoppers
    centre = share + z * z / (2 * shoppers)
    spread = z * math.sqrt(share * (1 - share) / shoppers + z * z / (4 * shoppers * shoppers))
    scale = 1 + z * z / shoppers
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def lift(buyers: float, treated: float, holdout_buyers: float, holdout: float) -> Lift | None:
    """The lift with Newcombe's hybrid score interval (Statistics in Medicine 17, 1998, method 10).

    None while an arm has fewer than 30 shoppers.
    """
    if min(treated, holdout) < FEWEST_SHOPPERS:
        return None
    share, base = buyers / treated, holdout_buyers / holdout
    low, high = wilson(buyers, treated)
    base_low, base_high = wilson(holdout_buyers, holdout)
    difference = share - base
    return Lift(
        difference,
        difference - math.hypot(share - low, base_high - base),
        difference + math.hypot(high - share, base - base_low),
    )
