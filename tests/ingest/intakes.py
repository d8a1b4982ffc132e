"""An intake whose log fails when a test says so."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress

from ingest.identity import Merge
from ingest.intake import Admitted, Intake, Taken
from ingest.registry import Registry
from ingest.source import Refused, Shop
from ringback.errors import Unavailable
from ringback.records import INTERNAL_KINDS, CartEvent, DeadLetter, EventKind
from ringback.settings import IngestSettings
from tests.ingest.references import KEY, NOW

LIMITS = IngestSettings(linger=0.0, max_event_bytes=4096)
SHOP = Shop("shopify", "example")


class Log:
    """What was published, in its order; ``cuts`` says how many events a publication gets through before it fails."""

    def __init__(self) -> None:
        self.events: list[CartEvent] = []
        self.letters: list[DeadLetter] = []
        self.publications = 0
        self.cuts: Iterator[int | None] = iter(())
        self.meanwhile: Awaitable[Taken] | None = None

    async def publish(self, events: Sequence[CartEvent], letters: Sequence[DeadLetter] = ()) -> None:
        self.publications += 1
        await asyncio.sleep(0)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile
        cut = next(self.cuts, None)
        self.events += events[:cut]
        if cut is not None:
            raise Unavailable("Kafka, in this test")
        self.letters += letters

    @property
    def merges(self) -> list[Merge]:
        return [Merge(one.shopper_id, str(one.other)) for one in self.events if one.kind is EventKind.ABSORBED]

    @property
    def shops(self) -> list[CartEvent]:
        """The events that shops sent."""
        return [one for one in self.events if one.kind not in INTERNAL_KINDS]


def intake_of(log: Log, registry: Registry, limits: IngestSettings = LIMITS) -> Intake:
    return Intake(log, registry, limits=limits, key=KEY, now=lambda: NOW)


@asynccontextmanager
async def running(intake: Intake) -> AsyncIterator[Intake]:
    task = asyncio.create_task(intake.run())
    try:
        yield intake
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def request(*parsed: CartEvent | Refused) -> Admitted:
    return Admitted(SHOP, list(parsed), NOW + 0.5, NOW)
