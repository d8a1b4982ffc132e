from hypothesis import given
from hypothesis import strategies as st

from stream.abandonment import DueCarts, Watermark

times = st.floats(min_value=0, max_value=1e9)


def test_watermark_follows_the_newest_event_less_the_lateness() -> None:
    mark = Watermark(lateness=30)
    mark.see(1000, arrived=1001)
    mark.see(990, arrived=1002)
    assert mark.time == 970


def test_an_idle_watermark_moves_with_the_clock_from_where_the_last_event_left_it() -> None:
    live = Watermark(lateness=30)
    live.see(1000, arrived=1001)
    assert live.idle(now=1061) == 1030
    replay = Watermark(lateness=30)
    replay.see(1000, arrived=500_000)
    assert replay.idle(now=500_060) == 1030


@given(st.lists(st.tuples(times, times)), times)
def test_the_watermark_never_goes_back(events: list[tuple[float, float]], now: float) -> None:
    mark, before = Watermark(lateness=10), float("-inf")
    for event_time, arrived in events:
        mark.see(event_time, arrived)
        assert mark.time >= before
        before = mark.time
    assert mark.idle(now) >= mark.time


@given(st.lists(st.tuples(st.binary(max_size=2), st.none() | times)), times)
def test_due_carts_come_once_in_order_of_their_last_due_time(
    puts: list[tuple[bytes, float | None]], until: float
) -> None:
    due, expected = DueCarts(), {}
    for key, time in puts:
        due.put(key, time)
        expected[key] = time
    popped = []
    while (found := due.pop(until)) is not None:
        popped.append(found)
    assert popped == sorted((time, key) for key, time in expected.items() if time is not None and time <= until)
    assert len(due) == sum(time is not None and time > until for time in expected.values())
