"""The registry: every platform that a shop may be of, and no other."""

import re

from ingest.sources import SOURCES
from ringback.settings import SHOP
from tests.ingest.sources.tracked import FIXTURES


def test_every_platform_has_its_source() -> None:
    assert [source.name for source in SOURCES.values()] == list(SOURCES)
    assert set(SOURCES) == set(re.findall(r"[a-z0-9]+", SHOP.partition(":")[0]))


def test_every_platform_has_fixtures_and_no_other_has() -> None:
    assert {folder.name for folder in FIXTURES.iterdir()} == set(SOURCES)
