"""Short real sounds, made from a text: WAV and PCM with a tone, the compressed formats with silence of as long.

What does not live here: who asks for them (`audio.py`).
"""

from __future__ import annotations

import hashlib
import math
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_RATE = 24_000


def seconds_of(text: str) -> float:
    """How long it takes to say a text, about: 15 characters a second, 0.2 s to 60 s."""
    return min(60.0, max(0.2, len(text) / 15))


def pcm(text: str) -> bytes:
    """16-bit mono at 24 kHz: a tone whose pitch is from `text`, a tenth of a second of it for each second said."""
    pitch = 220 + hashlib.sha256(text.encode()).digest()[0]
    count = int(seconds_of(text) * _RATE / 10)
    return struct.pack(f"<{count}h", *(int(8000 * math.sin(math.tau * pitch * n / _RATE)) for n in range(count)))


def wav(text: str) -> bytes:
    """The same with a header."""
    data = pcm(text)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _RATE, _RATE * 2, 2, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + len(data), b"WAVE") + form + struct.pack("<4sI", b"data", len(data)) + data
    )


def mp3(text: str) -> bytes:
    """Frames of MPEG 1 layer III, 32 kbit/s, 44.1 kHz, mono."""
    frame = b"\xff\xfb\x10\xc0" + bytes(100)
    return frame * max(2, round(seconds_of(text) * 44_100 / 1152))


def aac(text: str) -> bytes:
    """Frames of AAC-LC in ADTS, 44.1 kHz, mono."""
    block = b"\x00\xc8\x00\x80\x23\x80"
    size = len(block) + 7
    head = bytes([0xFF, 0xF1, 0x50, 0x40 | size >> 11, size >> 3 & 0xFF, (size & 7) << 5 | 0x1F, 0xFC])
    return (head + block) * max(1, round(seconds_of(text) * 44_100 / 1024))


def flac(text: str) -> bytes:
    """One frame for each tenth of a second, 24 kHz, mono."""
    block, frames = 2304, max(1, round(seconds_of(text) * 10))
    info = struct.pack(">HH6x", block, block) + (_RATE << 44 | 15 << 36 | block * frames).to_bytes(8, "big") + bytes(16)
    body = b""
    for number in range(frames):
        # 2304 samples, 24 kHz, mono, 16 bits, the frame's number as UTF-8 writes it; one constant subframe.
        head = b"\xff\xf8\x47\x08" + chr(number).encode()
        head += bytes([_crc(head, 8, 0x07)])
        frame = head + b"\0\0\0"
        body += frame + _crc(frame, 16, 0x8005).to_bytes(2, "big")
    return b"fLaC\x80" + len(info).to_bytes(3, "big") + info + body


def opus(text: str) -> bytes:
    """Opus in Ogg, packets of 20 ms."""
    packets = max(1, min(250, round(seconds_of(text) * 50)))
    head = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, 0, _RATE, 0, 0)
    tags = struct.pack("<8sI4sI", b"OpusTags", 4, b"fake", 0)
    silence = [b"\xf8\xff\xfe"] * packets
    return _page(2, 0, 0, [head]) + _page(0, 0, 1, [tags]) + _page(4, 960 * packets, 2, silence)


def _page(kind: int, position: int, number: int, packets: list[bytes]) -> bytes:
    lacing = bytes(len(packet) for packet in packets)
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, kind, position, 1, number, 0, len(lacing)) + lacing
    page = head + b"".join(packets)
    return page[:22] + struct.pack("<I", _crc(page, 32, 0x04C11DB7)) + page[26:]


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    top, mask, value = 1 << bits - 1, (1 << bits) - 1, 0
    for byte in data:
        value ^= byte << bits - 8
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & top else 0)) & mask
    return value


SOUNDS: Mapping[str, tuple[str, Callable[[str], bytes]]] = {
    "mp3": ("audio/mpeg", mp3),
    "opus": ("audio/ogg; codecs=opus", opus),
    "aac": ("audio/aac", aac),
    "flac": ("audio/flac", flac),
    "wav": ("audio/wav", wav),
    "pcm": ("audio/pcm", pcm),
}
