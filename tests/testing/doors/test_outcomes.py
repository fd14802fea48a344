"""What the official SDKs make of each fault, over every door: the table that gateways are measured by.

Every outcome was measured. Where the doors differ, the difference stands below with its reason.
"""

from contextlib import AsyncExitStack
from typing import NamedTuple

import pytest
from google import genai

from compatgw_testing import Fake, FakeGemini, FakeServer
from compatgw_testing.faults import FaultWay
from tests.testing.doors.sdks import DOORS, LIBRARIES, TEXT, Door, Line, line, until
from tests.testing.driver import FAKES

WHOLE = f"says {TEXT!r}"
# A client gives up early here, so that a stall on a socket takes a quarter of a second.
IMPATIENT = 0.25


class Row(NamedTuple):
    """A fault, and what comes of a streamed and of a plain answer, by dialect in the order of `FAKES`."""

    way: FaultWay
    streamed: tuple[str, str, str, str]
    plain: tuple[str, str, str, str]
    patience: float = 20


_LOST = (
    "raises openai.APIConnectionError",
    "raises httpx2.RemoteProtocolError",
    "raises httpx2.RemoteProtocolError",
    "raises httpx.RemoteProtocolError",
)
_LOST_PLAIN = (_LOST[0], "raises anthropic.APIConnectionError", *_LOST[2:])
_RESET = (_LOST[0], "raises httpx2.ReadError", "raises httpx2.ReadError", "raises httpx.ReadError")
_RESET_PLAIN = (_LOST[0], "raises anthropic.APIConnectionError", *_RESET[2:])
_LATE = (
    "raises openai.APITimeoutError",
    "raises httpx2.ReadTimeout",
    "raises httpx2.ReadTimeout",
    "raises httpx.ReadTimeout",
)
_LATE_PLAIN = (_LATE[0], "raises anthropic.APITimeoutError", *_LATE[2:])
_NO_JSON = (
    "raises json.JSONDecodeError",
    "raises json.JSONDecodeError",
    "raises json.JSONDecodeError",
    "raises cohere.ApiError",
)
_SERVER = (
    "raises openai.InternalServerError",
    "raises anthropic.InternalServerError",
    "raises google.ServerError",
    "raises cohere.InternalServerError",
)
_PAGE = (*_SERVER[:3], "raises cohere.ApiError")
_ALL = (WHOLE,) * 4
_UTF8 = "raises builtins.UnicodeDecodeError"
_UNKNOWN = "raises google.UnknownApiResponseError"

ROWS: dict[str, Row] = {
    "cut after events": Row({"cut_after": 4}, _LOST, _LOST_PLAIN),
    "cut after the head": Row({"cut_after": 0}, _LOST, _LOST_PLAIN),
    "reset after events": Row({"reset_after": 4}, _RESET, _RESET_PLAIN),
    "refused": Row(
        {"refused": True},
        (_LOST[0], "raises anthropic.APIConnectionError", "raises httpx2.ConnectError", "raises httpx.ConnectError"),
        (_LOST[0], "raises anthropic.APIConnectionError", "raises httpx2.ConnectError", "raises httpx.ConnectError"),
    ),
    # No SDK misses the events that end a stream.
    "truncated": Row({"truncated": True}, _ALL, _NO_JSON),
    "no end mark": Row({"no_end_mark": True}, _ALL, _ALL),
    "two end marks": Row({"two_end_marks": True}, _ALL, _ALL),
    "garbage": Row({"garbage_after": 3}, (_NO_JSON[0], _NO_JSON[1], _UNKNOWN, WHOLE), _NO_JSON),
    "bad UTF-8": Row(
        {"bad_utf8_after": 3},
        # Two SDKs take what comes: one with a sign in place of the byte, one without what it stood in.
        (_UTF8, _UTF8, WHOLE, "says 'One\ufffd two three four'"),
        (_UTF8, _UTF8, "says '\ufffdOne two three four'", _UTF8),
    ),
    "split UTF-8": Row({"split_utf8": True}, _ALL, _ALL),
    "stall": Row({"stall_after": 2}, _LATE, _LATE_PLAIN, IMPATIENT),
    "slow head": Row({"slow": 30}, (_LATE[0], "raises anthropic.APITimeoutError", *_LATE[2:]), _LATE_PLAIN, IMPATIENT),
    "HTML under 502": Row({"html": 502}, _PAGE, _PAGE),
    "HTML under 200": Row(
        {"html": 200},
        ("says ''", "says ''", _UNKNOWN, "raises cohere.SSEError"),
        ("raises builtins.AttributeError", "raises builtins.AttributeError", _NO_JSON[2], "raises cohere.ApiError"),
    ),
    "empty": Row(
        {"empty": True},
        ("says ''", "says ''", "says ''", "raises cohere.SSEError"),
        (_NO_JSON[0], _NO_JSON[1], "says ''", "raises cohere.ApiError"),
    ),
    "error in the stream": Row(
        {"error_after": 4, "error": 500},
        # Cohere's SDK hands the event on, with finish reason ERROR; only the text is short.
        ("raises openai.APIError", "raises anthropic.APIStatusError", "raises google.ServerError", "says 'One two'"),
        _SERVER,
    ),
    "error under 200": Row(
        {"error_200": True, "error": 500},
        ("says ''", "says ''", "raises google.ServerError", "raises cohere.SSEError"),
        ("raises builtins.TypeError", "raises builtins.TypeError", "says ''", "raises builtins.TypeError"),
    ),
    "wrong content type": Row({"content_type": "text/html"}, (WHOLE, WHOLE, WHOLE, "raises cohere.SSEError"), _ALL),
}
# openai 2.x, which stands on httpx, does not wrap what happens in the middle of a stream.
ELDER_OPENAI = {
    "cut after events": "raises httpx.RemoteProtocolError",
    "cut after the head": "raises httpx.RemoteProtocolError",
    "reset after events": "raises httpx.ReadError",
    "stall": "raises httpx.ReadTimeout",
}
_TOO_LATE = (
    "a socket is accepted before the request is read, so a refusal of one call comes as a reset; `server.refusing()` "
    "refuses truly"
)
# Fault, place, dialect: what comes of it there instead, and why.
DIFFERENT: dict[tuple[str, str, str], tuple[str, str]] = {
    ("refused", "socket", "gemini"): ("raises httpx2.ReadError", _TOO_LATE),
    ("refused", "socket", "cohere"): ("raises httpx.ReadError", _TOO_LATE),
}


@pytest.mark.parametrize("dialect", FAKES)
@pytest.mark.parametrize("fault", ROWS)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
async def test_outcome(dialect: str, server: FakeServer, fault: str, stream: bool) -> None:
    """The same error, or the same text taken for the whole answer, in process and on a socket, sync and async."""
    row = ROWS[fault]
    usual = (row.streamed if stream else row.plain)[list(FAKES).index(dialect)]
    if stream and (dialect, LIBRARIES["openai"]) == ("openai", "httpx"):
        usual = ELDER_OPENAI.get(fault, usual)
    expected = {str(door): DIFFERENT.get((fault, door.where, dialect), (usual, ""))[0] for door in DOORS}
    outcomes = {}

    for door in DOORS:
        fake = FAKES[dialect](seed=7).fault(TEXT.replace("O", "Ö") if "split_utf8" in row.way else TEXT, **row.way)
        async with AsyncExitStack() as stack:
            client = await line(stack, door, fake, server, patience=row.patience)
            outcomes[str(door)] = (await client.outcome(stream=stream)).replace("Ö", "O")
        # In process the fake waits for its reader, so it sees one leave that on a socket has left what was sent.
        await until(lambda fake=fake: fake.last.outcome in ("faulted", "client_closed"))  # type: ignore[misc]

    assert outcomes == expected


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ({"cut_after": 4}, "raises aiohttp.ClientPayloadError"),
        ({"reset_after": 4}, "raises aiohttp.ClientPayloadError"),
        ({"stall_after": 2}, "raises builtins.TimeoutError"),
        ({"truncated": True}, WHOLE),
        ({"garbage_after": 3}, _UNKNOWN),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_gemini_over_aiohttp(server: FakeServer, way: FaultWay, expected: str) -> None:
    """Where aiohttp is installed, google-genai's async client uses it, and its errors are aiohttp's own."""
    aiohttp = pytest.importorskip("aiohttp")
    fake = FakeGemini(seed=7).fault(TEXT, **way)
    origin = server.mount(f"aiohttp{id(fake)}", fake)
    patience = IMPATIENT if "stall_after" in way else 5
    try:
        # A session of its own making the client would not always close.
        async with aiohttp.ClientSession() as session:
            options = genai.types.HttpOptions(base_url=origin, timeout=int(patience * 1000), aiohttp_client=session)
            client = genai.Client(api_key=fake.api_key, http_options=options).aio
            assert await Line("gemini", client).outcome(stream=True) == expected
            await client.aclose()
    finally:
        server.unmount(f"aiohttp{id(fake)}")


async def test_a_refused_port(fake: Fake, server: FakeServer) -> None:
    """Between requests the port refuses; every SDK says so, and is answered by the same port afterwards."""
    refusals = {
        "openai": "raises openai.APIConnectionError",
        "anthropic": "raises anthropic.APIConnectionError",
        "gemini": "raises httpx2.ConnectError",
        "cohere": "raises httpx.ConnectError",
    }
    with FakeServer() as own:
        async with AsyncExitStack() as stack:
            client = await line(stack, Door("socket", sync=True), fake.always("Hello"), own)
            before = await client.outcome(stream=False)
            with own.refusing():
                refused = await client.outcome(stream=False)
            after = await client.outcome(stream=False)

    assert (before, refused, after) == ("says 'Hello'", refusals[fake.dialect], "says 'Hello'")
