"""Waiting for what no event announces."""

import asyncio
from collections.abc import Callable

PATIENCE_S = 20.0


async def until(condition: Callable[[], object], what: str = "the condition", patience: float = PATIENCE_S) -> None:
    """Return when the condition holds; TimeoutError that names it otherwise."""
    try:
        async with asyncio.timeout(patience):
            while not condition():  # noqa: ASYNC110 - the condition is of any kind
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise TimeoutError(f"{what}: not within {patience:g} s") from None
