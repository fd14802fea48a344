"""Requests to every surface of FakeOpenAI, JSON and multipart, by hand.

What does not live here: what is asked (`test_*.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compatgw_testing import FakeOpenAI
from tests.testing.driver import Reply, credentials, request

PNG_START = b"\x89PNG\r\n\x1a\n" + bytes(16)
WAV = b"RIFF" + (36 + 32_000).to_bytes(4, "little") + b"WAVEfmt "
WAV += bytes.fromhex("10000000 01000100 803e0000 007d0000 02001000 64617461")
TONE = bytes(32_000)


@dataclass(frozen=True)
class File:
    """A file of a form."""

    name: str
    data: bytes = TONE
    kind: str = "application/octet-stream"


Form = Mapping[str, str | File | list[str] | list[File]]


def multipart(form: Form, boundary: str = "----a-boundary") -> tuple[bytes, dict[str, str]]:
    """A form as a client sends it: body and headers."""
    parts = bytearray()
    for name, value in form.items():
        many = isinstance(value, list)
        for one in value if isinstance(value, list) else [value]:
            label = f"{name}[]" if many else name
            parts += f'--{boundary}\r\ncontent-disposition: form-data; name="{label}"'.encode()
            if isinstance(one, File):
                parts += f'; filename="{one.name}"\r\ncontent-type: {one.kind}\r\n\r\n'.encode() + one.data
            else:
                parts += f"\r\n\r\n{one}".encode()
            parts += b"\r\n"
    parts += f"--{boundary}--\r\n".encode()
    return bytes(parts), {"content-type": f"multipart/form-data; boundary={boundary}"}


async def post(fake: FakeOpenAI, path: str, body: Any, *, form: bool = False, method: str = "POST") -> Reply:
    """Sends a request; `form` makes it multipart."""
    headers = credentials(fake)
    if form:
        body, more = multipart(body)
        headers |= more
    return await request(fake, f"{fake.base_path}{path}", body, method=method, headers=headers)


async def get(fake: FakeOpenAI, path: str, method: str = "GET") -> Reply:
    """Asks for something that is there."""
    return await request(fake, f"{fake.base_path}{path}", method=method, headers=credentials(fake))
