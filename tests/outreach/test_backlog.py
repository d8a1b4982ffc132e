from hypothesis import given
from hypothesis import strategies as st

from outreach.backlog import Backlog, Entry
from tests.outreach.messages import NOON, message


def entry(offset: int, partition: int = 0, **changes: object) -> Entry:
    return Entry(partition, offset, message(offset, **changes))


def test_what_is_due_longest_comes_first() -> None:
    backlog = Backlog()
    for offset, wait in enumerate((60, 0, 30)):
        backlog.add(entry(offset, send_from=NOON + wait))
    assert backlog.pop(NOON - 1) is None
    assert backlog.next_due == NOON
    popped = [backlog.pop(NOON + 60) for _ in range(4)]
    assert [found.offset if found else None for found in popped] == [1, 2, 0, None]
    assert backlog.next_due == float("inf")


def test_a_message_that_waits_holds_the_position_back() -> None:
    backlog = Backlog()
    entries = [entry(offset) for offset in (7, 8, 9)]
    for waiting in entries:
        backlog.add(waiting)
    backlog.skip(0, 10)
    assert backlog.positions() == {0: 7}
    backlog.finish(entries[1])
    assert backlog.positions() == {0: 7}
    backlog.finish(entries[0])
    assert backlog.positions() == {0: 9}
    backlog.finish(entries[2])
    assert backlog.positions() == {0: 11}


def test_a_skipped_record_behind_a_waiting_one_is_read_again() -> None:
    backlog = Backlog()
    backlog.add(entry(0))
    backlog.skip(0, 1)
    assert backlog.positions() == {0: 0}


@given(
    kinds=st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.integers(1, 3)), max_size=40),
    data=st.data(),
)
def test_no_position_is_beyond_an_unfinished_message(kinds: list[tuple[int, bool, int]], data: st.DataObject) -> None:
    backlog, unfinished, ends = Backlog(), dict[int, list[Entry]](), dict[int, int]()
    for partition, is_message, step in kinds:
        offset = ends.get(partition, 0) + step - 1
        ends[partition] = offset + 1
        if is_message:
            backlog.add(entry(offset, partition))
        else:
            backlog.skip(partition, offset)
    while popped := backlog.pop(NOON):
        unfinished.setdefault(popped.partition, []).append(popped)
    for done in data.draw(st.permutations([e for entries in unfinished.values() for e in entries])):
        backlog.finish(done)
        unfinished[done.partition].remove(done)
        for partition, position in backlog.positions().items():
            waiting = [e.offset for e in unfinished.get(partition, [])]
            assert position == min(waiting, default=ends[partition])
