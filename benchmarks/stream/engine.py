"""How an engine is called, and what it says back.

    python -m benchmarks.stream.engines.NAME --bootstrap … --input … --output … --changelog … --group … --partitions …
        --model … --folder …

One process that works alone: its own CPU time is what counts. The input topic exists and holds a backlog when it
starts; it reads it from the beginning, as the consumer group ``--group``, and goes on until SIGTERM, upon which it
makes durable what it has done and ends with status 0. Outputs go to ``--output``, keyed by shopper id. The encoded
state of each shopper (`job.encode_state`) goes to ``--changelog``, or a topic that the engine names itself and that has
``--input`` or ``--group`` in its name. When the model is loaded and before anything is consumed it prints one line,
`ready`.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Arguments:
    """What an engine is called with. ``folder`` is empty and its own, for whatever it keeps on disk."""

    bootstrap: str
    input: str
    output: str
    changelog: str
    group: str
    partitions: int
    model: Path
    folder: Path


def arguments() -> Arguments:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "input", "output", "changelog", "group"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    return Arguments(**vars(parser.parse_args()))


def command_line(values: Arguments) -> list[str]:
    """The words that `arguments` reads."""
    return [
        *("--bootstrap", values.bootstrap),
        *("--input", values.input),
        *("--output", values.output),
        *("--changelog", values.changelog),
        *("--group", values.group),
        *("--partitions", str(values.partitions)),
        *("--model", str(values.model)),
        *("--folder", str(values.folder)),
    ]


def ready(changelog: str | None) -> None:
    """Say that consuming begins, and in which topic the states are; None: they are in memory only."""
    print(json.dumps({"ready": True, "changelog": changelog}), flush=True)


def readiness(line: str) -> tuple[bool, str | None]:
    """Whether a printed line is that of `ready`, and the changelog it names."""
    if not line.startswith('{"ready": true'):
        return False, None
    changelog: str | None = json.loads(line)["changelog"]
    return True, changelog
