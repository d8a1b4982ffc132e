"""What carts, contacts and orders leave in the metrics: counted once, in whole units of their currency."""

import math
from typing import Any

import pytest

from ringback.lift import lift
from ringback.metric_labels import ScoreOf
from ringback.metrics import StreamMetrics
from ringback.records import CartEvent, Channel, ContactEvent, ContactKind, EventKind, encode
from stream.attribution import Arm
from stream.business import Business
from stream.partition import Partition
from tests.stream.shop import NOON, added, event, feed, ordered, partition, settings

HALF_AN_HOUR = 1800.0
VOICE, USD = "voice", "USD"


class Counted:
    """A partition whose effects are counted."""

    def __init__(self, part: Partition | None = None) -> None:
        self.part = part or partition()
        self.metrics = StreamMetrics()
        self._business = Business(self.metrics, self.part.settings.decide)
        self._offset = 0

    def feed(self, *events: CartEvent) -> None:
        feed(self.part, events, self._offset)
        self._offset += len(events)
        self.count()

    def contact(self, kind: ContactKind, at: float, offset: int, channel: Channel = Channel.VOICE) -> None:
        contact = ContactEvent(
            contact_id=f"{channel.value}-1",
            lead_id="lead-1",
            shopper_id="ada",
            cart_id="cart-1",
            channel=channel,
            kind=kind,
            time=NOON + at,
        )
        self.part.contact(b"ada", encode(contact), offset)
        self.count()

    def judge(self) -> None:
        self.part.tick(NOON + HALF_AN_HOUR)
        self.count()

    def count(self) -> None:
        self._business.count(self.part.take_effects())

    def __call__(self, name: str, **labels: str) -> float:
        found = self.metrics.registry.get_sample_value(f"ringback_{name}", labels)
        assert found is not None, (name, labels)
        return found

    def of_voice(self, name: str) -> float:
        return self(name, channel=VOICE, currency=USD)


@pytest.fixture
def counted() -> Counted:
    """A shopper was called and reached."""
    counted = Counted()
    counted.feed(added(0))
    counted.judge()
    counted.contact(ContactKind.CONNECTED, 2000, 0)
    return counted


def order(at: float = 3000, value: int = 12_000) -> CartEvent:
    return ordered(at, value=value, currency=USD, order_id="o1")


def refunded(at: float, value: int) -> CartEvent:
    return event(EventKind.ORDER_REFUNDED, at, order_id="o1", value=value, currency=USD)


def rated(at: float, rating: int | None, **fields: Any) -> CartEvent:
    return event(EventKind.RATED, at, order_id="o1", rating=rating, **fields)


def test_money_reads_zero_before_anything_is_won() -> None:
    counted = Counted(partition(settings(decide__message_from={"USD": 5, "EUR": 5})))
    for currency in ("USD", "EUR"):
        for name in ("conversions_total", "revenue_recovered_total", "revenue_returned_total"):
            assert counted(name, channel="sms", currency=currency) == 0
    with pytest.raises(AssertionError):
        counted("conversions_total", channel="sms", currency="GBP")


def test_an_order_that_a_call_won(counted: Counted) -> None:
    counted.feed(order())
    assert counted("contacts_total", channel=VOICE) == 1
    assert counted.of_voice("conversions_total") == 1
    assert counted.of_voice("revenue_recovered_total") == 120.0
    assert counted("eligible_total", arm="treated") == counted("eligible_orders_total", arm="treated") == 1


def test_what_is_given_back_is_no_second_order(counted: Counted) -> None:
    counted.feed(order(), refunded(4000, 2_000), refunded(4100, 500))
    assert counted.of_voice("conversions_total") == 1
    assert counted.of_voice("revenue_recovered_total") == 120.0
    assert counted.of_voice("revenue_returned_total") == 25.0


def test_a_call_that_is_learnt_of_after_its_order_won_it_once() -> None:
    counted = Counted()
    counted.feed(added(0))
    counted.judge()
    counted.feed(order())
    assert counted.of_voice("conversions_total") == 0
    for _ in range(2):
        counted.contact(ContactKind.CONNECTED, 2000, 0)
    assert counted.of_voice("conversions_total") == counted("contacts_total", channel=VOICE) == 1
    assert counted.of_voice("revenue_recovered_total") == 120.0


def test_opt_outs_are_counted_by_where_they_were_said(counted: Counted) -> None:
    counted.contact(ContactKind.OPTED_OUT, 2100, 1)
    counted.contact(ContactKind.OPTED_OUT, 2200, 2, Channel.SMS)
    counted.feed(event(EventKind.OPTED_OUT, 2300), event(EventKind.OPTED_OUT, 2400))
    told = {through: counted("opt_outs_total", through=through) for through in ("shop", "voice", "sms", "chat")}
    assert told == {"shop": 2, "voice": 1, "sms": 1, "chat": 0}


@pytest.mark.parametrize("kind", [ContactKind.ATTEMPTED, ContactKind.ENDED, ContactKind.QUEUED])
def test_an_attempt_is_no_contact(kind: ContactKind) -> None:
    counted = Counted()
    counted.contact(kind, 0, 0)
    assert counted("contacts_total", channel=VOICE) == 0


def test_a_rating_is_of_what_won_the_order(counted: Counted) -> None:
    counted.feed(order(), rated(5000, 4), rated(5001, 5), rated(5002, None))
    assert counted("order_ratings_total", channel=VOICE, rating="4") == 1
    assert counted("order_ratings_total", channel=VOICE, rating="5") == 1
    counted.feed(event(EventKind.RATED, 5003, order_id="another", rating=1), rated(5004, 5, shopper_id="eve"))
    assert counted("order_ratings_total", channel="none", rating="1") == 1
    assert counted("order_ratings_total", channel="none", rating="5") == 1


@pytest.mark.parametrize("rating", [0, 6, -1])
def test_there_are_no_other_ratings(counted: Counted, rating: int) -> None:
    counted.feed(rated(5000, rating))
    assert counted("stream_dead_letters_total", reason="wrong_type") == 1


def test_a_rating_puts_nothing_off_and_is_counted_once() -> None:
    counted = Counted()
    late = rated(1000, 3)
    counted.feed(added(0), late, late)
    counted.judge()
    assert counted("carts_abandoned_total") == 1
    assert counted("order_ratings_total", channel="none", rating="3") == 1


def test_the_lift_is_unknown_until_there_are_enough_carts() -> None:
    counted = Counted(partition(settings(decide__holdout=0.5)))
    assert math.isnan(counted("lift_ratio"))
    carts = [added(n / 100, shopper_id=f"s{n}") for n in range(200)]
    counted.feed(*carts)
    counted.part.tick(NOON + HALF_AN_HOUR + 10)
    counted.count()
    buyers = [ordered(3000 + n, shopper_id=f"s{n}", order_id=f"o{n}", currency=USD, value=100) for n in range(20)]
    counted.feed(*buyers)
    arms = ("treated", "holdout")
    eligible = [counted("eligible_total", arm=arm) for arm in arms]
    bought = [counted("eligible_orders_total", arm=arm) for arm in arms]
    expected = lift(bought[0], eligible[0], bought[1], eligible[1])
    assert expected is not None
    shown = [counted(f"lift_{name}ratio") for name in ("", "low_", "high_")]
    assert shown == [expected.difference, expected.low, expected.high]


def test_orders_of_carts_that_a_former_process_counted_break_nothing(counted: Counted) -> None:
    effects = counted.part.take_effects()
    arms: list[Arm] = ["treated", "holdout"]
    effects.ordered += 100 * arms
    counted._business.count(effects)
    assert math.isnan(counted("lift_ratio"))


def test_scores_are_shown_of_the_model_that_decided() -> None:
    counted = Counted(partition(score=0.3))
    counted.feed(added(0))
    counted.judge()
    assert counted("score_ratio_count", model=ScoreOf.DECIDING) == 1
    assert counted("score_ratio_count", model=ScoreOf.SHADOW) == 0
    assert counted("score_ratio_bucket", model=ScoreOf.DECIDING, le="0.3") == 1
