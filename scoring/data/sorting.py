"""Records of many files as one stream in order of time, in bounded memory.

Files that are in order are merged as they are read; of those that are not, sorted runs are made in a temporary folder
first. `tempfile` says where that is: TMPDIR moves it, where ``/tmp`` has no room for a copy of the log.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Generic, TypeVar

import msgspec

from ringback.records import encode

R = TypeVar("R", bound=msgspec.Struct)
Key = tuple[float, str, str]
KeyOf = Callable[[R], Key]

RECORDS_A_RUN = 50_000
# Below what a process may have open on most systems.
MOST_OPEN = 400


@dataclass(frozen=True, slots=True)
class Run(Generic[R]):
    """Records that are in order; ``read`` begins anew each time. ``first`` and ``last`` are their ends."""

    first: Key
    last: Key
    read: Callable[[], Iterator[R]]


def merged(runs: Iterable[Run[R]], key: KeyOf[R]) -> Iterator[R]:
    """The records of all runs in order, equal ones in that of their runs.

    A run is opened when its first record's turn has come, and closed with its last one.
    """
    waiting = sorted(enumerate(runs), key=lambda run: (run[1].first, run[0]), reverse=True)
    heads: list[tuple[Key, int, R, Iterator[R]]] = []
    while heads or waiting:
        while waiting and (not heads or waiting[-1][1].first <= heads[0][0]):
            number, run = waiting.pop()
            records = run.read()
            record = next(records, None)
            if record is not None:
                heapq.heappush(heads, (key(record), number, record, records))
        if not heads:
            return
        _, number, record, records = heads[0]
        yield record
        following = next(records, None)
        if following is None:
            heapq.heappop(heads)
        else:
            heapq.heapreplace(heads, (key(following), number, following, records))


def most_at_once(runs: Sequence[Run[R]]) -> int:
    """How many runs `merged` has open at once, at most."""
    ends = sorted([(run.first, 0) for run in runs] + [(run.last, 1) for run in runs])
    open_now = most = 0
    for _, is_end in ends:
        open_now += -1 if is_end else 1
        most = max(most, open_now)
    return most


def in_order(records: Iterable[R], key: KeyOf[R], kind: type[R]) -> Iterator[R]:
    """Records in order, whatever their order was; at most `RECORDS_A_RUN` are in memory."""
    first = _part(records := iter(records), key)
    second = _part(records, key)
    if not second:
        yield from first
        return
    with TemporaryDirectory(prefix="ringback-sort-") as name:
        folder = Path(name)
        runs: list[Run[R]] = []
        for number, part in enumerate(_chained(first, second, records, key)):
            if len(runs) == MOST_OPEN:
                runs = [_written(merged(runs, key), folder / f"merged-{number}.jsonl", key, kind)]
            runs.append(_written(part, folder / f"{number}.jsonl", key, kind))
        yield from merged(runs, key)


def _chained(first: list[R], second: list[R], records: Iterator[R], key: KeyOf[R]) -> Iterator[list[R]]:
    yield first
    yield second
    while part := _part(records, key):
        yield part


def _part(records: Iterator[R], key: KeyOf[R]) -> list[R]:
    return sorted(islice(records, RECORDS_A_RUN), key=key)


def _written(records: Iterable[R], file: Path, key: KeyOf[R], kind: type[R]) -> Run[R]:
    first = last = None
    with file.open("wb") as out:
        for record in records:
            last = key(record)
            first = first or last
            out.write(encode(record) + b"\n")
    decode = msgspec.json.Decoder(kind).decode

    def read() -> Iterator[R]:
        with file.open("rb") as lines:
            yield from map(decode, lines)

    nothing = (0.0, "", "")
    return Run(first or nothing, last or nothing, read)
