"""Messages that were read from the outbox and are not finished: which is next, and how far may be committed. Pure.

A message may wait for its hour while later ones are finished; the committed offset stays before the first unfinished
one, so that a worker that takes over reads it again.
"""

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from uuid import uuid4

from ringback.decisions import Message


@dataclass(slots=True, eq=False)
class Entry:
    """A message, where it lies in the outbox, in whose name it is claimed, and how often it was tried in vain."""

    partition: int
    offset: int
    message: Message
    claimant: str = field(default_factory=lambda: uuid4().hex)
    failures: int = 0


@dataclass(slots=True)
class _Read:
    """A partition's offsets: those unfinished, in order, and those finished behind the first of them."""

    next: int
    unfinished: deque[int] = field(default_factory=deque)
    finished: set[int] = field(default_factory=set)


class Backlog:
    """Entries by the business time from which they may be sent."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Entry]] = []
        self._read: dict[int, _Read] = {}
        self._order: Iterator[int] = count()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, entry: Entry) -> None:
        """Take an entry that was read; its partition's offsets come in order."""
        self.skip(entry.partition, entry.offset)
        self._read[entry.partition].unfinished.append(entry.offset)
        self.put(entry, entry.message.send_from)

    def skip(self, partition: int, offset: int) -> None:
        """A record was read and there is nothing to do for it."""
        self._read.setdefault(partition, _Read(offset)).next = offset + 1

    def put(self, entry: Entry, due: float) -> None:
        """Let an entry wait until ``due``."""
        heapq.heappush(self._waiting, (due, next(self._order), entry))

    def pop(self, now: float) -> Entry | None:
        """The entry that has been due longest; None when none is."""
        if not self._waiting or self._waiting[0][0] > now:
            return None
        return heapq.heappop(self._waiting)[2]

    @property
    def next_due(self) -> float:
        """When the next entry is due; infinite when none waits."""
        return self._waiting[0][0] if self._waiting else float("inf")

    def finish(self, entry: Entry) -> None:
        """Nothing more is to be done for an entry."""
        read = self._read[entry.partition]
        read.finished.add(entry.offset)
        while read.unfinished and read.unfinished[0] in read.finished:
            read.finished.remove(read.unfinished.popleft())

    def positions(self) -> dict[int, int]:
        """By partition, the offset from which a successor must read."""
        return {number: read.unfinished[0] if read.unfinished else read.next for number, read in self._read.items()}

    def clear(self) -> None:
        """Forget everything: the partitions are another worker's."""
        self._waiting.clear()
        self._read.clear()
