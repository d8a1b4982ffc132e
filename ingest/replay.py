"""Plays a log again: publishes its events to Kafka, as fast as asked, with what is broken as dead letters."""

import asyncio
import logging
import time
import zlib
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from ingest.logs import BrokenLine, read, reader_of
from ingest.logs.lines import opened
from ringback.errors import BadEvent, RingbackError
from ringback.kafka import PATIENCE, close, create_topics, producer
from ringback.records import CartEvent, EventKind, Record, Shopper, Topic, encode
from ringback.settings import Settings
from ringback.validation import dead_letter

log = logging.getLogger(__name__)

MOST_IN_FLIGHT = 5_000
EVENTS_BETWEEN_PAUSES = 100  # so that the producer, and Ctrl-C, get their turn
REMIND_SECONDS = 10.0

# In a real shop these are the moments at which it learns who the shopper is.
TELLS_WHO = frozenset(
    {
        EventKind.ITEM_ADDED,
        EventKind.CART_SNAPSHOT,
        EventKind.CHECKOUT_STARTED,
        EventKind.CHECKOUT_STEP,
        EventKind.PAYMENT_FAILED,
        EventKind.IDENTIFIED,
    }
)


class ReplaySummary(Record, frozen=True, kw_only=True):
    """What a replay published, all of it acknowledged. ``first`` and ``last`` are times of the log, epoch seconds."""

    events: int
    dead_letters: int
    seconds: float
    first: float | None = None
    last: float | None = None

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds if self.seconds else 0.0


async def replay(
    settings: Settings,
    path: Path,
    format: str,  # noqa: A002 - the word of the command line
    *,
    speed: float | None = None,
    limit: int | None = None,
    people: Callable[[str], Shopper] | None = None,
    console: Console | None = None,
    patience: float = PATIENCE,
) -> ReplaySummary:
    """Publish a log's events to `Topic.CART_EVENTS` in their order, and its broken lines to `Topic.DEAD_LETTERS`.

    ``speed`` is how many seconds of the log pass in one, None as fast as Kafka takes them. ``limit`` is the most lines.
    ``people`` gives the shopper for an id; it is asked for each shopper who fills a cart and must always say the same.
    ``console`` shows a progress bar. While the broker is away the replay waits for it: nothing is lost, repeated or put
    out of order. Raises `RingbackError` when the log can't be read, or Kafka refuses an event for good.
    """
    reader_of(format)
    await create_topics(settings.kafka, patience=patience)
    producing = await producer(settings.kafka, patience=patience)
    publishing = _Publishing(producing, settings.kafka.bootstrap)
    watching = asyncio.create_task(publishing.watch())
    whole = await asyncio.to_thread(_count_lines, path) if console else 0
    total = whole if limit is None else min(whole, limit)
    whose = lru_cache(maxsize=100_000)(people) if people else None
    counts = {CartEvent: 0, BrokenLine: 0}
    first = last = None
    began = time.monotonic()
    try:
        with _progress(console) as progress:
            bar = progress.add_task(path.name, total=total)
            for done, one in enumerate(read(path, format)):
                if done == limit:
                    break
                counts[type(one)] += 1
                if isinstance(one, BrokenLine):
                    await publishing.send(*_dead_letter(one, format))
                    continue
                first = one.time if first is None else first
                last = one.time
                if speed is not None:
                    await asyncio.sleep(began + (one.time - first) / speed - time.monotonic())
                elif done % EVENTS_BETWEEN_PAUSES == 0:
                    await asyncio.sleep(0)
                await publishing.send(Topic.CART_EVENTS, one.shopper_id, encode(_finished(one, whose)))
                progress.update(bar, completed=done + 1)
            await publishing.finish()
            progress.update(bar, total=sum(counts.values()), completed=sum(counts.values()))
    finally:
        watching.cancel()
        publishing.give_up()
        await close(producing)
    seconds = time.monotonic() - began
    return ReplaySummary(
        events=counts[CartEvent], dead_letters=counts[BrokenLine], seconds=seconds, first=first, last=last
    )


def _finished(event: CartEvent, whose: Callable[[str], Shopper] | None) -> CartEvent:
    shopper = event.shopper
    if whose and event.kind in TELLS_WHO:
        shopper = whose(event.shopper_id)
    return msgspec.structs.replace(event, shopper=shopper, received_wall=time.time())


def _dead_letter(broken: BrokenLine, source: str) -> tuple[Topic, str, bytes]:
    error = BadEvent(broken.reason, f"line {broken.number}: {broken.detail}")
    letter = dead_letter(error, broken.raw, source=source, stage="replay", time=time.time(), line=broken.number)
    return Topic.DEAD_LETTERS, source, encode(letter)


class _Publishing:
    """Sends in order, with a bounded number of messages that are not acknowledged yet."""

    def __init__(self, producing: AIOKafkaProducer, bootstrap: str) -> None:
        self._producing = producing
        self._bootstrap = bootstrap
        self._in_flight: deque[asyncio.Future[object]] = deque()
        self._acknowledged = 0

    async def send(self, topic: Topic, key: str, value: bytes) -> None:
        while len(self._in_flight) >= MOST_IN_FLIGHT:
            await self._oldest()
        while True:
            try:
                self._in_flight.append(await self._producing.send(topic, value, key=key.encode()))
            except KafkaTimeoutError:  # no room in the producer's buffer: nothing was taken
                continue
            except KafkaError as error:
                raise self._refused(error) from None
            else:
                return

    async def finish(self) -> None:
        while self._in_flight:
            await self._oldest()

    def give_up(self) -> None:
        """Expect no answer to what is still under way: its errors need no telling."""
        for sent in self._in_flight:
            sent.add_done_callback(lambda done: None if done.cancelled() else done.exception())

    async def watch(self) -> None:
        """Say so, again and again, while the broker acknowledges nothing."""
        before = None
        while True:
            await asyncio.sleep(REMIND_SECONDS)
            waiting = [sent for sent in self._in_flight if not sent.done()]
            if waiting and waiting[0] is before:
                log.warning(
                    "Kafka at %s does not answer: %d events wait for it. Ctrl-C gives up", self._bootstrap, len(waiting)
                )
            before = waiting[0] if waiting else None

    async def _oldest(self) -> None:
        try:
            await self._in_flight.popleft()
        except KafkaError as error:
            raise self._refused(error) from None
        self._acknowledged += 1

    def _refused(self, error: KafkaError) -> RingbackError:
        return RingbackError(
            f"Kafka at {self._bootstrap} refused an event, {self._acknowledged} were acknowledged before: {error!r}. "
            "Start the replay again: its events have the same ids each time, and none counts twice"
        )


def _count_lines(path: Path) -> int:
    try:
        with opened(path) as file:
            return sum(1 for _ in file)
    except (OSError, EOFError, zlib.error):  # told by the reading itself
        return 0


def _progress(console: Console | None) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=console is None,
    )
