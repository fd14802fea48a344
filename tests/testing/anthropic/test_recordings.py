"""Each real exchange with Anthropic is acceptable to its fake, and answered in the vendor's shape.

The fake is told to say what the vendor said; then the paths and JSON types of the two answers are compared. Whatever
differs is listed in `odd.py` with a reason; an entry there that nothing needs fails, too.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from compatgw_testing import FakeAnthropic
from compatgw_testing.fakes.anthropic.reading import read_messages
from tests.testing.anthropic.odd import ERRORS, LACKS, NOT_SERVED, UNKNOWN
from tests.testing.anthropic.recorded import answered, asked
from tests.testing.driver import Reply
from tests.testing.paths import Record, Shape, alien, events_of, idle, merged, records, shape_of, unlisted

pytestmark = pytest.mark.recordings

# How many exchanges there are to judge, so that a lost folder is noticed.
COUNTS = {"messages": 63, "messages-stream": 56, "count-tokens": 2, "models": 2}
# Trees whose members are the caller's or a tool's own.
FREE = ("input",)


def judged(surface: str) -> list[Record]:
    """The exchanges that the fake has to do with, each with a request."""
    known = [one for one in records("anthropic", surface) if one.status == 200]
    return [asked(one) for one in known if not any(re.match(odd.pattern, one.name) for odd in NOT_SERVED)]


def shape(record: Record, reply: Reply | None = None) -> Shape:
    """The shape of the recorded answer, or of the fake's."""
    if reply is None:
        return shape_of(record.said, FREE)
    return shape_of(events_of(reply.raw.decode()) if record.streamed else [reply.json], FREE)


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
    assert len(records("anthropic", surface)) == COUNTS[surface]


async def test_refused_as_the_vendor_refuses() -> None:
    """The same status and an envelope of the same shape; a request id where recordings lately have one."""
    wrong: list[str] = []
    for one in records("anthropic", "error"):
        if any(re.match(odd.pattern, one.name) for odd in ERRORS):
            continue
        models = ["known"] if one.status == 404 else None
        reply = await answered(asked(one), key="wrong" if one.status == 401 else None, models=models)
        theirs, ours = shape_of([one.answer]), shape_of([reply.json])
        different = sorted((set(theirs) ^ set(ours)) - {"error.request_id"})
        same = one.answer["error"]["type"] == reply.json["error"]["type"]
        if reply.status != one.status or different or not same:
            wrong.append(f"{one.name}: {one.status}, the fake {reply.status} {reply.raw[:200]!r} {different}")

    assert wrong == []
    assert len(records("anthropic", "error")) == 8


@pytest.mark.parametrize("surface", ["messages", "messages-stream", "count-tokens"])
def test_every_request_can_be_read(surface: str) -> None:
    """Into the shape over all dialects: nobody's text, media or tool call gets lost."""
    for one in judged(surface):
        given = read_messages(one.body)
        kinds = [block["type"] for block in blocks_in(one.body)]
        results = [message for message in given.messages if message.role == "tool"]

        assert given.model == one.body["model"], one.name
        assert len(given.messages) >= len(one.body["messages"]), one.name
        assert kinds.count("tool_use") == sum(len(message.calls) for message in given.messages), one.name
        assert kinds.count("tool_result") == len(results), one.name
        assert all(message.tool for message in results), one.name
        assert kinds.count("image") + kinds.count("document") == len(given.media), one.name
        said = "\n".join(message.text for message in given.messages)
        assert all(block["text"] in said for block in blocks_in(one.body) if block["type"] == "text"), one.name


def blocks_in(body: Any) -> Iterator[dict[str, Any]]:
    """The blocks that a caller writes, those in tool results included."""
    for message in body["messages"]:
        for block in message["content"] if isinstance(message["content"], list) else ():
            yield block
            inside = block.get("content") if block["type"] == "tool_result" else None
            yield from inside if isinstance(inside, list) else ()


async def test_every_exception_is_needed() -> None:
    """A pattern that excuses nothing is stale; each has its reason."""
    found = [(surface, await differences(surface)) for surface in COUNTS]
    unknown = {(surface, path) for surface, (_, paths, _) in found for path in paths}
    lacks = {(surface, path) for surface, (_, _, paths) in found for path in paths}
    names = {(surface, one.name) for surface in (*COUNTS, "error") for one in records("anthropic", surface)}

    assert idle(UNKNOWN, unknown) == []
    assert idle(LACKS, lacks) == []
    assert idle((*NOT_SERVED, *ERRORS), names) == []
    assert all(one.reason for one in (*UNKNOWN, *LACKS, *NOT_SERVED, *ERRORS))


def test_surfaces_that_are_not_faked_are_not_found() -> None:
    """Files, batches and the old completions are no routes."""
    paths = "/v1/files", "/v1/messages/batches", "/v1/complete"

    assert not any(re.fullmatch("/v1" + route.pattern, path) for path in paths for route in FakeAnthropic.routes)
