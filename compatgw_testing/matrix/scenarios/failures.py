"""Scenarios of upstreams that fail: the client can always tell, and never takes a piece for the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw_testing.matrix.expect import BROKEN, RETRYABLE, Failed
from compatgw_testing.matrix.scenario import Scenario
from compatgw_testing.matrix.scenarios.answers import ASK_WEATHER, HELLO, TOOLS
from compatgw_testing.script import fail, fault, reply, tool_call

if TYPE_CHECKING:
    from compatgw_testing.matrix.upstreams import Upstream
    from compatgw_testing.script import Step

LONG = reply("One two three four five six seven eight.")
NOT_OK = tuple(range(400, 600))


def _overloaded(upstream: Upstream) -> Step:
    return fail(529 if upstream.dialect == "anthropic" else 503)


SCENARIOS = (
    Scenario(
        name="rate_limited",
        says="An upstream's rate limit is a 429 that says how long to wait.",
        asked=HELLO,
        step=fail("rate_limit", retry_after=7),
        expect=Failed(status=(429,), retry_after=7),
        dialects=("openai", "anthropic", "gemini"),
    ),
    Scenario(
        name="rate_limited_bare",
        says="A rate limit that says no time is a 429, too.",
        asked=HELLO,
        step=fail(429),
        expect=Failed(status=(429,)),
    ),
    Scenario(
        name="server_error",
        says="An upstream's 500 is a server error.",
        asked=HELLO,
        step=fail(500),
        expect=Failed(status=BROKEN),
    ),
    Scenario(
        name="overloaded",
        says="An overloaded upstream is an error that invites another try.",
        asked=HELLO,
        step=_overloaded,
        expect=Failed(status=RETRYABLE),
    ),
    Scenario(
        name="context_length",
        says="A prompt that is too long is a 400 with the code `context_length_exceeded`.",
        asked=HELLO,
        step=fail("context_length"),
        expect=Failed(status=(400, 413), code="context_length_exceeded", attempts=1),
    ),
    Scenario(
        name="quota",
        says="An upstream whose quota is used up is an error.",
        asked=HELLO,
        step=fail("quota"),
        expect=Failed(status=(402, 403, *RETRYABLE)),
    ),
    Scenario(
        name="key_refused",
        says="An upstream that refuses the gateway's own key is an error.",
        asked=HELLO,
        step=fail("key"),
        expect=Failed(status=(401, 403, *BROKEN)),
    ),
    Scenario(
        name="model_missing",
        says="A model that the upstream does not have is a 404.",
        asked=HELLO,
        step=fail("model"),
        expect=Failed(status=(404,)),
    ),
    Scenario(
        name="html_502",
        says="A page of HTML from a proxy in between is a server error with an envelope.",
        asked=HELLO,
        step=fault(html=502),
        expect=Failed(status=BROKEN),
    ),
    Scenario(
        name="html_200",
        says="A page of HTML under 200 is no answer.",
        asked=HELLO,
        step=fault(html=200),
        expect=Failed(status=BROKEN, begun=True),
    ),
    Scenario(
        name="empty_body",
        says="An empty body under 200 is no answer.",
        asked=HELLO,
        step=fault(empty=True),
        expect=Failed(status=BROKEN, begun=True),
    ),
    Scenario(
        name="error_200",
        says="An error under 200 is an error.",
        asked=HELLO,
        step=fault(error_200=True),
        expect=Failed(status=NOT_OK, begun=True),
    ),
    Scenario(
        name="cut",
        says="A connection that breaks within the answer is told.",
        asked=HELLO,
        step=fault(LONG, cut_after=4),
        expect=Failed(status=BROKEN, begun=True),
    ),
    Scenario(
        name="cut_at_once",
        says="A connection that breaks before anything is said is told.",
        asked=HELLO,
        step=fault(LONG, cut_after=0),
        expect=Failed(status=BROKEN, begun=True),
    ),
    Scenario(
        name="truncated",
        says="A stream that ends cleanly but too early is told.",
        asked=HELLO,
        step=fault(LONG, truncate_after=4),
        expect=Failed(status=BROKEN, begun=True),
    ),
    Scenario(
        name="truncated_at_the_end",
        says="A stream that has all its words but no end is told.",
        asked=HELLO,
        step=fault(LONG, truncated=True),
        expect=Failed(status=BROKEN, begun=True, text="One two three four five six seven eight."),
        modes=("stream",),
    ),
    Scenario(
        name="truncated_tool",
        says="A tool call whose arguments stop halfway is never taken for a call.",
        asked=ASK_WEATHER,
        step=fault(tool_call("get_weather", city="Paris and its surroundings"), truncate_after=4),
        expect=Failed(status=BROKEN, begun=True),
        needs=TOOLS | {"fragments"},
        dialects=("openai", "anthropic", "cohere", "bedrock"),
        modes=("stream",),
    ),
    Scenario(
        name="garbage",
        says="An event whose JSON is broken is not passed over.",
        asked=HELLO,
        step=fault(LONG, garbage_after=4),
        expect=Failed(status=BROKEN, begun=True),
    ),
    Scenario(
        name="error_first",
        says="An error as the first event of a stream is told.",
        asked=HELLO,
        step=fault(LONG, error_after=0, error=500),
        expect=Failed(status=RETRYABLE, begun=True),
        needs=frozenset({"error_event"}),
    ),
)
