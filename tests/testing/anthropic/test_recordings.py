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
from tests.testing.exchanges import Judge, records

pytestmark = pytest.mark.recordings

# How many exchanges there are to judge, so that a lost folder is noticed.
COUNTS = {
    "anthropic/messages": 63,
    "anthropic/messages-stream": 56,
    "anthropic/count-tokens": 2,
    "anthropic/models": 2,
}
JUDGE = Judge(
    asked,
    answered,
    not_served=NOT_SERVED,
    errors=ERRORS,
    lacks=LACKS,
    unknown=UNKNOWN,
    free=("input",),  # trees whose members are the caller's or a tool's own
    spare=("error.request_id",),  # only lately
    name_of=lambda body: body["error"]["type"],
)


@pytest.mark.parametrize("surface", COUNTS)
async def test_accepted_and_answered_in_the_vendors_shape(surface: str) -> None:
    """No request is refused; no path or type is the fake's own, none of the vendor's is lost."""
    await JUDGE.agrees(surface)

    assert len(records(surface)) == COUNTS[surface]


async def test_refused_as_the_vendor_refuses() -> None:
    """The same status and an envelope of the same shape; a request id where recordings lately have one."""
    await JUDGE.refuses("anthropic/error")

    assert len(records("anthropic/error")) == 8


@pytest.mark.parametrize("surface", [one for one in COUNTS if "models" not in one])
def test_every_request_can_be_read(surface: str) -> None:
    """Into the shape over all dialects: nobody's text, media or tool call gets lost."""
    for one in JUDGE.judged(surface):
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
    await JUDGE.needs_its_exceptions(COUNTS, ["anthropic/error"])


def test_surfaces_that_are_not_faked_are_not_found() -> None:
    """Files, batches and the old completions are no routes."""
    paths = "/v1/files", "/v1/messages/batches", "/v1/complete"

    assert not any(re.fullmatch("/v1" + route.pattern, path) for path in paths for route in FakeAnthropic.routes)
