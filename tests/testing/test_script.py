"""The script: order, repetition, the standing answer, and mistakes that it names."""

import pytest

from compatgw_testing import (
    Fake,
    FakeOpenAI,
    ScriptError,
    ToolCall,
    Turn,
    Usage,
    fail,
    refuse,
    reply,
    tool_call,
    tool_calls,
)
from compatgw_testing.script import words
from tests.testing.driver import ask


def said(answer: object) -> str:
    """The text of a completion."""
    return str(answer.json["choices"][0]["message"]["content"])  # type: ignore[attr-defined]


async def test_steps_are_played_in_order_and_once() -> None:
    """One call each; afterwards the answer is made up."""
    fake = FakeOpenAI().reply("one").reply("two").fail(500)

    answers = [await ask(fake) for _ in range(4)]

    assert [one.status for one in answers] == [200, 200, 500, 200]
    assert [said(one) for one in answers[:2]] == ["one", "two"]
    assert [call.step is None for call in fake.calls] == [False, False, False, True]


async def test_a_standing_answer_serves_whenever_nothing_is_queued() -> None:
    """`always` does not count as unused."""
    fake = FakeOpenAI().always("again").reply("first")

    texts = [said(await ask(fake)) for _ in range(3)]

    assert texts == ["first", "again", "again"]
    assert fake.unused == ()


async def test_a_standing_failure() -> None:
    """Any step may stand."""
    fake = FakeOpenAI().always(fail(503))

    assert [(await ask(fake)).status for _ in range(2)] == [503, 503]


async def test_unused_steps_are_seen() -> None:
    """What no call has taken stays in `unused`."""
    fake = FakeOpenAI().reply("a", times=2).tool_call("f", x=1)

    await ask(fake)

    assert fake.unused == (reply("a"), tool_call("f", x=1))


async def test_reset_forgets_everything() -> None:
    """Script, journal and ids start over."""
    fake = FakeOpenAI().always("a").reply("b").reply("c")
    first = await ask(fake)

    fake.reset()
    again = await ask(fake.reply("b"))

    assert len(fake.calls) == 1
    assert again.raw == first.raw


async def test_raw_bytes_are_sent_as_they_are(fake: Fake) -> None:
    """For what the vocabulary cannot say."""
    fake.raw(b"data: 1\n\n", b"data: 2\n\n", status=203, headers={"content-type": "text/event-stream"})

    answer = await ask(fake)

    assert (answer.status, answer.pieces) == (203, [b"data: 1\n\n", b"data: 2\n\n"])
    assert answer.headers["content-type"] == "text/event-stream"


async def test_a_finish_reason_of_ones_own(fake: Fake) -> None:
    """An unknown word is the vendor's own and is sent as it is."""
    assert b'"strange"' in (await ask(fake.reply("a", finish="strange"))).raw.replace(b" ", b"")


async def test_extra_headers(fake: Fake) -> None:
    """Of answers and of failures."""
    fake.reply("a", headers={"x-one": "1"}).fail(429, headers={"x-two": "2"})

    assert (await ask(fake)).headers["x-one"] == "1"
    assert (await ask(fake)).headers["x-two"] == "2"


async def test_given_ids_and_broken_arguments() -> None:
    """An id of one's own is kept; arguments given as text are sent as they are."""
    fake = FakeOpenAI().reply(calls=[ToolCall("f", '{"a":', id="functions.f:0")])

    call = (await ask(fake)).json["choices"][0]["message"]["tool_calls"][0]

    assert call["id"] == "functions.f:0"
    assert call["function"]["arguments"] == '{"a":'


def test_chunks_have_to_join_to_the_text() -> None:
    """A script that contradicts itself is refused where it is written."""
    with pytest.raises(ScriptError, match="chunks join to 'ab'"):
        reply("a b", chunks=["a", "b"])

    assert reply(chunks=["a", " b"]).text == "a b"


def test_usage_has_to_add_up() -> None:
    """Parts are counted within the whole."""
    with pytest.raises(ScriptError, match="does not add up"):
        Usage(input=3, output=1, cached=2, cache_write=2)
    with pytest.raises(ScriptError, match="does not add up"):
        reply("a", usage={"input": 3, "output": 1, "reasoning": 2})


def test_a_failure_that_the_vendor_does_not_know_is_refused_in_the_script(fake: Fake) -> None:
    """Not when the call comes, when nobody sees it."""
    with pytest.raises(ScriptError, match=r"no failure named 'meltdown'; it knows .*quota"):
        fake.fail("meltdown")
    with pytest.raises(ScriptError, match="no failure named 'meltdown'"):
        fake.always(fail("meltdown"))
    with pytest.raises(ScriptError, match="no failure named 'meltdown'"):
        fake.fault(error_after=1, error="meltdown")


async def test_statuses_that_the_vendor_does_not_use_are_served_too(fake: Fake) -> None:
    """A proxy in front of it may say anything."""
    assert (await ask(fake.fail(418))).status == 418


def test_the_vocabulary_builds_turns() -> None:
    """Every word of it, written out."""
    assert tool_calls(("f", {"a": 1}), ToolCall("g"), text="t", reasoning="r", usage=(1, 2)) == Turn(
        text="t", reasoning="r", calls=(ToolCall("f", {"a": 1}), ToolCall("g")), usage=Usage(1, 2)
    )
    assert refuse("No.", usage=(1, 2)) == Turn(refusal="No.", usage=Usage(1, 2))
    assert fail("quota", "Sorry.").name == "quota"


@pytest.mark.parametrize("text", ["", " ", "a", " a  b\n\nc ", "日本語 👋 é", "\n"])
def test_words_join_to_the_text(text: str) -> None:
    """Splitting loses nothing."""
    assert "".join(words(text)) == text


async def test_the_journal_counts_and_complains(fake: Fake) -> None:
    """Its messages list the calls."""
    with pytest.raises(AssertionError, match="never called"):
        _ = fake.last
    fake.journal.assert_not_called()

    await ask(fake)
    assert fake.assert_called_once() is fake.last
    await ask(fake)

    with pytest.raises(AssertionError, match=r"expected one call, the fake got 2\n(.|\n)*#2 POST"):
        fake.assert_called_once()
    with pytest.raises(AssertionError, match="expected no call"):
        fake.journal.assert_not_called()
    assert fake.calls[0].ordinal == 1
    assert [call.ordinal for call in fake.calls[:2]] == [1, 2]
    assert fake.last.headers
    assert fake.last.body
    fake.calls.clear()
    assert repr(fake.calls) == "Journal: no call"
