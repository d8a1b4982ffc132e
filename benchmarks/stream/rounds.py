"""One round of one engine: a backlog, then half of its own speed, then 1,000 events/s, then the count of everything."""

import os
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.stream import report
from benchmarks.stream.catalogue import Engine, module_of
from benchmarks.stream.engine import Arguments, command_line
from benchmarks.stream.environments import ROOT
from benchmarks.stream.feeder import Feeder
from benchmarks.stream.job import INPUTS_PER_OUTPUT
from benchmarks.stream.process import EngineError, EngineProcess
from benchmarks.stream.watcher import Watcher, counted

PARTITIONS = 6
STEADY_RATE = 1_000.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """What all rounds share."""

    bootstrap: str
    model: Path
    cores: set[int]
    say: Say


def play(bench: Bench, engine: Engine, python: Path, backlog: int, seconds: float | None) -> report.Run:
    """Run a round. ``seconds`` of steady events follow at either rate; None: only the backlog.

    What the engine does wrong is among the run's faults; nothing is raised for it.
    """
    run, backlog = report.Run(), backlog // INPUTS_PER_OUTPUT * INPUTS_PER_OUTPUT
    name = f"bench-{engine.name.replace('_', '-')}-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bench.bootstrap})
    with tempfile.TemporaryDirectory(prefix="rb-bench-", ignore_cleanup_errors=True) as kept:
        folder = Path(kept)
        own = folder / "own"
        own.mkdir()
        given = Arguments(
            bootstrap=bench.bootstrap,
            input=f"{name}-in",
            output=f"{name}-out",
            changelog=f"{name}-log",
            group=name,
            partitions=PARTITIONS,
            model=bench.model,
            folder=own,
        )
        _create(admin, given)
        bench.say(f"{engine.name}: publishing {backlog:,} events")
        feeder = Feeder(bench.bootstrap, given.input, PARTITIONS, packed=engine.packed)
        feeder.backlog(backlog)
        command = [str(python), "-m", module_of(engine), *command_line(given)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        try:
            process = EngineProcess(command, folder, environment, bench.cores)
        except EngineError as error:
            run.faults.append(str(error))
        else:
            try:
                _follow(bench, engine, process, feeder, given, run, seconds)
            finally:
                process.kill()
        _delete(admin, name)
    return run


def _follow(
    bench: Bench,
    engine: Engine,
    process: EngineProcess,
    feeder: Feeder,
    given: Arguments,
    run: report.Run,
    seconds: float | None,
) -> None:
    watcher = Watcher(bench.bootstrap, given.output, PARTITIONS)
    try:
        bench.say(f"{engine.name}: working {feeder.published:,} events off")
        _complete(watcher, process, feeder)
        run.drain = report.drained(watcher.outputs, process.cpu.at)
        if seconds is not None:
            for field, rate in (("half", run.drain.events_per_s / 2), ("at_1000", STEADY_RATE)):
                bench.say(f"{engine.name}: {rate:,.0f} events/s for {seconds:.0f} s")
                first = feeder.published
                reached = feeder.steadily(rate, seconds)
                _complete(watcher, process, feeder)
                fed = [output for output in watcher.outputs if output.number >= first]
                setattr(run, field, report.latency(fed, reached))
    except (EngineError, ValueError) as error:
        run.faults.append(str(error))
    wrong = process.stop()
    watcher.rest()
    bench.say(f"{engine.name}: counting")
    try:
        states = counted(bench.bootstrap, process.changelog, PARTITIONS) if process.changelog else None
    except KafkaException as error:
        run.faults.append(f"its changelog {process.changelog} can't be read: {error}")
        states = None
    run.faults += report.faults(watcher.outputs, states, feeder.published)
    if wrong and wrong not in run.faults:
        run.faults.append(wrong)


def _complete(watcher: Watcher, process: EngineProcess, feeder: Feeder) -> None:
    # Outputs are of the numbers 0, 20, 40, …
    if not watcher.until(-(-feeder.published // INPUTS_PER_OUTPUT), process.sample):
        raise EngineError("no output for a minute")


def _create(admin: AdminClient, given: Arguments) -> None:
    plain = [NewTopic(name, PARTITIONS, 1) for name in (given.input, given.output)]
    compacted = NewTopic(given.changelog, PARTITIONS, 1, config={"cleanup.policy": "compact"})
    for made in admin.create_topics([*plain, compacted]).values():
        made.result()


def _delete(admin: AdminClient, name: str) -> None:
    """Delete a round's topics, with those that the engine made: they all have its name in theirs."""
    topics = [topic for topic in admin.list_topics(timeout=30).topics if name in topic]
    for deleted in admin.delete_topics(topics).values():
        deleted.result()
