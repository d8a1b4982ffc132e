import time

import pytest

from stream.membership import Lease

SESSION, REBALANCE = 9.0, 60.0
LENGTH = 6.0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture
def lease() -> Lease:
    return Lease(SESSION, REBALANCE)


def test_who_has_heard_nothing_yet_has_no_lease(clock: Clock, lease: Lease) -> None:
    assert not lease.holds(-1)
    assert not lease.holds(1)


def test_it_lasts_from_when_the_heartbeat_was_sent_however_late_the_answer_comes(clock: Clock, lease: Lease) -> None:
    sent = clock.now
    clock.now += 4.0
    lease.renew(7, sent)
    assert lease.holds(7)
    clock.now = sent + LENGTH - 0.01
    assert lease.holds(7)
    clock.now = sent + LENGTH
    assert not lease.holds(7)


def test_an_answer_that_comes_after_a_sleep_renews_nothing(clock: Clock, lease: Lease) -> None:
    sent = clock.now
    clock.now += 1000.0
    lease.renew(7, sent)
    assert not lease.holds(7)


def test_it_is_for_one_deal(clock: Clock, lease: Lease) -> None:
    lease.renew(7, clock.now)
    assert not lease.holds(8)
    assert not lease.holds(6)
    lease.renew(8, clock.now)
    assert not lease.holds(7)


def test_a_deal_that_ends_is_not_for_ever_though_heartbeats_are_answered(clock: Clock, lease: Lease) -> None:
    began = clock.now
    while clock.now < began + REBALANCE / 2:
        lease.renew(7, clock.now, ending=True)
        assert lease.holds(7)
        clock.now += 2.0
    lease.renew(7, clock.now, ending=True)
    assert not lease.holds(7)
    lease.renew(8, clock.now)
    assert lease.holds(8)


def test_who_leaves_has_none(clock: Clock, lease: Lease) -> None:
    lease.renew(7, clock.now)
    lease.end()
    assert not lease.holds(7)
