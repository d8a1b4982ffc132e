"""Long columns of numbers: rows gathered one at a time in little memory, and who did something next or last."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]

ROWS_A_CHUNK = 32_768
NEVER = float("-inf")
FOR_EVER = float("inf")


@dataclass(slots=True)
class Moments:
    """When shoppers, by number, did something."""

    _numbers: "array[int]" = field(default_factory=lambda: array("q"))
    _times: "array[float]" = field(default_factory=lambda: array("d"))

    def __len__(self) -> int:
        return len(self._times)

    def add(self, number: int, time: float) -> None:
        """Note one moment."""
        self._numbers.append(number)
        self._times.append(time)

    def keep(self, wanted: Callable[[Numbers], Mask]) -> None:
        """Let go of the moments of shoppers who are not wanted."""
        numbers, times = self.columns()
        kept = wanted(numbers)
        self._numbers, self._times = array("q", numbers[kept].tobytes()), array("d", times[kept].tobytes())

    def columns(self) -> tuple[Numbers, Floats]:
        """Copies of both columns."""
        return np.array(self._numbers, dtype=np.int64), np.array(self._times, dtype=np.float64)


@dataclass(slots=True)
class _Chunk:
    numbers: Numbers
    times: Floats
    due: Mask
    vectors: Floats

    def kept(self, kept: Mask) -> "_Chunk":
        return _Chunk(self.numbers[kept], self.times[kept], self.due[kept], self.vectors[kept])


class Chunks:
    """Rows of vectors, ``width`` numbers each, with their shopper, time and whether they are at abandonment."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._chunks: list[_Chunk] = []
        self._length = 0
        self._clear()

    def __len__(self) -> int:
        return self._length + len(self._times)

    def add(self, number: int, time: float, row: tuple[float, ...], *, due: bool) -> None:
        """Add one row."""
        self._numbers.append(number)
        self._times.append(time)
        self._due.append(due)
        self._vectors.extend(row)
        if len(self._times) >= ROWS_A_CHUNK:
            self._close()

    def keep(self, wanted: Callable[[Numbers], Mask]) -> None:
        """Let go of the rows of shoppers who are not wanted."""
        self._close()
        for place, chunk in enumerate(self._chunks):
            self._chunks[place] = chunk.kept(wanted(chunk.numbers))
        self._chunks = [chunk for chunk in self._chunks if len(chunk.times)]
        self._length = sum(len(chunk.times) for chunk in self._chunks)

    def columns(self) -> tuple[Numbers, Floats, Mask]:
        """Shoppers' numbers, times, and which rows are at abandonment."""
        self._close()
        if not self._chunks:
            return np.empty(0, np.int64), np.empty(0), np.empty(0, np.bool_)
        return (
            np.concatenate([chunk.numbers for chunk in self._chunks]),
            np.concatenate([chunk.times for chunk in self._chunks]),
            np.concatenate([chunk.due for chunk in self._chunks]),
        )

    def take_vectors(self, kept: Mask) -> Floats:
        """The vectors of the rows that are kept. Gives the memory of all of them back as it goes."""
        self._close()
        vectors = np.empty((int(kept.sum()), self._width))
        read = written = 0
        self._chunks.reverse()
        while self._chunks:
            chunk = self._chunks.pop()
            rows = chunk.vectors[kept[read : read + len(chunk.times)]]
            vectors[written : written + len(rows)] = rows
            read, written = read + len(chunk.times), written + len(rows)
        self._length = 0
        return vectors

    def _close(self) -> None:
        rows = len(self._times)
        if not rows:
            return
        chunk = _Chunk(
            np.array(self._numbers, dtype=np.int64),
            np.array(self._times, dtype=np.float64),
            np.array(self._due, dtype=np.bool_),
            np.array(self._vectors, dtype=np.float64).reshape(rows, self._width),
        )
        self._chunks.append(chunk)
        self._length += rows
        self._clear()

    def _clear(self) -> None:
        self._numbers, self._times = array("q"), array("d")
        self._due, self._vectors = bytearray(), array("d")


def following(numbers: Numbers, times: Floats, of: tuple[Numbers, Floats]) -> Floats:
    """For each (shopper, time) when the same shopper next did something, strictly after it; inf: never.

    ``of`` has the shoppers and times of what was done.
    """
    done, when = of
    if not len(done) or not len(numbers):
        return np.full(len(numbers), FOR_EVER)
    is_asked = np.concatenate([np.zeros(len(done), np.int8), np.ones(len(numbers), np.int8)])
    order = np.lexsort((is_asked, np.concatenate([when, times]), np.concatenate([done, numbers])))
    # Behind an asking place, in order of shopper and time, stands the next thing done, at whatever distance.
    places = np.where(is_asked[order] == 0, np.arange(len(order)), len(order))
    nearest = np.minimum.accumulate(places[::-1])[::-1]
    return _found(numbers, of, order, nearest, FOR_EVER)


def preceding(numbers: Numbers, times: Floats, of: tuple[Numbers, Floats]) -> Floats:
    """For each (shopper, time) when the same shopper last did something, then or before; -inf: never."""
    done, when = of
    if not len(done) or not len(numbers):
        return np.full(len(numbers), NEVER)
    is_asked = np.concatenate([np.zeros(len(done), np.int8), np.ones(len(numbers), np.int8)])
    order = np.lexsort((is_asked, np.concatenate([when, times]), np.concatenate([done, numbers])))
    places = np.where(is_asked[order] == 0, np.arange(len(order)), -1)
    nearest = np.maximum.accumulate(places)
    return _found(numbers, of, order, np.where(nearest < 0, len(order), nearest), NEVER)


def _found(
    numbers: Numbers, of: tuple[Numbers, Floats], order: NDArray[np.intp], nearest: NDArray[np.intp], nothing: float
) -> Floats:
    """The times at the nearest places, put back where they were asked for, if they are of the same shopper."""
    done, when = of
    asked = order >= len(done)
    index = order[asked] - len(done)
    place = nearest[asked]
    exists = place < len(order)
    at = order[np.where(exists, place, 0)]
    at = np.where(at < len(done), at, 0)
    same = exists & (done[at] == numbers[index])
    times = np.full(len(numbers), nothing)
    times[index[same]] = when[at[same]]
    return times
