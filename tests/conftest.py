"""What every room's tests may use."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.embedded import EmbeddedKafka
from tests.servers.process import UnavailableError

ROOT = Path(__file__).parent.parent


@pytest.fixture
def embedded_kafka() -> Iterator[EmbeddedKafka]:
    """An empty Kafka-protocol broker of the test's own."""
    try:
        broker = EmbeddedKafka()
    except UnavailableError as reason:
        pytest.skip(str(reason))
    with broker:
        yield broker


@pytest.fixture(scope="session")
def public_logs() -> Path:
    """The folder of public data, which is not part of the repository."""
    folder = Path(os.environ.get("RINGBACK_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no public logs in {folder}; set RINGBACK_TEST_DATA to their folder")
    return folder
