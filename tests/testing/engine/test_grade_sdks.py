"""What the grade finds in the conduct of the official SDKs on a socket, and of a client that nobody should write."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest
from cohere.core.api_error import ApiError

from compatgw_testing import Fake, FakeCohere, FakeOpenAI, fail, reply, tool_call
from compatgw_testing.doors import inprocess
from compatgw_testing.rules import when
from compatgw_testing.verdict import Seen
from tests.testing.doors.sdks import stream_text
from tests.testing.driver import FAKES, credentials
from tests.testing.engine.asking import chat

HI = ("user", "Hi")
TEXT = "One two three four"


@pytest.fixture
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> list[Fake]:
    """What sync SDKs sleep passes on the clocks of these fakes, and not at all otherwise."""
    fakes: list[Fake] = []

    def sleep(seconds: float) -> None:
        for one in fakes:
            one.clock.advance(seconds)  # type: ignore[attr-defined]

    monkeypatch.setattr(time, "sleep", sleep)
    return fakes


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("form", ["seconds", "ms", "both"])
def test_the_official_sdks_behave(dialect: str, form: Any, sdk: Callable[..., Any]) -> None:
    """Two retries, each after the time told, on a socket in real time."""
    fake = FAKES[dialect]().fail(429, retry_after=0.05, retry_form=form).fail(503, retry_after=0.04, retry_form=form)
    fake.reply(TEXT)

    assert stream_text(sdk(fake, retries=2), dialect) == TEXT

    fake.grade(saw=[Seen(text=TEXT, finish="stop")]).assert_ok("warning")
    fake.assert_attempts(3)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_the_official_sdks_do_not_retry_what_must_not_be(fake: Fake, status: int, sdk: Callable[..., Any]) -> None:
    """None of the four."""
    client = sdk(fake.always(fail(status)), retries=2)

    with pytest.raises(Exception, match=r"."):
        stream_text(client, fake.dialect)

    fake.assert_attempts(1)
    fake.grade().assert_ok("warning")


def test_cohere_does_not_read_fractions_of_a_second(no_sleep: list[Fake], sdk: Callable[..., Any]) -> None:
    """It was told 1.9 s and came back after its own second or so; whole seconds it obeys."""
    for seconds, kinds in ((1.9, ("retry_after_ignored",)), (2, ())):
        fake = FakeCohere().fail(429, retry_after=seconds).reply("Hello")
        no_sleep[:] = [fake]
        client = sdk(fake)

        answer = client.chat(model="command-a-03-2025", messages=[{"role": "user", "content": "Hi"}])

        assert answer.message.content[0].text == "Hello"
        assert fake.grade().kinds == kinds
        fake.assert_attempts(2)


def test_a_naive_loop_does_all_of_it_wrong(origin: Callable[[Fake], str]) -> None:
    """Until it works, at once, whatever was said; and half an answer is an answer."""
    fake = FakeOpenAI()
    fake.fail(429, retry_after=30, times=5).fail(400).fault(TEXT, cut_after=4).fault(TEXT, truncated=True)
    fake.reply("Fine.")
    url = origin(fake) + "/v1/chat/completions"
    asked = chat("openai", HI, stream=True)

    text = ""
    with httpx.Client(timeout=5) as client:
        while not text:
            try:
                answer = client.post(url, json=asked, headers=credentials(fake))
                text = "One two three four" if answer.status_code == 200 else ""
            except httpx.HTTPError:
                continue
        client.post(url, json=chat("openai", HI, ("assistant", text), ("user", "Go on")), headers=credentials(fake))

    found = fake.grade()
    assert found.kinds == (
        "retry_storm",
        "retry_after_ignored",
        "retried_what_must_not_be",
        "retried_after_first_byte",
        "truncated_stream_taken_as_complete",
    )
    assert len(found.errors) == 9


def test_an_agent_with_the_openai_sdk_is_fine(sdk: Callable[..., Any]) -> None:
    """A conversation with tools over a socket, streamed: nothing is lost."""
    fake = FakeOpenAI()
    fake.conversation(
        (when(user="Weather?"), [fail(503, retry_after=0.02), tool_call("f", city="Zürich", note='"x"')]),
        (when(tool_result="f"), reply("Warm.", usage=(5, 6))),
    )
    client = sdk(fake, retries=2)
    tools = chat("openai", tools=["f"])["tools"]
    messages: list[Any] = [{"role": "user", "content": "Weather?"}]
    with client.chat.completions.stream(model="gpt-4o", messages=messages, tools=tools) as stream:
        message = stream.get_final_completion().choices[0].message
    calls = message.tool_calls
    messages.append({"role": "assistant", "tool_calls": [one.to_dict() for one in calls]})
    for one in messages[-1]["tool_calls"]:
        one["function"].pop("parsed_arguments", None)
        one.pop("index", None)
    messages.append({"role": "tool", "tool_call_id": calls[0].id, "content": "21"})
    answer = client.chat.completions.create(model="gpt-4o", messages=messages, tools=tools)

    fake.verify()
    saw = [Seen(tool_calls=[(one.function.name, one.function.arguments) for one in calls]), Seen(usage=answer.usage)]
    fake.grade(saw=saw).assert_ok("warning")


def test_an_sdk_hides_a_truncation(fake: Fake, sdk: Callable[..., Any]) -> None:
    """All four SDKs do: whoever shows what they give shows it as whole."""
    text = stream_text(sdk(fake.fault(TEXT, truncated=True)), fake.dialect)

    assert fake.grade(saw=[Seen(text=text)]).kinds == ("truncated_stream_taken_as_complete",)


def test_a_user_that_leaves_is_seen_by_the_fake() -> None:
    """An SDK that closes its stream cancels the call."""
    fake = FakeOpenAI().reply("word " * 200)
    with inprocess.client(fake, sync=True) as http:
        client = openai.OpenAI(api_key=fake.api_key, base_url="http://fake.test/v1", http_client=http)
        stream = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        next(iter(stream))
        stream.close()

    fake.grade(saw=[Seen(left=True)]).assert_ok("warning")
    assert fake.last.outcome == "client_closed"


def test_cohere_swallows_an_error_event(sdk: Callable[..., Any]) -> None:
    """Its SDK hands it on as an event; an application that only takes texts shows half an answer."""
    fake = FakeCohere().fault(TEXT, error_after=4, error=500)
    try:
        text = stream_text(sdk(fake), "cohere")
    except ApiError as error:
        pytest.fail(f"the SDK raises now: {error}; mend the table of outcomes")

    assert fake.grade(saw=[Seen(text=text)]).kinds == ("error_event_swallowed",)
