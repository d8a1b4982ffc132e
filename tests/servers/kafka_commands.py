"""Kafka's own commands, such as ``kafka-topics.sh``, run by plain java."""

import subprocess
from pathlib import Path

from tests.servers import kafka

POM = Path(__file__).with_suffix(".xml")
CLASSES = {
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
    "kafka-console-consumer.sh": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer.sh": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
}
TIMEOUT_S = 60


def install() -> Path:
    """The folder of their jars. Raises `UnavailableError`."""
    return kafka.install(POM)


def run_command(name: str, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run one of them with something to read. Raises `UnavailableError`."""
    words = [kafka.java(), *kafka.JVM, "-cp", f"{install()}/*", CLASSES[name], *arguments]
    return subprocess.run(words, input=given, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
