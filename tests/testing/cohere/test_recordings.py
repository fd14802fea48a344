"""Each real exchange with Cohere is acceptable to its fake, and answered in the vendor's shape.

The fake is told to say what the vendor said; then the paths and JSON types of the two answers are compared. Whatever
differs is listed in `odd.py` with a reason; an entry there that nothing needs fails, too.
"""

import re

import pytest

from compatgw_testing import FakeCohere
from compatgw_testing.fakes.cohere.reading import read_chat
from tests.testing.cohere.odd import ERRORS, LACKS, NOT_SERVED, UNKNOWN
from tests.testing.cohere.recorded import answered, asked
from tests.testing.driver import Reply, ask
from tests.testing.paths import Record, Shape, alien, events_of, idle, merged, records, shape_of, unlisted

pytestmark = pytest.mark.recordings

# How many exchanges there are to judge, so that a lost folder is noticed.
COUNTS = {"chat-v2": 18, "chat-v2-stream": 9, "embeddings": 2, "rerank": 2, "models": 2}


def judged(surface: str) -> list[Record]:
    """The exchanges that the fake has to do with, each with a request."""
    known = [one for one in records("cohere", surface) if one.status == 200]
    return [asked(one) for one in known if not any(re.match(odd.pattern, one.name) for odd in NOT_SERVED)]


def shape(record: Record, reply: Reply | None = None) -> Shape:
    """The shape of the recorded answer, or of the fake's."""
    if reply is None:
        return shape_of(record.said)
    return shape_of(events_of(reply.raw.decode()) if record.streamed else [reply.json])


async def differences(surface: str) -> tuple[list[str], set[str], set[str]]:
    """The refusals of one surface, what is the fake's own, and what it lacks."""
    exchanges = judged(surface)
    own = merged(shape(one) for one in exchanges)
    refused: list[str] = []
    unknown: set[str] = set()
    lacks: set[str] = set()
    for one in exchanges:
        reply = await answered(one)
        if reply.status != 200:
            refused.append(f"{one.name}: {reply.status} {reply.raw[:300]!r}")
            continue
        fakes = shape(one, reply)
        unknown |= alien(fakes, own)
        lacks |= set(shape(one)) - set(fakes)
    return refused, unknown, lacks


@pytest.mark.parametrize("surface", COUNTS)
async def test_accepted_and_answered_in_the_vendors_shape(surface: str) -> None:
    """No request is refused; no path or type is the fake's own, none of the vendor's is lost."""
    refused, unknown, lacks = await differences(surface)

    assert refused == []
    assert unlisted(unknown, UNKNOWN, surface) == []
    assert unlisted(lacks, LACKS, surface) == []
    assert len(records("cohere", surface)) == COUNTS[surface]


async def test_refused_as_the_vendor_refuses() -> None:
    """The same status and an envelope of the same shape."""
    wrong: list[str] = []
    for one in records("cohere", "error"):
        if any(re.match(odd.pattern, one.name) for odd in ERRORS):
            continue
        models = ["known"] if one.status == 404 else None
        reply = await answered(asked(one), key="wrong" if one.status == 401 else None, models=models)
        different = sorted(set(shape_of([one.answer])) ^ set(shape_of([reply.json])))
        if reply.status != one.status or different:
            wrong.append(f"{one.name}: {one.status}, the fake {reply.status} {reply.raw[:200]!r} {different}")

    assert wrong == []
    assert len(records("cohere", "error")) == 4


async def test_an_overflow_is_told_as_the_vendor_tells_it() -> None:
    """The recorded text is too long to keep, so the failure is scripted."""
    record = next(one for one in records("cohere", "error") if "context-length" in one.name)

    reply = await ask(FakeCohere().fail("context_length"))

    assert reply.status == record.status
    assert shape_of([reply.json]) == shape_of([record.answer])
    assert reply.json["error_type"] == record.answer["error_type"]


@pytest.mark.parametrize("surface", ["chat-v2", "chat-v2-stream"])
def test_every_request_can_be_read(surface: str) -> None:
    """Into the shape over all dialects: nobody's text, media or tool call gets lost."""
    for one in judged(surface):
        given = read_chat(one.body)
        messages = one.body["messages"]

        assert given.model == one.body["model"], one.name
        assert [message.role for message in given.messages] == [message["role"] for message in messages], one.name
        calls = sum(len(message.get("tool_calls") or ()) for message in messages)
        assert calls == sum(len(message.calls) for message in given.messages), one.name
        assert all(message.tool for message in given.messages if message.role == "tool"), one.name
        parts = [
            part for message in messages if isinstance(message.get("content"), list) for part in message["content"]
        ]
        said = "\n".join(message.text for message in given.messages)
        assert all(part["text"] in said for part in parts if part["type"] == "text"), one.name
        assert len(given.media) == sum(part["type"] == "image_url" for part in parts), one.name


async def test_every_exception_is_needed() -> None:
    """A pattern that excuses nothing is stale; each has its reason."""
    found = [(surface, await differences(surface)) for surface in COUNTS]
    unknown = {(surface, path) for surface, (_, paths, _) in found for path in paths}
    lacks = {(surface, path) for surface, (_, _, paths) in found for path in paths}
    names = {(surface, one.name) for surface in (*COUNTS, "error") for one in records("cohere", surface)}

    assert idle(UNKNOWN, unknown) == []
    assert idle(LACKS, lacks) == []
    assert idle((*NOT_SERVED, *ERRORS), names) == []
    assert all(one.reason for one in (*UNKNOWN, *LACKS, *NOT_SERVED, *ERRORS))
