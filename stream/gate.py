"""Holds a producer back while its worker may have lost its partitions; for aiokafka 0.14.

What a producer was given it sends when it can. Where its process sleeps meanwhile, it would send on waking what is no
longer the worker's to say. So the last question is asked here, next to the socket.
"""

from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.protocol.produce import ProduceRequest


class NotSentError(KafkaError):  # type: ignore[misc]  # aiokafka ships no types
    """It is not certain that this worker may still write. What was to be sent was not; the producer is to be stopped.

    The producer has counted the records already: the broker would refuse what comes after them.
    """


def close_while(producer: AIOKafkaProducer, doubtful: Callable[[], bool]) -> None:
    """Have all records of a producer fail with `NotSentError` while ``doubtful`` says so, repeated attempts too."""
    client = producer.client
    send = client.send

    async def send_when_certain(node_id: int, request: object, **how: Any) -> object:
        if isinstance(request, ProduceRequest):
            # Whatever takes time comes before the question: connected, the request is written to the socket at once.
            await client.ready(node_id)
            if doubtful():
                raise NotSentError("this worker may have lost its partitions")
        return await send(node_id, request, **how)

    client.send = send_when_certain
