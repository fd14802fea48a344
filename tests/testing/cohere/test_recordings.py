"""Each real exchange with Cohere is acceptable to its fake, and answered in the vendor's shape.

The fake is told to say what the vendor said; then the paths and JSON types of the two answers are compared. Whatever
differs is listed in `odd.py` with a reason; an entry there that nothing needs fails, too.
"""

import pytest

from compatgw_testing import FakeCohere
from compatgw_testing.fakes.cohere.reading import read_chat
from tests.testing.cohere.odd import ERRORS, LACKS, NOT_SERVED, UNKNOWN
from tests.testing.cohere.recorded import answered, asked
from tests.testing.driver import ask
from tests.testing.exchanges import Judge, records
from tests.testing.paths import shape_of

pytestmark = pytest.mark.recordings

# How many exchanges there are to judge, so that a lost folder is noticed.
COUNTS = {
    "cohere/chat-v2": 18,
    "cohere/chat-v2-stream": 9,
    "cohere/embeddings": 2,
    "cohere/rerank": 2,
    "cohere/models": 2,
}
JUDGE = Judge(asked, answered, not_served=NOT_SERVED, errors=ERRORS, lacks=LACKS, unknown=UNKNOWN)


@pytest.mark.parametrize("surface", COUNTS)
async def test_accepted_and_answered_in_the_vendors_shape(surface: str) -> None:
    """No request is refused; no path or type is the fake's own, none of the vendor's is lost."""
    await JUDGE.agrees(surface)

    assert len(records(surface)) == COUNTS[surface]


async def test_refused_as_the_vendor_refuses() -> None:
    """The same status and an envelope of the same shape."""
    await JUDGE.refuses("cohere/error")

    assert len(records("cohere/error")) == 4


async def test_an_overflow_is_told_as_the_vendor_tells_it() -> None:
    """The recorded text is too long to keep, so the failure is scripted."""
    record = next(one for one in records("cohere/error") if "context-length" in one.name)

    reply = await ask(FakeCohere().fail("context_length"))

    assert reply.status == record.status
    assert shape_of([reply.json]) == shape_of([record.answer])
    assert reply.json["error_type"] == record.answer["error_type"]


@pytest.mark.parametrize("surface", ["cohere/chat-v2", "cohere/chat-v2-stream"])
def test_every_request_can_be_read(surface: str) -> None:
    """Into the shape over all dialects: nobody's text, media or tool call gets lost."""
    for one in JUDGE.judged(surface):
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
    await JUDGE.needs_its_exceptions(COUNTS, ["cohere/error"])
