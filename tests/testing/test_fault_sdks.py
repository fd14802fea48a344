"""What the official SDKs make of each fault on a real socket: the table that gateways are measured by."""

import json
from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from cohere.core.api_error import ApiError
from google.genai import errors as google

from compatgw_testing import Fake
from tests.testing.driver import FAKES, MODELS

HI = [{"role": "user", "content": "Hi"}]
TEXT = "One two three four"


def stream_text(client: Any, dialect: str) -> str:
    """The text of a streamed answer, as the SDK gives it piece by piece."""
    if dialect == "openai":
        chunks = client.chat.completions.create(model=MODELS[dialect], messages=HI, stream=True)
        return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    if dialect == "anthropic":
        with client.messages.stream(model=MODELS[dialect], max_tokens=99, messages=HI) as stream:
            return "".join(stream.text_stream)
    if dialect == "gemini":
        chunks = client.models.generate_content_stream(model=MODELS[dialect], contents="Hi")
        return "".join(chunk.text or "" for chunk in chunks)
    events = client.chat_stream(model=MODELS[dialect], messages=HI, request_options={"max_retries": 0})
    return "".join(event.delta.message.content.text for event in events if event.type == "content-delta")


# Fault, and per dialect what comes of it: an exception, or the text that the caller takes for the whole answer.
OUTCOMES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "broken connection": (
        {"cut_after": 4},
        {
            "openai": openai.APIConnectionError,
            "anthropic": httpx2.RemoteProtocolError,
            "gemini": httpx2.RemoteProtocolError,
            "cohere": httpx.RemoteProtocolError,
        },
    ),
    "clean early end": ({"truncated": True}, dict.fromkeys(FAKES, TEXT)),
    "broken JSON": (
        {"garbage_after": 3},
        {
            "openai": json.JSONDecodeError,
            # An event of no name would be skipped; this one is a delta, so the SDK reads it.
            "anthropic": json.JSONDecodeError,
            "gemini": google.UnknownApiResponseError,
            "cohere": TEXT,
        },
    ),
    "HTML page under 502": (
        {"html": 502},
        {
            "openai": openai.InternalServerError,
            "anthropic": anthropic.InternalServerError,
            "gemini": google.ServerError,
            "cohere": ApiError,
        },
    ),
    "error inside the stream": (
        {"error_after": 4, "error": 500},
        {
            "openai": openai.APIError,
            "anthropic": anthropic.APIStatusError,
            "gemini": google.ServerError,
            # The SDK hands the event on, with finish reason ERROR; only the text is short.
            "cohere": "One two",
        },
    ),
}


@pytest.mark.parametrize("fault", OUTCOMES)
def test_outcome(fake: Fake, sdk: Callable[..., Any], fault: str) -> None:
    """An exception of this class, or silence: no SDK notices a clean early end."""
    way, outcomes = OUTCOMES[fault]
    client, expected = sdk(fake.fault(TEXT, **way)), outcomes[fake.dialect]

    if isinstance(expected, str):
        assert stream_text(client, fake.dialect) == expected
    else:
        with pytest.raises(expected):
            stream_text(client, fake.dialect)

    # An SDK that raises in the middle may do so before the fake has noted the end.
    assert fake.last.fault is not None


def test_a_stall_ends_with_the_clients_patience(fake: Fake, sdk: Callable[..., Any]) -> None:
    """Each SDK raises its time-out."""
    expected = {
        "openai": openai.APITimeoutError,
        "anthropic": httpx2.ReadTimeout,
        "gemini": httpx2.ReadTimeout,
        "cohere": httpx.ReadTimeout,
    }[fake.dialect]
    client = sdk(fake.fault(TEXT, stall_after=2), timeout=0.2)

    with pytest.raises(expected):
        stream_text(client, fake.dialect)
