"""Gateways over several upstreams that each test makes up, and what came to a client of them.

What does not live here: tests, upstreams with one answer (`tests/canned.py`), teams that pay (`paying.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import orjson

from compatgw import Gateway
from tests.canned import DONE, FINISH, ROLE, STREAM, USAGE, Canned, ask, chunk, completion

CHAT = "/v1/chat/completions"
BUSY = b'{"error": {"message": "busy"}}'
QUESTION: Any = [{"role": "user", "content": "hi"}]


def claude(kind: str, **members: Any) -> bytes:
    """One event of Anthropic's protocol."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps({"type": kind, **members}))


USED = {"input_tokens": 3, "output_tokens": 2}
BEGUN = claude(
    "message_start",
    message={
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": USED,
    },
)  # fmt: skip
TEXT = claude("content_block_start", index=0, content_block={"type": "text", "text": ""})
SAID = claude("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hello"})


class Turns:
    """An upstream that gives one answer after another; the last again and again.

    Attributes:
        calls: How often it was called.
        keys: With which credentials, one for each call.
    """

    def __init__(self, *answers: Any) -> None:
        self.answers = answers
        self.calls = 0
        self.keys: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The application."""
        answer = self.answers[min(self.calls, len(self.answers) - 1)]
        self.calls += 1
        self.keys.append(dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer "))
        await answer(scope, receive, send)


def several(upstreams: Mapping[str, Any], *, retries: int = 0, **settings: Any) -> Gateway:
    """A gateway with these providers, each with a model `m`, that waits but a moment between two tries.

    Args:
        upstreams: Provider's name to its application, or to its settings with `app` among them.
        retries: Further tries of one target.
    """
    rows = {
        name: {
            "base_url": f"http://{name}/v1",
            "api_key": f"{name}-key",
            "models": ["m"],
            **(given if isinstance(given, dict) else {"app": given}),
        }
        for name, given in upstreams.items()
    }
    return Gateway(
        providers=rows,
        environ={},
        **{"keys": ["k"], "retries": {"most": retries, "base": 0.001, "cap": 0.002}, **settings},
    )


async def post(app: Gateway, headers: Mapping[str, str] | None = None, **members: Any) -> httpx.Response:
    """One chat request, of model `one/m` where no other is named."""
    async with app.client(api_key="k") as client:
        body = orjson.dumps({**ask(), "model": "one/m", **members})
        sent = {"content-type": "application/json", **(headers or {})}
        return await client.post(CHAT, content=body, headers=sent)


async def explained(app: Gateway, **members: Any) -> dict[str, Any]:
    """The plan of a request; nobody is called."""
    got = await post(app, {"X-Gateway-Explain": "1"}, **members)
    assert got.status_code == 200, got.text
    found: dict[str, Any] = got.json()
    return found


def good(text: str = "Hello") -> Canned:
    """A plain answer."""
    message = {"role": "assistant", "content": text, "refusal": None}
    return Canned(completion(choices=[{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]))


def streamed(*words: str) -> Canned:
    """A whole stream of these words."""
    return Canned([ROLE, *[chunk({"content": word}) for word in words or ("Hello",)], FINISH, USAGE, DONE], kind=STREAM)


def either(text: str = "Hello") -> Any:
    """An upstream that answers plainly or in a stream, as it is asked."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        asked = orjson.loads(message["body"])

        async def again() -> Any:
            return message

        await (streamed(text) if asked.get("stream") else good(text))(scope, again, send)

    return application


def events(got: httpx.Response) -> list[bytes]:
    """The events of a stream, each with its frame."""
    return [event + b"\n\n" for event in got.content.split(b"\n\n")[:-1]]


def text_of(got: httpx.Response) -> str:
    """All that a stream said."""
    chunks = [orjson.loads(event[6:]) for event in events(got) if event != DONE]
    return "".join(
        choice["delta"].get("content") or "" for value in chunks if "choices" in value for choice in value["choices"]
    )


def error_of(got: httpx.Response) -> dict[str, Any]:
    """The inside of an error; all four members are there and nothing else."""
    body = got.json()
    assert list(body) == ["error"]
    assert set(body["error"]) == {"message", "type", "param", "code"}
    found: dict[str, Any] = body["error"]
    return found


def error_event(got: httpx.Response) -> dict[str, Any]:
    """The error that a stream which had begun ended with: its last event, and the only one of its kind."""
    assert got.status_code == 200
    assert got.headers["content-type"].startswith(STREAM)
    *before, last = events(got)
    assert b"[DONE]" not in got.content
    assert not any(b'"error"' in event for event in before)
    value = orjson.loads(last[6:])
    assert list(value) == ["error"]
    assert set(value["error"]) == {"message", "type", "param", "code"}
    found: dict[str, Any] = value["error"]
    return found
