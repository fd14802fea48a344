"""Recipe: does the application retry what it should, as long as it should, and nothing else?"""

import anthropic
import openai
import pytest

from compatgw_testing import FakeLLM


def ask_claude(text: str) -> str:
    """The application under test."""
    with anthropic.Anthropic(max_retries=2) as client:
        answer = client.messages.create(
            model="claude-sonnet-5", max_tokens=100, messages=[{"role": "user", "content": text}]
        )
    return answer.content[0].text if answer.content[0].type == "text" else ""


@pytest.mark.llm_grade
def test_an_overload_is_waited_out(fake_llm: FakeLLM) -> None:
    """Two overloads, each with a time to wait, then an answer; the marker grades the client's patience."""
    fake_llm.anthropic.fail("overloaded", retry_after=0.05, times=2).reply("Bonjour")

    assert ask_claude("Hello") == "Bonjour"
    fake_llm.anthropic.calls.assert_attempts(3)
    fake_llm.anthropic.calls.assert_waited(">=0.05")


def test_a_bad_request_is_not_tried_again(fake_llm: FakeLLM) -> None:
    """A context that is too long stays too long."""
    fake_llm.anthropic.fail("context_length")

    with pytest.raises(anthropic.BadRequestError):
        ask_claude("Hello")

    fake_llm.anthropic.assert_called_once()


def test_a_quota_that_refills(fake_llm: FakeLLM) -> None:
    """A true quota of two requests a minute: the third is refused until the fake's clock has gone on."""
    fake_llm.improvise()
    fake_llm.openai.quota(rpm=2)
    with openai.OpenAI(max_retries=0) as client:

        def ask() -> None:
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])

        ask()
        ask()
        with pytest.raises(openai.RateLimitError) as refused:
            ask()
        assert refused.value.response.headers["retry-after"] == "30"
        fake_llm.clock.advance(30)
        ask()
