"""The journal: what is noted of a call, assertions over every dialect, and dumps that are equal in each run."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from compatgw_testing import Fake, FakeOpenAI, ToolCall, fail
from compatgw_testing.attempts import attempts_of, fits, told, waited
from compatgw_testing.clock import WallClock
from compatgw_testing.difference import like
from compatgw_testing.journal import Call, Journal
from compatgw_testing.request import Message, Request
from compatgw_testing.rules import contains
from compatgw_testing.stable import stable
from tests.testing.doors.sdks import stream_text
from tests.testing.driver import FAKES, MODELS, ask, credentials, question, request
from tests.testing.engine import virtual
from tests.testing.engine.asking import chat, say

HI = ("user", "Hi")
TALK: tuple[Any, ...] = (
    ("system", "Be brief."),
    ("user", "Weather?"),
    ("call", "get_weather", {"city": "Rome"}),
    ("result", "get_weather", "21 degrees"),
)


async def test_the_same_assertion_holds_for_every_dialect(fake: Fake) -> None:
    """Model, words, conversation and tools, written once."""
    await say(fake.reply("Warm."), *TALK, tools=["get_weather"], stream=True)

    call = fake.assert_called_once_with(
        model=MODELS[fake.dialect],
        system="Be brief.",
        user="Weather?",
        stream=True,
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "tool_calls": [("get_weather", {"city": "Rome"})]},
            {"role": "tool", "content": contains("21 degrees"), "tool": "get_weather"},
        ],
        tools=["get_weather"],
        results=[{"role": "tool", "content": contains("21")}],
        turn=1,
        temperature=None,
    )

    assert call is fake.last


async def test_settings_have_one_name_in_every_dialect(fake: Fake) -> None:
    """OpenAI's names, whatever the vendor calls them."""
    settings: dict[str, dict[str, Any]] = {
        "openai": {"temperature": 0.5, "top_p": 0.9, "stop": ["END"], "max_tokens": 9},
        "anthropic": {"temperature": 0.5, "stop_sequences": ["END"], "max_tokens": 9},
        "gemini": {
            "generationConfig": {"temperature": 0.5, "topP": 0.9, "stopSequences": ["END"], "maxOutputTokens": 9}
        },
        "cohere": {"temperature": 0.5, "p": 0.9, "stop_sequences": ["END"], "max_tokens": 9},
    }
    await ask(fake, question(fake.dialect, "Hi", **settings[fake.dialect]))

    fake.assert_called_once_with(temperature=0.5, stop=["END"], max_tokens=9, settings=like({"temperature": 0.5}))


async def test_a_difference_is_readable(fake: Fake) -> None:
    """The call, then one line for each thing that is otherwise."""
    await say(fake, *TALK, tools=["get_weather"])
    model = MODELS[fake.dialect]

    with pytest.raises(AssertionError) as caught:
        fake.assert_called_once_with(
            model="another",
            messages=[
                ("system", "Be brief!"),
                ("user", "Weather?"),
                {"role": "assistant", "tool_calls": [("get_weather", {"city": "Paris"})]},
                like({"role": "tool"}),
                ("user", "Thanks"),
            ],
            tools=["get_weather", "get_time"],
            temperature=0.2,
        )

    head, *lines = str(caught.value).splitlines()
    assert head == f"<Call #1 POST {fake.last.path} {model} -> 200 completed> is not as expected:"
    assert lines == [
        f"  model: expected 'another', got '{model}'",
        "  messages[0] system: text: expected 'Be brief!', got 'Be brief.'",
        "  messages[2] assistant: calls.get_weather.city: expected 'Paris', got 'Rome'",
        "  messages: a message is missing, expected user: 'Thanks'",
        "  tools.get_time: missing, got get_weather",
        "  temperature: expected 0.2, but it was not sent",
    ]


async def test_the_number_of_calls(fake: Fake) -> None:
    """None, one, several; the message lists those that came."""
    for assertion in (
        fake.calls.assert_called,
        lambda: fake.calls.assert_any_call(user="Hi"),
        lambda: fake.calls.assert_called_with(user="Hi"),
    ):
        with pytest.raises(AssertionError, match="the fake was never called"):
            assertion()
    with pytest.raises(AssertionError, match="expected one call, the fake got 0\nJournal: no call"):
        fake.assert_called_once_with()

    await ask(fake)
    assert fake.calls.assert_called().assert_called(1) is fake.calls
    await say(fake, ("user", "Other"))

    assert fake.calls.assert_called_with(user="Other") is fake.last
    assert fake.calls.assert_any_call(user="Hi") is fake.calls[0]
    with pytest.raises(AssertionError, match=r"expected one call, the fake got 2\n(.|\n)*#2 POST"):
        fake.assert_called_once_with(user="Hi")
    with pytest.raises(AssertionError, match=r"expected 1 call, the fake got 2\nJournal"):
        fake.calls.assert_called(1)
    with pytest.raises(
        AssertionError, match=r"none of 2 calls is as expected; nearest is <Call #2(.|\n)*user: expected 'Othe'"
    ):
        fake.calls.assert_any_call(user="Othe", messages=["Other"])


async def test_what_is_noted_of_a_call(fake: Fake) -> None:
    """Request, answer, head, times and end."""
    before = time.monotonic()
    await say(fake.reply("One two", headers={"x-extra": "1"}), HI, stream=True)
    call = fake.last

    assert call.request is not None
    assert call.request.messages == (Message(role="user", text="Hi"),)
    assert json.loads(call.raw) == call.body
    assert call.response_headers["x-extra"] == "1"
    assert "event-stream" in call.response_headers["content-type"]
    assert call.turn is not None
    assert call.turn.text == "One two"
    assert call.turn.usage is not None
    assert (call.outcome, call.finished, call.status) == ("completed", True, 200)
    assert before <= call.arrived <= (call.answered or 0) <= (call.ended or 0) <= time.monotonic()
    assert len(call.pieces) == call.sent
    assert b"two" in call.written


async def test_a_made_up_answer_is_noted_too(fake: Fake) -> None:
    """Text, ids of calls and usage, as they were sent."""
    await ask(fake)
    await say(fake.tool_calls(("f", {}), ("f", {"a": 1})), HI, tools=["f"])
    first, second = fake.calls

    assert first.step is None
    assert first.turn is not None
    assert first.turn.text is not None
    assert first.turn.text.encode() in first.written
    assert second.turn is not None
    assert all(one.id is not None for one in second.turn.calls)
    if fake.dialect != "gemini":
        assert str(second.turn.calls[1].id).encode() in second.written


async def test_no_key_is_shown(fake: Fake) -> None:
    """In no repr, text or dump of a call."""
    await ask(fake)
    fake.last.query["key"] = fake.api_key

    for shown in (repr(fake.calls), repr(list(fake.calls)), repr(fake.calls.dump()), str(fake.last), repr(fake.last)):
        assert fake.api_key not in shown


# Dumps.


async def scene(fake: Fake) -> None:
    """Calls of every kind of end."""
    fake.reply("One two", reasoning="Hm").fail(429, retry_after=1).fault("cut", cut_after=1).tool_call("f", x=1)
    fake.raw(b"{}", b"\xff")
    fake.on(user="Rule").reply("ruled", first=0.5, rate=10)
    await say(fake, *TALK, tools=["get_weather"])
    await ask(fake)
    await ask(fake, stream=True)
    await ask(fake, stream=True)
    await ask(fake)
    await virtual.ask(fake, chat(fake.dialect, ("user", "Rule")), stream=True)
    await ask(fake, b"no json")
    await ask(
        fake,
        headers={"user-agent": f"test {time.time()}", "host": "127.0.0.1:4711", "content-type": "application/json"},
    )


async def test_two_runs_have_equal_dumps(fake: Fake) -> None:
    """Plain JSON values, without moments, ports and versions."""
    twin = FAKES[fake.dialect](seed=7)
    await scene(fake)
    await scene(twin)

    first, second = [json.dumps(one.calls.dump()) for one in (fake, twin)]

    assert first == second
    assert "4711" not in first
    assert [one["outcome"] for one in fake.calls.dump()] == [
        "completed",
        "failed",
        "faulted",
        "completed",
        "completed",
        "completed",
        "refused",
        "completed",
    ]


async def test_a_dump_of_a_call() -> None:
    """Written out in full, once."""
    fake = FakeOpenAI(seed=1, clock=WallClock())
    fake.on(user="Hi").tool_calls(("f", {"a": 1}), usage=(3, 4))
    await ask(fake, chat("openai", HI, tools=["f"], temperature=0.5))

    (dumped,) = fake.calls.dump()

    body = json.loads("".join(dumped.pop("pieces")))  # type: ignore[arg-type]
    headers = dumped.pop("response_headers")
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    assert dumped == {
        "ordinal": 1,
        "method": "POST",
        "path": "/v1/chat/completions",
        "query": {},
        "headers": {},
        "body": {
            "messages": [{"role": "user", "content": "Hi"}],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}],
            "model": "gpt-4o",
            "temperature": 0.5,
        },
        "request": {
            "model": "gpt-4o",
            "surface": "chat",
            "messages": [{"role": "user", "text": "Hi"}],
            "tools": {"f": schema},
            "settings": {"temperature": 0.5},
        },
        "rule": "on(user='Hi')",
        "step": "Turn(calls=(ToolCall(name='f', arguments={'a': 1}, id=None),), "
        "usage=Usage(input=3, output=4, cached=0, cache_write=0, reasoning=0))",
        "status": 200,
        "outcome": "completed",
        "sent": 0,
    }
    assert isinstance(headers, dict)
    assert headers["content-type"] == "application/json"
    assert body["usage"]["total_tokens"] == 7


async def test_a_request_can_be_written_into_a_snapshot(fake: Fake) -> None:
    """Its repr is Python that gives an equal one; nothing in it is an address."""
    await say(fake, *TALK, tools=["get_weather"])
    request = fake.last.request
    names = {"Request": Request, "Message": Message, "ToolCall": ToolCall}

    assert eval(repr(request), names) == request  # noqa: S307 - what is evaluated was written here
    assert " at 0x" not in repr(fake.calls.dump())


async def test_a_journal_of_reprs_is_short() -> None:
    """One line for each call, whatever was sent."""
    fake = FakeOpenAI()
    await say(fake, ("user", "word " * 9999))

    assert repr(list(fake.calls)) == "[<Call #1 POST /v1/chat/completions gpt-4o -> 200 completed>]"
    assert len(repr(fake.calls)) < 500


def test_stable_masks_what_differs() -> None:
    """Ids keep their identity, times and ports are gone, anything else is as it was."""
    call = "call_8f14e45fceea"
    value = {
        "id": "chatcmpl-123456789",
        "created": 1_780_272_001,
        "created_at": "2026-06-01T00:00:00Z",
        "calls": [{"id": call, "name": "f"}, {"id": "call_b", "name": "call_b or not"}],
        "result": {"tool_call_id": call, "text": f"for {call} at 2026-06-01T00:00:00.123+02:00"},
        "url": "http://127.0.0.1:45678/v1",
        "trace": "8f14e45f-ceea-467f-a0e6-1a2b3c4d5e6f",
        "own": "x-1",
        "flag": True,
        "none": None,
        "count": 3,
    }

    assert stable(value, ids=["own"]) == {
        "id": "<id 1>",
        "created": "<time>",
        "created_at": "<time>",
        "calls": [{"id": "<id 2>", "name": "f"}, {"id": "<id 3>", "name": "call_b or not"}],
        "result": {"tool_call_id": "<id 2>", "text": "for <id 2> at <time>"},
        "url": "http://127.0.0.1:<port>/v1",
        "trace": "<id 4>",
        "own": "<id 5>",
        "flag": True,
        "none": None,
        "count": 3,
    }


async def test_stable_dumps_of_two_seeds_are_equal(fake: Fake) -> None:
    """The seed decides ids, and nothing else of a scripted answer."""
    twin = FAKES[fake.dialect](seed="another")
    for one in (fake, twin):
        await say(one.reply("Hi", usage=(1, 2)), HI)

    ours, theirs = [stable([json.loads(one.last.written), one.last.outcome]) for one in (fake, twin)]

    assert ours == theirs
    assert fake.last.written != twin.last.written or fake.dialect == "cohere"


# Attempts.


def made(arrived: float, **members: Any) -> Call:
    """A call that failed as it came, unless said otherwise."""
    usual: dict[str, Any] = {
        "ordinal": 1,
        "method": "POST",
        "path": "/x",
        "raw": b"a",
        "status": 500,
        "outcome": "failed",
        "answered": arrived,
        "ended": arrived,
    }
    return Call(arrived=arrived, **{**usual, **members})


def sizes(*calls: Call) -> list[int]:
    """How many attempts each request had."""
    return [len(one.calls) for one in attempts_of(calls)]


def test_the_same_again_after_a_failure_is_an_attempt() -> None:
    """After a success it is a new request; so is another body, and a call that came while the first was served."""
    ok: dict[str, Any] = {"outcome": "completed", "status": 200}

    assert sizes(made(1), made(2), made(3, **ok), made(4)) == [3, 1]
    assert sizes(made(1), made(2, raw=b"b"), made(3)) == [2, 1]
    assert sizes(made(1, answered=5, ended=5), made(2)) == [1, 1]
    assert sizes(made(1, status=200, outcome="faulted", ended=3), made(2)) == [1, 1]
    assert sizes(made(1, status=200, outcome="faulted", ended=2), made(2)) == [2]
    assert sizes(made(1, status=200, outcome="client_closed", ended=2.1), made(2)) == [2]
    assert sizes(made(1, status=200, outcome="pending", ended=None), made(2)) == [1, 1]
    assert sizes(made(1, outcome="refused", status=400), made(2)) == [2]


def test_equal_requests_at_once_are_retried_in_turn() -> None:
    """Two and two, not one of three and one."""
    calls = [made(one) for one in (1, 1, 2, 2)]

    (first, second) = attempts_of([made(1, answered=1.5), made(1.1, answered=1.5), *calls[2:]])

    assert (len(first.calls), len(second.calls)) == (2, 2)
    assert str(first) == "POST /x: 2 attempts (#1 500, #1 500), after 0.500 s"


async def test_attempts_and_waits_of_a_client(fake: Fake) -> None:
    """Chained: so often, and so long between."""
    fake.fail(429, times=2).reply("ok")
    for _ in range(3):
        await ask(fake)
        fake.clock.advance(0.25)  # type: ignore[attr-defined]

    assert fake.assert_attempts(3).assert_waited(">=0.2").assert_waited("< 1s").assert_waited(0.25) is fake.calls
    assert fake.assert_attempts(3, user="Hi", model=MODELS[fake.dialect])
    with pytest.raises(
        AssertionError,
        match=r"expected 2 attempts of each request:\n  POST /.*: 3 attempts \(#1 429, #2 429, #3 200\), after 0.250 s",
    ):
        fake.assert_attempts(2)
    with pytest.raises(AssertionError, match="expected 2 attempts of a request, none came"):
        fake.assert_attempts(2, user="Ho")
    with pytest.raises(AssertionError, match=r"expected waits of >=300ms between attempts:(.|\n)*after 0.250 s"):
        fake.calls.assert_waited(">=300ms")
    with pytest.raises(AssertionError, match="nothing was tried twice"):
        fake.calls.assert_waited(1, user="Ho")
    with pytest.raises(ValueError, match=r"takes a number of seconds, or a form such as (.*), got 'long'"):
        fake.calls.assert_waited("long")


@pytest.mark.parametrize(
    ("form", "bad"),
    [(">=0.2", [0]), (">0.2", [0]), ("<= 300ms", [1]), ("<1", []), (0.1, []), (0.3, [0]), ("> 0.31 s", [0, 1])],
)
def test_forms_of_waits(form: str | float, bad: list[int]) -> None:
    """Seconds, milliseconds, four comparisons; a number is the least."""
    assert fits([0.1999, 0.3001], form) == bad


def test_how_long_a_client_waited() -> None:
    """From the head of the answer, by the machine's clock or by the fake's, whichever went further."""
    assert waited(made(1, answered=1.5), made(2)) == 0.5
    assert waited(made(1, answered=None), made(2)) == 1
    assert waited(made(1, at=10), made(1.25, at=13)) == 3


async def test_what_an_answer_says_of_trying_again() -> None:
    """Every form of it; Gemini's stands in the details of the error."""
    forms: list[tuple[Any, float | None, bool]] = [
        ({"retry_after": 0.5}, 0.5, False),
        ({"retry_after": 2, "retry_form": "seconds"}, 2.0, False),
        ({"retry_after": 0.05, "retry_form": "ms"}, 0.05, False),
        ({"retry_after": 0.05, "retry_form": "both"}, 0.05, False),
        ({"retry_after": 30, "retry_form": "date"}, 30.0, False),
        ({"should_retry": False}, None, True),
        ({"should_retry": True}, None, False),
        ({"headers": {"retry-after": "soon"}}, None, False),
        ({}, None, False),
    ]
    for dialect in FAKES:
        for ways, seconds, never in forms:
            fake = FAKES[dialect](seed=1).fail(429, **ways)
            await ask(fake)
            assert told(fake.last) == (seconds, never), (dialect, ways)


async def test_a_stream_of_gemini_errors_is_read_too() -> None:
    """Without SSE its errors are lists."""
    fake = FAKES["gemini"]().fail(429, retry_after=3)
    await request(
        fake,
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
        question("gemini"),
        headers=credentials(fake),
    )

    assert told(fake.last).seconds == 3


def test_a_journal_is_a_sequence() -> None:
    """It can be sliced and emptied."""
    journal = Journal()
    calls = [made(1), made(2)]
    for one in calls:
        journal.add(one)

    assert journal[:1] == calls[:1]
    assert list(journal) == calls
    journal.clear()
    assert len(journal) == 0
    assert journal.attempts == []


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_an_sdks_retries_are_attempts(dialect: str, sdk: Callable[..., Any]) -> None:
    """The official SDK sends the same bytes again, as often as it is told to."""
    fake = FAKES[dialect](seed=7)
    fake.fail(429, retry_after=0.05, retry_form="ms", times=2).reply("One")
    client = sdk(fake, retries=2)

    assert stream_text(client, dialect) == "One"

    fake.assert_attempts(3).assert_waited(">=0.05").assert_waited("<2")


def test_arguments_of_expected_calls_may_be_the_sdks_own_objects(sdk: Callable[..., Any]) -> None:
    """What the SDK gave can be held against what was sent back."""
    fake = FakeOpenAI().tool_call("f", city="Rome").reply("Done.")
    client = sdk(fake)
    tools = chat("openai", HI, tools=["f"])["tools"]
    messages: list[Any] = [{"role": "user", "content": "Hi"}]
    message = client.chat.completions.create(model="gpt-4o", messages=messages, tools=tools).choices[0].message
    messages += [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "21"}]
    client.chat.completions.create(model="gpt-4o", messages=messages, tools=tools)

    fake.calls.assert_called_with(messages=["Hi", message, like({"role": "tool", "tool": "f"})], tools=tools)
    fake.calls.assert_called_with(
        messages=like([Message(role="assistant", calls=(ToolCall("f", {"city": "Rome"}, message.tool_calls[0].id),))])
    )


async def test_calls_at_once_are_all_noted(fake: Fake) -> None:
    """Each with its own ordinal and answer."""
    await asyncio.gather(*(say(fake, ("user", f"text {number}")) for number in range(30)))

    assert [one.ordinal for one in fake.calls] == list(range(1, 31))
    assert {one.request.user for one in fake.calls if one.request} == {f"text {number}" for number in range(30)}
    assert {one.outcome for one in fake.calls} == {"completed"}


async def test_a_failure_is_no_answer_of_the_models(fake: Fake) -> None:
    """A call that got an error has a step and no turn."""
    await ask(fake.enqueue(fail(500)))

    assert fake.last.turn is None
    assert fake.last.step == fail(500)
