"""What happens to an authentic request: understood and taken at once, or kept on disk and taken later, in order."""

import asyncio
import logging
import traceback
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from ingest.body import not_gzip
from ingest.intake import Admitted, Taken
from ingest.json_depth import depth_at_most
from ingest.shops import Endpoint
from ingest.source import Parsed, Refused, Shop
from ingest.spool import Spool
from ringback.errors import BadEvent, Unavailable
from ringback.metrics import IngestedAs, IngestMetrics
from ringback.records import DeadLetterReason
from ringback.settings import IngestSettings

log = logging.getLogger(__name__)

# Platforms give a request up after 5 s: so long for Kafka and Redis, and then so long for the disk.
TAKE_SECONDS = 2.5
SPOOL_SECONDS = 2.0
# More requests than this do not wait for Kafka: the disk has them sooner.
MOST_WAITING = 1500

DRAINED_AT_ONCE = 500
PARSED_AT_ONCE = 20
DRAIN_SECONDS = 30.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
# A request that was not taken by itself so often is at fault, and not the servers.
ATTEMPTS_ALONE = 3


class Arrival(msgspec.Struct, frozen=True):
    """An authentic request as it came: what is spooled.

    Without gzip and without Content-Encoding; only a body that could not be unpacked still has its own. ``received`` is
    business time, ``received_wall`` wall time.
    """

    platform: str
    name: str
    headers: dict[str, str]
    body: bytes
    received: float
    received_wall: float


class Takes(Protocol):
    """See `ingest.intake.Intake`."""

    async def take(self, admitted: Admitted) -> Taken:
        """Return when Kafka has all of a request; raise `Unavailable` when it may be given again."""


class Delivery:
    """The way of authentic requests out of this process. `drain` must run beside."""

    def __init__(
        self,
        settings: IngestSettings,
        endpoints: Mapping[str, Endpoint],
        intake: Takes,
        spool: Spool,
        metrics: IngestMetrics,
    ) -> None:
        self._settings = settings
        self._endpoints = endpoints
        self._intake = intake
        self._spool = spool
        self._metrics = metrics
        self._waiting = 0
        metrics.spool_records.set_function(lambda: spool.records)
        metrics.spool_bytes.set_function(lambda: spool.bytes)

    async def deliver(self, arrival: Arrival) -> Parsed | None:
        """Return what a request was understood as when Kafka has it, or None when the spool has it.

        Raises `Unavailable` when neither took it; parts of it may have arrived then. Takes at most `TAKE_SECONDS`
        and `SPOOL_SECONDS`.
        """
        if not self._spool.holds and self._waiting < MOST_WAITING:
            admitted = self._admit(arrival)
            if await self._taken_now(admitted):
                return admitted.parsed
        try:
            async with asyncio.timeout(SPOOL_SECONDS):
                await self._spool.append(_encode(arrival))
        except TimeoutError:
            raise Unavailable(f"the disk of {self._settings.spool_dir} took longer than {SPOOL_SECONDS} s") from None
        self._metrics.spooled.inc()
        return None

    async def drain(self) -> None:
        """Take what the spool holds, oldest first, until cancelled; wait while it is not taken."""
        pause = FIRST_PAUSE
        while True:
            records = await self._spool.oldest(DRAINED_AT_ONCE)
            try:
                await self._take_all(await self._revive_all(records), records)
            except (Unavailable, TimeoutError) as error:
                log.debug("%d requests wait in the spool: %s", self._spool.records, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            await self._spool.release(records)
            if not self._spool.holds:
                log.info("the spool is empty again")

    async def _taken_now(self, admitted: Admitted) -> bool:
        self._waiting += 1
        try:
            async with asyncio.timeout(TAKE_SECONDS):
                self._count(admitted, await self._intake.take(admitted))
        except (Unavailable, TimeoutError) as error:
            if not self._spool.holds:
                why = str(error) or f"no answer in {TAKE_SECONDS} s"
                log.warning("%s; requests wait in %s", why, self._settings.spool_dir)
            return False
        except Exception as error:  # noqa: BLE001 - a bug must not lose an authentic request: the spool keeps it
            self._report(error, "intake", admitted.shop)
            return False
        finally:
            self._waiting -= 1
        return True

    async def _take_all(self, requests: Sequence[Admitted], records: Sequence[bytes]) -> None:
        """Return when each is taken or a dead letter; raise `Unavailable` or TimeoutError to be called again."""
        async with asyncio.timeout(DRAIN_SECONDS):
            results = await asyncio.gather(*map(self._intake.take, requests), return_exceptions=True)
        for result in results:
            if isinstance(result, Unavailable | TimeoutError | asyncio.CancelledError):
                raise Unavailable(f"not taken yet: {result!r}")
        for admitted, record, result in zip(requests, records, results, strict=True):
            if isinstance(result, Taken):
                self._count(admitted, result)
            else:
                await self._take_alone(admitted, record)

    async def _take_alone(self, admitted: Admitted, record: bytes) -> None:
        for attempt in range(ATTEMPTS_ALONE):
            try:
                async with asyncio.timeout(DRAIN_SECONDS):
                    self._count(admitted, await self._intake.take(admitted))
            except (Unavailable, TimeoutError):
                raise
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it, those behind it must not wait for ever
                unexpected = self._report(error, "intake", admitted.shop)
                await asyncio.sleep(FIRST_PAUSE * 2**attempt)
            else:
                return
        try:
            letter = admitted._replace(parsed=[Refused(unexpected, record)])
            async with asyncio.timeout(DRAIN_SECONDS):
                self._count(letter, await self._intake.take(letter))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not the request's fault
            raise Unavailable(f"not even a dead letter was taken: {error!r}") from None

    async def _revive_all(self, records: Sequence[bytes]) -> list[Admitted]:
        revived = []
        for number, record in enumerate(records, 1):
            revived.append(self._revive(record))
            if number % PARSED_AT_ONCE == 0:
                await asyncio.sleep(0)  # requests that come now are not kept waiting
        return revived

    def _revive(self, record: bytes) -> Admitted:
        try:
            return self._admit(_decode(record))
        except msgspec.MsgspecError as error:
            unreadable = BadEvent(DeadLetterReason.UNEXPECTED, f"a spooled request can't be read: {error}")
            return Admitted(Shop("ingest", "spool"), [Refused(unreadable, record)], 0.0, 0.0)

    def _admit(self, arrival: Arrival) -> Admitted:
        endpoint = self._endpoints.get(f"{arrival.platform}:{arrival.name}")
        if endpoint is None:  # it was spooled before its shop was taken out of the settings
            gone = BadEvent(DeadLetterReason.UNEXPECTED, f"no shop {arrival.platform}:{arrival.name} in the settings")
            shop = Shop(arrival.platform, arrival.name)
            return Admitted(shop, [Refused(gone, arrival.body)], arrival.received_wall, arrival.received)
        parsed = self._understand(arrival, endpoint)
        return Admitted(endpoint.shop, parsed, arrival.received_wall, arrival.received)

    def _understand(self, arrival: Arrival, endpoint: Endpoint) -> Parsed:
        if "content-encoding" in arrival.headers:
            return [Refused(not_gzip(), arrival.body)]
        if not depth_at_most(arrival.body, self._settings.max_depth):
            most = f"nested deeper than ingest.max_depth = {self._settings.max_depth}"
            return [Refused(BadEvent(DeadLetterReason.TOO_DEEP, most), arrival.body)]
        try:
            return endpoint.source.parse(
                arrival.headers, arrival.body, shop=endpoint.shop, now=arrival.received, limits=self._settings
            )
        except BadEvent as error:
            return [Refused(error, arrival.body)]
        except Exception as error:  # noqa: BLE001 - a parser's bug must not lose an authentic request
            return [Refused(self._report(error, "parser", endpoint.shop), arrival.body)]

    def _report(self, error: Exception, where: str, shop: Shop) -> BadEvent:
        """Note a bug. Neither log nor dead letter has the error's text, which may quote what a shopper typed."""
        at = traceback.extract_tb(error.__traceback__)[-1]
        detail = f"{type(error).__name__} in {at.name}, line {at.lineno} of {at.filename.rpartition('/')[2]}"
        log.error("bug in the %s of %s: %s", where, shop.source, detail)
        self._metrics.bugs.inc()
        return BadEvent(DeadLetterReason.UNEXPECTED, detail)

    def _count(self, admitted: Admitted, taken: Taken) -> None:
        self._metrics.events.labels(IngestedAs.PUBLISHED).inc(taken.published)
        self._metrics.events.labels(IngestedAs.REPEATED).inc(taken.repeated)
        self._metrics.events.labels(IngestedAs.REFUSED).inc(taken.refused)
        for one in admitted.parsed:
            if isinstance(one, Refused):
                self._metrics.dead_letters.labels(one.error.reason).inc()
            elif not one.replay:
                age = admitted.received - one.time
                self._metrics.event_age.labels(admitted.shop.platform).observe(max(0.0, age))


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Arrival).decode
