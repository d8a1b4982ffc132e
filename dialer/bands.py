"""What a lead's call is worth now, in bands: how rich the hopper is, and not only how full."""

from ringback.decide_settings import DecideSettings
from ringback.metric_labels import HopperBand

_MINUTES = 60
# How many times what an agent's time must bring at least.
MIDDLE, HIGH = 2, 4
BANDS = (HopperBand.LOW, HopperBand.MIDDLE, HopperBand.HIGH)


def edges(rules: DecideSettings) -> tuple[int, int]:
    """From which priority on (see `ringback.decisions.Lead`) a lead is in the middle band, and in the high one."""
    least = min(amount * rules.exchange.get(currency, 1) for currency, amount in rules.voice_fixed.items())
    hour = max(1, round(least * _MINUTES))
    return MIDDLE * hour, HIGH * hour
