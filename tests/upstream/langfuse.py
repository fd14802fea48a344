"""A Langfuse on a real socket: the one endpoint that prompts are got from, as strict as its documents are.

What does not live here: tests.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

PUBLIC, SECRET = "pk-lf-1234", "sk-lf-very-secret-5678"
TOKEN = base64.b64encode(f"{PUBLIC}:{SECRET}".encode()).decode()
_ROOT = "/api/public/v2/prompts/"


def text(content: str, version: int = 1, labels: list[str] | None = None, **members: Any) -> dict[str, Any]:
    """A text prompt, with all the members that it has there."""
    return {
        "id": f"id-{version}", "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z",
        "projectId": "p", "createdBy": "API", "prompt": content, "version": version, "type": "text", "isActive": None,
        "config": {"temperature": 0.5}, "tags": ["a"], "labels": ["production", "latest"] if labels is None else labels,
        "commitMessage": None, "resolutionGraph": None, **members,
    }  # fmt: skip


def chat(*messages: tuple[str, str], version: int = 1, **members: Any) -> dict[str, Any]:
    """A chat prompt."""
    given = [{"type": "chatmessage", "role": role, "content": content} for role, content in messages]
    return {**text("", version), "type": "chat", "prompt": given, **members}


class FakeLangfuse:
    """The server.

    Attributes:
        versions: By name.
        heads: Of each request, as it came.
        answer: Status and body, instead of what it would say. headers: More of them.
        gate: Requests wait until it is open. waiting: Set when one does.
        broken: It closes the connection without an answer.
    """

    def __init__(self) -> None:
        self.versions: dict[str, list[dict[str, Any]]] = {}
        self.heads: list[str] = []
        self.answer: tuple[int, bytes] | None = None
        self.headers: dict[str, str] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()
        self.broken = False
        self.url = ""
        self._server: asyncio.Server | None = None

    @property
    def lines(self) -> list[str]:
        """The first lines of all requests."""
        return [head.splitlines()[0] for head in self.heads]

    def header(self, name: str, place: int = -1) -> list[str]:
        """The values of a header of one request."""
        lines = [line.partition(":") for line in self.heads[place].splitlines()[1:]]
        return [value.strip() for key, _, value in lines if key.lower() == name]

    async def __aenter__(self) -> FakeLangfuse:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gate.set()
        await self.stop()

    async def stop(self) -> None:
        """Nobody listens any more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
            if not self.gate.is_set():
                self.waiting.set()
                await self.gate.wait()
            if self.broken:
                return
            status, body = self.answer or self._found(head)
            more = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
            writer.write(
                f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                f"Connection: close\r\n{more}\r\n".encode()
                + body
            )
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    def _found(self, head: str) -> tuple[int, bytes]:
        method, target, _ = head.splitlines()[0].split(" ")
        path, _, query = target.partition("?")
        if f"authorization: basic {TOKEN}".lower() not in head.lower():
            return 401, b'{"error":"UnauthorizedError","message":"Invalid credentials."}'
        name, given = path.removeprefix(_ROOT), dict(parse_qsl(query, keep_blank_values=True))
        if method != "GET" or not path.startswith(_ROOT) or "/" in name:
            return 404, b"<html>no such page</html>"
        if len(given) != 1 or not given.keys() <= {"version", "label"}:
            return 400, b'{"error":"InvalidRequestError","message":"Invalid request data"}'
        for version in reversed(self.versions.get(unquote(name), [])):
            if str(version["version"]) == given.get("version") or given.get("label") in version["labels"]:
                return 200, orjson.dumps(version)
        return 404, b'{"message":"Prompt not found","error":"LangfuseNotFoundError"}'
