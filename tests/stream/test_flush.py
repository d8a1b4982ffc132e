"""What the flusher publishes where Kafka refuses for a while; real servers are met in tests/integration."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from ringback.clock import Clock
from ringback.metrics import StreamMetrics
from ringback.records import Conversion, Topic
from stream import flush
from stream.flush import Assignment, Flusher, Work
from stream.outputs import Marks, Output, identity

PARTITION, DEAL = 6, 1


class Log:
    """The partition of the conversions, and a producer that is refused as often as it is told."""

    def __init__(self, records: Iterable[Conversion], refusals: int) -> None:
        self.records = list(records)
        self.refusals = refusals

    async def tails(self, marks: Mapping[int, Marks]) -> dict[int, tuple[set[str], Marks]]:
        return {
            number: ({identity(one) for one in self.records[mark:]}, (0, len(self.records)))
            for number, (_, mark) in marks.items()
        }

    async def prepare(self, topics: Iterable[str]) -> None:
        """Nothing is to be learnt."""

    async def publish(self, outputs: Sequence[Output]) -> dict[tuple[str, int], int]:
        if self.refusals:
            self.refusals -= 1
            raise KafkaError
        self.records += [one.record for one in outputs if isinstance(one.record, Conversion)]
        return {(Topic.CONVERSIONS, PARTITION): len(self.records)}

    async def stop(self) -> None:
        """It has no connection."""


class Effects:
    """What follows from a record: these conversions."""

    def __init__(self, *conversions: Conversion) -> None:
        self.conversions = conversions
        self.hopper: tuple[object, ...] = ()


class Following:
    """Nothing but outputs."""

    def outputs(self, number: int, effects: Effects) -> list[Output]:
        return [Output(Topic.CONVERSIONS, b"ada", one, number) for one in effects.conversions]

    def published(self, effects: Effects) -> None:
        """It counts nothing."""

    async def complete(self, effects: Effects) -> None:
        """It asks nobody."""

    def changes(self, effects: Effects) -> dict[bytes, object]:
        return {}


def conversion(number: int) -> Conversion:
    return Conversion(
        order_id=f"order-{number}",
        shopper_id="ada",
        cart_id="cart",
        decision_id=f"decision-{number}",
        arm="treated",
        channel=None,
        contact_id=None,
        value=1,
        currency="USD",
        ordered=0.0,
        decided=0.0,
        window=60.0,
    )


@pytest.mark.parametrize("refusals", [0, 1, 3])
async def test_what_a_former_owner_published_is_not_published_again_after_a_refusal(
    refusals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flush, "RETRY_SECONDS", 0.0)
    log = Log([conversion(0), conversion(1)], refusals)
    following, outputs, unused = _any(Following()), _any(log), _any(None)
    metrics = StreamMetrics(CollectorRegistry())
    flusher = Flusher(following, unused, unused, outputs, metrics, Clock(), lambda: Assignment(DEAL, ends=False), 60.0)
    await flusher.take_over({PARTITION: (0, 1)})
    # The first was written before the marks that it took over; the second was published by who then died.
    for effects in (Effects(conversion(2)), Effects(conversion(1), conversion(3))):
        await flusher._flush(Work(DEAL, {PARTITION: _any(effects)}, [], lambda: None))
    assert [one.order_id for one in log.records] == [f"order-{number}" for number in range(4)]


def _any(what: object) -> Any:
    return what
