"""How fast the same stream job is in Ringback and in its peers: one worker, one core, one Apache Kafka, in turn.

Each engine works off a backlog, which gives events a second and CPU time an event; then events come at half of that
rate, and at 1,000 a second, which gives the time from an event's sending to its score. In the end everything is
counted: what an engine loses or doubles is told. The last line is one JSON object.
"""

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks.stream import environments, model, report
from benchmarks.stream.catalogue import Engine, chosen, exists
from benchmarks.stream.feeder import BACKLOG_RATE, LINGER_SECONDS
from benchmarks.stream.process import split_cores
from benchmarks.stream.rounds import Bench, play
from tests.servers.kafka import Kafka

TRIAL_EVENTS = 10_000
MOST_EVENTS = 1_000_000
IDLE_LOAD = 0.5
WIDTH = 140
CONDITIONS = (
    f"Events wait {1000 * LINGER_SECONDS:.0f} ms before they are published, whatever the engine. A packed backlog is "
    f"what came within that time at {BACKLOG_RATE:,} events/s. bytewax keeps its states in memory only, without the "
    "changelog that all others have."
)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stream", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, each part of it a third as long")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each engine")
    parser.add_argument("--seconds", type=float, default=10.0, help="about how long each part of a round takes")
    parser.add_argument("--engines", help="some of the engines only, separated by commas")
    options = parser.parse_args()
    if not hasattr(os, "sched_setaffinity"):
        sys.exit("this benchmark pins processes to cores and reads /proc: it needs Linux")
    try:
        engines = chosen(options.engines)
    except ValueError as error:
        parser.error(str(error))
    # Broker and engine must not outlive the benchmark, however it is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # Where it is no terminal, nobody knows how wide it is.
    console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else WIDTH)
    if (load := os.getloadavg()[0]) > IDLE_LOAD:
        console.print(f"The machine is busy (load {load:.1f}): all numbers will be too bad, some more so than others.")
    pythons = _installed(engines, console)
    rounds, seconds = (1, options.seconds / 3) if options.quick else (options.rounds, options.seconds)
    runs = _play_all(pythons, rounds, seconds, console)
    console.print(report.table(runs))
    for name, played in runs.items():
        for fault in report.wrong(played):
            console.print(f"(!) {name}: {fault}")
    console.print(CONDITIONS)
    print(report.last_line(runs))


def _installed(engines: list[Engine], console: Console) -> dict[Engine, Path]:
    """The interpreters of the engines that can run; of the others it is said why not."""
    pythons = {}
    for engine in engines:
        if not exists(engine):
            console.print(f"{engine.name}: not run, there is no benchmarks/stream/engines/{engine.module}.py")
            continue
        try:
            with console.status(f"{engine.name}: its packages"):
                python = environments.python_of(engine)
            console.print(f"{engine.name}: {engine.package} {environments.version_in(python, engine.package)}")
        except environments.NotInstalledError as error:
            console.print(f"{engine.name}: not run. {error}")
        else:
            pythons[engine] = python
    return pythons


def _play_all(
    pythons: dict[Engine, Path], rounds: int, seconds: float, console: Console
) -> dict[str, list[report.Run]]:
    """All rounds, the engines in turn within each, after a trial that tells how large each one's backlog must be."""
    runs: dict[str, list[report.Run]] = {engine.name: [] for engine in pythons}
    backlogs: dict[Engine, int] = {}
    engine_cores, other_cores = split_cores()
    if engine_cores == other_cores:
        console.print("There is one core only: engine, broker and feeder share it.")
    os.sched_setaffinity(0, other_cores)
    with tempfile.TemporaryDirectory(prefix="rb-bench-") as folder, Kafka() as broker, console.status("") as status:
        trained = Path(folder) / "model.txt"
        model.train(trained)
        bench = Bench(broker.bootstrap, trained, engine_cores, status.update)
        for engine, python in pythons.items():
            trial = play(bench, engine, python, TRIAL_EVENTS, None)
            console.print(f"trial      {engine.name:16}{report.line(trial)}")
            if trial.faults:
                runs[engine.name].append(report.Run(faults=trial.faults))
            if trial.drain:
                backlogs[engine] = min(MOST_EVENTS, max(TRIAL_EVENTS, int(trial.drain.events_per_s * seconds)))
        for number in range(1, rounds + 1):
            for engine, backlog in backlogs.items():
                run = play(bench, engine, pythons[engine], backlog, seconds)
                runs[engine.name].append(run)
                console.print(f"round {number}/{rounds}  {engine.name:16}{report.line(run)}")
    return runs


if __name__ == "__main__":
    main()
