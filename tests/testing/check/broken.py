"""Servers that are broken on purpose, each in one way, and which assertions have to notice.

`Bent` stands before a good server and bends what it answers. What does not live here: the good
server (`servers.py`).
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
DONE = "[DONE]"


@dataclass
class Said:
    """One exchange: the request, and the answer that may be bent."""

    method: str
    path: str
    query: str
    request_headers: dict[str, str]
    raw: bytes
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    # Makes the connection break after the body.
    cut: bool = False

    @property
    def asked(self) -> Any:
        """The request's body as JSON; an empty object if it is no object."""
        try:
            value = json.loads(self.raw)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def streamed(self) -> bool:
        """The answer is a stream of the chat route."""
        return self.status == 200 and "event-stream" in self.headers.get("content-type", "") and self.chat

    @property
    def chat(self) -> bool:
        """The request is for a chat."""
        return self.method == "POST" and "chat/completions" in self.path

    @property
    def value(self) -> Any:
        """The answer as JSON."""
        return json.loads(self.body)

    @value.setter
    def value(self, value: Any) -> None:
        self.body = json.dumps(value).encode()

    @property
    def events(self) -> list[Any]:
        """The stream's events: JSON values, and the end mark as text."""
        lines = [one[6:] for one in self.body.decode().split("\n\n") if one.startswith("data: ")]
        return [DONE if one == DONE else json.loads(one) for one in lines]

    @events.setter
    def events(self, events: list[Any]) -> None:
        texts = [one if isinstance(one, str) else json.dumps(one) for one in events]
        self.body = "".join(f"data: {one}\n\n" for one in texts).encode()


Bend = Callable[[Said], None]


class Bent:
    """An application whose answers are bent."""

    def __init__(self, app: Any, bend: Bend) -> None:
        self.app = app
        self.bend = bend

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        parts: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        said = Said(scope["method"], scope["path"], scope["query_string"].decode(), headers, b"".join(parts))
        asked = False

        async def again() -> Any:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": said.raw, "more_body": False}
            await asyncio.Event().wait()
            raise AssertionError("nobody sets it")

        async def keep(message: Any) -> None:
            if message["type"] == "http.response.start":
                said.status = message["status"]
                said.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
            else:
                said.body += message.get("body", b"")

        await self.app(scope, again, keep)
        before = said.body
        self.bend(said)
        if said.body != before and "content-length" in said.headers:
            said.headers["content-length"] = str(len(said.body))
        lines = [(name.encode(), value.encode("latin-1")) for name, value in said.headers.items()]
        await send({"type": "http.response.start", "status": said.status, "headers": lines})
        await send({"type": "http.response.body", "body": said.body, "more_body": said.cut})
        if said.cut:
            raise ConnectionError("cut on purpose")


# Ways to bend.


def plain(change: Callable[[Json], Any]) -> Bend:
    """Changes good plain chat answers."""

    def bend(said: Said) -> None:
        if said.chat and said.status == 200 and not said.streamed:
            value = said.value
            change(value)
            said.value = value

    return bend


def message(change: Callable[[Json], Any]) -> Bend:
    """Changes the message of good plain chat answers."""
    return plain(lambda value: [change(one["message"]) for one in value["choices"]])


def call(change: Callable[[Json], Any]) -> Bend:
    """Changes the tool calls of good plain chat answers."""
    return message(lambda one: [change(each) for each in one.get("tool_calls") or ()])


def stream(change: Callable[[list[Any]], list[Any] | None]) -> Bend:
    """Changes the events of good streams: in place, or by giving others."""

    def bend(said: Said) -> None:
        if said.streamed:
            events = said.events
            changed = change(events)
            said.events = events if changed is None else changed

    return bend


def chunk(change: Callable[[Json], Any]) -> Bend:
    """Changes each chunk of good streams."""

    def each(events: list[Any]) -> None:
        for one in events:
            if one != DONE:
                change(one)

    return stream(each)


def choice(change: Callable[[Json], Any]) -> Bend:
    """Changes each choice of each chunk of good streams."""
    return chunk(lambda one: [change(each) for each in one["choices"]])


def fragment(change: Callable[[Json], Any]) -> Bend:
    """Changes each fragment of streamed tool calls."""
    return choice(lambda one: [change(each) for each in one["delta"].get("tool_calls") or ()])


def counted(change: Callable[[Json], Any]) -> Bend:
    """Changes the chunks with usage."""
    return chunk(lambda one: change(one) if one.get("usage") else None)


def text(change: Callable[[str], str]) -> Bend:
    """Changes the bytes of good streams, as text."""

    def bend(said: Said) -> None:
        if said.streamed:
            said.body = change(said.body.decode()).encode("utf-8", "surrogatepass")

    return bend


def head(name: str, value: str | None, when: Callable[[Said], bool] = lambda _: True) -> Bend:
    """Sets a header of the answer, or takes it out."""

    def bend(said: Said) -> None:
        if when(said):
            said.headers.pop(name, None)
            if value is not None:
                said.headers[name] = value

    return bend


def refusals(change: Callable[[Said], Any]) -> Bend:
    """Changes answers that refuse."""

    def bend(said: Said) -> None:
        if said.status >= 400:
            change(said)

    return bend


def error(change: Callable[[Json], Any]) -> Bend:
    """Changes the envelope of answers that refuse."""

    def bend(said: Said) -> None:
        if said.status >= 400:
            value = said.value
            change(value["error"])
            said.value = value

    return bend


def at(path: str, change: Callable[[Json], Any]) -> Bend:
    """Changes good JSON answers of a path."""

    def bend(said: Said) -> None:
        if said.path == path and said.status == 200 and "json" in said.headers["content-type"]:
            value = said.value
            change(value)
            said.value = value

    return bend


def answers(when: Callable[[Said], bool], status: int, value: object = None, kind: str = "application/json") -> Bend:
    """Answers some requests with this, whatever the good server says."""

    def bend(said: Said) -> None:
        if when(said):
            said.status, said.headers = status, {"content-type": kind}
            said.body = b"Internal Server Error" if value is None else json.dumps(value).encode()

    return bend


def crashes(when: Callable[[Said], bool]) -> Bend:
    """Fails on some requests."""
    return answers(when, 500, kind="text/plain")


GOOD = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_780_272_000,
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


def lenient(said: Said) -> None:
    """Answers what ought to be refused as if it were good."""
    if said.status >= 400 and said.method == "POST":
        answers(lambda _: True, 200, GOOD)(said)


def setting(name: str, value: object) -> Callable[[Json], None]:
    """A change that sets one member."""

    def change(given: Json) -> None:
        given[name] = value

    return change


def without(name: str) -> Callable[[Json], None]:
    """A change that takes one member out."""

    def change(given: Json) -> None:
        given.pop(name, None)

    return change
