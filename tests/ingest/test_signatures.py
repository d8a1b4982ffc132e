"""Signatures and keys: what is signed is taken, and nothing else."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.signatures import (
    hmac_sha1_hex,
    hmac_sha256_base64,
    hmac_sha256_hex,
    is_key,
    standard_webhooks,
    static_key,
)

NOW = 1_790_000_000.0
NAMES = ["x-one", "x-two"]
Check = Callable[[Mapping[str, str], bytes, Sequence[str], Sequence[bytes]], bool]


def base64_256(secret: bytes, body: bytes) -> str:
    return base64.b64encode(hmac.digest(secret, body, hashlib.sha256)).decode()


def hex_256(secret: bytes, body: bytes) -> str:
    return hmac.digest(secret, body, hashlib.sha256).hex()


def hex_1(secret: bytes, body: bytes) -> str:
    return hmac.digest(secret, body, hashlib.sha1).hex()


SCHEMES = [(hmac_sha256_base64, base64_256), (hmac_sha256_hex, hex_256), (hmac_sha1_hex, hex_1)]
_secrets = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=3)
_texts = st.text(max_size=60)


def test_a_known_signature() -> None:
    # RFC 4231, test case 2; RFC 2202, test case 2.
    body, secret = b"what do ya want for nothing?", b"Jefe"
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert hmac_sha256_hex({"x": expected}, body, ["x"], [secret])
    assert hmac_sha256_hex({"x": f"sha256={expected}"}, body, ["x"], [secret], "sha256=")
    assert hmac_sha256_base64({"x": base64.b64encode(bytes.fromhex(expected)).decode()}, body, ["x"], [secret])
    assert hmac_sha1_hex({"x": "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"}, body, ["x"], [secret])


@pytest.mark.parametrize(("check", "sign"), SCHEMES)
@given(data=st.data(), body=st.binary(max_size=100), secrets=_secrets, name=st.sampled_from(NAMES))
def test_any_live_secret_signs(
    check: Check, sign: Callable[[bytes, bytes], str], data: st.DataObject, body: bytes, secrets: list[bytes], name: str
) -> None:
    signature = sign(data.draw(st.sampled_from(secrets)), body)
    assert check({name: signature}, body, NAMES, secrets)
    assert not check({"x-other": signature}, body, NAMES, secrets)
    assert not check({name: signature}, body + b" ", NAMES, secrets)
    assert not check({name: signature}, body, NAMES, [])


@pytest.mark.parametrize(("check", "sign"), SCHEMES)
@given(body=st.binary(max_size=100), secret=st.binary(min_size=1, max_size=40), given_text=_texts)
def test_whatever_else_is_in_the_header_does_not(
    check: Check, sign: Callable[[bytes, bytes], str], body: bytes, secret: bytes, given_text: str
) -> None:
    assert check({NAMES[0]: given_text}, body, NAMES, [secret]) == (given_text.strip() == sign(secret, body))


@pytest.mark.parametrize(("check", "sign"), SCHEMES)
def test_an_empty_secret_proves_nothing(check: Check, sign: Callable[[bytes, bytes], str]) -> None:
    assert not check({NAMES[0]: sign(b"", b"{}")}, b"{}", NAMES, [b""])


def test_the_first_header_that_is_there_counts() -> None:
    headers = {"x-one": "wrong", "x-two": hex_1(b"secret", b"{}")}
    assert not hmac_sha1_hex(headers, b"{}", ["x-one", "x-two"], [b"secret"])


@pytest.mark.parametrize("value", ["secret", "Bearer secret", "bearer  secret", " old ", "Bearer old"])
def test_static_keys(value: str) -> None:
    assert static_key({"authorization": value}, ["x-ringback-key", "authorization"], [b"secret", b"old"])


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Basic secret", "secre", "secrets", "sécret", "Bearer Bearer secret"]
)
def test_other_keys(value: str) -> None:
    assert not static_key({"x-ringback-key": value}, ["x-ringback-key"], [b"secret", b""])
    assert not static_key({"x-ringback-key": value}, ["x-ringback-key"], [])


def test_a_key_with_a_space_is_a_key() -> None:
    assert static_key({"x-ringback-key": "two words"}, ["x-ringback-key"], [b"two words"])
    assert is_key("two words", [b"x", b"two words"])
    assert not is_key("", [b""])


def standard(body: bytes, key: bytes, *, name: str = "msg_1", at: float = NOW, **more: str) -> dict[str, str]:
    signed = b".".join((name.encode(), str(int(at)).encode(), body))
    headers = {
        "webhook-id": name,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": f"v1,{base64_256(key, signed)}",
    }
    return {**headers, **{header.replace("_", "-"): value for header, value in more.items()}}


def is_standard(headers: dict[str, str], *secrets: bytes, body: bytes = b"{}", window: float = 300) -> bool:
    return standard_webhooks(headers, body, secrets=secrets, now=NOW, window=window)


def test_the_example_of_the_standard() -> None:
    # standardwebhooks.com, and the test vectors of its libraries.
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret, body = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    assert standard_webhooks(headers, body, secrets=[secret], now=1614265330, window=300)
    assert not standard_webhooks(headers, body, secrets=[b"whsec_AAAA"], now=1614265330, window=300)


def test_one_good_signature_of_several_is_enough() -> None:
    good = standard(b"{}", b"new")["webhook-signature"]
    for signature in (f"{good} v1,other", f"v1a,abc {good}", f"  {good}"):
        assert is_standard(standard(b"{}", b"new", webhook_signature=signature), b"old", b"new")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        standard(b"{}", b"stolen"),
        standard(b"{ }", b"new"),
        standard(b"{}", b"new", webhook_id="msg_2"),
        standard(b"{}", b"new", webhook_id=""),
        standard(b"{}", b"new", webhook_timestamp=str(int(NOW) + 1)),
        standard(b"{}", b"new", webhook_timestamp="٣"),
        standard(b"{}", b"new", webhook_timestamp="1" * 5000),
        standard(b"{}", b"new", webhook_timestamp="soon"),
        standard(b"{}", b"new", webhook_timestamp=""),
        standard(b"{}", b"new", webhook_signature=""),
        standard(b"{}", b"new", webhook_signature="ü"),
        standard(b"{}", b"new", webhook_signature=standard(b"{}", b"new")["webhook-signature"].removeprefix("v1,")),
        standard(b"{}", b""),
    ],
)
def test_what_is_not_signed_so_is_not_authentic(headers: dict[str, str]) -> None:
    assert not is_standard(headers, b"new", b"", b"whsec_", b"whsec_not base64")


@given(seconds=st.integers(-1000, 1000), window=st.integers(0, 600))
def test_the_window(seconds: int, window: int) -> None:
    headers = standard(b"{}", b"new", at=NOW + seconds)
    assert is_standard(headers, b"new", window=window) == (window == 0 or abs(seconds) <= window)


@given(headers=st.dictionaries(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), _texts))
def test_random_headers_are_not_authentic_and_nothing_worse(headers: dict[str, str]) -> None:
    assert not is_standard(headers, b"a secret", b"whsec_AAAA", window=0)
