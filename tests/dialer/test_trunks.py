import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.breaker import FIRST_PAUSE_SECONDS, RUN
from dialer.servers import Server, deal
from dialer.trunks import AMONG, CONGESTED, RECOVERY_SECONDS, SLOWEST, Trunk
from ringback.dialer_settings import TrunkSettings
from ringback.records import Outcome


def trunk(calls_per_second: float = 5.0, lines: int = 20) -> Trunk:
    return Trunk("t", TrunkSettings(calls_per_second=calls_per_second, lines=lines))


def start_all(one: Trunk, now: float) -> int:
    """Start as many calls as the trunk takes at once."""
    count = 0
    while one.tokens(now):
        one.take()
        count += 1
    return count


@given(st.floats(0.2, 60.0), st.lists(st.floats(0.0, 0.7), max_size=200))
def test_never_more_calls_in_a_second_than_the_carrier_takes(rate: float, waits: list[float]) -> None:
    one, now, started = trunk(rate), 0.0, list[float]()
    for wait in waits:
        now += wait
        started += [now] * start_all(one, now)
    bucket = max(1.0, rate * 0.1)
    for first in started:
        assert sum(first <= at < first + 1.0 for at in started) <= rate + bucket + 1e-6


def test_who_looks_in_time_gets_the_whole_rate() -> None:
    one, now, started = trunk(40.0), 0.0, 0
    while now < 10.0:
        started += start_all(one, now)
        now += one.pause(now) + 0.001
    assert started == pytest.approx(400, rel=0.05)


def test_lines_are_counted() -> None:
    one = trunk(lines=3)
    assert one.free_lines(0.0, used=1, in_flight=1) == 2
    assert one.free_lines(0.0, used=5, in_flight=1) == 0


def test_a_burst_of_congestion_halves_the_rate_and_it_comes_back_step_by_step() -> None:
    one = trunk(10.0)
    for _ in range(CONGESTED):
        one.ended(Outcome.BUSY, 0.0)
        assert not one.ended(Outcome.CONGESTION, 0.0)
    assert one.calls_per_second == 5.0
    one.tokens(RECOVERY_SECONDS)
    assert one.calls_per_second == pytest.approx(6.0)
    one.tokens(RECOVERY_SECONDS * 6)
    assert one.calls_per_second == 10.0


def test_single_congested_calls_are_no_burst() -> None:
    one = trunk(10.0)
    for n in range(10 * AMONG):
        one.ended(Outcome.CONGESTION if n % AMONG == 0 else Outcome.NO_ANSWER, 0.0)
    assert one.calls_per_second == 10.0


def test_a_carrier_that_takes_nothing_is_left_alone() -> None:
    one = trunk(10.0)
    opened = [one.ended(Outcome.CONGESTION, 0.0) for _ in range(20 * AMONG)]
    assert opened.index(True) == 2 * RUN - 1
    assert one.calls_per_second >= 10.0 * SLOWEST
    assert one.free_lines(1.0, used=0, in_flight=0) == 0
    assert one.free_lines(FIRST_PAUSE_SECONDS * 100, used=0, in_flight=0) == 1


@pytest.mark.parametrize(("outcome", "run"), [(Outcome.FAILED, RUN), (Outcome.INVALID, 2 * RUN)])
def test_a_run_of_failures_opens_the_breaker(outcome: Outcome, run: int) -> None:
    """Nothing but wrong numbers is a wrong dial plan: it would burn the list as well."""
    one = trunk()
    assert [one.ended(outcome, 0.0) for _ in range(run)] == [False] * (run - 1) + [True]
    assert not one.ended(Outcome.UNKNOWN, 0.0)
    assert one.free_lines(1.0, 0, 0) == 0
    one.ended(Outcome.NO_ANSWER, 0.0)
    assert one.free_lines(1.0, 0, 0) == 20


def server(name: str, *trunks: str) -> Server:
    made = {trunk: Trunk(trunk, TrunkSettings()) for trunk in trunks}
    return Server(name, ami=None, trunks=made, pacer=None)  # type: ignore[arg-type]  # dealing uses neither


def test_calls_are_dealt_by_turns_and_to_the_trunk_with_the_most_room() -> None:
    a, b = server("a", "x", "y"), server("b", "z")
    slots = deal([(a, 4, {"x": 1, "y": 3}), (b, 2, {"z": 1})])
    assert [(slot.server.name, slot.trunk.name) for slot in slots] == [
        ("a", "y"),
        ("b", "z"),
        ("a", "y"),
        ("a", "x"),
        ("a", "y"),
    ]
    assert deal([]) == deal([(a, 0, {"x": 5})]) == deal([(a, 2, {"x": 0, "y": 0})]) == []
