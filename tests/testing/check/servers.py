"""A good server for the scorecard to judge: a fake that plays a sensible model, with what it does not serve added.

What does not live here: servers that are broken on purpose (`broken.py`).
"""

import base64
import json
import struct
from typing import Any

from compatgw_testing import Fake, FakeAnthropic, FakeCohere, FakeGemini, FakeOpenAI, reply, tool_calls
from compatgw_testing.check import asks
from compatgw_testing.check.probe import Probe
from compatgw_testing.check.scorecard import ASSERTIONS, Scorecard, chosen, judge
from compatgw_testing.doors import inprocess
from compatgw_testing.harness import gateway_over
from compatgw_testing.request import Request

MODEL = "gpt-4o"
EMBEDDER = "text-embedding-3-small"
UPSTREAMS = {
    "openai": "openai/gpt-4o",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "gemini": "gemini/gemini-2.5-flash",
    "cohere": "cohere/command-a-03-2025",
}


def sensible(fake: Fake) -> Fake:
    """Teaches a fake what even a small model does: call a tool for each city, repeat letters, answer in JSON."""

    def both(request: Request) -> bool:
        return bool(request.tools) and not request.results and request.settings.get("parallel_tool_calls") is not False

    cities = (("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"}))
    fake.on(user=asks.TWO_CITIES, where=both).always(tool_calls(*cities))
    fake.on(user=asks.UNICODE).always(reply(asks.UNICODE))

    def free(request: Request) -> bool:
        return request.schema is None

    fake.on(user=asks.PERSON, where=free).always(reply('{"name": "Ada", "age": 36, "colour": "green"}'))
    return fake


def good() -> "Extras":
    """A server of which everything holds."""
    return Extras(sensible(FakeOpenAI(models=(MODEL, EMBEDDER))))


def gateway() -> Any:
    """The gateway of this house over sensible fakes."""
    fakes: dict[str, Any] = {
        "openai": FakeOpenAI(models=(MODEL,)),
        "anthropic": FakeAnthropic(),
        "gemini": FakeGemini(),
        "cohere": FakeCohere(),
    }
    for fake in fakes.values():
        sensible(fake)
    return gateway_over(**fakes)


async def scored(app: Any, *only: str, key: str | None = None, model: str = MODEL) -> Scorecard:
    """Judges an application in process."""
    async with inprocess.client(app, library="httpx", timeout=5) as http:
        probe = Probe(http, "http://server.test/v1", key=key or FakeOpenAI.default_key, model=model, timeout=10)
        probe.embedding_model = EMBEDDER
        return await judge(probe, chosen(only) if only else ASSERTIONS)


class Extras:
    """An application with `/v1/embeddings` and `/v1/responses` added in their smallest good form."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if path not in ("/v1/embeddings", "/v1/responses"):
            await self.app(scope, receive, send)
            return
        body = json.loads((await receive())["body"])
        status, kind, raw = _embeddings(body) if path.endswith("embeddings") else _responses(body)
        headers = [(b"content-type", kind), (b"x-request-id", b"req_1")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": raw})


_JSON = b"application/json"


def _embeddings(body: dict[str, Any]) -> tuple[int, bytes, bytes]:
    given = body["input"]
    texts = [given] if isinstance(given, str) else given
    if not texts:
        error = {"message": "There is no text.", "type": "invalid_request_error", "param": "input", "code": None}
        return 400, _JSON, json.dumps({"error": error}).encode()
    rows = []
    for number, text in enumerate(texts):
        numbers: Any = [float(len(text)), float(ord(text[0])), 1.0]
        if body.get("encoding_format") == "base64":
            numbers = base64.b64encode(struct.pack("<3f", *numbers)).decode()
        rows.append({"object": "embedding", "index": number, "embedding": numbers})
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    value = {"object": "list", "model": body["model"], "data": rows, "usage": usage}
    return 200, _JSON, json.dumps(value).encode()


def _responses(body: dict[str, Any]) -> tuple[int, bytes, bytes]:
    text = "Hello there."
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    head = {"id": "resp_1", "object": "response", "created_at": 1, "model": body["model"]}
    usage = {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}
    whole = {**head, "status": "completed", "output": [message], "usage": usage}
    if not body.get("stream"):
        return 200, _JSON, json.dumps(whole).encode()
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**head, "status": "in_progress", "output": []}},
        {"type": "response.output_text.delta", "delta": "Hello ", **at},
        {"type": "response.output_text.delta", "delta": "there.", **at},
        {"type": "response.output_text.done", "text": text, **at},
        {"type": "response.completed", "response": whole},
    ]
    lines = [
        f"event: {one['type']}\ndata: {json.dumps({**one, 'sequence_number': number})}\n\n"
        for number, one in enumerate(events)
    ]
    return 200, b"text/event-stream", "".join(lines).encode()
