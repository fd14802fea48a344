"""Events of an upstream's stream that nobody can read: they end it, or are left out where the operator says so."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw import Gateway
from compatgw.flow.sieve import Sieve
from tests.canned import DONE, FINISH, ROLE, STREAM, USAGE, WORD, Canned
from tests.flow.upstreams import BEGUN, SAID, TEXT, claude, post, several

TORN = b'data: {"id": "chatcmpl-up", "choices": [{"index"\n\n'
PAGE = b"data: <html>a proxy's page</html>\n\n"
ENDED = [
    claude("content_block_stop", index=0),
    claude("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 2}),
    claude("message_stop"),
]


def house(pieces: list[bytes], *, dialect: str = "openai", **settings: Any) -> Gateway:
    """One upstream that streams these pieces."""
    return several({"one": {"app": Canned(pieces, kind=STREAM), "dialect": dialect}}, **settings)


async def status_of(app: Gateway) -> dict[str, Any]:
    """The upstream, as `/api/status` shows it."""
    async with app.client(api_key="k") as client:
        row: dict[str, Any] = (await client.get("/api/status")).json()["data"]["upstreams"][0]
    return row


@pytest.mark.parametrize("bad", [TORN, PAGE])
async def test_an_event_that_nobody_can_read_ends_the_stream_with_an_error(bad: bytes) -> None:
    """What it held may have been text, or arguments: an answer without it must not look whole."""
    got = await post(house([ROLE, WORD, bad, FINISH, USAGE, DONE]), stream=True)

    assert b"Hello" in got.content
    assert b'"error"' in got.content
    assert b"[DONE]" not in got.content


@pytest.mark.parametrize("bad", [TORN, PAGE])
async def test_where_it_is_asked_for_such_an_event_is_left_out_counted_and_logged(
    bad: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """`on_malformed_event = "skip"`; the answer goes on to its real end."""
    app = house([ROLE, WORD, bad, bad, WORD, FINISH, USAGE, DONE], on_malformed_event="skip")
    with caplog.at_level(logging.WARNING, "compatgw"):
        got = await post(app, stream=True)

    assert got.content.count(b"Hello") == 2
    assert got.content.endswith(DONE)
    assert b'"error"' not in got.content
    assert (await status_of(app))["skipped_events"] == 2
    assert [record.getMessage() for record in caplog.records if "2 events of one/m" in record.getMessage()]


async def test_it_holds_for_protocols_with_named_events() -> None:
    """Anthropic's events have names, which stay with them."""
    torn = b'event: content_block_delta\ndata: {"type": "content_bl\n\n'
    app = house([BEGUN, TEXT, SAID, torn, SAID, *ENDED], dialect="anthropic", on_malformed_event="skip")
    got = await post(app, stream=True)

    assert got.content.count(b'"content":"Hello"') == 2
    assert got.content.endswith(DONE)
    assert (await status_of(app))["skipped_events"] == 1


async def test_a_stream_that_is_cut_is_still_cut() -> None:
    """Skipping mends no end that is missing, nor half an event before it."""
    got = await post(house([ROLE, WORD, TORN[:-2]], on_malformed_event="skip"), stream=True)

    assert b"upstream_stream_interrupted" in got.content
    assert b"[DONE]" not in got.content


async def test_an_error_event_is_not_skipped() -> None:
    """It can be read, and it says that the stream failed."""
    failed = b'data: {"error": {"message": "overloaded"}}\n\n'
    got = await post(house([ROLE, WORD, failed], on_malformed_event="skip"), stream=True)

    assert b"overloaded" in got.content
    assert b"[DONE]" not in got.content


@given(cuts=st.lists(st.integers(0, 200), max_size=6), bad=st.sampled_from([TORN, PAGE]))
def test_however_the_bytes_are_cut_the_same_is_left_out(cuts: list[int], bad: bytes) -> None:
    """Sound events come out whole and in order."""
    sound = [b'data: {"a": 1}\n\n', b'event: x\ndata: {"b": [2]}\n\n', b"data: [DONE]\n\n"]
    stream = sound[0] + bad + sound[1] + bad + sound[2]
    edges = sorted({0, len(stream), *[cut for cut in cuts if cut < len(stream)]})
    sieve = Sieve()
    out = b"".join(sieve.feed(stream[a:b]) for a, b in pairwise(edges)) + sieve.finish()

    assert out == b"".join(sound)
    assert sieve.skipped == 2
