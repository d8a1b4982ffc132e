"""The engines of the benchmark, and what each needs to run."""

import importlib.util
from dataclasses import dataclass

OURS = "ringback"


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine: the module that runs it, and whether its input is packed records, as ingest publishes them.

    ``own`` are packages that do not go with Ringback's: the engine then gets an environment of its own. ``package`` is
    whose version is told.
    """

    name: str
    module: str
    package: str
    packed: bool = False
    own: tuple[str, ...] = ()


ENGINES = (
    Engine(OURS, "ringback", "faust-streaming", packed=True),
    Engine("ringback_single", "ringback", "faust-streaming"),
    Engine("aiokafka", "aiokafka_loop", "aiokafka"),
    Engine("confluent", "confluent_loop", "confluent-kafka"),
    Engine(
        "bytewax",
        "bytewax_flow",
        "bytewax",
        # It has no wheel for Python 3.13.
        own=("bytewax==0.21.1", "confluent-kafka==2.16.1", "fastavro==1.13.1", "requests==2.34.2"),
    ),
    # It wants an older confluent-kafka and an older pydantic.
    Engine("quix", "quix", "quixstreams", own=("quixstreams==3.28.1", "rocksdict==0.3.29", "confluent-kafka==2.12.2")),
    Engine("faust", "faust_plain", "faust-streaming"),
)


def chosen(names: str | None) -> list[Engine]:
    """The engines with these names, separated by commas; all for None. Raises `ValueError` for a name unknown."""
    if names is None:
        return list(ENGINES)
    known = {engine.name: engine for engine in ENGINES}
    wanted = [name.strip() for name in names.split(",")]
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(f"--engines: no engine {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in wanted]


def module_of(engine: Engine) -> str:
    """The dotted name of the module to run."""
    return f"benchmarks.stream.engines.{engine.module}"


def exists(engine: Engine) -> bool:
    """Whether its module is there."""
    return importlib.util.find_spec(module_of(engine)) is not None
