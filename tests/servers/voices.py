"""What the far end of a test call says: voices made of numbers, enough for what listens to loudness only."""

import math
import random
import struct
import wave
from pathlib import Path

RATE = 8000
LOUD = 6000
BEEP_HZ = 1000.0
# Seconds of voice (positive) and of silence (negative); the machine's beep comes at its end.
GREETINGS: dict[str, tuple[float, ...]] = {
    "hello": (-0.2, 0.4, -6.0),
    "slow-hello": (-1.2, 0.4, -6.0),
    "machine": (-0.2, *(0.6, -0.1) * 4, 0.6, -0.4),
}


def samples(name: str) -> list[int]:
    """A greeting as 16 bit samples: noise that swells and ebbs as syllables do. The same each time."""
    noise = random.Random(name)  # noqa: S311 -- a sound, not a secret
    made: list[int] = []
    for part in GREETINGS[name]:
        for n in range(round(abs(part) * RATE)):
            swell = 0.6 + 0.4 * math.sin(2 * math.pi * 4 * n / RATE)
            made.append(round(noise.uniform(-1, 1) * LOUD * swell) if part > 0 else 0)
    if name == "machine":
        made += [round(LOUD * math.sin(2 * math.pi * BEEP_HZ * n / RATE)) for n in range(RATE // 2)]
    return made


def write_wav(name: str, folder: Path) -> None:
    """``folder/name.wav``, as Asterisk plays it."""
    heard = samples(name)
    with wave.open(str(folder / f"{name}.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(struct.pack(f"<{len(heard)}h", *heard))


def write_ulaw(name: str, folder: Path) -> None:
    """``folder/name.ulaw``, as SIPp streams it (ITU-T G.711)."""
    (folder / f"{name}.ulaw").write_bytes(bytes(_ulaw(sample) for sample in samples(name)))


def _ulaw(sample: int) -> int:
    magnitude = min(abs(sample), 32635) + 132
    exponent = magnitude.bit_length() - 8
    mantissa = magnitude >> (exponent + 3) & 15
    return ~((128 if sample < 0 else 0) | exponent << 4 | mantissa) & 255
