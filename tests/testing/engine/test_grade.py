"""The grade: what each misbehaviour of a client looks like, that it is found, and that good conduct is not."""

from collections.abc import Callable
from typing import Any

import pytest

from compatgw_testing import Fake, FakeOpenAI, ToolCall, Usage, fault, reply, tool_call
from compatgw_testing.journal import Call
from compatgw_testing.verdict import Finding, Grade, Seen, grade, graded
from tests.testing.driver import ask, credentials, question
from tests.testing.engine import virtual
from tests.testing.engine.asking import say

HI = ("user", "Hi")
TEXT = "One two three four"


def only(found: Grade) -> Finding:
    """The one finding."""
    assert len(found.findings) == 1, found
    return found.findings[0]


async def again(fake: Fake, count: int, *, every: float = 0.0, **how: Any) -> None:
    """The same request, so often, with so much time of the fake's clock between."""
    for _ in range(count):
        await virtual.ask(fake, read_timeout=5, **how)
        fake.clock.advance(every)  # type: ignore[attr-defined]


# Retries.


async def test_good_conduct_has_no_finding(fake: Fake) -> None:
    """Overloaded twice, waited, answered, asked on."""
    fake.fail(503, retry_after=1, times=2).reply(TEXT).reply("Yes.")
    await again(fake, 3, every=1)
    await say(fake, HI, ("assistant", TEXT), ("user", "Sure?"))

    found = fake.grade(saw=[Seen(text=TEXT, finish="stop"), Seen(text="Yes.")])

    assert found.findings == ()
    assert repr(found) == "Grade: nothing found"
    found.assert_ok("warning")


async def test_a_storm(fake: Fake) -> None:
    """More attempts than anyone should make; where that begins can be said."""
    await again(fake.fail(503, times=6), 6, every=60)

    found = only(fake.grade())
    assert (found.kind, found.severity, found.calls) == ("retry_storm", "error", (1, 2, 3, 4, 5, 6))
    assert found.what == "One request was tried 6 times."
    assert "Give up after 5 attempts" in found.mend
    assert fake.grade(storm=6).findings == ()
    assert fake.grade(ignore=["retry_storm"]).findings == ()
    with pytest.raises(AssertionError, match=r"Grade: 1 found\n  error: retry_storm \(#1, #2"):
        fake.grade().assert_ok()


async def test_asking_the_same_after_an_answer_is_no_storm(fake: Fake) -> None:
    """Whatever it is good for."""
    await again(fake.always("Hi"), 20)

    assert fake.grade().findings == ()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_retried_what_must_not_be(fake: Fake, status: int) -> None:
    """The same request cannot get another answer."""
    await again(fake.fail(status).reply(TEXT), 2, every=9)

    found = only(fake.grade())
    assert (found.kind, found.severity, found.calls) == ("retried_what_must_not_be", "error", (1, 2))
    assert f"came again after {status}" in found.what
    if "x-should-retry" not in fake.calls[0].response_headers:
        assert fake.grade(final=[418]).findings == ()


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
async def test_what_may_be_retried(fake: Fake, status: int) -> None:
    """Everything that may come out otherwise."""
    await again(fake.fail(status).reply(TEXT), 2, every=1)

    assert fake.grade().findings == ()


async def test_a_request_that_the_fake_refused_by_itself(fake: Fake) -> None:
    """A bad key is no better the second time."""
    for _ in range(2):
        await ask(fake, headers={name: "wrong" for name in credentials(fake) if "version" not in name})

    assert only(fake.grade()).kind == "retried_what_must_not_be"


async def test_a_mended_request_is_another_one(fake: Fake) -> None:
    """After 400 one may ask otherwise."""
    fake.fail(400).reply(TEXT)
    await say(fake, HI)
    await say(fake, ("user", "Hi, please"))

    assert fake.grade().findings == ()


async def test_what_the_server_says_of_retrying_counts_more_than_the_status(fake: Fake) -> None:
    """`x-should-retry` forbids and allows."""
    await again(fake.fail(503, should_retry=False).reply(TEXT), 2)
    assert "after x-should-retry: false" in only(fake.grade()).what

    fake.reset()
    await again(fake.fail(400, should_retry=True).reply(TEXT), 2)
    assert fake.grade().findings == ()


async def test_an_empty_account_stays_empty(fake: Fake) -> None:
    """A quota that is used up is a 429 as a busy minute is: a warning, where the status alone says nothing."""
    await again(fake.fail("quota").reply(TEXT), 2, every=9)

    found = only(fake.grade())
    assert found.kind == "retried_what_must_not_be"
    assert found.severity == ("error" if fake.dialect == "anthropic" else "warning")
    if found.severity == "warning":
        fake.grade().assert_ok()
    with pytest.raises(AssertionError, match="retried_what_must_not_be"):
        fake.grade().assert_ok("warning")


@pytest.mark.parametrize("form", [None, "seconds", "ms", "both", "date"])
async def test_retry_after_ignored(fake: Fake, form: Any) -> None:
    """In every form; a little early is early, a little rounding is not."""
    early, right = type(fake)(), type(fake)()
    for one, waits in ((early, 1.9), (right, 2)):
        one.fail(429, retry_after=2, retry_form=form).reply(TEXT)
        await again(one, 2, every=waits)

    found = only(early.grade())
    assert (found.kind, found.severity, found.calls) == ("retry_after_ignored", "error", (1, 2))
    assert found.what == "The answer said to wait 2 s, the next attempt came after 1.900 s."
    assert right.grade().findings == ()
    assert early.grade(tolerance=0.1).findings == ()


async def test_waiting_longer_than_told_is_good_conduct(fake: Fake) -> None:
    """The server says the least."""
    await again(fake.fail(429, retry_after=0.3).reply(TEXT), 2, every=20)

    assert fake.grade().findings == ()


async def test_giving_up_is_good_conduct(fake: Fake) -> None:
    """Nobody has to retry."""
    await again(fake.fail(429, retry_after=60), 1)

    assert fake.grade(saw=[Seen(error="busy")]).findings == ()


@pytest.mark.parametrize(
    "way", [{"cut_after": 2}, {"reset_after": 2}, {"stall_after": 2}, {"error_after": 2}, {"truncate_after": 2}]
)
async def test_retried_after_the_first_byte(fake: Fake, way: dict[str, Any]) -> None:
    """The answer had begun: both are billed."""
    await again(fake.fault(TEXT, **way).reply(TEXT), 2, stream=True, every=1)

    found = only(fake.grade())
    assert (found.kind, found.severity, found.calls) == ("retried_after_first_byte", "error", (1, 2))
    assert f"after {len(fake.calls[0].written)} bytes" in found.what
    assert "bills both" in found.mend


@pytest.mark.parametrize(
    "way", [{"cut_after": 0}, {"refused": True}, {"slow": 99}, {"stall_after": 0}, {"error_after": 0}]
)
async def test_retried_before_the_first_byte(fake: Fake, way: dict[str, Any]) -> None:
    """Nothing of the answer had come: that is what retries are for."""
    await again(fake.fault(TEXT, **way).reply(TEXT), 2, stream=True, every=1)

    assert fake.grade().findings == ()


async def test_a_broken_plain_answer_may_be_asked_for_again(fake: Fake) -> None:
    """Every SDK does; it costs, so it is worth a warning."""
    await again(fake.fault(TEXT, cut_after=1).reply(TEXT), 2, every=1)

    found = only(fake.grade())
    assert (found.kind, found.severity) == ("retried_after_first_byte", "warning")
    assert "bytes of its answer had been sent" in found.what


# Cut streams.


@pytest.mark.parametrize("way", [{"truncated": True}, {"truncate_after": 3}, {"cut_after": 3}, {"stall_after": 3}])
async def test_a_truncated_stream_that_is_carried_on(fake: Fake, way: dict[str, Any]) -> None:
    """The next request has the piece as the assistant's answer."""
    fake.fault(TEXT, **way).reply("Yes.")
    await virtual.ask(fake, stream=True, read_timeout=5)
    await say(fake, HI, ("assistant", "One two"), ("user", "Sure?"))

    found = only(fake.grade())
    assert (found.kind, found.severity, found.calls) == ("truncated_stream_taken_as_complete", "error", (1, 2))
    assert "Call #2 carries it on as whole." in found.what


async def test_a_truncated_made_up_answer(fake: Fake) -> None:
    """The text is known though nobody scripted it."""
    fake.fault(truncated=True)
    await ask(fake, stream=True)
    turn = fake.last.turn
    assert turn is not None
    await say(fake, HI, ("assistant", str(turn.text)), ("user", "Sure?"))

    assert only(fake.grade()).kind == "truncated_stream_taken_as_complete"


async def test_a_truncated_stream_that_is_shown_as_whole(fake: Fake) -> None:
    """What only the user saw, the test tells; an error that was shown is all that is asked."""
    await ask(fake.fault(TEXT, truncated=True), stream=True)

    found = only(fake.grade(saw=[Seen(text=TEXT, finish="stop")]))
    assert found.kind == "truncated_stream_taken_as_complete"
    assert "shown with the finish 'stop' and no error" in found.what
    assert only(fake.grade(saw=[Seen(call=1, text=TEXT)])).kind == "truncated_stream_taken_as_complete"
    for knowing in (
        Seen(error="the answer broke off"),
        Seen(finish="error"),
        Seen(finish="incomplete"),
        Seen(left=True),
    ):
        assert fake.grade(saw=[knowing]).findings == ()
    assert fake.grade().findings == ()


@pytest.mark.parametrize(
    "way", [{"no_end_mark": True}, {"two_end_marks": True}, {"cut_after": 99}, {"dribble": 0.01}, {"garbage_after": 1}]
)
async def test_a_stream_that_said_how_it_finished_is_whole(fake: Fake, way: dict[str, Any]) -> None:
    """A missing end mark after the finish reason loses nothing."""
    if fake.dialect == "gemini" and "no_end_mark" in way:
        pytest.skip("Gemini's end mark is its finish reason")
    fake.fault(TEXT, **way).reply("Yes.")
    await virtual.ask(fake, stream=True)
    await say(fake, HI, ("assistant", TEXT), ("user", "Sure?"))

    assert fake.grade(saw=[Seen(text=TEXT, finish="stop")]).findings == ()


async def test_another_answer_in_the_history_is_no_proof(fake: Fake) -> None:
    """The application may have put its own words there, or begun anew."""
    fake.fault(TEXT, truncated=True)
    fake.always("Yes.")
    await ask(fake, stream=True)
    await say(fake, HI, ("assistant", "Sorry, that broke off."), ("user", "Again?"))
    await say(fake, ("user", "Hello"), ("assistant", "One two"), ("user", "Sure?"))
    await say(fake, HI)

    assert fake.grade(ignore=["retried_after_first_byte"]).findings == ()


async def test_a_retry_that_was_whole_is_what_was_carried_on(fake: Fake) -> None:
    """A cut stream that was asked for again is not blamed for the answer to the second attempt."""
    fake.fault(TEXT, cut_after=3).reply(TEXT).reply("Yes.")
    await again(fake, 2, stream=True)
    await say(fake, HI, ("assistant", TEXT), ("user", "Sure?"))

    assert only(fake.grade()).kind == "retried_after_first_byte"


async def test_equal_requests_go_on_with_answers_of_their_own(fake: Fake) -> None:
    """Asked twice, answered twice, carried on twice."""
    fake.tool_call("f", city="Rome").tool_call("f", city="Oslo").reply("Yes.", times=2)
    for _ in range(2):
        await say(fake, HI, tools=["f"])
    for city in ("Rome", "Oslo"):
        await say(fake, HI, ("call", "f", {"city": city}), ("result", "f", "21"), tools=["f"])

    assert fake.grade().findings == ()


async def test_a_truncated_tool_call_that_is_carried_on(fake: Fake) -> None:
    """Its arguments may be half of what they should be."""
    fake.fault(tool_call("f", city="Rome"), truncated=True).reply("Yes.")
    await say(fake, HI, tools=["f"], stream=True)
    await say(fake, HI, ("call", "f", {"city": "Rome"}), ("result", "f", "21"), tools=["f"])

    assert only(fake.grade()).kind == "truncated_stream_taken_as_complete"


# Errors in streams.


async def test_an_error_event_that_is_swallowed(fake: Fake) -> None:
    """The piece before it goes on as the answer, or is shown as one."""
    fake.fault(TEXT, error_after=4, error="overloaded").reply("Yes.")
    await ask(fake, stream=True)

    found = only(fake.grade(saw=[Seen(text="One two", finish="stop")]))
    assert (found.kind, found.severity, found.calls) == ("error_event_swallowed", "error", (1,))
    await say(fake, HI, ("assistant", "One two"), ("user", "Sure?"))
    found = only(fake.grade())
    assert found.calls == (1, 2)
    assert "Call #2 goes on as if it had not been" in found.what
    assert fake.grade(saw=[Seen(error=ValueError("overloaded")), Seen()], ignore=[found.kind]).findings == ()


@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_under_200_that_is_swallowed(fake: Fake, stream: bool) -> None:
    """There is no answer at all."""
    await ask(fake.fault(error_200=True, error=429), stream=stream)

    assert only(fake.grade(saw=[Seen(text="", finish="stop")])).kind == "error_event_swallowed"
    assert fake.grade(saw=[Seen(error="rate limit")]).findings == ()
    assert fake.grade().findings == ()


async def test_an_error_instead_of_a_stream_is_no_error_event(fake: Fake) -> None:
    """A plain answer says so in its status."""
    await ask(fake.fault(TEXT, error_after=1, error=503))

    assert fake.grade(saw=[Seen(text="")]).findings == ()


# Tool calls.


async def test_arguments_that_come_back_otherwise(fake: Fake) -> None:
    """The next request shows what the client made of the calls."""
    fake.tool_call("f", city="Rome", days=[1, 2]).reply("Yes.", times=2)
    await say(fake, HI, tools=["f"], stream=True)
    await say(fake, HI, ("call", "f", {"city": "Rome", "days": [1, 2]}), ("result", "f", "21"), tools=["f"])
    assert fake.grade().findings == ()
    await say(fake, HI, ("call", "f", {}), ("result", "f", "21"), tools=["f"])

    found = only(fake.grade())
    assert (found.kind, found.severity, found.calls) == ("tool_arguments_lost", "error", (1, 3))
    assert "calls.f.city: missing, expected 'Rome'" in found.what


async def test_a_call_that_does_not_come_back(fake: Fake) -> None:
    """Of two, one is lost."""
    fake.tool_calls(("f", {"city": "Rome"}), ("g", {"city": "Oslo"})).reply("Yes.")
    await say(fake, HI, tools=["f", "g"])
    await say(fake, HI, ("call", "f", {"city": "Rome"}), ("result", "f", "21"), tools=["f", "g"])

    assert "calls.g: missing, got f" in only(fake.grade()).what


async def test_arguments_that_are_shown_otherwise(fake: Fake) -> None:
    """A gateway's user sees them, the fake does not."""
    await say(fake.tool_calls(("f", {"city": "Rome"}), ("f", {"city": "Oslo"})), HI, tools=["f"])
    right = [("f", {"city": "Rome"}), ToolCall("f", '{"city": "Oslo"}', "id")]

    assert fake.grade(saw=[Seen(tool_calls=right)]).findings == ()
    assert fake.grade(saw=[Seen(text="x")]).findings == ()
    for wrong, words in (
        (None, "calls.f: missing, got no call"),
        ([], "calls.f: missing, got no call"),
        (right[:1], "calls.f: missing, got f"),
        ([right[0], ("f", {"city": ""})], "calls.f.city: expected 'Oslo', got ''"),
        ([right[0], ("f", '{"city": "Os')], 'got \'{"city": "Os\''),
        ([*right, ("g", {})], "calls.g: not expected"),
    ):
        found = only(fake.grade(saw=[Seen(tool_calls=wrong)]))
        assert found.kind == "tool_arguments_lost"
        assert words in found.what


async def test_arguments_broken_on_purpose_cannot_be_lost(fake: Fake) -> None:
    """The script gave them as text."""
    await say(fake.reply(calls=[ToolCall("f", '{"a":')], finish="length"), HI, tools=["f"])

    assert fake.grade(saw=[Seen(tool_calls=[])]).findings == ()


# Usage.


def body(fake: Fake, *, stream: bool) -> dict[str, Any]:
    """A request that asks for usage, where one has to."""
    asked = {"stream_options": {"include_usage": True}} if stream and fake.dialect == "openai" else {}
    return question(fake.dialect, "Hi", **asked)


@pytest.mark.parametrize("stream", [True, False])
async def test_usage_that_is_lost(fake: Fake, stream: bool) -> None:
    """Nothing shown, zeros shown, another number shown."""
    await ask(fake.reply(TEXT, usage=(12, 3)), body(fake, stream=stream), stream=stream)

    for shown in ((12, 3), Usage(12, 3), {"prompt_tokens": 12, "completion_tokens": 3}, {"input": 12, "output": 3}):
        assert fake.grade(saw=[Seen(usage=shown)]).findings == ()
    for lost, words in (
        (None, "no usage"),
        ((0, 0), "0 and 0 tokens"),
        ({"input_tokens": 12, "output_tokens": 4}, "12 and 4"),
    ):
        found = only(fake.grade(saw=[Seen(usage=lost)]))
        assert (found.kind, found.severity) == ("usage_lost", "error")
        assert "told 12 tokens in and 3 out" in found.what
        assert words in found.what
    assert fake.grade(saw=[Seen(text=TEXT)]).findings == ()


async def test_usage_that_was_never_sent_is_not_lost() -> None:
    """OpenAI's streams tell it only if they are asked to."""
    fake = FakeOpenAI().reply(TEXT, usage=(12, 3)).fault(TEXT, truncated=True)
    await ask(fake, stream=True)
    await ask(fake, stream=True)

    assert fake.grade(saw=[Seen(usage=None), Seen(error="broken", usage=None)]).findings == ()


def test_usage_of_an_sdk_is_understood(sdk: Callable[..., Any]) -> None:
    """The SDK's own object can be told."""
    fake = FakeOpenAI().reply(TEXT, usage=(12, 3))
    answer = sdk(fake).chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])

    assert fake.grade(saw=[Seen(usage=answer.usage, text=TEXT)]).findings == ()


# Cancelling.


async def test_an_upstream_that_is_not_cancelled(fake: Fake) -> None:
    """The user left, the answer was read to its end."""
    fake.reply("word " * 20, times=2)
    await ask(fake, stream=True)
    await ask(fake, stream=True, leave_after=2)

    found = only(fake.grade(saw=[Seen(left=True), Seen(left=True)]))
    assert (found.kind, found.severity, found.calls) == ("upstream_not_cancelled", "error", (1,))
    assert "was read to its end" in found.what
    assert fake.grade(saw=[Seen(), Seen(left=True)]).findings == ()


def test_a_call_that_is_left_open() -> None:
    """Asked again, and never closed the first: seen on the wire, on a journal made by hand."""
    calls = [
        Call(ordinal=1, method="POST", path="/x", raw=b"a", status=200, step=fault(TEXT, stall_after=2)),
        Call(ordinal=2, method="POST", path="/x", raw=b"a", status=200, step=reply(TEXT), outcome="completed"),
    ]

    found = only(grade(calls))
    assert (found.kind, found.calls) == ("upstream_not_cancelled", (1, 2))
    assert "call #1 is still open" in found.what
    assert only(grade(calls[:1], saw=[Seen(left=True)])).kind == "upstream_not_cancelled"


# What was seen of which call.


async def test_seen_goes_with_the_last_attempt(fake: Fake) -> None:
    """One for each request, unless a call is named."""
    fake.fail(503).fault(TEXT, truncated=True).reply(TEXT)
    await again(fake, 2, stream=True)
    await say(fake, ("user", "Other"))

    assert only(fake.grade(saw=[Seen(text=TEXT), Seen(text=TEXT)])).calls == (2,)
    assert only(fake.grade(saw=[Seen(call=2, text=TEXT)])).calls == (2,)
    assert fake.grade(saw=[Seen(call=3, text=TEXT)]).findings == ()
    with pytest.raises(ValueError, match="Seen tells of call #9, but the fake got 3 calls for 2 requests"):
        fake.grade(saw=[Seen(call=9)])
    with pytest.raises(ValueError, match="Seen tells of request 3"):
        fake.grade(saw=[Seen(), Seen(), Seen()])


def test_grades_of_several_fakes_are_one() -> None:
    """Each finding names its fake."""
    one = Finding(kind="retry_storm", severity="error", calls=(1, 2), what="What.", mend="Mend.")
    two = Finding(kind="usage_lost", severity="warning", calls=(1,), what="What.", mend="Mend.")

    found = graded({"openai": Grade((one,)), "cohere": Grade((two,)), "gemini": Grade()})

    assert found.kinds == ("retry_storm", "usage_lost")
    assert [str(each) for each in found.findings] == [
        "error: retry_storm (openai #1, #2): What. Mend.",
        "warning: usage_lost (cohere #1): What. Mend.",
    ]
    assert (len(found.errors), len(found.warnings)) == (1, 1)
    with pytest.raises(AssertionError, match="Grade: 1 found"):
        found.assert_ok()
    with pytest.raises(AssertionError, match="Grade: 2 found"):
        found.assert_ok("warning")
    with pytest.raises(ValueError, match="'error' or 'warning', got 'strict'"):
        found.assert_ok("strict")  # type: ignore[arg-type]


async def test_a_grade_is_stable(fake: Fake) -> None:
    """Two runs say the same, word for word."""
    reprs = []
    for one in (fake, type(fake)(seed=7)):
        one.fail(429, retry_after=2).fail(400).fault(TEXT, cut_after=2).reply(TEXT)
        await again(one, 4, stream=True, every=1)
        reprs.append(repr(one.grade()))

    assert reprs[0] == reprs[1]
    assert reprs[0].splitlines()[0] == "Grade: 3 found"
