"""Quix Streams: a stateful `StreamingDataFrame`, state in RocksDB with a changelog, settings as they come."""

from quixstreams import Application, State

from benchmarks.stream.engine import Arguments, arguments, ready
from benchmarks.stream.job import Job, decode, decode_state, encode_state

STATE = b"state"


def run(given: Arguments) -> None:
    """Consume until SIGTERM."""
    job = Job(given.model)
    app = Application(
        given.bootstrap, consumer_group=given.group, auto_offset_reset="earliest", state_dir=str(given.folder)
    )

    def step(value: bytes, state: State) -> bytes | None:
        held = state.get_bytes(STATE)
        after, output = job.step(decode_state(held) if held else None, decode(value))
        state.set_bytes(STATE, encode_state(after))
        return output

    source = app.topic(given.input, value_deserializer="bytes")
    outputs = app.topic(given.output, value_serializer="bytes")
    frame = app.dataframe(source).apply(step, stateful=True)
    frame.filter(lambda output: output is not None).to_topic(outputs)
    ready(f"changelog__{given.group}--{given.input}--default")
    app.run()


if __name__ == "__main__":
    run(arguments())
