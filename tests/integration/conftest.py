"""The real servers, each started once when a test first asks for it, on free loopback ports."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest

from tests.servers.ami import AmiSession, ami_session
from tests.servers.asterisk import Asterisk
from tests.servers.install import services_required
from tests.servers.kafka import Kafka
from tests.servers.process import Server, UnavailableError, wait_until
from tests.servers.redis import Redis
from tests.servers.sipp import Carrier

# The first run downloads the servers.
FIRST_RUN_TIMEOUT_S = 600
S = TypeVar("S", bound=Server)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "integration" in item.path.parts:
            item.add_marker(pytest.mark.integration)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(FIRST_RUN_TIMEOUT_S))


def _running(make: Callable[[], S]) -> Iterator[S]:
    """The server until the end of the session; a skip, or a failure where services are required, when there is none."""
    with ExitStack() as stack:
        try:
            server = make()
            stack.enter_context(server)
        except UnavailableError as reason:
            if services_required():
                pytest.fail(str(reason))
            pytest.skip(str(reason))
        yield server


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    yield from _running(Kafka)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    yield from _running(Redis)


@pytest.fixture(scope="session")
def asterisk() -> Iterator[Asterisk]:
    yield from _running(Asterisk)


@pytest.fixture(scope="session")
def carrier(asterisk: Asterisk) -> Iterator[Carrier]:
    """The far end of that Asterisk's SIP trunk."""
    yield from _running(lambda: Carrier(asterisk))


@pytest.fixture(autouse=True)
def _on_the_hook(request: pytest.FixtureRequest) -> Iterator[None]:
    """Agents and calls that a test leaves in Asterisk are gone before the next one."""
    yield
    if "asterisk" in request.fixturenames:
        server: Asterisk = request.getfixturevalue("asterisk")
        if server.running:
            server.cli("channel request hangup all")
            wait_until(lambda: "0 active channels" in server.cli("core show channels count"), "all channels are gone")


@pytest.fixture
async def tester(asterisk: Asterisk) -> AsyncIterator[AmiSession]:
    """An AMI session with all rights: logs agents in, sends their dispositions."""
    async with ami_session(asterisk) as session:
        yield session


@pytest.fixture
def broker(kafka: Kafka) -> Iterator[Kafka]:
    """A broker of its own for each test: they all use the same topics. ``kafka`` says why there is none."""
    with Kafka() as own:
        yield own


@pytest.fixture
def log(public_logs: Path) -> Path:
    """A real shop's log."""
    return public_logs / "rees46_2019-10-01_first_2h50.csv.gz"
