"""The HTTP interface to scripts and journals of fakes that run as a server, for tests in any language.

    GET  /_fake/health           what runs
    POST /_fake/NAME/script      appends steps; the form is in `steps.py`
    GET  /_fake/NAME/calls       the journal
    GET  /_fake/NAME/verify      whether everything scripted was played, and nothing else was asked
    POST /_fake/NAME/reset       forgets script and journal
    POST /_fake/reset            the same for every fake

Errors are `{"error": "one sentence"}`. What does not live here: the fakes, the socket.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from compatgw_testing.script import ScriptError
from compatgw_testing.serve.steps import apply, entries_of

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from compatgw_testing.doors.exchange import Receive, Send
    from compatgw_testing.fakes import Fake
    from compatgw_testing.journal import Call

PREFIX = "/_fake"
_LIMIT = 4 * 1024 * 1024
_SECRET = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "proxy-authorization"})


class _Reply(NamedTuple):
    status: int
    body: Mapping[str, object]


class Admin:
    """An ASGI application over fakes by name.

    Args:
        fakes: Name to fake.
        about: What `health` says beside `ok` and the names.
    """

    def __init__(self, fakes: Mapping[str, Fake], about: Mapping[str, object]) -> None:
        self._fakes = fakes
        self._about = about

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serves one request."""
        body = await _read(receive)
        path = str(scope["path"]).removeprefix(str(scope.get("root_path", ""))).strip("/")
        reply = self._answer(str(scope["method"]), path.split("/") if path else [], body)
        data = json.dumps(reply.body, ensure_ascii=False).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": data, "more_body": False})

    def _answer(self, method: str, path: list[str], body: bytes | None) -> _Reply:
        if body is None:
            return _wrong(413, f"the body is larger than {_LIMIT} bytes")
        match method, path:
            case "GET", ["health"]:
                return _Reply(200, {"ok": True, "fakes": list(self._fakes), **self._about})
            case "POST", ["reset"]:
                for fake in self._fakes.values():
                    fake.reset()
                return _Reply(200, {"ok": True})
            case _, [name, ("script" | "calls" | "verify" | "reset") as what] if name in self._fakes:
                return self._of(self._fakes[name], method, what, body)
            case _, [name, "script" | "calls" | "verify" | "reset"]:
                return _wrong(404, f"there is no fake {name!r}; there are {', '.join(self._fakes)}")
        return _wrong(404, f"there is no {method} {PREFIX}/{'/'.join(path)}; the interface is {_interface()}")

    @staticmethod
    def _of(fake: Fake, method: str, what: str, body: bytes) -> _Reply:
        if method != ("POST" if what in ("script", "reset") else "GET"):
            return _wrong(405, f"{what} does not take {method}; the interface is {_interface()}")
        if what == "script":
            return _scripted(fake, body)
        if what == "calls":
            return _Reply(200, {"calls": [_shown(call) for call in fake.calls]})
        if what == "reset":
            fake.reset()
            return _Reply(200, {"ok": True})
        try:
            fake.verify()
        except AssertionError as complaint:
            return _Reply(200, {"ok": False, "complaint": str(complaint)})
        return _Reply(200, {"ok": True})


def _scripted(fake: Fake, body: bytes) -> _Reply:
    try:
        entries = entries_of(json.loads(body))
        queued = apply(entries, fake)
    except ScriptError as wrong:
        return _wrong(400, str(wrong))
    except ValueError as wrong:
        return _wrong(400, f"the body is no JSON: {wrong}")
    return _Reply(200, {"ok": True, "queued": queued})


def _shown(call: Call) -> dict[str, object]:
    return {
        "ordinal": call.ordinal,
        "method": call.method,
        "path": call.path,
        "query": {name: "***" if name == "key" else value for name, value in call.query.items()},
        "headers": {name: "***" if name in _SECRET else value for name, value in call.headers.items()},
        "body": call.body if call.body is not None else call.raw.decode("utf-8", "replace"),
        "rule": call.rule,
        "scripted": call.step is not None,
        "status": call.status,
        "outcome": call.outcome,
        "sent": call.sent,
    }


def _wrong(status: int, message: str) -> _Reply:
    return _Reply(status, {"error": message})


def _interface() -> str:
    posts = f"POST {PREFIX}/NAME/script, POST {PREFIX}/NAME/reset, POST {PREFIX}/reset"
    return f"GET {PREFIX}/health, GET {PREFIX}/NAME/calls, GET {PREFIX}/NAME/verify, {posts}"


async def _read(receive: Receive) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size <= _LIMIT:
            parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts) if size <= _LIMIT else None
