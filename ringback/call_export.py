"""The records of calls out of Kafka, as lines of CSV or JSON, for whoever has to be shown them."""

import asyncio
import csv
import io
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from ringback import kafka
from ringback.call_records import CallEntry, CallRecord, ReportRecord
from ringback.errors import RingbackError, Unavailable
from ringback.records import Record, Topic
from ringback.settings import Settings

Form = Literal["csv", "jsonl"]
Write = Callable[[bytes], object]

PATIENCE = 30.0
# An entry that is written twice follows itself within one batch of the dialer.
REMEMBERED = 10_000
# By how much a dialer's clock may be ahead of Kafka's.
SKEW_SECONDS = 3600.0
TIMES = frozenset({"placed", "answered", "connected", "ended", "time", "callback", "consent_captured"})
COLUMNS = tuple(
    dict.fromkeys(("entry", *CallRecord.__struct_fields__, *ReportRecord.__struct_fields__)),
)

_decode = msgspec.json.Decoder(CallEntry).decode


class ExportedCalls(Record, frozen=True, kw_only=True):
    """What was written. ``unreadable`` entries were left out; ``sha256`` is the digest of all that was written."""

    calls: int
    reports: int
    unreadable: int
    sha256: str


async def export_calls(
    settings: Settings, write: Write, form: Form, begin: float, end: float, *, patience: float = PATIENCE
) -> ExportedCalls:
    """Write each call that ended, and each report that was made, in [begin, end) epoch seconds.

    A partition after the other, in each as they were put on record: the reports of a call after the call, and no entry
    twice. What is read at a time bounds the memory. Raises `Unavailable` where Kafka is silent for ``patience``
    seconds, and `RingbackError` where nothing was ever put on record.
    """
    digest = sha256()
    calls = reports = unreadable = 0

    def put(text: str) -> None:
        line = text.encode()
        digest.update(line)
        write(line)

    if form == "csv":
        put(_csv(COLUMNS))
    try:
        async for value in _values(settings, begin, patience):
            try:
                entry = _decode(value)
            except (ValueError, RecursionError):
                unreadable += 1
                continue
            if begin <= _time(entry) < end:
                calls += isinstance(entry, CallRecord)
                reports += isinstance(entry, ReportRecord)
                row = _row(entry)
                put(_csv(_cell(row.get(column)) for column in COLUMNS) if form == "csv" else _json(row))
    except (KafkaError, TimeoutError) as error:
        raise Unavailable(
            f"Kafka at {settings.kafka.bootstrap} went away while it was read ({error!r}): export again when it is back"
        ) from None
    return ExportedCalls(calls=calls, reports=reports, unreadable=unreadable, sha256=digest.hexdigest())


async def _values(settings: Settings, begin: float, patience: float) -> AsyncIterator[bytes]:
    counts = await kafka.partition_counts(settings.kafka, patience=patience)
    if Topic.CALLS not in counts:
        raise RingbackError(
            f"Kafka at {settings.kafka.bootstrap} has no topic {Topic.CALLS}: no dialer has run there yet, or "
            "kafka.bootstrap is another cluster"
        )
    consumer = kafka.reader(settings.kafka)
    try:
        await consumer.start()
        for number in range(counts[Topic.CALLS]):
            top = TopicPartition(Topic.CALLS.value, number)
            consumer.assign([top])
            last = (await consumer.end_offsets([top]))[top]
            # In a simulation the time of calls is not that of Kafka.
            if settings.simulation.enabled or not await _sought(consumer, top, begin - SKEW_SECONDS):
                await consumer.seek_to_beginning(top)
            seen: OrderedDict[bytes, None] = OrderedDict()
            batches = kafka.until(consumer, {top: last})
            while True:
                async with asyncio.timeout(patience):
                    batch = await anext(batches, None)
                if batch is None:
                    break
                for record in batch[1]:
                    if record.value is not None and record.offset < last and _is_new(record.value, seen):
                        yield record.value
    finally:
        await consumer.stop()


async def _sought(consumer: AIOKafkaConsumer, top: TopicPartition, begin: float) -> bool:
    """Go to what reached Kafka since ``begin``; False where nothing did, or that is not known."""
    found = (await consumer.offsets_for_times({top: max(0, int(begin * 1000))})).get(top)
    if found is None:
        return False
    consumer.seek(top, found.offset)
    return True


def _is_new(value: bytes, seen: OrderedDict[bytes, None]) -> bool:
    mark = sha256(value).digest()
    if mark in seen:
        return False
    seen[mark] = None
    if len(seen) > REMEMBERED:
        seen.popitem(last=False)
    return True


def _time(entry: CallEntry) -> float:
    return entry.ended if isinstance(entry, CallRecord) else entry.time


def _row(entry: CallEntry) -> dict[str, object]:
    """An entry with its times as RFC 3339; what is not known is left out."""
    return {
        name: _rfc3339(value) if name in TIMES and isinstance(value, int | float) else value
        for name, value in msgspec.to_builtins(entry).items()
        if value is not None
    }


def _rfc3339(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(row: dict[str, object]) -> str:
    return msgspec.json.encode(row).decode() + "\n"


def _cell(value: object) -> str:
    """A cell that no spreadsheet takes for a formula. A number in E.164 stays as it is."""
    text = "" if value is None else str(value)
    is_formula = text[:1] in ("=", "@", "\t", "\r", "+", "-") and not text[1:].isdecimal()
    return f"'{text}" if is_formula else text


def _csv(cells: Iterator[str] | tuple[str, ...]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
