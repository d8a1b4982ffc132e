"""Plain Faust as its manual says: an agent that takes event by event, and a Table. All settings as they come."""

import sys

import faust
from faust.types import StreamT

from benchmarks.stream.engine import Arguments, arguments, ready
from benchmarks.stream.job import Job, decode, decode_state, encode_state


def create(given: Arguments) -> faust.App:
    """The app, with as many partitions as the input has: a Table must have the same."""
    job = Job(given.model)
    app = faust.App(
        given.group,
        broker=f"kafka://{given.bootstrap}",
        topic_partitions=given.partitions,
        datadir=str(given.folder),
        autodiscover=False,
    )
    raw: faust.Schema[bytes, bytes] = faust.Schema(
        key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )
    source = app.topic(given.input, schema=raw)
    outputs = app.topic(given.output, schema=raw)
    states = app.Table("states", key_type=bytes, value_type=bytes)

    @app.agent(source)
    async def follow(stream: StreamT[bytes]) -> None:
        async for key, value in stream.items():
            held = states.get(key)
            state, output = job.step(decode_state(held) if held else None, decode(value))
            states[key] = encode_state(state)
            if output is not None:
                await outputs.send(key=key, value=output)

    return app


def main() -> None:
    """Run the worker until SIGTERM."""
    given = arguments()
    app = create(given)
    ready(f"{given.group}-states-changelog")
    # Not the default level, warn: its spinner turns every debug record on. The web server would need a port.
    sys.argv[1:] = ["worker", "-l", "info", "--without-web"]
    app.main()


if __name__ == "__main__":
    main()
