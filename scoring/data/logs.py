"""The product's own logs, read back as `ringback export` writes them: JSON lines, plain or gzipped, or Parquet.

Whatever the files and their order, each topic comes back as one stream in order of time, in bounded memory. What can't
be read is an error that names file, line and field; what can be read and not used (a negative price, a time in
milliseconds) is refused and counted, as the stream would have done.
"""

import gzip
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from ringback.decisions import Decision
from ringback.errors import BadEvent
from ringback.records import CartEvent, ContactEvent, Conversion, DeadLetterReason, Topic
from ringback.settings import IngestSettings
from ringback.validation import LAST_TIME, check
from scoring.data.parquet import read_parquet
from scoring.data.sorting import Key, KeyOf, Run, in_order, merged, most_at_once
from scoring.errors import TrainingError

R = TypeVar("R", bound=msgspec.Struct)

MOST_FILES_AT_ONCE = 24
SUFFIXES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", ".parquet")
_GZIP_MAGIC, _PARQUET_MAGIC = b"\x1f\x8b", b"PAR1"
_LIMITS = IngestSettings()


@dataclass(frozen=True, slots=True)
class Kind(Generic[R]):
    """A topic's records: by which fields they are told apart and put in order, and what is checked of each.

    ``refuse`` raises `BadEvent`.
    """

    topic: Topic
    record: type[R]
    order: tuple[str, ...]
    refuse: Callable[[R], None]

    @property
    def name(self) -> str:
        """The topic's name in file names."""
        return self.topic.removeprefix("ringback.")

    def key(self, record: R) -> Key:
        """By what records are put in order."""
        time, *names = (getattr(record, name) for name in self.order)
        return time, names[0], names[1] if len(names) > 1 else ""


def _refuse_event(event: CartEvent) -> None:
    check(event, now=min(event.time, LAST_TIME), limits=_LIMITS)


def _refuse_time(time: float) -> None:
    if not 0.0 <= time <= LAST_TIME:
        hint = "; is it in milliseconds?" if time > LAST_TIME else ""
        raise BadEvent(DeadLetterReason.WRONG_TYPE, f"time {time!r} is not in epoch seconds{hint}")


EVENTS = Kind(Topic.CART_EVENTS, CartEvent, ("time", "event_id", "source"), _refuse_event)
DECISIONS = Kind(Topic.DECISIONS, Decision, ("time", "decision_id"), lambda one: _refuse_time(one.time))
CONTACTS = Kind(Topic.CONTACTS, ContactEvent, ("time", "contact_id"), lambda one: _refuse_time(one.time))
CONVERSIONS = Kind(Topic.CONVERSIONS, Conversion, ("ordered", "order_id"), lambda one: _refuse_time(one.ordered))
KINDS: tuple[Kind[Any], ...] = (EVENTS, DECISIONS, CONTACTS, CONVERSIONS)


@dataclass(slots=True)
class Refused:
    """What was refused while a topic was read last: how many records by reason, and the first one of each."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def clear(self) -> None:
        """Begin anew."""
        self.counts.clear()
        self.first.clear()


class Records(Iterable[R]):
    """The records of one topic in order of time; each iteration reads the files anew.

    Raises `TrainingError` for a file that can't be read, and where there are records and none can be used.
    """

    def __init__(self, kind: Kind[R], files: Sequence[Path]) -> None:
        self.kind = kind
        self.files = tuple(files)
        self.refused = Refused()

    def __iter__(self) -> Iterator[R]:
        self.refused.clear()
        used = 0
        for record in self._in_order():
            used += 1
            yield record
        if not used and self.refused.counts:
            reason, first = next(iter(self.refused.first.items()))
            count = f"{self.refused.counts.total():,} {self.kind.name}"
            raise TrainingError(f"none of the {count} can be used; the first is {reason}: {first}")

    def _in_order(self) -> Iterator[R]:
        key: KeyOf[R] = self.kind.key
        runs = [run for run in self._runs if run is not None]
        if len(runs) == len(self._runs) and most_at_once(runs) <= MOST_FILES_AT_ONCE:
            return merged(runs, key)
        everything = (record for file in self.files for record in self._usable(file))
        return in_order(everything, key, self.kind.record)

    @cached_property
    def _runs(self) -> list[Run[R] | None]:
        """Each file with its first and last record; None for one that is not in order."""
        return [run for file in self.files for run in self._run(file)]

    def _run(self, file: Path) -> list[Run[R] | None]:
        first: Key | None = None
        last: Key = (float("-inf"), "", "")
        for _, keys in _parsed(file, self.kind, self._only_keys):
            key = self.kind.key(keys)
            if key < last:
                return [None]
            first, last = first or key, key
        return [] if first is None else [Run(first, last, lambda: self._usable(file))]

    @cached_property
    def _only_keys(self) -> type[Any]:
        """A struct of the fields that order needs, so that a file is looked through quickly."""
        kinds = {one.name: one.type for one in msgspec.structs.fields(self.kind.record)}
        return msgspec.defstruct("Keys", [(name, kinds[name]) for name in self.kind.order])

    def _usable(self, file: Path) -> Iterator[R]:
        for place, record in _parsed(file, self.kind, self.kind.record):
            try:
                self.kind.refuse(record)
            except BadEvent as error:
                self.refused.counts[error.reason] += 1
                self.refused.first.setdefault(error.reason, f"{file}, {place}: {error.detail}")
            else:
                yield record


@dataclass(frozen=True, slots=True)
class Log:
    """What was exported. A topic that was not exported is None, one that was and is empty has no records."""

    events: Records[CartEvent]
    decisions: Records[Decision] | None
    contacts: Records[ContactEvent] | None
    conversions: Records[Conversion] | None

    @property
    def name(self) -> str:
        """What the log is called in a manifest: the names of its folders."""
        files = [file for topic in self._topics() for file in topic.files]
        return ", ".join(dict.fromkeys(_folder(file).name or str(file) for file in files))

    def refused(self) -> dict[str, int]:
        """What was refused in what has been read so far, by topic and reason."""
        return {
            f"{topic.kind.name} refused as {reason}": count
            for topic in self._topics()
            for reason, count in sorted(topic.refused.counts.items())
        }

    def _topics(self) -> list[Records[Any]]:
        return [one for one in (self.events, self.decisions, self.contacts, self.conversions) if one is not None]


def read_log(paths: Iterable[Path]) -> Log:
    """The logs in files, and in folders with all that is below them.

    A file's topic is told by its name or its folder's (``cart-events``, ``decisions``, ``contacts``, ``conversions``),
    or else by its first record. Exports may overlap: what comes twice counts once. Files whose names begin with a dot
    are unfinished and left out. Raises `TrainingError`.
    """
    found: dict[Topic, list[Path]] = {}
    for path in paths:
        if path.is_dir():
            _look_through(path, found)
        elif path.is_file():
            found.setdefault(_topic(path), []).append(path)
        else:
            raise TrainingError(f"{path}: no such file or folder")
    return Log(
        events=Records(EVENTS, found.get(Topic.CART_EVENTS, ())),
        decisions=_given(DECISIONS, found),
        contacts=_given(CONTACTS, found),
        conversions=_given(CONVERSIONS, found),
    )


def _given(kind: Kind[R], found: dict[Topic, list[Path]]) -> Records[R] | None:
    return Records(kind, found[kind.topic]) if kind.topic in found else None


def _look_through(folder: Path, found: dict[Topic, list[Path]]) -> None:
    seen = False
    for path in sorted(folder.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if path.is_dir():
            named = _named(path.name)
            if named is not None:
                found.setdefault(named, [])
                seen = True
        elif path.name.endswith(SUFFIXES):
            found.setdefault(_topic(path), []).append(path)
            seen = True
    if not seen:
        raise TrainingError(f"{folder}: no logs in it; expected files that end in {', '.join(SUFFIXES)}")


def _topic(path: Path) -> Topic:
    named = _named(path.name) or _named(path.parent.name)
    if named is not None:
        return named
    fields = _first_fields(path)
    for kind in KINDS:
        if all(name in fields for name in kind.order):
            return kind.topic
    told = f"its first record has {', '.join(sorted(fields)[:8])}" if fields else "it is empty"
    wanted = "; ".join(f"{kind.name}: {', '.join(kind.order)}" for kind in KINDS)
    raise TrainingError(f"{path}: none of Ringback's logs: {told}; expected the columns of one of {wanted}")


def _named(name: str) -> Topic | None:
    return next((kind.topic for kind in KINDS if name.startswith((kind.name, kind.topic))), None)


def _folder(file: Path) -> Path:
    return file.parent.parent if _named(file.parent.name) else file


def _first_fields(path: Path) -> frozenset[str]:
    if _begins_with(path, _PARQUET_MAGIC):
        first = next(read_parquet(path, None), None)
        return frozenset() if first is None else frozenset(first[1])
    for number, raw in _lines(path):
        try:
            return frozenset(msgspec.json.decode(raw, type=dict[str, msgspec.Raw]))
        except (ValueError, RecursionError) as error:
            raise _broken(path, f"line {number}", error, "a log of Ringback's") from None
    return frozenset()


T = TypeVar("T")


def _parsed(file: Path, kind: Kind[Any], record: type[T]) -> Iterator[tuple[str, T]]:
    """The records of a file, each with its place in it; raises `TrainingError`."""
    what = f"{kind.name} as `ringback export` writes them"
    if _begins_with(file, _PARQUET_MAGIC):
        for number, row in read_parquet(file, record):
            place = f"row {number}"
            try:
                yield place, msgspec.convert(row, record)
            except msgspec.ValidationError as error:
                raise _broken(file, place, error, what) from None
        return
    decode = msgspec.json.Decoder(record).decode
    for number, raw in _lines(file):
        place = f"line {number}"
        try:
            yield place, decode(raw)
        except (ValueError, RecursionError) as error:
            raise _broken(file, place, error, what) from None


def _broken(file: Path, place: str, error: Exception, what: str) -> TrainingError:
    told = str(error).replace("`$.", "column `").replace("`$`", "the record")
    if isinstance(error, msgspec.DecodeError) and not isinstance(error, msgspec.ValidationError):
        told = f"no JSON ({error}); is the file cut off?"
    return TrainingError(f"{file}, {place}: {told}; expected {what}")


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that are not empty, plain or gzipped, with their numbers; raises `TrainingError`."""
    number = 0
    try:
        with file.open("rb") as plain:
            gzipped = plain.read(2) == _GZIP_MAGIC
            plain.seek(0)
            with gzip.GzipFile(fileobj=plain) if gzipped else plain as lines:
                for number, raw in enumerate(lines, start=1):
                    if raw.strip():
                        yield number, raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TrainingError(f"{file}, line {number + 1}: the gzip file is damaged from here ({error})") from None
    except OSError as error:
        raise TrainingError(f"{file}: can't be read ({error.strerror or error})") from None


def _begins_with(file: Path, magic: bytes) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(len(magic)) == magic
    except OSError as error:
        raise TrainingError(f"{file}: can't be read ({error.strerror or error})") from None
