"""An upstream that answers with exactly the bytes that the test gives, and remembers what it was asked."""

import asyncio
from collections.abc import Iterable
from typing import Any

import orjson

from compatgw import Gateway

KEY = {"Authorization": "Bearer k"}
STREAM = "text/event-stream"


class Canned:
    """An ASGI application with one answer.

    Args:
        body: Bytes, or pieces that are sent one by one.
        status: HTTP status.
        kind: Content-Type; None sends none.
        then: After the body: `end`, `break` (the connection fails) or `hang`.
        headers: Further headers.
    """

    def __init__(
        self,
        body: bytes | Iterable[bytes] = b"",
        status: int = 200,
        kind: str | None = "application/json",
        then: str = "end",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.pieces = [body] if isinstance(body, bytes) else list(body)
        self.status = status
        self.headers = [(b"content-type", kind.encode())] if kind else []
        self.headers += [(k.encode(), v.encode()) for k, v in (headers or {}).items()]
        self.then = then
        self.asked: list[Any] = []
        self.seen: list[dict[bytes, bytes]] = []
        self.paths: list[str] = []
        self.ended = asyncio.Event()
        self.began = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The application."""
        self.paths.append(scope["path"])
        self.seen.append(dict(scope["headers"]))
        self.asked.append(orjson.loads((await receive())["body"] or b"null"))
        self.began.set()
        try:
            if self.status:
                await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
            for piece in self.pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            if self.then == "break":
                raise ConnectionResetError
            if self.then == "hang":
                await asyncio.Event().wait()
            await send({"type": "http.response.body", "body": b""})
        finally:
            self.ended.set()


def completion(**members: Any) -> bytes:
    """A plain answer."""
    return orjson.dumps(
        {
            "id": "chatcmpl-up", "object": "chat.completion", "created": 7, "model": "real-1",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "Hello", "refusal": None}, "logprobs": None, "finish_reason": "stop"}
            ],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
            **members,
        }
    )  # fmt: skip


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **members: Any) -> bytes:
    """One event of a stream."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    value = {
        "id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 7, "model": "real-1", "choices": choices,
        **members,
    }  # fmt: skip
    return b"data: " + orjson.dumps(value) + b"\n\n"


ROLE = chunk({"role": "assistant", "content": ""})
WORD = chunk({"content": "Hello"})
FINISH = chunk({}, "stop")
USAGE = chunk(usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5})
DONE = b"data: [DONE]\n\n"


def gateway(upstream: Any, **settings: Any) -> Gateway:
    """A gateway whose only provider, `up`, is `upstream`; a failure is not repeated."""
    return Gateway(
        providers={"up": {"app": upstream, "base_url": "http://upstream/v1", "api_key": "sk-upstream-secret"}},
        keys=settings.pop("keys", ["k"]),
        retries=settings.pop("retries", {"most": 0}),
        environ={},
        **settings,
    )


def ask(**members: Any) -> dict[str, Any]:
    """A request body."""
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}], **members}
