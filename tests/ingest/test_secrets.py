"""Secrets: several at once, and a file that may change while it is used."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from ingest.secrets import Secrets
from ringback.errors import SettingsError


def test_of_the_settings_and_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text("two\r\n\n  three \n")
    assert Secrets([SecretStr("one")], file).live() == (b"one", b"two", b"three")


def test_an_empty_secret_is_none() -> None:
    assert Secrets([SecretStr("")]).live() == ()


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text("old\n")
    secrets = Secrets([], file)
    new = tmp_path / "new"
    new.write_text("new\nold\n")
    new.replace(file)
    assert secrets.live() == (b"new", b"old")
    file.write_text("xxx\nold\n")  # of the same size, so that only its time tells
    os.utime(file, ns=(1, 1))
    assert secrets.live() == (b"xxx", b"old")


def test_a_file_that_goes_away_leaves_its_secrets_in_force(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "secrets"
    file.write_text("hunter2\n")
    secrets = Secrets([], file)
    file.unlink()
    assert secrets.live() == secrets.live() == (b"hunter2",)
    assert caplog.text.count("stay in force") == 1
    assert "hunter2" not in caplog.text
    file.write_text("back\n")
    assert secrets.live() == (b"back",)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xfd"])
def test_a_file_that_can_not_be_read_at_the_start(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "secrets"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match="can't read secrets"):
        Secrets([], file)
