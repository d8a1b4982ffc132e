"""The embedded broker: a Kafka-protocol server from a wheel, as the demo uses it."""

from collections.abc import Sequence

from ringback.embedded import kafka_command
from ringback.errors import Unavailable
from ringback.settings import KafkaSettings
from tests.servers.process import Server, UnavailableError, free_port, listens, short_directory


class EmbeddedKafka(Server):
    """noida-db with nothing but Kafka, on a free port; its data outlive a restart."""

    name = "noida-db"

    def __init__(self) -> None:
        super().__init__(short_directory("ringback-kafka-"))
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
        try:
            return kafka_command(self.port, self.directory)
        except Unavailable as error:
            raise UnavailableError(str(error)) from None

    def ready(self) -> bool:
        return listens(self.port)
