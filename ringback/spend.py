"""What contacts cost, counted as they are made."""

from collections.abc import Iterable

from prometheus_client import Counter

from ringback.decide_settings import CostSettings
from ringback.money import exponent
from ringback.records import Channel


class Spend:
    """Adds the price of each contact to ``counter``, by channel and currency; shows every price's currency from 0 on.

    A contact in a currency without a price adds nothing.
    """

    def __init__(self, counter: Counter, costs: CostSettings, channels: Iterable[Channel]) -> None:
        self._counter = counter
        self._costs: dict[Channel, dict[str, int]] = {channel: getattr(costs, channel.value) for channel in channels}
        for channel, prices in self._costs.items():
            for currency in prices:
                counter.labels(channel.value, currency)

    def add(self, channel: Channel, currency: str) -> None:
        """One call was placed, or one message sent."""
        minor = self._costs[channel].get(currency)
        if minor is not None:
            self._counter.labels(channel.value, currency).inc(minor / 10 ** exponent(currency))
