import asyncio

from hypothesis import given
from hypothesis import strategies as st

from stream.copies import Change, Copies
from stream.shelf import MemoryShelf

CHANGELOG = st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.none() | st.binary(max_size=2)), min_size=1)
PARTITION = 3


def up_to(changelog: list[Change], end: int) -> dict[bytes, bytes]:
    """What the first ``end`` changes leave."""
    newest = {change.key: change.value for change in changelog[:end]}
    return {key: value for key, value in newest.items() if value is not None}


def read(changelog: list[Change], shelf: MemoryShelf, end: int) -> None:
    """As a worker does at the beginning: from where the shelf is to what is now the end."""
    for change in changelog[shelf.offset + 1 : end]:
        shelf.apply({change.key: change.value}, change.offset)


@given(CHANGELOG, st.data())
def test_a_copy_is_always_what_the_changelog_was_at_its_offset(
    written: list[tuple[bytes, bytes | None]], data: st.DataObject
) -> None:
    changelog = [Change(key, value, offset) for offset, (key, value) in enumerate(written)]
    shelf, copies = MemoryShelf(), Copies({PARTITION})
    fed = end = 0
    for _ in range(data.draw(st.integers(0, 12))):
        end = data.draw(st.integers(end, len(changelog)))
        what = data.draw(st.sampled_from(["feed", "drop", "feed again", "catch up"]))
        if what == "feed":
            upto = data.draw(st.integers(min(fed, end), end))
            for change in changelog[fed:upto]:
                copies.take(PARTITION, shelf, change)
            fed = max(fed, upto)
        elif what == "drop":
            fed = data.draw(st.integers(min(fed, end), end))
        elif what == "feed again":
            fed = data.draw(st.integers(0, fed))
        else:
            read(changelog, shelf, end)
            copies.caught_up(PARTITION, shelf)
        assert dict(shelf.items()) == up_to(changelog, shelf.offset + 1)


async def test_what_was_taken_before_the_end_was_read_does_not_bring_back_what_is_old() -> None:
    shelf, copies = MemoryShelf(), Copies({PARTITION})
    changelog = [Change(b"a", b"%d" % offset, offset) for offset in range(3)]
    copies.take(PARTITION, shelf, changelog[0])
    copies.take(PARTITION, shelf, changelog[1])
    read(changelog, shelf, 3)
    copies.caught_up(PARTITION, shelf)
    assert (shelf.get(b"a"), shelf.offset) == (b"2", 2)


async def test_a_copy_in_which_a_change_is_missing_is_behind_until_its_changelog_is_read() -> None:
    shelf, copies = MemoryShelf(), Copies({PARTITION})
    changelog = [Change(b"%d" % offset, b"x", offset) for offset in range(5)]
    copies.caught_up(PARTITION, shelf)
    behind = asyncio.create_task(copies.behind())
    copies.take(PARTITION, shelf, changelog[0])
    await asyncio.sleep(0)
    assert not behind.done()

    copies.take(PARTITION, shelf, changelog[2])
    assert await behind == {PARTITION}
    assert shelf.offset == 0

    copies.take(PARTITION, shelf, changelog[3])
    read(changelog, shelf, 3)
    copies.caught_up(PARTITION, shelf)
    copies.take(PARTITION, shelf, changelog[4])
    assert (shelf.offset, len(shelf)) == (4, 5)


def test_partitions_of_which_no_copy_is_kept_are_left_alone() -> None:
    shelf, copies = MemoryShelf(), Copies({PARTITION})
    copies.take(PARTITION + 1, shelf, Change(b"a", b"x", 0))
    copies.caught_up(PARTITION + 1, shelf)
    assert len(shelf) == 0
