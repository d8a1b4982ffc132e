"""Public logs in: one module a format, each a pure generator from lines to cart events."""

from collections.abc import Iterator
from pathlib import Path

from ingest.logs import jsonl, rees46, retailrocket, retentioneering
from ingest.logs.lines import BrokenLine, Line, Reader, read_lines
from ringback.errors import RingbackError
from ringback.records import CartEvent

__all__ = ["FORMATS", "BrokenLine", "Line", "read", "reader_of"]

FORMATS: dict[str, Reader] = {
    "jsonl": jsonl.read,
    "rees46": rees46.read,
    "retailrocket": retailrocket.read,
    "retentioneering": retentioneering.read,
}


def reader_of(format: str) -> Reader:  # noqa: A002 - the word of the command line
    """The reader of a format. Raises `RingbackError` for one that is unknown."""
    try:
        return FORMATS[format]
    except KeyError:
        raise RingbackError(f"format {format!r} is none of {', '.join(FORMATS)}") from None


def read(path: Path, format: str) -> Iterator[CartEvent | BrokenLine]:  # noqa: A002 - the word of the command line
    """Read a log, plain or gzipped: every line but the header gives an event or a `BrokenLine`.

    Events have ``replay`` set, the format as their source (but for ``jsonl``, which tells its own), and ids that are
    the same at every reading. Raises `RingbackError` when the format is unknown, or the file can't be read or is of
    another format.
    """
    reader = reader_of(format)
    broken: list[BrokenLine] = []

    def whole() -> Iterator[Line]:
        for line in read_lines(path):
            if isinstance(line, BrokenLine):
                broken.append(line)
            else:
                yield line

    try:
        yield from reader(whole())
    except RingbackError as error:
        raise RingbackError(f"{path}: {error}") from None
    yield from broken
