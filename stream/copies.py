"""Standby copies: what Faust reads of their changelogs is put on the shelves, without a hole and in its order.

Faust drops what waits to be put there whenever the flow of records resumes, and begins before what the shelf already
holds. So a change is taken only where it is the next one; where one is missing the copy is behind, and reads its
changelog anew.
"""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from stream.shelf import Shelf


class Change(NamedTuple):
    """A record of a changelog; None for ``value`` is a deletion."""

    key: bytes
    value: bytes | None
    offset: int


class Copies:
    """The copies that one deal gave to this worker, by partition. At first all of them are behind."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._numbers = frozenset(numbers)
        self._waiting: dict[int, list[Change]] = {number: [] for number in self._numbers}
        self._missing = asyncio.Event()

    def take(self, number: int, shelf: Shelf, change: Change) -> None:
        """Put a change on the shelf; where the copy is behind it waits for `caught_up`."""
        if number not in self._numbers:
            return
        if number in self._waiting:
            self._waiting[number].append(change)
        else:
            self._follow(number, shelf, [change])

    def caught_up(self, number: int, shelf: Shelf) -> None:
        """The changelog was read to its end, as it was a moment ago; put there what was taken meanwhile."""
        self._follow(number, shelf, self._waiting.pop(number, []))

    async def behind(self) -> set[int]:
        """The copies in which changes are missing; waits until there are any."""
        while True:
            await self._missing.wait()
            self._missing.clear()
            if self._waiting:
                return set(self._waiting)

    def _follow(self, number: int, shelf: Shelf, changes: list[Change]) -> None:
        for at, change in enumerate(changes):
            if change.offset > shelf.offset + 1:
                self._waiting[number] = changes[at:]
                self._missing.set()
                return
            if change.offset == shelf.offset + 1:
                shelf.apply({change.key: change.value}, change.offset)
