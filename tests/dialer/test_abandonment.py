from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.abandonment import DAYS_30, LIMITS, Count, Formula, Ledger, is_abandoned
from dialer.pacing import Floor

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC).timestamp()
HOUR, DAY = 3600.0, 86_400.0
LONDON = ZoneInfo("Europe/London")


def ledger(*names: str, credit: int = 1) -> Ledger:
    return Ledger([LIMITS[name] for name in names], began=NOON, zone=LONDON, credit=credit)


def floor(idle: int, in_flight: int, waiting: int = 0) -> Floor:
    return Floor(idle=idle, busy=(), in_flight=[1.0] * in_flight, waiting=waiting, free_lines=1000)


@pytest.mark.parametrize(
    ("connected", "hung_up", "abandoned"),
    [
        (12.0, None, False),
        (12.01, 40.0, True),
        (None, None, True),
        (None, 11.9, False),
        (None, 12.1, True),
    ],
)
def test_two_seconds_count_from_the_end_of_the_greeting(
    connected: float | None, hung_up: float | None, abandoned: bool
) -> None:
    assert is_abandoned(10.0, connected, hung_up) is abandoned


def test_the_first_call_of_a_period_may_be_abandoned_but_not_the_second() -> None:
    day = ledger("strict")
    assert day.headroom(NOON) == 1
    day.record(NOON, answered=1, abandoned=1)
    assert day.headroom(NOON) == 0
    assert not day.allowed(NOON)
    assert not day.broken(NOON)
    day.record(NOON, answered=1, abandoned=1)
    assert [limit.name for limit in day.broken(NOON)] == ["strict"]


def test_headroom_counts_the_abandoned_call_as_an_answer_too() -> None:
    day = ledger("strict", credit=0)
    day.record(NOON, answered=97)
    assert day.headroom(NOON) == 3  # 3 of 100
    day.record(NOON, answered=3, abandoned=3)
    assert day.headroom(NOON) == 0
    assert day.rates(NOON) == {"strict": pytest.approx(0.03)}


def test_each_period_stands_alone() -> None:
    both = ledger("us", "strict", "ca")
    both.record(NOON, answered=1000, abandoned=30)
    assert both.headroom(NOON) == 0
    tomorrow = NOON + DAY
    assert both.rates(tomorrow) == {"us": 0.03, "strict": 0.0, "ca": 0.03}
    assert both.headroom(tomorrow) == 0  # the 30 days still go on
    april = datetime(2026, 4, 1, 0, 0, 1, tzinfo=LONDON).timestamp()
    assert both.rates(april)["ca"] == 0.0
    assert both.rates(NOON + DAYS_30 - 1)["us"] == 0.03
    assert both.rates(NOON + DAYS_30)["us"] == 0.0


def test_a_day_begins_at_midnight_where_the_shoppers_are() -> None:
    # The clocks of London go forward in this night.
    day = ledger("strict")
    last = datetime(2026, 3, 28, 23, 59, 59, tzinfo=LONDON).timestamp()
    day.record(last, answered=100, abandoned=3)
    assert day.rates(last)["strict"] == 0.03
    assert day.rates(last + 1)["strict"] == 0.0
    day.record(last + HOUR, answered=10)
    evening = datetime(2026, 3, 29, 23, 59, 59, tzinfo=LONDON).timestamp()
    day.record(evening, abandoned=1)
    assert day.rates(evening)["strict"] == 0.1


def test_a_call_that_is_judged_after_midnight_counts_where_it_was_answered() -> None:
    day = ledger("strict")
    before = datetime(2026, 3, 28, 23, 59, 59, tzinfo=LONDON).timestamp()
    day.record(before, answered=100)
    day.record(before + 2, answered=1)
    day.record(before, abandoned=1)
    assert day.rates(before)["strict"] == 0.01
    assert day.rates(before + 2)["strict"] == 0.0


def test_answering_machines_are_estimated_out_as_ofcom_has_it() -> None:
    # 29 calls dropped, 16 passed to agents, who met 9 people and 7 machines.
    count = Count(answered=45, abandoned=29, machines=7)
    dropped = 29 * 9 / 16
    assert count.rate(Formula.MACHINES_ESTIMATED_OUT) == pytest.approx(dropped / (9 + dropped))
    assert count.rate(Formula.MACHINES_ESTIMATED_OUT) == pytest.approx(0.6444, abs=1e-4)


def test_people_whom_detection_takes_for_machines_count_as_abandoned() -> None:
    day = ledger("strict")
    day.mistaken = 0.02
    day.record(NOON, answered=98)
    day.record(NOON, detected=100)
    assert day.rates(NOON) == {"strict": pytest.approx(0.02)}
    assert day.headroom(NOON) == 1


def test_what_was_counted_survives_a_restart() -> None:
    first = ledger("us", "gb")
    first.record(NOON, answered=50, abandoned=1, machines=4)
    second = ledger("us", "gb")
    second.restore(first.state())
    assert second == first


def test_only_some_past_periods_are_kept() -> None:
    day = ledger("strict")
    for days in range(10):
        day.record(NOON + days * DAY, answered=1)
    assert len(day.state()["strict"]) == 3
    day.record(NOON, abandoned=1)  # far too late: there is nothing to add it to any more
    assert len(day.state()["strict"]) == 3


def test_the_guard_lets_a_line_for_each_idle_agent_through() -> None:
    day = ledger("strict")
    day.record(NOON, answered=10, abandoned=1)
    assert day.room(NOON, floor(idle=5, in_flight=2)) == 3
    assert day.room(NOON, floor(idle=2, in_flight=5)) == 0
    day.record(NOON, answered=990)
    assert day.room(NOON, floor(idle=2, in_flight=5, waiting=1)) == 25  # 30 of 1029, less 1; 4 are at risk


@given(st.data())
def test_no_call_breaks_a_limit_whatever_becomes_of_it(data: st.DataObject) -> None:
    """An adversary abandons any call that no idle agent stands by for, as it likes."""
    guard = ledger("strict", "us", "gb", credit=data.draw(st.integers(0, 3)))
    at_risk = 0
    for second in range(data.draw(st.integers(1, 60))):
        now = NOON + second
        started = guard.room(now, floor(0, at_risk))
        at_risk += data.draw(st.integers(0, min(started, 20)))
        ended = data.draw(st.integers(0, at_risk))
        guard.record(now, answered=ended, abandoned=data.draw(st.integers(0, ended)))
        at_risk -= ended
        assert not guard.broken(now)
        guard.record(now, answered=data.draw(st.integers(0, 50)), machines=data.draw(st.integers(0, 5)))
