"""Recorded Responses: every request parses, every answer is decoded, and what our own face then tells says the same."""

from __future__ import annotations

import functools
import json
import os
import random
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from openai.types.responses import Response

from compatgw.dialects import assemble
from compatgw.dialects.base import Answer, Context, Piece, Quirks, Target
from compatgw.dialects.openai import DIALECT
from compatgw.errors import UpstreamFailure
from compatgw.surfaces.base import Parsed, View
from compatgw.surfaces.chat import validator
from compatgw.surfaces.responses import ResponsesFace, parse
from tests.properties.judges import assembled, cut, drive, rules, whole
from tests.surfaces.responses.grammar import check_events, events_of
from tests.surfaces.responses.reading import accumulated

from .records import REASON, VARIABLE

KIND = "responses"
CODEC = DIALECT.native["responses"]

# Recording id -> why its answer is not compared.
EXCEPTIONS: dict[str, str] = {
    "openai/responses/ruby-openai--responses-input-items-0": "a list of input items, no response",
    "openai/responses/pydantic-ai--openai-responses-test-background-mode-reasoning-vcr-0": (
        "queued in the background: the gateway never asks an upstream for that"
    ),
}


class Recording(NamedTuple):
    """One interaction."""

    id: str
    vendor: str
    model: str
    stream: bool
    request: Any
    body: bytes


@functools.cache
def recordings() -> tuple[Recording, ...]:
    """All of status 200, in order of their ids; none without the folder."""
    folder = os.environ.get(VARIABLE)
    if not folder or not Path(folder).is_dir():
        return ()
    found = []
    for path in sorted(Path(folder).glob("*/*/*.json")):
        if not path.parent.name.startswith("responses"):
            continue
        value = orjson.loads(path.read_bytes())
        answer = value["response"]
        if value["api"] != "responses" or answer["status"] >= 400:
            continue
        body = answer["body_text"].encode() if "body_text" in answer else orjson.dumps(answer["body_json"])
        request = (value.get("request") or {}).get("body_json")
        found.append(
            Recording(value["id"], value["provider"], value["model"] or "unnamed", bool(value["stream"]), request, body)
        )
    return tuple(found)


ALL = recordings()
WHOLE = [one for one in ALL if not one.stream]
STREAMS = [one for one in ALL if one.stream]
ASKED = [one for one in ALL if isinstance(one.request, dict)]

pytestmark = [pytest.mark.recordings, pytest.mark.skipif(not ALL, reason=REASON)]


def ident(recording: Recording | None) -> str:
    return recording.id if recording else "none"


def context(recording: Recording) -> Context:
    target = Target(provider=recording.vendor, model=recording.model, quirks=Quirks(responses=True))
    return Context(target, id="resp_ours", created=1_780_000_000)


def asked(recording: Recording) -> Parsed:
    """Its request, or any where only the answer was kept."""
    body = recording.request if isinstance(recording.request, dict) else {"model": recording.model, "input": "x"}
    return parse(orjson.dumps({"model": recording.model, **body}))


def expected(response: dict[str, Any]) -> dict[str, Any]:
    """What a recorded response says, read without our code."""
    texts: list[str] = []
    refusals: list[str] = []
    calls: list[Any] = []
    thinks = False
    for item in response["output"]:
        if item["type"] == "message":
            for part in item["content"]:
                (refusals if part["type"] == "refusal" else texts).append(part.get("text") or part.get("refusal") or "")
        elif item["type"] == "function_call":
            calls.append((item["call_id"], item["name"], json.loads(item["arguments"] or "{}")))
        elif item["type"] == "reasoning":
            thinks = thinks or any(p["text"] for p in (*item.get("summary", ()), *(item.get("content") or ())))
    usage = response.get("usage")
    return {
        "text": "".join(texts),
        "refusal": "".join(refusals),
        "calls": calls,
        "reasoning": thinks,
        "status": response["status"],
        "usage": usage and (usage["input_tokens"], usage["output_tokens"]),
    }


def last_response(body: bytes) -> dict[str, Any]:
    """The response that the last event of a recorded stream carries."""
    lines = [line[5:] for line in body.decode().splitlines() if line.startswith("data:") and "{" in line]
    found: dict[str, Any] = json.loads(lines[-1])["response"]
    return found


def same(completion: dict[str, Any], said: dict[str, Any]) -> None:
    """A completion of the hub says what was recorded."""
    (choice,) = completion["choices"]
    message = choice["message"]
    assert (message["content"] or "") == said["text"]
    assert (message["refusal"] or "") == said["refusal"]
    calls = [call for call in message.get("tool_calls") or () if call["type"] == "function"]
    assert [(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in calls] == said["calls"]
    assert bool(message.get("reasoning_content")) == said["reasoning"]
    if said["status"] == "incomplete":
        assert choice["finish_reason"] in ("length", "content_filter")
    else:
        assert choice["finish_reason"] == ("tool_calls" if calls else "stop")
    usage = completion.get("usage")
    assert (usage and (usage["prompt_tokens"], usage["completion_tokens"])) == said["usage"]


@pytest.mark.parametrize("recording", [*ASKED] or [None], ids=ident)
def test_a_recorded_request_is_taken(recording: Recording) -> None:
    """It parses, goes on natively as it came, and becomes a valid hub request."""
    if not isinstance(recording.request, dict) or "input" not in recording.request:
        pytest.skip(EXCEPTIONS.get(recording.id, "no request for a response"))
    parsed = asked(recording)
    validator().validate_python(parsed.request, strict=True)
    assert parsed.native is not None
    sent = orjson.loads(CODEC.encode(parsed.native, context(recording).target).body)
    own = ("previous_response_id", "background")
    assert sent == {k: v for k, v in recording.request.items() if k not in own} | {"model": recording.model}


@pytest.mark.parametrize("recording", [*WHOLE] or [None], ids=ident)
def test_a_recorded_answer_is_decoded_and_told(recording: Recording) -> None:
    """The hub half says the same, the bytes stay, and our own face tells the same again."""
    if recording.id in EXCEPTIONS:
        with pytest.raises(UpstreamFailure):
            CODEC.decode(recording.body, context(recording))
        return
    recorded = orjson.loads(recording.body)
    said = expected(recorded)
    answer = CODEC.decode(recording.body, context(recording))
    assert answer.native == recording.body
    same(whole(answer), said)

    parsed = asked(recording)
    told = ResponsesFace(parsed, View(id="w", created=1)).whole(Answer(answer.completion))
    Response.model_validate_json(told)
    assert expected(orjson.loads(told)) == said
    if not (parsed.asked["previous"] or parsed.asked["background"]):
        assert ResponsesFace(parsed, View(id="w", created=1)).whole(answer) == recording.body


def complete(recording: Recording) -> bool:
    """Some fixtures were cut short by who recorded them."""
    return b'"response.completed"' in recording.body or b'"response.incomplete"' in recording.body


@pytest.mark.parametrize("recording", [*STREAMS] or [None], ids=ident)
def test_a_recorded_stream_is_decoded_and_told(recording: Recording) -> None:
    """Cut at random places; its frames go on; our own face tells the same to the SDK's accumulator."""
    chance = random.Random(recording.id)
    size = len(recording.body)
    parts = cut(recording.body, (chance.randrange(size) for _ in range(1 + size // 64)))
    assert complete(recording)
    said = expected(last_response(recording.body))
    pieces = drive(CODEC.stream(context(recording)), parts)
    rules([piece for piece in pieces if piece.chunk["choices"] or piece.chunk.get("usage")])
    same(assembled([piece for piece in pieces if piece.chunk["choices"] or piece.chunk.get("usage")]), said)
    same(dict(assemble.completion(piece.chunk for piece in pieces)), said)

    parsed = asked(recording)
    plain = parsed._replace(asked={**parsed.asked, "previous": None, "background": False})
    face = ResponsesFace(plain, View(id="w", created=1))
    passed = face.begin() + face.events(pieces) + face.end()
    assert events_of(passed) == events_of(recording.body)

    face = ResponsesFace(plain, View(id="w", created=1))
    told = face.begin() + face.events([Piece(piece.chunk) for piece in pieces]) + face.end()
    check_events(told)
    assert expected(accumulated(told)) == said
