"""`python -m tests.soak.upstream PORT`: an upstream in a process of its own that does as each request wishes.

It shares nothing with the gateway, and outlives what is killed around it.

What does not live here: the wishes (`wishes.py`).
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import orjson
import uvicorn

from tests.soak.wishes import Wish, read

_JSON = [(b"content-type", b"application/json")]
_EVENTS = [(b"content-type", b"text/event-stream")]
_WORD = "lorem "


class Upstream:
    """OpenAI's chat completions, and a page `/crowds` with the most calls of each name that ran at one time."""

    def __init__(self) -> None:
        self._running: dict[str, int] = {}
        self._most: dict[str, int] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The application."""
        if scope["type"] != "http":
            return
        if scope["method"] == "GET":
            await _whole(send, 200, self._most)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        asked = orjson.loads(body)
        wish = read(asked["messages"][-1]["content"])
        running = self._running[wish.crowd] = self._running.get(wish.crowd, 0) + 1
        self._most[wish.crowd] = max(running, self._most.get(wish.crowd, 0))
        try:
            await asyncio.sleep(wish.wait / 1000)
            if wish.end == "fail":
                await _whole(send, 500, {"error": {"message": "wished for", "type": "server_error"}})
            elif asked.get("stream"):
                await _stream(send, wish)
            else:
                await _whole(send, 200, _completion(wish))
        finally:
            self._running[wish.crowd] -= 1


async def _whole(send: Any, status: int, value: Any) -> None:
    await send({"type": "http.response.start", "status": status, "headers": _JSON})
    await send({"type": "http.response.body", "body": orjson.dumps(value)})


async def _stream(send: Any, wish: Wish) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": _EVENTS})

    async def event(delta: dict[str, str] | None, finish: str | None = None, **members: Any) -> None:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
        value = {**_HEAD, "object": "chat.completion.chunk", "choices": choices, **members}
        await send({"type": "http.response.body", "body": b"data: " + orjson.dumps(value) + b"\n\n", "more_body": True})

    await event({"role": "assistant", "content": ""})
    for number in range(wish.events):
        if wish.gap:
            await asyncio.sleep(wish.gap / 1000)
        if wish.end == "break" and number == wish.events // 2:
            raise ConnectionResetError("wished for")
        await event({"content": _WORD})
    await event({}, "stop")
    await event(None, usage=_usage(wish))
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


_HEAD = {"id": "chatcmpl-soak", "created": 1_760_000_000, "model": "soak-1"}


def _completion(wish: Wish) -> dict[str, Any]:
    message = {"role": "assistant", "content": _WORD * wish.events, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _usage(wish)}


def _usage(wish: Wish) -> dict[str, int]:
    total = wish.input + wish.output
    return {"prompt_tokens": wish.input, "completion_tokens": wish.output, "total_tokens": total}


def main() -> None:
    """Serves until it is stopped."""
    # What is wished for breaks in the middle: uvicorn would log each of them.
    uvicorn.run(Upstream(), host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="critical")


if __name__ == "__main__":
    main()
