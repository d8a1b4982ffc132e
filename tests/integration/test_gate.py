"""What a producer holds when its worker falls asleep is not sent on waking."""

import asyncio

from ringback.settings import KafkaSettings
from stream.gate import NotSentError
from stream.outputs import Outputs
from tests.integration import topics
from tests.servers.kafka import Kafka

TOPIC = "written-through-the-gate"


async def test_what_waits_in_the_producer_is_not_sent_in_doubt(kafka: Kafka) -> None:
    await topics.create(kafka.bootstrap, TOPIC)
    # Each request asks once: the first is on its way when the doubt comes, the second waits for its answer.
    doubts = iter([False, True])
    outputs = Outputs(KafkaSettings(bootstrap=kafka.bootstrap), lambda: next(doubts, False))
    sent, held = await asyncio.gather(
        outputs.change(TOPIC, 0, {b"sent": b""}), outputs.change(TOPIC, 0, {b"held": b""}), return_exceptions=True
    )
    assert sent == 0
    assert isinstance(held, NotSentError)
    await outputs.stop()
    # When the doubt is over, a new connection goes on where the old one was.
    assert await outputs.change(TOPIC, 0, {b"after": b""}) == 1
    await outputs.stop()
    assert [record.key for record in await topics.records(kafka.bootstrap, TOPIC)] == [b"sent", b"after"]
