"""Recorded traffic of Anthropic's through the Messages surface: requests parse, answers told again say the same."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from compatgw.dialects.anthropic import DIALECT
from compatgw.dialects.base import Context, Leftovers, Target
from compatgw.dialects.table import DIALECTS
from compatgw.errors import GatewayError, UnsupportedParameter
from compatgw.surfaces.base import Parsed, View
from compatgw.surfaces.messages import COUNT_TOKENS, MESSAGES
from compatgw.surfaces.messages.face import MessagesFace
from compatgw.wire.native import Native
from tests.properties.judges import cut
from tests.surfaces.messages.bench import left_out, read
from tests.surfaces.messages.grammar import accumulated, check

from .records import REASON, VARIABLE, Recording, all_recordings

KIND = "messages"
ALL = [r for r in all_recordings() if r.dialect == "anthropic"]
GOOD = [r for r in ALL if r.status < 400]
SENT = [r for r in GOOD if isinstance(r.request, dict) and "messages" in r.request]
PLAIN = [r for r in GOOD if not r.stream]
STREAMS = [r for r in GOOD if r.stream]

pytestmark = [pytest.mark.recordings, pytest.mark.skipif(not GOOD, reason=REASON)]

_HUB_STOPS = {
    "stop_sequence": "the hub has one word for a stop at a string of the caller's and at the model's own end",
    "pause_turn": "the vendor's own tools pause; the hub says stop",
    "compaction": "the hub says stop",
    "model_context_window_exceeded": "the hub says length",
}
_AS = {"stop_sequence": "end_turn", "pause_turn": "end_turn", "compaction": "end_turn"} | {
    "model_context_window_exceeded": "max_tokens"
}
# Recording id -> why it is judged differently.
EXCEPTIONS: dict[str, str] = {
    "anthropic/messages/vercel-ai--fixtures-anthropic-programmatic-tool-calling-1-0": (
        "calls that code in the vendor's container made are calls to the hub, so the answer ends with them"
    ),
    "anthropic/messages-stream/vercel-ai--fixtures-spliced-message-start-chunks-txt-0": (
        "two answers spliced into one stream are an error, not an answer"
    ),
}


def ident(recording: Recording | None) -> str:
    return recording.id if recording else "none"


def context(recording: Recording) -> Context:
    return Context(Target("Anthropic", recording.model), "chatcmpl-ours", 1_780_000_000)


def face(recording: Recording) -> MessagesFace:
    """The face of the recorded request, or of the least one where none was kept."""
    body = (
        recording.request
        if recording in SENT
        else {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    )
    return MessagesFace(MESSAGES.parse(orjson.dumps(body)), View("word", 1))


def essence(message: dict[str, Any]) -> dict[str, Any]:
    """What two messages must agree on; blocks of the vendor's own tools are no one else's."""
    content = message["content"]
    usage = {
        name: message["usage"].get(name) or 0
        for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
    }
    stop = message["stop_reason"]
    details = message.get("stop_details") or {}
    return {
        "id": message["id"],
        "model": message["model"],
        "text": "".join(block["text"] for block in content if block["type"] == "text"),
        "calls": [(b["id"], b["name"], b["input"]) for b in content if b["type"] == "tool_use"],
        "thinking": [
            (b["thinking"], b["signature"])
            for b in content
            if b["type"] == "thinking" and (b["thinking"] or b["signature"])
        ],
        "redacted": [b["data"] for b in content if b["type"] == "redacted_thinking"],
        "stop": stop,
        "refusal": details.get("explanation"),
        "usage": usage,
    }


def original(recording: Recording) -> dict[str, Any]:
    """The recorded message, as the SDK reads it."""
    if not recording.stream:
        message: dict[str, Any] = orjson.loads(recording.body)
        return message
    body = b"".join(_named(event) for event in recording.body.replace(b"\r\n", b"\n").split(b"\n\n") if event.strip())
    return accumulated(body)


def _named(event: bytes) -> bytes:
    """An event with its name, which some collections of recordings leave out."""
    if event.startswith(b"event:") or not event.startswith(b"data:"):
        return event + b"\n\n"
    kind = orjson.loads(event.partition(b"data:")[2])["type"]
    return b"event: %s\n%s\n\n" % (kind.encode(), event)


def same(told: dict[str, Any], wanted: dict[str, Any], record: Any = None) -> None:
    one, two = essence(told), essence(wanted)
    if record is not None and two["stop"] in _HUB_STOPS:
        record("verdict", f"stop_reason {two['stop']} told as {_AS[two['stop']]}")
        two["stop"] = _AS[two["stop"]]
    assert one == two


@pytest.mark.parametrize("recording", SENT or [None], ids=ident)
def test_a_recorded_request_parses(recording: Recording) -> None:
    """Its own protocol gets it as it was, and every other dialect takes it or refuses a part of it by name."""
    body = orjson.dumps(recording.request)
    parsed: Parsed = MESSAGES.parse(body)
    assert parsed.native is not None
    outgoing = DIALECT.native["messages"].encode(parsed.native, Target("Anthropic", recording.model))
    sent = orjson.loads(outgoing.body)
    assert sent.pop("model") == recording.model
    clamped = dict(outgoing.clamped)
    assert {k: v for k, v in sent.items() if k not in clamped} == {
        k: v for k, v in recording.request.items() if k != "model" and k not in clamped
    }
    for name, dialect in DIALECTS.items():
        if dialect.chat is None:
            continue
        before = orjson.dumps(parsed.request)
        target = Target(name, recording.model)
        try:
            left_out(parsed, Leftovers(target))
            dialect.chat.encode(parsed.request, target)
        except UnsupportedParameter as refusal:
            assert refusal.param
        assert orjson.dumps(parsed.request) == before, "encoding changed its argument"


@pytest.mark.parametrize("recording", PLAIN or [None], ids=ident)
def test_a_whole_answer_is_told_again(recording: Recording, record_property: Any) -> None:
    """By way of the hub it says the same; natively it is the very bytes."""
    if recording.id in EXCEPTIONS:
        pytest.skip(EXCEPTIONS[recording.id])
    assert DIALECT.chat is not None
    answer = DIALECT.chat.decode(recording.body, context(recording))
    same(orjson.loads(face(recording).whole(answer)), original(recording), record_property)
    native = DIALECT.native["messages"].decode(recording.body, context(recording))
    assert face(recording).whole(native) == recording.body
    assert native.completion == answer.completion


@pytest.mark.parametrize("recording", STREAMS or [None], ids=ident)
def test_a_stream_is_told_again(recording: Recording, record_property: Any) -> None:
    """By way of the hub it says the same, in the right order; natively every event is passed on."""
    if recording.id in EXCEPTIONS:
        pytest.skip(EXCEPTIONS[recording.id])
    assert DIALECT.chat is not None
    wanted = original(recording)
    for codec in (DIALECT.chat, DIALECT.native["messages"]):
        decoder, told = codec.stream(context(recording)), face(recording)
        body = told.begin()
        for part in cut(recording.body, range(7, len(recording.body), 61)):
            body += told.events(decoder.feed(part))
        body += told.events(decoder.finish()) + told.end()
        if codec is DIALECT.chat:
            check(read(body))
        same(accumulated(body), wanted, record_property if codec is DIALECT.chat else None)


def counts() -> list[Any]:
    folder = os.environ.get(VARIABLE)
    paths = sorted(Path(folder).glob("anthropic/count-tokens/*.json")) if folder else []
    return [pytest.param(orjson.loads(path.read_bytes()), id=path.stem) for path in paths]


@pytest.mark.parametrize("count", counts() or [None])
def test_a_recorded_count(count: dict[str, Any]) -> None:
    """The request goes on as it was; the count comes back."""
    request, target = count["request"]["body_json"], Target("Anthropic", count["model"])
    parsed = COUNT_TOKENS.parse(orjson.dumps(request))
    assert parsed.native is not None
    codec = DIALECT.native["count_tokens"]
    assert orjson.loads(codec.encode(Native("count_tokens", parsed.native.body), target).body) == request
    result = codec.decode(orjson.dumps(count["response"]["body_json"]), Context(target, "x", 1))
    told = orjson.loads(COUNT_TOKENS.face(parsed, View("word", 1)).whole(result))
    assert told["input_tokens"] == count["response"]["body_json"]["input_tokens"]


@pytest.mark.parametrize("recording", [r for r in ALL if r.status >= 400] or [None], ids=ident)
def test_a_recorded_refusal(recording: Recording) -> None:
    """The client reads the vendor's own words under a type that means the same, unless our own key is at fault."""
    target = Target("Anthropic", recording.model)
    found: GatewayError = DIALECT.native["messages"].error(recording.status, recording.headers, recording.body, target)
    body = MESSAGES.envelope(found)
    assert body["type"] == "error"
    if recording.status == 401:
        assert (found.status, body["error"]["type"]) == (502, "api_error")
        return
    assert orjson.loads(recording.body)["error"]["message"] in body["error"]["message"]
    assert body["error"]["type"] == orjson.loads(recording.body)["error"]["type"]


@pytest.mark.parametrize("recording", [r for r in STREAMS if "spliced" in r.id] or [None], ids=ident)
def test_two_answers_in_one_stream(recording: Recording) -> None:
    """Natively, too: what came first is shown, then comes an error, and never the end."""
    decoder, told = DIALECT.native["messages"].stream(context(recording)), face(recording)
    body = told.events(decoder.feed(recording.body))
    with pytest.raises(GatewayError) as caught:
        decoder.finish()
    check(read(body + told.failed(caught.value)), failed=True)
