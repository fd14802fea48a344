"""Each real exchange with Gemini, Google's own or on Vertex, is acceptable to its fake, and answered in that shape.

The fake is told to say what the vendor said; then the paths and JSON types of the two answers are compared. Whatever
differs is listed in `odd.py` with a reason; an entry there that nothing needs fails, too.
"""

import json
from typing import Any

import pytest

from compatgw_testing.fakes.gemini.embeddings import MANY, ONE, read_embed
from compatgw_testing.fakes.gemini.reading import read_generate
from compatgw_testing.fakes.gemini.rules import canonical
from compatgw_testing.fakes.gemini.schema import COUNTED, VERTEX
from tests.testing.exchanges import Judge, records
from tests.testing.gemini.odd import ERRORS, LACKS, NOT_SERVED, UNKNOWN
from tests.testing.gemini.recorded import answered, asked

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
ERROR_SURFACES = ("gemini/error", "vertex/error")
JUDGE = Judge(
    asked,
    answered,
    not_served=NOT_SERVED,
    errors=ERRORS,
    lacks=LACKS,
    unknown=UNKNOWN,
    free=("args",),  # trees whose members are the caller's
    spare=(".error.details",),
    name_of=lambda body: body["error"]["status"],
    wrong_key=lambda record: "API_KEY_INVALID" in (record.text or json.dumps(record.answer)),
)


@pytest.mark.parametrize("surface", COUNTS)
async def test_accepted_and_answered_in_the_vendors_shape(surface: str) -> None:
    """No request is refused; no path or type is the fake's own, none of the vendor's is lost."""
    await JUDGE.agrees(surface)

    assert len(records(surface)) == COUNTS[surface]


async def test_refused_as_the_vendor_refuses() -> None:
    """The same status, the same name of the error, and an envelope of the same shape."""
    await JUDGE.refuses(*ERROR_SURFACES)

    assert len(JUDGE.refused(*ERROR_SURFACES)) == 9


@pytest.mark.parametrize("surface", [one for one in COUNTS if "models" not in one])
def test_every_request_can_be_read(surface: str) -> None:
    """Into the shape over all dialects: nobody's text, media or function call gets lost."""
    for one in JUDGE.judged(surface):
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
    await JUDGE.needs_its_exceptions(COUNTS, ERROR_SURFACES)
