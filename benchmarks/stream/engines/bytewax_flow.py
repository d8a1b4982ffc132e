"""A bytewax dataflow: `stateful_map` between its own Kafka source and sink, states in memory, no recovery."""

from datetime import timedelta

from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.run import cli_main

from benchmarks.stream.engine import Arguments, arguments, ready
from benchmarks.stream.job import Job, State, decode
from ringback.records import CartEvent

# What `python -m bytewax.run` takes where no recovery is configured.
EPOCH = timedelta(seconds=10)


def create(given: Arguments) -> Dataflow:
    """The dataflow."""
    job, brokers = Job(given.model), [given.bootstrap]

    def keyed(message: KafkaSourceMessage[bytes, bytes]) -> tuple[str, CartEvent]:
        return message.key.decode(), decode(message.value)

    def step(before: State | None, event: CartEvent) -> tuple[State | None, bytes | None]:
        return job.step(before, event)

    def message(made: tuple[str, bytes | None]) -> KafkaSinkMessage[bytes, bytes] | None:
        shopper, output = made
        return None if output is None else KafkaSinkMessage(shopper.encode(), output)

    flow = Dataflow("benchmark")
    events = op.map("decode", op.input("in", flow, KafkaSource(brokers, [given.input])), keyed)
    scored = op.stateful_map("score", events, step)
    op.output("out", op.filter_map("message", scored, message), KafkaSink(brokers, given.output))
    return flow


def main() -> None:
    """Run the dataflow until SIGTERM."""
    flow = create(arguments())
    ready(None)
    cli_main(flow, epoch_interval=EPOCH)


if __name__ == "__main__":
    main()
