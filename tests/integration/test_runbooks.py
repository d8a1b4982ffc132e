"""What the runbooks have one ask of Asterisk is understood by a real one."""

import re

import pytest

from tests.conftest import ROOT
from tests.servers.asterisk import Asterisk

ASKED = sorted(
    {
        command
        for page in (ROOT / "docs" / "runbooks").glob("*.md")
        for command in re.findall(r"asterisk -rx '([^']+)'", page.read_text())
    }
)


@pytest.mark.parametrize("command", ASKED)
def test_asterisk_knows_the_command(asterisk: Asterisk, command: str) -> None:
    assert "No such command" in asterisk.cli("no such thing")
    assert "No such command" not in asterisk.cli(command)
