"""One platform's source under atheris, which follows what a body reaches: ``python -m fuzz.parsers shopify …``.

Arguments after the platform are libFuzzer's. An input is a request as `fuzz.campaign.packed` writes it. Every other
change is one of `fuzz.mutations`, since bytes changed at random are hardly ever JSON.
"""

import sys
from random import Random

import atheris

with atheris.instrument_imports(include=["ingest", "ringback.validation", "ringback.money"]):
    from fuzz.campaign import packed, unpacked
    from fuzz.mutations import Request, changed, changed_headers, fixtures, written
    from fuzz.promises import keep
    from ingest.sources import SOURCES


def main(arguments: list[str]) -> None:
    """Fuzz until libFuzzer ends the process: with 0 after its time, with another code when something was found."""
    platform = arguments[1]
    source = SOURCES[platform]
    given = fixtures(platform)

    def one(data: bytes) -> None:
        keep(source, unpacked(data))

    def change(data: bytes, most: int, seed: int) -> bytes:
        draw = Random(seed)
        chance = draw.random()
        if chance < 0.5:
            return bytes(atheris.Mutate(data, most))
        headers, body = unpacked(data)
        if chance < 0.6:
            headers = changed_headers(headers, draw) if chance < 0.57 else draw.choice(given).headers
        return packed(Request(headers, changed(written(body), draw)))[:most]

    atheris.Setup([arguments[0], *arguments[2:]], one, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
