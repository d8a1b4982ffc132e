from collections.abc import Iterable

from stream.orphans import PATIENCE_SECONDS, Orphans

AWHILE = PATIENCE_SECONDS + 0.1


class Consumer:
    def __init__(self, unacked: Iterable[str]) -> None:
        self.unacked = set(unacked)


def test_what_nobody_holds_is_left_after_a_while() -> None:
    orphans, consumer = Orphans(), Consumer("ab")
    assert orphans.look(consumer, idle=True, now=0.0) == 0
    assert orphans.look(consumer, idle=True, now=PATIENCE_SECONDS / 2) == 0
    assert orphans.look(consumer, idle=True, now=AWHILE) == 2
    assert not consumer.unacked


def test_what_is_on_its_way_is_waited_for() -> None:
    orphans, consumer = Orphans(), Consumer("a")
    for now in range(100):
        # Now and then something is held: whoever holds it acknowledges or leaves it.
        assert orphans.look(consumer, idle=now % 2 == 0, now=now * AWHILE) == 0
    assert consumer.unacked


def test_each_wait_begins_anew() -> None:
    orphans, consumer = Orphans(), Consumer("a")
    orphans.look(consumer, idle=True, now=0.0)
    orphans.forget()
    assert orphans.look(consumer, idle=True, now=AWHILE) == 0
    consumer.unacked.clear()
    assert orphans.look(consumer, idle=True, now=2 * AWHILE) == 0
    consumer.unacked.add("b")
    assert orphans.look(consumer, idle=True, now=3 * AWHILE) == 0
    assert orphans.look(consumer, idle=True, now=5 * AWHILE) == 1
