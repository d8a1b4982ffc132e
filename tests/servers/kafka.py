"""Apache Kafka: one KRaft node, its jars fetched by Maven, run by plain java on free ports."""

import hashlib
import re
import shutil
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.servers.apt import run
from tests.servers.install import installed
from tests.servers.process import Server, UnavailableError, free_port, short_directory

POM = Path(__file__).with_name("pom.xml")
OLDEST_JAVA = 17
# Small and quick to start, not quick to run: enough for the volumes of a test.
JVM = ("-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
LOGGING = """\
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1}: %m%n
logger.started.name = kafka.server
logger.started.level = info
"""
# A killed broker is let in again only when the session of its former life has ended: that is kept short.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{behind},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{proxy}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.cleaner.threads=1
log.cleaner.dedupe.buffer.size=4194304
num.network.threads=2
num.io.threads=4
"""


def java() -> str:
    """Where Java is. Raises `UnavailableError`."""
    java = shutil.which("java")
    if java is None:
        raise UnavailableError(f"no java on the PATH: install a Java {OLDEST_JAVA} runtime")
    version = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', version)
    if found is None or int(found[1]) < OLDEST_JAVA:
        raise UnavailableError(f"Kafka needs Java {OLDEST_JAVA} or newer, {java} is: {version.strip()}")
    return java


def _fetch(pom: Path, folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise UnavailableError("no mvn on the PATH: install Maven, which fetches Kafka's jars")
    run(
        [
            maven,
            "-B",
            "-q",
            "-Dstyle.color=never",
            "-f",
            str(pom),
            "dependency:copy-dependencies",
            f"-DoutputDirectory={folder}",
        ]
    )


def install(pom: Path = POM) -> Path:
    """The folder of the jars that a `pom.xml` names, fetched when it has changed. Raises `UnavailableError`."""
    java()
    edition = hashlib.sha256(pom.read_bytes()).hexdigest()[:12]
    return installed(f"kafka-{edition}", partial(_fetch, pom))


class Kafka(Server):
    """A running broker. Topics are not created by use: a test creates what it needs.

    ``proxy_port`` is for a proxy of the test's own, which passes on to ``behind_proxy``: who comes that way is told of
    no other.
    """

    name = "kafka"

    def __init__(self) -> None:
        self._jars = install()
        super().__init__(short_directory("rb-kafka-"))
        self.port, self.behind_proxy, self.proxy_port = free_port(), free_port(), free_port()
        self._properties = self.directory / "server.properties"
        self._logging = self.directory / "log4j2.properties"
        self._properties.write_text(
            PROPERTIES.format(
                port=self.port,
                behind=self.behind_proxy,
                proxy=self.proxy_port,
                controller=free_port(),
                data=self.directory / "data",
            )
        )
        self._logging.write_text(LOGGING)
        # A leading minus would be read as an option.
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "_")
        run(self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._properties)))

    def _java(self, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self._logging}"
        return [java(), *JVM, logging, "-cp", f"{self._jars}/*", *arguments]

    def command(self) -> Sequence[str]:
        return self._java("kafka.Kafka", str(self._properties))

    def ready(self) -> bool:
        return "Kafka Server started" in self.log_since_start()

    @property
    def bootstrap(self) -> str:
        """host:port for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        return {"RINGBACK_KAFKA__BOOTSTRAP": self.bootstrap}
