"""What contacts cost."""

from prometheus_client import CollectorRegistry

from ringback.decide_settings import CostSettings
from ringback.metrics import OutreachMetrics
from ringback.records import Channel
from ringback.spend import Spend


def test_prices_add_up_in_whole_units() -> None:
    registry = CollectorRegistry()
    costs = CostSettings(sms={"USD": 2, "JPY": 9}, chat={"USD": 1})
    spend = Spend(OutreachMetrics(registry).spend, costs, (Channel.SMS, Channel.CHAT))

    def spent(channel: str, currency: str) -> float | None:
        return registry.get_sample_value("ringback_spend_total", {"channel": channel, "currency": currency})

    assert (spent("sms", "USD"), spent("chat", "USD"), spent("chat", "JPY")) == (0, 0, None)
    for _ in range(3):
        spend.add(Channel.SMS, "USD")
        spend.add(Channel.SMS, "JPY")
        spend.add(Channel.CHAT, "JPY")
    assert (spent("sms", "USD"), spent("sms", "JPY"), spent("chat", "JPY")) == (0.06, 27, None)
