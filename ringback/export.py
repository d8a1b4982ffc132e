"""Topics out of Kafka into files, for training and for whoever wants to look at them."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from ringback import kafka
from ringback.envelope import is_packed, unpack
from ringback.errors import RingbackError, Unavailable
from ringback.export_files import RECORDS, Form, name_of, nameless, time_of, writer_of
from ringback.records import Record, Topic
from ringback.settings import KafkaSettings

MOST_RECORDS = 100_000
MOST_BYTES = 64 * 1024 * 1024
PATIENCE = 30.0

Progress = Callable[[str, int, int], None]


class Exported(Record, frozen=True, kw_only=True):
    """What became of one topic. ``left_out`` counts, by reason; ``first`` and ``last`` are epoch seconds."""

    topic: str
    records: int = 0
    files: tuple[str, ...] = ()
    left_out: dict[str, int] = msgspec.field(default_factory=dict)
    first: float | None = None
    last: float | None = None


async def export(
    settings: KafkaSettings,
    out: Path,
    topics: Sequence[Topic],
    *,
    form: Form = "jsonl",
    since: float | None = None,
    progress: Progress | None = None,
    most_records: int = MOST_RECORDS,
    patience: float = PATIENCE,
) -> list[Exported]:
    """Write what the topics hold now into ``out``/topic/, in files of ``most_records`` or 64 MB at most.

    ``since`` is the wall time, epoch seconds, from which records are taken. A file is in order of time and appears when
    it is whole; its name has the time of the export, so that exports into one folder stand side by side. ``progress``
    is told the topic, how many Kafka records have been read, and of how many. Memory is that of one file.

    Raises `Unavailable` where Kafka is silent for ``patience`` seconds, and `RingbackError` where a topic does not
    exist, polars is missing or a file can't be written. Files that are written by then stay.
    """
    write = writer_of(form)
    counts = await kafka.partition_counts(settings, patience=patience)
    if missing := [topic.value for topic in topics if topic not in counts]:
        raise RingbackError(
            f"Kafka at {settings.bootstrap} has no topic {', '.join(missing)}: start ringback ingest or "
            "ringback stream once, or set kafka.bootstrap to the cluster that they use"
        )
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    consumer = kafka.reader(settings)
    done = []
    try:
        await consumer.start()
        for topic in topics:
            folder = out / name_of(topic)
            _make(folder)
            files = _Files(topic, folder, f"{name_of(topic)}-{stamp}", form, write, most_records)
            await _read(consumer, topic, counts[topic], files, since, progress, patience)
            done.append(await files.finish())
    except (KafkaError, TimeoutError) as error:
        raise Unavailable(
            f"Kafka at {settings.bootstrap} went away while it was read ({error!r}): export again when it is back; "
            f"the files in {out} are whole, and what comes twice counts once"
        ) from None
    finally:
        await consumer.stop()
    return done


async def _read(
    consumer: AIOKafkaConsumer,
    topic: Topic,
    partitions: int,
    files: "_Files",
    since: float | None,
    progress: Progress | None,
    patience: float,
) -> None:
    tops = [TopicPartition(topic.value, number) for number in range(partitions)]
    consumer.assign(tops)
    ends = await consumer.end_offsets(tops)
    begins = await consumer.beginning_offsets(tops)
    if since is not None:
        found = await consumer.offsets_for_times(dict.fromkeys(tops, int(since * 1000)))
        begins = {top: ends[top] if found.get(top) is None else found[top].offset for top in tops}
    total, read = sum(ends[top] - begins[top] for top in tops), 0
    for top in tops:
        consumer.seek(top, begins[top])
    batches = kafka.until(consumer, {top: ends[top] for top in tops if ends[top] > begins[top]})
    while True:
        if progress is not None:
            progress(name_of(topic), min(read, total), total)
        async with asyncio.timeout(patience):
            batch = await anext(batches, None)
        if batch is None:
            break
        top, records = batch
        for record in records:
            if record.value is not None and record.offset < ends[top]:
                await files.add(record.value)
        read += len(records)
    if progress is not None:
        progress(name_of(topic), total, total)


class _Files:
    """Gathers the records of a topic, and writes them, a file at a time."""

    def __init__(
        self,
        topic: Topic,
        folder: Path,
        stem: str,
        form: Form,
        write: Callable[[Sequence[Any], Path], None],
        most_records: int,
    ) -> None:
        self._topic = topic
        self._folder = folder
        self._stem = stem
        self._form = form
        self._write = write
        self._most = most_records
        self._decode = msgspec.json.Decoder(RECORDS[topic]).decode
        self._held: list[Any] = []
        self._bytes = 0
        self._files: list[str] = []
        self._records = 0
        self._left_out: Counter[str] = Counter()
        self._first: float | None = None
        self._last: float | None = None

    async def add(self, value: bytes) -> None:
        """Take the value of one Kafka record: a record of Ringback's, or many packed."""
        try:
            given = unpack(value) if is_packed(value) else [value]
        except (ValueError, RecursionError):
            given = [value]
        for raw in given:
            self._take(raw)
        if len(self._held) >= self._most or self._bytes >= MOST_BYTES:
            await self._flush()

    async def finish(self) -> Exported:
        """Write what is held, and tell what was written in all."""
        await self._flush()
        return Exported(
            topic=name_of(self._topic),
            records=self._records,
            files=tuple(self._files),
            left_out=dict(self._left_out),
            first=self._first,
            last=self._last,
        )

    def _take(self, raw: bytes) -> None:
        try:
            record = nameless(self._decode(raw))
        except (ValueError, RecursionError):
            self._left_out["can't be read"] += 1
            return
        if record is None:
            self._left_out["a state that was handed over"] += 1
            return
        self._held.append(record)
        self._bytes += len(raw)

    async def _flush(self) -> None:
        if not self._held:
            return
        held, self._held, self._bytes = sorted(self._held, key=time_of), [], 0
        path = self._folder / f"{self._stem}-{len(self._files) + 1:05}.{self._form}"
        await asyncio.to_thread(self._write, held, path)
        self._files.append(str(path))
        self._records += len(held)
        first, last = time_of(held[0]), time_of(held[-1])
        self._first = first if self._first is None else min(self._first, first)
        self._last = last if self._last is None else max(self._last, last)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RingbackError(f"{folder} can't be made ({error.strerror or error})") from None
