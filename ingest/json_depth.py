"""How deeply JSON is nested, told before it is parsed."""

import re
from itertools import accumulate

# A string is taken out whole, so that brackets in it do not count. One that does not end takes all the rest.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = [(byte in b"[{") - (byte in b"]}") for byte in range(256)]


def depth_at_most(body: bytes, most: int) -> bool:
    """Whether arrays and objects are nested at most ``most`` deep; in linear time, whatever the bytes are.

    What is no JSON gets some answer, too: the parser will refuse it at its first fault.
    """
    brackets = _STRING.sub(b"", body).translate(None, _NO_BRACKETS)
    return len(brackets) <= most or max(accumulate(map(_STEP.__getitem__, brackets))) <= most
