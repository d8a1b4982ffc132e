"""Reading a log line by line: plain or gzipped, every line either an event or accounted for as broken."""

import csv
import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ringback.errors import BadEvent, RingbackError
from ringback.records import CartEvent, DeadLetterReason
from ringback.settings import IngestSettings
from ringback.validation import LAST_TIME, check

LIMITS = IngestSettings()
# About 200 bytes each: the whole RetailRocket log, 2.8 million lines, takes some 600 MB.
MOST_SORTED_LINES = 3_000_000

_GZIP_MAGIC = b"\x1f\x8b"


class Line(NamedTuple):
    """A line of a file, without its end. Numbers start at 1, and a header counts."""

    number: int
    raw: bytes


class BrokenLine(NamedTuple):
    """A line that gives no event, and why."""

    number: int
    reason: DeadLetterReason
    detail: str
    raw: bytes


Row = dict[str, str]
Reader = Callable[[Iterable[Line]], Iterator[CartEvent | BrokenLine]]


@contextmanager
def opened(path: Path) -> Iterator[Iterable[bytes]]:
    """A file's lines, unpacked where it is gzipped, which its first bytes tell."""
    with path.open("rb") as plain:
        gzipped = plain.read(2) == _GZIP_MAGIC
        plain.seek(0)
        with gzip.GzipFile(fileobj=plain) if gzipped else plain as file:
            yield file


def read_lines(path: Path) -> Iterator[Line | BrokenLine]:
    """The lines of a file, plain or gzipped, read as they are needed.

    A damaged or cut gzip file ends with a `BrokenLine`. Raises `RingbackError` when the file can't be opened.
    """
    number = 0
    try:
        with opened(path) as file:
            for number, raw in enumerate(file, start=1):
                yield Line(number, raw.rstrip(b"\r\n"))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        yield BrokenLine(number + 1, DeadLetterReason.BROKEN_LINE, f"the gzip file is damaged from here: {error}", b"")
    except OSError as error:
        raise RingbackError(error.strerror or str(error)) from None


def events(
    given: Iterable[Line], columns: Sequence[str], parse: Callable[[Line, Row], CartEvent]
) -> Iterator[CartEvent | BrokenLine]:
    """Events of a CSV log whose first line names its columns, in the order of the lines.

    ``columns`` must all be there, in any order. ``parse`` makes an event of one row and raises `BadEvent`, `ValueError`
    or `ArithmeticError` for a broken one. Raises `RingbackError` when the header lacks columns.
    """
    names: list[str] | None = None
    for line in given:
        if names is None:
            names = _header(line, columns)
        else:
            yield _event(line, names, parse)


def sorted_events(
    given: Iterable[Line], columns: Sequence[str], parse: Callable[[Line, Row], CartEvent]
) -> Iterator[CartEvent | BrokenLine]:
    """As `events`, but ordered by the events' time; broken lines come first.

    For logs that are not in the order in which things happened. Keeps all lines in memory, at most
    `MOST_SORTED_LINES`; raises `RingbackError` for a longer log.
    """
    names: list[str] = []
    kept: list[tuple[float, int, bytes]] = []
    for line in given:
        if not names:
            names = _header(line, columns)
            continue
        event = _event(line, names, parse)
        if isinstance(event, BrokenLine):
            yield event
            continue
        kept.append((event.time, *line))
        if len(kept) > MOST_SORTED_LINES:
            raise RingbackError(
                f"over {MOST_SORTED_LINES:,} lines in a log that has to be sorted by time in memory; split it by time"
            )
    kept.sort()
    for _, number, raw in kept:
        yield _event(Line(number, raw), names, parse)


def stable_id(line: Line) -> str:
    """An event id that is the same whenever the same file is read, and differs between files."""
    return f"{line.number}-{zlib.crc32(line.raw):08x}"


def checked(line: Line, make: Callable[[], CartEvent]) -> CartEvent | BrokenLine:
    """The event that ``make`` returns, or what is wrong with it."""
    try:
        event = make()
        check(event, now=LAST_TIME, limits=LIMITS)
    except BadEvent as error:
        return BrokenLine(line.number, DeadLetterReason(error.reason), error.detail, line.raw)
    except (ValueError, ArithmeticError) as error:
        return BrokenLine(line.number, DeadLetterReason.BROKEN_LINE, str(error) or repr(error), line.raw)
    return event


def _header(line: Line, columns: Sequence[str]) -> list[str]:
    names = next(csv.reader([line.raw.decode("utf-8-sig", errors="replace")]), [])
    missing = [name for name in columns if name not in names]
    if missing:
        raise RingbackError(f"the first line must name the columns {', '.join(columns)}; missing: {', '.join(missing)}")
    return names


def _event(line: Line, names: list[str], parse: Callable[[Line, Row], CartEvent]) -> CartEvent | BrokenLine:
    def make() -> CartEvent:
        text = line.raw.decode()
        values = next(csv.reader([text], strict=True), []) if '"' in text else text.split(",")
        if len(values) != len(names):
            raise ValueError(f"{len(values)} columns where {len(names)} are expected")
        return parse(line, dict(zip(names, values, strict=True)))

    try:
        return checked(line, make)
    except csv.Error as error:
        return BrokenLine(line.number, DeadLetterReason.BROKEN_LINE, f"not CSV: {error}", line.raw)
