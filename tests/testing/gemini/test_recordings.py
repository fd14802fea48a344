"""Each real exchange with Gemini, Google's own or on Vertex, is acceptable to its fake, and answered in that shape.

The fake is told to say what the vendor said; then the paths and JSON types of the two answers are compared. Whatever
differs is listed in `odd.py` with a reason; an entry there that nothing needs fails, too.
"""

import json
import re
from typing import Any

import pytest

from compatgw_testing.fakes.gemini.embeddings import MANY, ONE, read_embed
from compatgw_testing.fakes.gemini.reading import read_generate
from compatgw_testing.fakes.gemini.rules import canonical
from compatgw_testing.fakes.gemini.schema import COUNTED, VERTEX
from tests.testing.driver import Reply
from tests.testing.gemini.odd import ERRORS, LACKS, NOT_SERVED, UNKNOWN
from tests.testing.gemini.recorded import answered, asked
from tests.testing.paths import Record, Shape, alien, events_of, idle, merged, records, shape_of, unlisted

pytestmark = pytest.mark.recordings

# How many exchanges there are to judge, so that a lost folder is noticed.
COUNTS = {
    "gemini/generate": 32,
    "gemini/generate-stream": 24,
    "gemini/count-tokens": 2,
    "gemini/embeddings": 2,
    "gemini/models": 2,
    "vertex/generate": 8,
    "vertex/generate-stream": 3,
    "vertex/count-tokens": 2,
    "vertex/embeddings": 1,
}
# Trees whose members are the caller's.
FREE = ("args",)


def judged(surface: str) -> list[Record]:
    """The exchanges that the fake has to do with, each with a request."""
    vendor, _, name = surface.partition("/")
    known = [one for one in records(vendor, name) if one.status == 200]
    return [asked(one) for one in known if not any(re.match(odd.pattern, one.name) for odd in NOT_SERVED)]


def shape(record: Record, reply: Reply | None = None) -> Shape:
    """The shape of the recorded answer, or of the fake's."""
    if reply is None:
        return shape_of(record.said, FREE)
    if not record.streamed:
        return shape_of([reply.json], FREE)
    return shape_of(events_of(reply.raw.decode()) if "alt=sse" in record.path else reply.json, FREE)


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
    assert len(records(*surface.split("/"))) == COUNTS[surface]


def errors() -> list[Record]:
    """What was refused."""
    found = [*records("gemini", "error"), *records("vertex", "error")]
    return [one for one in found if not any(re.match(odd.pattern, one.name) for odd in ERRORS)]


async def test_refused_as_the_vendor_refuses() -> None:
    """The same status, the same name of the error, and an envelope of the same shape."""
    wrong: list[str] = []
    for one in errors():
        theirs = one.answer or json.loads(one.text)
        key = "wrong" if "API_KEY_INVALID" in json.dumps(theirs) else None
        reply = await answered(asked(one), key=key, models=["known"] if one.status == 404 else None)
        ours = reply.json
        different = sorted((set(shape_of([theirs])) ^ set(shape_of([ours]))) - {".error.details"})
        same = theirs["error"]["status"] == ours["error"]["status"]
        if reply.status != one.status or different or not same:
            wrong.append(f"{one.name}: {one.status}, the fake {reply.status} {reply.raw[:200]!r} {different}")

    assert wrong == []
    assert len(errors()) == 9


@pytest.mark.parametrize("surface", [one for one in COUNTS if "models" not in one])
def test_every_request_can_be_read(surface: str) -> None:
    """Into the shape over all dialects: nobody's text, media or function call gets lost."""
    for one in judged(surface):
        if "embeddings" in surface:
            body = canonical(one.body, MANY if "requests" in one.body else ONE)
            given = read_embed(body.get("requests", [body]), "m")
            assert all(given.inputs), one.name
            continue
        body = canonical(one.body, VERTEX if "generateContentRequest" not in one.body else COUNTED)
        given = read_generate(body.get("generateContentRequest", body), "m")
        contents = body.get("generateContentRequest", body)["contents"]
        results = [message for message in given.messages if message.role == "tool"]

        assert count(contents, "functionCall") == sum(len(m.calls) for m in given.messages), one.name
        assert count(contents, "functionResponse") == len(results), one.name
        assert all(message.tool for message in results), one.name
        said = "\n".join(f"{message.text}\n{message.reasoning}" for message in given.messages)
        parts = [part for content in contents for part in content["parts"]]
        assert all(part["text"] in said for part in parts if "text" in part), one.name


def count(contents: list[Any], name: str) -> int:
    """How many parts are of one kind."""
    return sum(name in part for content in contents for part in content["parts"])


async def test_every_exception_is_needed() -> None:
    """A pattern that excuses nothing is stale; each has its reason."""
    found = [(surface, await differences(surface)) for surface in COUNTS]
    unknown = {(surface, path) for surface, (_, paths, _) in found for path in paths}
    lacks = {(surface, path) for surface, (_, _, paths) in found for path in paths}
    every = (*COUNTS, "gemini/error", "vertex/error")
    names = {(surface, one.name) for surface in every for one in records(*surface.split("/"))}

    assert idle(UNKNOWN, unknown) == []
    assert idle(LACKS, lacks) == []
    assert idle((*NOT_SERVED, *ERRORS), names) == []
    assert all(one.reason for one in (*UNKNOWN, *LACKS, *NOT_SERVED, *ERRORS))
