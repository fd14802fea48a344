"""`gigabyte`: a form of 1 GiB goes up through a gateway, and 1 GiB of sound comes down, and its memory stays flat.

The gateway is a process of its own, under uvicorn; client and upstream are in this one, and count and digest every
byte. Over each transport that can carry the calls.

What does not live here: forms that are wrong or too large (`tests/flow/test_uploads.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import sys
import tempfile
import time
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import orjson

from tests.bench.processes import Child, cores, forget_peak, free_port, memory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.soak.rig import Options
    from tests.soak.verdict import Verdict

SIZE = 1024 * 1024 * 1024
PIECE = 256 * 1024
# MiB that the gateway may grow by at its peak.
GROWTH = 50.0
KEY = "soak"
_MIB = 1024 * 1024
_SEED = 4711
_SPEECH = b"POST /audio/speech "


def blocks() -> tuple[bytes, ...]:
    """Pieces of noise that the bytes are made of; no piece is like another, and none is compressible."""
    chance = random.Random(_SEED)
    return tuple(chance.randbytes(PIECE) for _ in range(7))


class Upstream:
    """A server that takes forms and gives sounds, fast, without holding either.

    Attributes:
        digest: SHA-256 of the file in the last form.
    """

    def __init__(self) -> None:
        self.digest = ""
        self._blocks = blocks()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Gives its address."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=PIECE)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
            if head.startswith(_SPEECH):
                await reader.readexactly(length)
                await self._speak(writer)
            else:
                await self._hear(reader, length)
                answer = orjson.dumps({"text": self.digest})
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n")
                writer.write(b"Content-Length: %d\r\n\r\n" % len(answer) + answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _hear(self, reader: asyncio.StreamReader, length: int) -> None:
        """Reads a form, and digests the file in it."""
        digest = hashlib.sha256()
        head = await reader.readuntil(b"audio/wav\r\n\r\n")
        length -= len(head)
        tail = b"\r\n--" + head.partition(b"\r\n")[0].removeprefix(b"--") + b"--\r\n"
        left = length - len(tail)
        while left:
            data = await reader.read(min(PIECE, left))
            if not data:
                raise ConnectionError
            digest.update(data)
            left -= len(data)
        assert await reader.readexactly(len(tail)) == tail
        self.digest = digest.hexdigest()

    async def _speak(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(SIZE // PIECE):
            writer.write(b"%x\r\n" % PIECE)
            writer.write(self._blocks[number % len(self._blocks)])
            writer.write(b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()


async def pieces() -> AsyncIterator[bytes]:
    """A gigabyte."""
    noise = blocks()
    for number in range(SIZE // PIECE):
        yield noise[number % len(noise)]


async def digest_of_all() -> str:
    """What both sides must come to."""
    digest = hashlib.sha256()
    async for piece in pieces():
        digest.update(piece)
    return digest.hexdigest()


async def up(session: aiohttp.ClientSession, origin: str) -> str:
    """Sends the form; what the upstream digested."""
    form = aiohttp.FormData()
    form.add_field("model", "openai/whisper-1")
    form.add_field("file", pieces(), filename="a.wav", content_type="audio/wav")
    async with session.post(f"{origin}/v1/audio/transcriptions", data=form) as answer:
        return str((await answer.json()).get("text", await answer.text()))


async def down(session: aiohttp.ClientSession, origin: str) -> str:
    """Reads the sound; its digest."""
    digest = hashlib.sha256()
    asked = {"model": "openai/tts-1", "voice": "alloy", "input": "A gigabyte", "response_format": "wav"}
    async with session.post(f"{origin}/v1/audio/speech", json=asked) as answer:
        if answer.status != 200:
            return await answer.text()
        async for piece in answer.content.iter_chunked(PIECE):
            digest.update(piece)
    return digest.hexdigest()


async def run_gigabyte(verdict: Verdict, options: Options) -> None:
    """Up and down, over aiohttp and over httpx."""
    whole = await digest_of_all()
    upstream = Upstream()
    async with upstream.running() as address:
        for transport in ("aiohttp", "httpx"):
            verdict.heading(f"gigabyte over {transport}")
            with ExitStack() as stack:
                place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cgw-soak-")))
                child, origin = _gateway(stack, place, address, transport)
                timeout = aiohttp.ClientTimeout(total=600)
                bearer = {"Authorization": f"Bearer {KEY}"}
                async with aiohttp.ClientSession(timeout=timeout, headers=bearer) as session:
                    await _warm(session, origin)
                    for name, way in (("up", up), ("down", down)):
                        before = memory(child.pid)
                        forget_peak(child.pid)
                        began = time.monotonic()
                        got = await way(session, origin)
                        took = time.monotonic() - began
                        after, peak = memory(child.pid), memory(child.pid, "VmHWM")
                        verdict.figure(
                            f"{name}: {SIZE // _MIB} MiB in {took:.1f} s; resident memory {before / _MIB:.1f} MiB "
                            f"before, {peak / _MIB:.1f} at its peak, {after / _MIB:.1f} after"
                        )
                        verdict.claim(
                            got == whole, f"{name}: every byte arrived{'' if got == whole else ': ' + got[:200]}"
                        )
                        grown = (peak - before) / _MIB
                        verdict.claim(grown < GROWTH, f"{name}: memory grew by {grown:.1f} MiB, under {GROWTH:g}")


def _gateway(stack: ExitStack, place: Path, upstream: str, transport: str) -> tuple[Child, str]:
    """A gateway process in front of the upstream, and its address."""
    settings = {
        "providers": {"openai": {"base_url": upstream, "api_key": "k"}},
        "keys": [KEY],
        "transport": transport,
        "max_upload": SIZE + _MIB,
        "timeouts": {"total": 600.0},
    }
    file = place / "gateway.json"
    file.write_bytes(orjson.dumps(settings))
    port = free_port()
    command: list[str | Path] = [sys.executable, "-m", "tests.soak.node", str(port), file]
    child = Child("the gateway", command, cores()[0], place / "gateway.log")
    stack.callback(child.stop)
    child.wait_until_it_answers(port)
    return child, f"http://127.0.0.1:{port}"


async def _warm(session: aiohttp.ClientSession, origin: str) -> None:
    """A refusal of each kind: what is loaded once is not counted."""
    form = aiohttp.FormData()
    form.add_field("model", "openai/whisper-1")
    form.add_field("file", b"", filename="a.wav", content_type="audio/wav")
    async with session.post(f"{origin}/v1/audio/transcriptions", data=form) as answer:
        await answer.read()
    async with session.post(f"{origin}/v1/audio/speech", json={}) as answer:
        await answer.read()
