"""How a request proves who sent it: the signature schemes that the platforms use, and static keys.

All take ``headers`` with lower-case names and the body as it came, compare in constant time with every secret, so that
several may be live while one is rotated, and answer False without a secret: an empty one proves nothing.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence

STANDARD_PREFIX = b"whsec_"
_LONGEST_TIMESTAMP = 12


def hmac_sha256_base64(
    headers: Mapping[str, str], body: bytes, header_names: Sequence[str], secrets: Sequence[bytes]
) -> bool:
    """Whether the first of the headers that is there is the base64 HMAC-SHA256 of the body: Shopify, WooCommerce."""
    expected = (base64.b64encode(_mac(secret, body)) for secret in secrets if secret)
    return _is_any(_first(headers, header_names), expected)


def hmac_sha256_hex(
    headers: Mapping[str, str], body: bytes, header_names: Sequence[str], secrets: Sequence[bytes], prefix: str = ""
) -> bool:
    """Whether the first of the headers that is there is the hex HMAC-SHA256 of the body, after ``prefix``."""
    expected = (prefix.encode() + _mac(secret, body).hex().encode() for secret in secrets if secret)
    return _is_any(_first(headers, header_names), expected)


def hmac_sha1_hex(
    headers: Mapping[str, str], body: bytes, header_names: Sequence[str], secrets: Sequence[bytes]
) -> bool:
    """Whether the first of the headers that is there is the hex HMAC-SHA1 of the body: Segment's ``X-Signature``."""
    expected = (hmac.digest(secret, body, hashlib.sha1).hex().encode() for secret in secrets if secret)
    return _is_any(_first(headers, header_names), expected)


def static_key(headers: Mapping[str, str], header_names: Sequence[str], secrets: Sequence[bytes]) -> bool:
    """Whether the first of the headers that is there is one of the secrets; ``Bearer`` before it is left out."""
    given = _first(headers, header_names)
    scheme, _, rest = given.partition(" ")
    return is_key(rest.strip() if scheme.lower() == "bearer" else given, secrets)


def is_key(given: str, secrets: Sequence[bytes]) -> bool:
    """Whether a key that came in some other way than a header is one of the secrets."""
    return _is_any(given, (secret for secret in secrets if secret))


def standard_webhooks(
    headers: Mapping[str, str], body: bytes, *, secrets: Sequence[bytes], now: float, window: float
) -> bool:
    """Whether a request is signed as standardwebhooks.com says.

    ``webhook-signature`` has ``v1,<base64 HMAC-SHA256 of id.timestamp.body>``, several separated by spaces. The
    timestamp may be ``window`` seconds from ``now`` (wall time) at most; 0 allows any. A secret that starts with
    ``whsec_`` is base64 after it, any other is taken as it is.
    """
    name, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not name or not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _LONGEST_TIMESTAMP):
        return False
    if window > 0 and abs(now - int(timestamp)) > window:
        return False
    signed = b".".join((_bytes(name), timestamp.encode(), body))
    expected = [b"v1," + base64.b64encode(_mac(key, signed)) for key in map(_standard_key, secrets) if key]
    matches = [_is_any(given, expected) for given in headers.get("webhook-signature", "").split()]
    return any(matches)


def _standard_key(secret: bytes) -> bytes:
    if not secret.startswith(STANDARD_PREFIX):
        return secret
    try:
        return base64.b64decode(secret.removeprefix(STANDARD_PREFIX), validate=True)
    except binascii.Error:
        return b""


def _mac(secret: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, body, hashlib.sha256)


def _first(headers: Mapping[str, str], names: Sequence[str]) -> str:
    return next((headers[name] for name in names if name in headers), "").strip()


def _is_any(given: str, expected: Iterable[bytes]) -> bool:
    # A list, not a generator: how long it takes tells nothing of which secret it was.
    return any([hmac.compare_digest(_bytes(given), one) for one in expected])  # noqa: C419 - see above


def _bytes(text: str) -> bytes:
    # compare_digest takes no text beyond ASCII, and a header may hold anything.
    return text.encode("utf-8", "surrogatepass")
