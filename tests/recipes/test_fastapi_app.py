"""Recipe: a FastAPI application that asks a model, tested unchanged.

The application makes its own SDK client, as it does in production; `fake_llm` points the
environment at the fakes.
"""

import openai
import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient

from compatgw_testing import FakeLLM, contains


def build() -> FastAPI:
    """The application under test."""
    app = FastAPI()

    @app.get("/summary")
    async def summary(text: str) -> dict[str, str]:
        async with openai.AsyncOpenAI(max_retries=1) as client:
            try:
                answer = await client.chat.completions.create(
                    model="gpt-4o-mini",
                    messages=[
                        {"role": "system", "content": "Summarise in three words."},
                        {"role": "user", "content": text},
                    ],
                )
            except openai.RateLimitError:
                raise HTTPException(503, "busy, try again later") from None
        return {"summary": answer.choices[0].message.content or ""}

    return app


def test_the_summary_is_the_models(fake_llm: FakeLLM) -> None:
    """What the model says is what the caller reads; what the model was asked is in the journal."""
    fake_llm.openai.on(user=contains("whale")).reply("Big sea mammal")

    with TestClient(build()) as browser:
        answer = browser.get("/summary", params={"text": "The whale is ..."})

    assert answer.json() == {"summary": "Big sea mammal"}
    fake_llm.openai.calls.assert_called_once_with(model="gpt-4o-mini", system="Summarise in three words.")


@pytest.mark.parametrize("attempts", [2])
def test_an_overloaded_model_is_a_503(fake_llm: FakeLLM, attempts: int) -> None:
    """One retry, as configured, then an honest answer."""
    fake_llm.openai.fail(429, retry_after=0.01, times=attempts)

    with TestClient(build()) as browser:
        answer = browser.get("/summary", params={"text": "anything"})

    assert answer.status_code == 503
    assert len(fake_llm.openai.calls) == attempts
