"""Keeps phone numbers and e-mail addresses out of logs and keys."""

import hashlib
import hmac
import logging
import re

# A date is no phone number, though it has as many digits.
_PHONE = re.compile(r"(?<![\w.-])(?!\d{4}-\d\d-\d\d)\+?\(?\d(?:[\s()/.-]{0,2}\d){8,14}(?![\w-])")
_CHANNEL_NUMBER = re.compile(r"(?<=/)\+?\d{9,15}(?=@|\b)")
_EMAIL = re.compile(r"[\w.%+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}")
_EPOCH = re.compile(r"1\d{9}(?:\.\d+|\d{3})?")


def phone_ref(phone: str, key: str) -> str:
    """A keyed hash of an E.164 number: HMAC-SHA256, 32 hex digits. Stands for the number in keys, metrics and logs."""
    return hmac.new(key.encode(), phone.encode(), hashlib.sha256).hexdigest()[:32]


def redact(text: str) -> str:
    """Replace whatever looks like a phone number or an e-mail address."""
    text = _EMAIL.sub("<email>", text)
    text = _CHANNEL_NUMBER.sub("<phone>", text)
    return _PHONE.sub(lambda m: m[0] if _EPOCH.fullmatch(m[0]) else "<phone>", text)


class RedactingFormatter(logging.Formatter):
    """A log formatter whose finished lines, tracebacks included, are redacted."""

    def format(self, record: logging.LogRecord) -> str:
        """Format and redact."""
        return redact(super().format(record))
