"""No phone number and no e-mail address gets into a log line."""

import io
import logging
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ringback import logs
from ringback.privacy import RedactingFormatter, phone_ref, redact

FICTIONAL = st.one_of(
    st.integers(0, 999).map(lambda n: f"+44207946{n:04d}"),
    st.integers(100, 199).map(lambda n: f"+1212555{n:04d}"),
)
BEFORE = st.sampled_from(["", " ", ",", "(", '"', "'", "=", ": ", ":", "tel:", "/", "@", "<", "\n"])
AFTER = st.sampled_from(["", " ", ",", ")", '"', "'", ";", ":", "/", "@", ">", "\n", "."])


@given(phone=FICTIONAL, before=BEFORE, after=AFTER, plus=st.booleans())
def test_numbers_anywhere_in_a_line(phone: str, before: str, after: str, plus: bool) -> None:
    assume(plus or not before.endswith(":"))  # what follows a colon without a plus may be a port or a time
    number = phone if plus else phone.removeprefix("+")
    assert phone[-7:] not in redact(f"call to {before}{number}{after} failed")


@pytest.mark.parametrize(
    "text",
    [
        "+44 20 7946 0123",
        "(212) 555-0123",
        "212.555.0123",
        "PJSIP/442079460123@trunk",
        "Local/12125550123@shoppers/n",
        "ada@example.com",
        "ada.lovelace+cart@shop.example.co.uk",
    ],
)
def test_the_ways_they_are_written(text: str) -> None:
    left = redact(f"about {text} now")
    assert not re.search(r"\d{3}|@(shop\.)?example", left), left


@pytest.mark.parametrize(
    "text", ["2026-11-22 21:25:06,123", "1790000000.25", "1790000000123", "127.0.0.1:9092", "72d76fde-8bb3-4e00-8c23"]
)
def test_what_is_no_number_stays(text: str) -> None:
    assert redact(f"at {text} it was") == f"at {text} it was"


def test_tracebacks_are_redacted_too() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(RedactingFormatter())
    logger = logging.getLogger("test_privacy")
    logger.addHandler(handler)
    try:
        int("no route to +442079460123")
    except ValueError:
        logger.exception("a call to %s failed", "+12125550123")
    finally:
        logger.removeHandler(handler)
    assert "<phone>" in stream.getvalue()
    assert "7946" not in stream.getvalue()
    assert "5550" not in stream.getvalue()


@given(phone=FICTIONAL)
def test_a_reference_is_stable_and_keyed(phone: str) -> None:
    assert phone_ref(phone, "key") == phone_ref(phone, "key")
    assert phone_ref(phone, "key") != phone_ref(phone, "another")
    assert re.fullmatch("[0-9a-f]{32}", phone_ref(phone, "key"))


@pytest.fixture
def _logging_as_it_was() -> object:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    for name in logs._QUIET:
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.mark.usefixtures("_logging_as_it_was")
def test_log_lines_are_redacted_and_third_parties_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("INFO")
    logging.getLogger("stream").info("shopper %s", "+442079460123")
    logging.getLogger("stream").debug("too much")
    logging.getLogger("aiokafka.conn").error("can't connect")
    err = capsys.readouterr().err
    assert "<phone>" in err
    assert "7946" not in err
    assert "too much" not in err
    assert "can't connect" not in err
