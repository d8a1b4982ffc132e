"""The commands of the runbooks exist: services of docker-compose.yml, commands of ringback, settings.

Their queries are run by tests/integration/test_monitoring.py.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel
from typer.main import get_group

from ringback.cli import app
from ringback.settings import Settings
from tests.conftest import ROOT

PAGES = sorted((ROOT / "docs" / "runbooks").glob("Ringback*.md"))
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
COMPOSE = re.compile(r"docker compose [^`\n]+")
SETTING = re.compile(r"`([a-z]+(?:\.[a-z_]+)+)(?: = [^`]+)?`")
LINK = re.compile(r"\]\(([^)#]+)\)")
# Programs of the images that are not Ringback's.
PROGRAMS = {"asterisk": {"asterisk"}, "redis": {"redis-cli"}}
# Words of docker compose that need a value.
VALUED = {"--since", "--scale"}


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings(field.annotation, f"{prefix}{name}.")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_is_one_of_a_service_that_there_is(page: Path) -> None:
    for command in COMPOSE.findall(page.read_text()):
        verb, *words = shlex.split(command)[2:]
        assert verb in {"exec", "logs", "ps", "restart", "start", "stop", "up"}, command
        rest = [word for before, word in zip(["", *words], words, strict=False) if before not in VALUED]
        rest = [word for word in rest if not word.startswith("--")] if verb != "exec" else rest
        if verb == "exec":
            service, program, *arguments = rest
            assert service in SERVICES, command
            if program == "ringback":
                assert arguments[0] in get_group(app).commands, command
            elif service == "kafka":
                assert program.startswith("/opt/kafka/bin/kafka-"), command
            else:
                assert program in PROGRAMS[service], command
        else:
            assert set(rest) <= set(SERVICES), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_setting_and_page_that_is_named_exists(page: Path) -> None:
    known = set(settings(Settings))
    sections = {name.partition(".")[0] for name in known}
    for name in SETTING.findall(page.read_text()):
        if name.partition(".")[0] in sections:
            assert name in known, name
    for link in LINK.findall(page.read_text()):
        assert (page.parent / link).exists(), link
