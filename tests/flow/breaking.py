"""What tests of faults break things with: locks, doors in front of servers, upstreams in which something happens.

What does not live here: tests.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson

from compatgw import Gateway
from compatgw.state.database import Database
from compatgw.state.loops import PerLoop
from compatgw.state.sql import SqlLedger, _Session
from tests.canned import ask
from tests.flow.paying import Shop

CHAT = "/v1/chat/completions"


def error_of(response: httpx.Response) -> dict[str, Any]:
    """The envelope's inside; all four members are there and nothing else."""
    body = response.json()
    assert list(body) == ["error"]
    assert set(body["error"]) == {"message", "type", "param", "code"}
    found: dict[str, Any] = body["error"]
    return found


def impatient(one: Shop, busy: float = 0.03, patience: float = 0.1) -> None:
    """Lets its ledger wait but a moment."""
    ledger = one.ledger
    assert isinstance(ledger, SqlLedger)
    place = ledger._place
    ledger._sessions = PerLoop(lambda: _Session(Database(place, busy), patience))


def path_of(one: Shop) -> Path:
    """Its ledger's file."""
    url = one.app.settings.state.ledger
    assert url is not None
    return Path(url.get_secret_value().removeprefix("sqlite:///"))


class Locked:
    """Another program's lock on a ledger's file, from `take` to `give`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._other: sqlite3.Connection | None = None

    def take(self) -> None:
        """Takes it."""
        self._other = sqlite3.connect(self._path, isolation_level=None, timeout=5)
        self._other.execute("BEGIN IMMEDIATE")

    def give(self) -> None:
        """Gives it back."""
        assert self._other is not None
        self._other.execute("ROLLBACK")
        self._other.close()


class Between:
    """An upstream in which something happens when it has the question, before it answers.

    Attributes:
        answer: What then answers; may be another one for the next call.
        do: What happens, at every call while it is set.
    """

    def __init__(self, answer: Any, do: Callable[[], Any] | None = None) -> None:
        self.answer = answer
        self.do = do

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The application."""
        if self.do is not None:
            done = self.do()
            if asyncio.iscoroutine(done):
                await done
        await self.answer(scope, receive, send)


class Door:
    """A socket in front of a server's socket, which can be shut: then the server is gone.

    Attributes:
        deaf: Set when an answer of the server came and was swallowed; None passes answers on.
    """

    def __init__(self, path: Path, server: str) -> None:
        self._path = path
        self._server = server
        self._listener: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.deaf: asyncio.Event | None = None

    async def up(self) -> None:
        """Opens it."""
        self._listener = await asyncio.start_unix_server(self._pass, self._path)

    async def down(self) -> None:
        """Shuts it, and cuts whoever is in it."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            self._path.unlink(missing_ok=True)
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_unix_connection(self._server)
        except OSError:
            writer.close()
            return
        self._open |= {writer, back}
        try:
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer, True))
        finally:
            self._open -= {writer, back}
            writer.close()
            back.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: bool = False) -> None:
        try:
            while data := await reader.read(65536):
                if answers and self.deaf is not None:
                    self.deaf.set()
                    continue
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


async def lifespan(app: Gateway, *words: str) -> list[Any]:
    """What the gateway says to a server's `startup` and `shutdown`."""
    told: list[Any] = []
    messages = [{"type": f"lifespan.{word}"} for word in words]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        told.append(message)

    await app({"type": "lifespan"}, receive, send)
    return told


async def raw(
    app: Gateway, headers: list[tuple[bytes, bytes]], body: bytes = b""
) -> tuple[int, dict[bytes, bytes], bytes]:
    """A chat request over ASGI itself, which lets through what HTTP clients would not send."""
    sent: list[Any] = []
    messages = [{"type": "http.request", "body": body or orjson.dumps(ask()), "more_body": False}]

    async def receive() -> Any:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": CHAT,
        "raw_path": CHAT.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "http_version": "1.1",
        "scheme": "http",
        "server": ("gateway", 80),
        "client": ("127.0.0.1", 1),
    }
    await app(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(each.get("body", b"") for each in sent[1:])
