"""The embedded broker: a Kafka-protocol server from a wheel, as the demo uses it."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from ringback.settings import KafkaSettings
from tests.servers.process import Server, UnavailableError, free_port, listens, short_directory


class EmbeddedKafka(Server):
    """noida-db with nothing but Kafka, on a free port; its data outlive a restart."""

    name = "noida-db"

    def __init__(self) -> None:
        spec = find_spec("noida_db")
        if spec is None or spec.origin is None:
            raise UnavailableError("noida-db is not installed: pip install '.[demo]'")
        super().__init__(short_directory("ringback-kafka-"))
        # Not the command of that name: signals would end that, and leave the broker it starts.
        self._program = str(Path(spec.origin).with_name("noida-db"))
        self.port = free_port()

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        return {"RINGBACK_KAFKA__BOOTSTRAP": self.bootstrap}

    def kafka_settings(self, **more: int | float) -> KafkaSettings:
        return KafkaSettings.model_validate({"bootstrap": self.bootstrap, **more})

    def command(self) -> Sequence[str]:
        data = str(self.directory / "data")
        return [self._program, "start", "--only", "kafka", "--kafka-port", str(self.port), "--data-dir", data]

    def ready(self) -> bool:
        return listens(self.port)
