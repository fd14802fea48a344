"""Every recorded answer becomes a completion or chunks that the OpenAI SDK takes and that say the same."""

from __future__ import annotations

import importlib
import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from compatgw.dialects.base import Context, Dialect, Quirks, Target
from compatgw.errors import UpstreamFailure
from compatgw.providers.table import PROVIDERS
from tests.properties.judges import assembled, cut, drive, rules, whole

from . import expected
from .exceptions import ANSWERS
from .reading import read_by_sdk
from .records import REASON, Recording, all_recordings

if TYPE_CHECKING:
    from compatgw.dialects.base import ChatCodec

KIND = "answers"
GOOD = [r for r in all_recordings() if r.status < 400]
PLAIN = [r for r in GOOD if not r.stream]
STREAMS = [r for r in GOOD if r.stream]

pytestmark = [pytest.mark.recordings, pytest.mark.skipif(not GOOD, reason=REASON)]

# Vendors that the table has under another name.
NAMES = {"alibaba": "dashscope"}


def codec(recording: Recording) -> ChatCodec:
    dialect: Dialect = importlib.import_module(f"compatgw.dialects.{recording.dialect}").DIALECT
    assert dialect.chat is not None
    return dialect.chat


def context(recording: Recording) -> Context:
    row = PROVIDERS.get(NAMES.get(recording.vendor, recording.vendor))
    quirks = row.quirks if row is not None and row.dialect == recording.dialect else Quirks()
    target = Target(provider=recording.vendor, model=recording.model, quirks=quirks)
    return Context(target, id="chatcmpl-ours", created=1_780_000_000)


def ident(recording: Recording | None) -> str:
    return recording.id if recording else "none"


def same(completion: dict[str, Any], said: expected.Said) -> None:
    """`completion` says what the vendor said."""
    assert [c["index"] for c in completion["choices"]] == sorted(said.choices)
    for found in completion["choices"]:
        choice, message = said.choices[found["index"]], found["message"]
        text = message["content"] or ""
        if choice.value is not None:
            assert json.loads(text) == choice.value
        elif choice.pieces is not None:
            place = 0
            for piece in choice.pieces:
                place = text.index(piece, place) + len(piece)
        else:
            assert text == choice.text
        calls = [c["function"] for c in message.get("tool_calls") or ()]
        if message.get("function_call"):
            calls = [message["function_call"]]
        assert [(c["name"], json.loads(c["arguments"])) for c in calls] == choice.calls
        assert found["finish_reason"] == choice.finish
        assert bool(message.get("reasoning_content")) == choice.reasoning
    usage = completion.get("usage")
    assert (usage and (usage["prompt_tokens"], usage["completion_tokens"])) == said.usage
    if usage:
        assert usage["total_tokens"] == said.total
        assert ((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0) == said.cached


@pytest.mark.parametrize("recording", PLAIN or [None], ids=ident)
def test_a_whole_answer_becomes_a_completion(recording: Recording) -> None:
    """Text, calls, finish reason and totals are those of the recording."""
    if recording.id in ANSWERS:
        pytest.skip(ANSWERS[recording.id])
    said = expected.PLAIN[recording.dialect](recording.body)
    if said.failed:
        with pytest.raises(UpstreamFailure):
            codec(recording).decode(recording.body, context(recording))
        return
    same(whole(codec(recording).decode(recording.body, context(recording))), said)


@pytest.mark.parametrize("recording", STREAMS or [None], ids=ident)
def test_a_stream_becomes_chunks(recording: Recording) -> None:
    """Cut at random places, read by the SDK's accumulator and by its client over the wire."""
    if recording.id in ANSWERS:
        pytest.skip(ANSWERS[recording.id])
    said = expected.STREAM[recording.dialect](recording.body)
    chance = random.Random(recording.id)
    size = len(recording.body)
    parts = cut(recording.body, (chance.randrange(size) for _ in range(1 + size // 64)))
    if said.failed:
        with pytest.raises(UpstreamFailure):
            drive(codec(recording).stream(context(recording)), parts)
        return
    pieces = drive(codec(recording).stream(context(recording)), parts)

    rules(pieces)
    same(assembled(pieces), said)
    same(read_by_sdk(pieces), said)
    at_once = drive(codec(recording).stream(context(recording)), [recording.body])
    assert [p.chunk for p in at_once] == [p.chunk for p in pieces]
