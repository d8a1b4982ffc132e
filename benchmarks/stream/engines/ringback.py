"""Ringback's own worker with the job in place of the following of carts.

All else is what ``ringback stream`` runs: Faust with Ringback's transport, the processor, the flusher with its order of
effects, the table and its changelog. It takes packed records (`ringback.envelope`) and single events alike.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import msgspec
from faust import Worker

from benchmarks.stream import job
from benchmarks.stream.engine import arguments, ready
from dialer.hopper import Hopper
from ringback import kafka
from ringback.decisions import Lead
from ringback.envelope import is_packed
from ringback.metrics import StreamMetrics
from ringback.records import CartEvent
from ringback.redis_client import connect
from ringback.settings import load
from stream.app import create
from stream.outputs import Marks, Output
from stream.partition import Withdrawal
from stream.shell import assemble
from stream.states import CachedStates
from stream.worker import use_uvloop

_decode_packed = msgspec.json.Decoder(list[CartEvent]).decode


class Effects:
    """What some records asked for: outputs, and states to be written."""

    def __init__(self) -> None:
        self.hopper: list[Lead | Withdrawal] = []
        self.outputs: list[tuple[bytes, bytes]] = []
        self.states: dict[bytes, job.State] = {}


class JobPartition:
    """One partition at the job."""

    def __init__(self, number: int, work: job.Job, states: CachedStates[job.State]) -> None:
        self.number = number
        self.batch_wall = 0.0
        self._job = work
        self._states = states
        self._effects = Effects()

    def records(self, key: bytes | None, raw: bytes, offset: int, arrived_wall: float) -> Sequence[float]:
        """Take a record: one event or many."""
        effects, states = self._effects, self._states
        for event in _decode_packed(raw) if is_packed(raw) else [job.decode(raw)]:
            shopper = event.shopper_id.encode()
            state, output = self._job.step(states.get(shopper), event)
            states.put(shopper, state)
            effects.states[shopper] = state
            if output is not None:
                effects.outputs.append((shopper, output))
        return ()

    def contact(self, key: bytes, raw: bytes, offset: int) -> None:
        """The job has no contacts."""

    def tick(self, now_wall: float) -> None:
        """The job has no clock."""

    def sweep(self, at_most: int, committed: int) -> None:
        """The job forgets nobody."""

    def waiting(self) -> int:
        """Nothing waits."""
        return 0

    def take_effects(self) -> Effects:
        """What was asked for since the last call."""
        effects, self._effects = self._effects, Effects()
        return effects


class JobFollowing:
    """The job, as the shell asks for it. ``topic`` takes the outputs."""

    def __init__(self, work: job.Job, topic: str) -> None:
        self._job = work
        self._topic = topic

    def decode(self, encoded: bytes) -> job.State:
        """A state, from its stored form."""
        return job.decode_state(encoded)

    def partition(self, number: int, states: CachedStates[Any]) -> JobPartition:
        """A partition at the job."""
        return JobPartition(number, self._job, states)

    def recover(self, partition: JobPartition, key: bytes, encoded: bytes) -> Marks:
        """The job needs to know nothing of a state before it is used."""
        return (0, 0)

    def outputs(self, number: int, effects: Effects) -> list[Output]:
        """One in twenty events."""
        return [Output(self._topic, key, msgspec.Raw(value), number) for key, value in effects.outputs]

    def changes(self, effects: Effects) -> dict[bytes, job.State]:
        """The states, each once."""
        return effects.states

    def encode(self, state: job.State, marks: Marks) -> bytes:
        """The stored form of a state; the job has no use for marks."""
        return job.encode_state(state)

    async def complete(self, effects: Effects) -> None:
        """The job has no leads."""

    def published(self, effects: Effects) -> None:
        """Measure nothing: the benchmark does."""

    def durable(self, effects: Effects) -> None:
        """Count nothing: the benchmark does."""


def main() -> None:
    """Run the worker until SIGTERM."""
    given = arguments()
    settings = load(
        {
            "kafka.bootstrap": given.bootstrap,
            "kafka.partitions": given.partitions,
            "stream.app_id": given.group,
            "stream.data_dir": given.folder,
        }
    )
    use_uvloop()
    metrics = StreamMetrics()
    stream_app = create(settings, metrics, cart_events=given.input)
    following = JobFollowing(job.Job(given.model), given.output)
    hopper = Hopper(connect(settings.redis), settings.dialer.campaign)
    shell, app = assemble(settings, stream_app, following, hopper, metrics), stream_app.app

    async def close(*_: object, **__: object) -> None:
        await shell.outputs.stop()

    app.on_before_shutdown.connect(close, weak=False)
    asyncio.run(kafka.create_topics(settings.kafka))
    ready(f"{given.group}-shoppers-changelog")
    logging.basicConfig(level=logging.INFO)
    Worker(app, loglevel="INFO", quiet=True, redirect_stdouts=False, override_logging=False).execute_from_commandline()


if __name__ == "__main__":
    main()
