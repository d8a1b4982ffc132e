"""What a demo shows."""

from io import StringIO

import pytest
from prometheus_client import generate_latest
from rich.console import Console, RenderableType

from ringback import demo_view
from ringback.demo_fleet import OPENING
from ringback.demo_view import Picture
from ringback.metrics import DialerMetrics, NeverEvent, StreamMetrics
from ringback.records import Outcome
from ringback.scrape import Samples


class Metrics:
    """What the processes would say."""

    def __init__(self) -> None:
        self.stream, self.dialer = StreamMetrics(), DialerMetrics()

    def picture(self) -> Picture:
        texts = (generate_latest(one.registry).decode() for one in (self.stream, self.dialer))
        return Picture(
            samples=Samples(texts),
            rate=42.0,
            running=12.0,
            shop_time=OPENING,
            speed=120.0,
            abandon_after=1800.0,
            urls={"stream": "http://127.0.0.1:9102"},
        )


def text(shown: RenderableType) -> str:
    console = Console(width=160, height=60, record=True, force_terminal=True, file=StringIO())
    console.print(shown)
    return console.export_text()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def test_simulation_is_always_visible(metrics: Metrics) -> None:
    for shown in (text(demo_view.live(metrics.picture(), 120)), demo_view.plain(metrics.picture())):
        assert "SIMULATION" in shown
    assert "SIMULATION" in text(demo_view.summary(metrics.picture().samples, {}))


def test_what_comes_next_is_said_until_it_has_come(metrics: Metrics) -> None:
    said = [demo_view.coming(metrics.picture())]
    metrics.stream.carts_abandoned.inc()
    said.append(demo_view.coming(metrics.picture()))
    metrics.dialer.calls.labels(Outcome.CONNECTED.value).inc()
    said.append(demo_view.coming(metrics.picture()))
    metrics.stream.conversions.labels("voice", "USD").inc()
    said.append(demo_view.coming(metrics.picture()))
    assert len(set(said)) == 4
    assert "30 shop minutes, 15 s here" in said[0]


def test_the_view_shows_what_is_counted(metrics: Metrics) -> None:
    metrics.stream.events.labels("item_added").inc(1234)
    metrics.stream.event_to_score.observe(0.0015)
    metrics.stream.revenue.labels("voice", "USD").inc(1234.56)
    metrics.stream.conversions.labels("voice", "USD").inc(3)
    metrics.dialer.hopper.labels("high").set(17)
    metrics.dialer.agents.labels("talking").set(5)
    metrics.dialer.agent_seconds.labels("idle").inc(37)
    metrics.dialer.agent_seconds.labels("talking").inc(63)
    metrics.dialer.agent_seconds.labels("paused").inc(500)
    metrics.dialer.abandoned_ratio.labels("today").set(0.025)
    shown = text(demo_view.live(metrics.picture(), 120))
    for part in ("1234, 42/s", "17 leads", "63%", "2.5%", "3 orders, 1,234.56 USD", "http://127.0.0.1:9102/metrics"):
        assert part in shown
    assert "00:00 to 24:00" in shown


def test_the_lift_waits_for_enough_shoppers(metrics: Metrics) -> None:
    metrics.stream.eligible.labels("treated").inc(100)
    metrics.stream.eligible.labels("holdout").inc(10)
    assert "too few yet (100 treated, 10 holdout; 30 each are needed)" in " ".join(
        text(demo_view.summary(metrics.picture().samples, {})).split()
    )
    metrics.stream.eligible.labels("holdout").inc(40)
    metrics.stream.ordered.labels("treated").inc(30)
    metrics.stream.ordered.labels("holdout").inc(5)
    assert "+20.0% (" in text(demo_view.summary(metrics.picture().samples, {}))


def test_a_never_event_is_named_in_the_summary(metrics: Metrics) -> None:
    never = dict.fromkeys((event.value for event in NeverEvent), 0)
    assert "forbidden contact 1" not in text(demo_view.summary(metrics.picture().samples, never))
    assert "forbidden contact 1" in text(
        demo_view.summary(metrics.picture().samples, never | {NeverEvent.FORBIDDEN_CONTACT.value: 1})
    )
