"""What users of other gateways have met with streams that break, each under the number of their thread.

Whole calls through whole gateways. What does not live here: routing, limits of upstreams and translation
(`test_routing_threads.py`), money (`test_regressions.py`), keys and secrets (`test_key_regressions.py`).
"""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import orjson
import pytest

from tests.canned import DONE, FINISH, ROLE, STREAM, USAGE, WORD, Canned, chunk
from tests.flow.upstreams import (
    BEGUN,
    BUSY,
    QUESTION,
    SAID,
    TEXT,
    USED,
    Turns,
    claude,
    either,
    error_event,
    error_of,
    events,
    good,
    post,
    several,
    streamed,
    text_of,
)

OVERLOADED = b'data: {"error": {"message": "busy now", "type": "overloaded_error", "code": 529}}\n\n'
GARBAGE = b"data: {not json\n\n"
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


SORRY = claude("error", error={"type": "overloaded_error", "message": "Overloaded"})


async def read(stream: Any, said: list[str]) -> None:
    """Reads a stream of the SDK to its end; what it said is added."""
    async for each in stream:
        said += [choice.delta.content or "" for choice in each.choices]


# --- 1: three faults ---


@pytest.mark.parametrize(
    "fault",
    [
        Canned([ROLE], kind=STREAM, then="break"),
        Canned([ROLE], kind=STREAM),
        Canned([ROLE], kind=STREAM, then="hang"),
        Canned([ROLE, GARBAGE, WORD, FINISH, DONE], kind=STREAM),
    ],
    ids=["cut", "ends early", "stall", "garbage"],
)
async def test_litellm_40404_a_fault_before_the_first_content_reaches_the_fallback(fault: Canned) -> None:
    """BerriAI/litellm#40404: a cut, a stall and a malformed line never reached the fallback that was configured."""
    got = await post(several({"one": fault, "two": streamed()}), stream=True, fallback=["two/m"], timeout=400)

    assert (got.status_code, got.headers["x-provider"], text_of(got)) == (200, "two", "Hello")
    assert got.content.endswith(DONE)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Canned([ROLE, *[WORD] * 40], kind=STREAM, then="break"), "upstream_stream_interrupted"),
        (Canned([ROLE, *[WORD] * 40], kind=STREAM, then="hang"), "upstream_timeout"),
        (Canned([ROLE, *[WORD] * 40, GARBAGE, *[WORD] * 20, FINISH, DONE], kind=STREAM), "upstream_error"),
    ],
    ids=["cut", "stall", "garbage"],
)
async def test_litellm_40404_after_40_words_each_fault_ends_with_an_error_of_its_own(fault: Canned, code: str) -> None:
    """BerriAI/litellm#40404: told apart by their codes; what was said stays, and nobody else is called.

    The thread also asks to skip a malformed line. That is not offered yet: a line that is left out may hold
    text or a tool's arguments, and the stream would claim to be whole.
    """
    other = Turns(streamed())
    got = await post(several({"one": fault, "two": other}), stream=True, fallback=["two/m"], timeout=100)

    assert error_event(got)["code"] == code
    assert got.content.count(WORD) == 40
    assert other.calls == 0


# --- 2, 3: an end that is none ---


@pytest.mark.parametrize("then", ["end", "break"])
async def test_portkey_1797_a_stream_without_its_end_is_an_error_for_the_sdk(then: str) -> None:
    """Portkey-AI/gateway#1797: half an answer ended like a whole one; the official SDK raises here, after the half."""
    app = several({"one": Canned([ROLE, WORD], kind=STREAM, then=then)})
    said: list[str] = []
    async with app.async_openai(api_key="k") as client:
        stream = await client.chat.completions.create(model="one/m", messages=QUESTION, stream=True)
        with pytest.raises(openai.APIError) as caught:
            await read(stream, said)

    assert "".join(said) == "Hello"
    assert caught.value.code == "upstream_stream_interrupted"


@pytest.mark.parametrize(
    "pieces",
    [[], [DONE], [ROLE, DONE], [ROLE, WORD], [ROLE, WORD, DONE], [ROLE, WORD, USAGE], [b": ping\n\n"], [WORD[:30]]],
    ids=["nothing", "done", "role, done", "word", "word, done", "word, usage", "ping", "half an event"],
)
@pytest.mark.parametrize("usage", [False, True])
async def test_bifrost_5546_no_end_is_made_up_for_a_dead_upstream(pieces: list[bytes], usage: bool) -> None:
    """maximhq/bifrost#5546: it became an empty chunk, usage 0 and `[DONE]`; here `[DONE]` follows a real end alone."""
    app = several({"one": Canned(pieces, kind=STREAM)})
    got = await post(app, stream=True, stream_options={"include_usage": usage})

    assert b"[DONE]" not in got.content
    assert b'"usage":{' not in got.content.replace(USAGE.strip(), b"") or USAGE in pieces
    if WORD in pieces:
        assert error_event(got)["code"] == "upstream_stream_interrupted"
        assert got.content.count(WORD) == 1
    else:
        assert (got.status_code, error_of(got)["code"]) == (502, "upstream_stream_interrupted")


# --- 4, 5: the point from which there is no way back ---


@pytest.mark.parametrize(
    "harmless",
    [
        [ROLE],
        [ROLE, ROLE, chunk({"content": ""})],
        [b": ping\n\n" * 3, ROLE],
        [chunk({"role": "assistant", "content": None}), chunk({"content": None})],
        [chunk({})],
    ],
    ids=["role", "empty text", "pings", "null", "empty delta"],
)
@pytest.mark.parametrize("end", [OVERLOADED, GARBAGE, b""], ids=["error", "garbage", "cut"])
async def test_bifrost_5395_a_harmless_first_event_commits_nobody(harmless: list[bytes], end: bytes) -> None:
    """maximhq/bifrost#5395: the fallback came only where the very first chunk was the error."""
    one = Canned([*harmless, end] if end else harmless, kind=STREAM, then="end" if end else "break")
    got = await post(several({"one": one, "two": streamed()}), stream=True, fallback=["two/m"])

    assert (got.status_code, got.headers["x-provider"]) == (200, "two")
    # Nothing of the first one's shows: one role, one answer.
    assert got.content.count(b'"role"') == 1
    assert text_of(got) == "Hello"


@pytest.mark.parametrize(
    "content",
    [
        {"content": "H"},
        {"tool_calls": [CALL]},
        {"refusal": "No."},
        {"reasoning_content": "Hm"},
    ],
    ids=["text", "tool", "refusal", "reasoning"],
)
async def test_bifrost_5395_the_first_content_of_any_kind_commits(content: dict[str, Any]) -> None:
    """maximhq/bifrost#5395: text, a tool call, a refusal or reasoning: from then on the client has it, and nobody else is asked."""
    other = Turns(streamed())
    one = Canned([ROLE, chunk(content), OVERLOADED], kind=STREAM)
    got = await post(several({"one": one, "two": other}), stream=True, fallback=["two/m"])

    assert error_event(got)["code"] == "upstream_unavailable"
    assert other.calls == 0


async def test_bifrost_5395_holding_back_has_its_bound_in_time() -> None:
    """maximhq/bifrost#5395: pings for ever are no answer: the bound is `timeout`, and the client hears 504."""

    async def pings(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        while True:
            await send({"type": "http.response.body", "body": b": ping\n\n" + ROLE, "more_body": True})
            await asyncio.sleep(0)

    got = await post(several({"one": pings}), stream=True, timeout=40)

    assert (got.status_code, error_of(got)["code"]) == (504, "upstream_timeout")


@pytest.mark.parametrize(
    "broken",
    [
        Canned([OVERLOADED], kind=STREAM),
        Canned([ROLE, OVERLOADED], kind=STREAM),
        Canned([ROLE], kind=STREAM, then="break"),
        Canned([], kind=STREAM),
        Canned([], status=0, then="break"),
    ],
    ids=["error", "role, error", "cut", "empty", "no connection"],
)
async def test_bifrost_2917_a_stream_that_fails_before_its_content_is_tried_again(broken: Canned) -> None:
    """maximhq/bifrost#2917: retries were for plain calls only, though nothing had been sent."""
    up = Turns(broken, broken, streamed())
    got = await post(several({"one": up}, retries=2), stream=True)

    assert (got.status_code, up.calls, got.headers["x-retry-count"]) == (200, 3, "2")
    assert text_of(got) == "Hello"


# --- 6, 10: status and envelope ---

REFUSALS = [
    (400, 400, "invalid_value"),
    (404, 404, "model_not_found"),
    (413, 413, "request_too_large"),
    (429, 429, "upstream_rate_limited"),
    (500, 502, "upstream_error"),
    (503, 503, "upstream_unavailable"),
    (529, 503, "upstream_unavailable"),
    (504, 504, "upstream_timeout"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("said", "status", "code"), REFUSALS)
async def test_litellm_10593_a_stream_that_never_began_has_the_status_of_its_failure(
    said: int, status: int, code: str, stream: bool
) -> None:
    """BerriAI/litellm#10593, maximhq/bifrost#1911, #1942: always 200, whatever followed."""
    got = await post(several({"one": Canned(BUSY, said)}), stream=stream)

    assert (got.status_code, error_of(got)["code"]) == (status, code)
    assert got.headers["content-type"] == "application/json"
    assert "busy" in error_of(got)["message"]


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (b'data: {"error": {"message": "Words of the upstream", "code": 400}}\n\n', 400),
        (b'data: {"error": {"message": "Words of the upstream", "code": 429}}\n\n', 429),
        (b'data: {"error": {"message": "Words of the upstream", "type": "server_error"}}\n\n', 502),
        (b'event: error\ndata: {"message": "Words of the upstream", "code": 503}\n\n', 503),
    ],
    ids=["400", "429", "no status", "event"],
)
async def test_bifrost_5040_the_upstreams_words_survive_before_and_after_content(event: bytes, status: int) -> None:
    """maximhq/bifrost#5040, #6783: the text of an error in a stream was lost, and its envelope fitted no protocol."""
    early = await post(several({"one": Canned([ROLE, event], kind=STREAM)}), stream=True)
    late = await post(several({"one": Canned([ROLE, WORD, event], kind=STREAM)}), stream=True)

    assert early.status_code == status
    assert "Words of the upstream" in error_of(early)["message"]
    assert "Words of the upstream" in error_event(late)["message"]
    assert error_event(late)["code"] == error_of(early)["code"]


# --- 7, 8: one planner for all ---


@pytest.mark.parametrize("stream", [False, True])
async def test_litellm_29808_retries_and_fallback_are_counted_alike_in_streams(stream: bool) -> None:
    """BerriAI/litellm#29808: `num_retries` did nothing in streams, because their fallback was another system."""
    one, two = Turns(Canned(BUSY, 500)), Turns(Canned(BUSY, 503), Canned(BUSY, 503), either())
    got = await post(several({"one": one, "two": two}), stream=stream, fallback=["two/m"], retries=2)

    assert (got.status_code, one.calls, two.calls) == (200, 3, 3)
    assert (got.headers["x-retry-count"], got.headers["x-fallback-from"]) == ("4", "one/m")


@pytest.mark.parametrize("first", [Canned(BUSY, 500), Canned([ROLE, OVERLOADED], kind=STREAM)], ids=["status", "event"])
async def test_litellm_19077_no_fallback_comes_where_none_was_asked_for(first: Canned) -> None:
    """BerriAI/litellm#19077: `disable_fallbacks` was not heard in streams; here there is none but that of the request."""
    two = Turns(streamed())
    got = await post(several({"one": first, "two": two}), stream=True, retries=0)

    assert got.status_code in (502, 503)
    assert two.calls == 0


@pytest.mark.parametrize(
    "last",
    [
        Canned([ROLE, OVERLOADED], kind=STREAM),
        Canned([ROLE], kind=STREAM, then="break"),
        Canned(BUSY, 500),
        Canned([], kind=STREAM),
    ],
    ids=["error", "cut", "status", "empty"],
)
async def test_litellm_38610_when_the_fallback_fails_too_the_client_gets_a_status(last: Canned) -> None:
    """BerriAI/litellm#38610: it was 200 with an error chunk; here every attempt is held back, not only the first."""
    up = {
        "one": Canned([ROLE], kind=STREAM, then="break"),
        "two": Canned([ROLE, OVERLOADED], kind=STREAM),
        "three": last,
    }
    got = await post(several(up), stream=True, fallback=["two/m", "three/m"])

    assert got.status_code in (502, 503)
    assert error_of(got)["type"] == "upstream_error"


# --- 9: errors in a 200 ---


@pytest.mark.parametrize("stream", [False, True])
async def test_litellm_6957_an_overloaded_claude_inside_a_200_is_tried_again(stream: bool) -> None:
    """BerriAI/litellm#6957: `overloaded_error` came as an event of a stream that had been accepted."""
    whole = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn"}
    body = orjson.dumps({**whole, "content": [{"type": "text", "text": "Hello"}], "usage": USED})
    ends = [
        claude("content_block_stop", index=0),
        claude("message_delta", delta={"stop_reason": "end_turn"}, usage=USED),
    ]
    answer = Canned([BEGUN, TEXT, SAID, *ends, claude("message_stop")], kind=STREAM) if stream else Canned(body)
    sorry = (
        Canned([BEGUN, SORRY], kind=STREAM)
        if stream
        else Canned(
            orjson.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}), 529
        )
    )
    up = Turns(sorry, Canned([SORRY], kind=STREAM) if stream else sorry, answer)
    got = await post(several({"anthropic": up}, retries=2), model="anthropic/m", stream=stream, max_tokens=9)

    assert (got.status_code, up.calls) == (200, 3)
    assert b"Hello" in got.content


async def test_litellm_6957_after_the_first_word_it_is_told_in_the_clients_own_protocol() -> None:
    """BerriAI/litellm#6957: Claude's event becomes OpenAI's error, as the SDK of OpenAI reads it."""
    app = several({"anthropic": Canned([BEGUN, TEXT, SAID, SORRY], kind=STREAM)})
    async with app.async_openai(api_key="k") as client:
        stream = await client.chat.completions.create(model="anthropic/m", messages=QUESTION, stream=True, max_tokens=9)
        with pytest.raises(openai.APIError, match="Overloaded") as caught:
            await read(stream, [])

    assert caught.value.code == "upstream_unavailable"


# --- 11: what may be tried elsewhere ---


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529, 401, 403, 402, 404])
async def test_otari_58_what_another_could_do_better_goes_on(status: int, stream: bool) -> None:
    """mozilla-ai/otari#58, #546: what passes, our own key and account, and a model that is missing there."""
    got = await post(several({"one": Canned(BUSY, status), "two": either()}), stream=stream, fallback=["two/m"])

    assert (got.status_code, got.headers["x-provider"], got.headers["x-fallback-from"]) == (200, "two", "one/m")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("said", "told"), [(400, 400), (405, 405), (413, 413), (415, 415), (422, 400), (451, 451)])
async def test_otari_546_what_the_caller_did_wrong_goes_nowhere(said: int, told: int, stream: bool) -> None:
    """mozilla-ai/otari#546: fallback for any 4xx sends one mistake to every provider, and hides whose it is."""
    two = Turns(either())
    got = await post(several({"one": Canned(BUSY, said), "two": two}), stream=stream, fallback=["two/m"])

    assert (got.status_code, two.calls) == (told, 0)
    assert error_of(got)["message"] == "busy"


# --- what was left of them ---


async def test_bifrost_1942_what_answered_is_named_before_the_first_byte() -> None:
    """maximhq/bifrost#1942: whoever reads a stream knows from its head which model answers, and what was tried."""
    one = Turns(Canned(BUSY, 500))
    got = await post(several({"one": one, "two": streamed()}), stream=True, fallback=["two/m"], retries=1)
    named = {name: got.headers[name] for name in ("x-model-used", "x-provider", "x-fallback-from", "x-retry-count")}

    assert named == {"x-model-used": "m", "x-provider": "two", "x-fallback-from": "one/m", "x-retry-count": "1"}
    assert events(got)[-1] == DONE


async def test_portkey_1797_a_whole_stream_after_a_broken_one_is_not_mixed_with_it() -> None:
    """Portkey-AI/gateway#1797: on one gateway at one time, each client gets its own end."""
    broken = Canned([ROLE, WORD], kind=STREAM, then="break")
    app = several({"one": broken, "two": streamed("Whole"), "three": good()}, breaker={"streak": 0})
    got = await asyncio.gather(
        *[post(app, model=f"{name}/m", stream=name != "three") for name in ("one", "two", "three") * 10]
    )

    assert {error_event(each)["code"] for each in got[::3]} == {"upstream_stream_interrupted"}
    assert {(text_of(each), each.content.endswith(DONE)) for each in got[1::3]} == {("Whole", True)}
    assert {each.json()["choices"][0]["message"]["content"] for each in got[2::3]} == {"Hello"}
