"""A call that carries a form, on its way through a whole gateway: tried again, sent elsewhere, left, asked twice."""

import asyncio
import os
from typing import Any

import httpx
import orjson
import pytest

from compatgw import Gateway
from compatgw_testing import FakeOpenAI
from compatgw_testing.harness import gateway_over
from tests.flow.spooled import folder, open_files

__all__ = ["folder"]

KEY = {"Authorization": "Bearer test-key"}
PATH = "/v1/audio/transcriptions"


async def ask(gateway: Gateway, data: bytes, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    """A transcription of `data`."""
    async with gateway.client() as client:
        answer: httpx.Response = await client.post(
            PATH,
            data={"model": "openai/gpt-4o-transcribe", **fields},
            files={"file": ("a.wav", data, "audio/wav")},
            headers={**KEY, **(headers or {})},
        )
        return answer


class Listening:
    """An upstream that reads each form, and answers as it is told.

    Args:
        statuses: Of its answers, in turn; then 200.
    """

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.got: list[bytes] = []
        self.lengths: list[int] = []
        self.asked = asyncio.Event()
        self.left = asyncio.Event()
        self.waits = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The application."""
        headers = dict(scope["headers"])
        assert headers[b"content-type"].startswith(b"multipart/form-data; boundary=")
        self.lengths.append(int(headers[b"content-length"]))
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        self.got.append(body)
        self.asked.set()
        if self.waits:
            try:
                await asyncio.Event().wait()
            finally:
                self.left.set()
        status = self.statuses.pop(0) if self.statuses else 200
        said = {"text": "Hi"} if status == 200 else {"error": {"message": "Not now, too large.", "type": "x"}}
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        )
        await send({"type": "http.response.body", "body": orjson.dumps(said)})


def gateway_of(**upstreams: Listening) -> Gateway:
    """A gateway in front of them, that tries twice."""
    return Gateway(
        providers={name: {"app": app, "api_key": "k", "dialect": "openai"} for name, app in upstreams.items()},
        keys=["test-key"],
        environ={},
        retries={"most": 1, "base": 0},
    )


async def test_a_form_is_sent_again_and_elsewhere() -> None:
    """Every attempt has all of the file, from disk."""
    data = os.urandom(700_000)
    first, second = Listening(500, 500), Listening()
    gateway = gateway_of(openai=first, deepinfra=second)
    answer = await ask(gateway, data, fallback='["deepinfra/whisper"]')
    assert answer.json() == {"text": "Hi"}
    assert answer.headers["x-fallback-from"]
    assert (len(first.got), len(second.got)) == (2, 1)
    for upstream in (first, second):
        for body, length in zip(upstream.got, upstream.lengths, strict=True):
            assert data in body
            assert len(body) == length
    assert b'name="model"\r\n\r\nwhisper\r\n' in second.got[0]
    assert b"fallback" not in second.got[0]
    assert open_files() == 0


async def test_an_upstreams_own_limit_is_the_callers() -> None:
    """With the upstream's words; nobody else is asked."""
    upstream = Listening(413)
    answer = await ask(gateway_of(openai=upstream), b"RIFF" * 10)
    assert answer.status_code == 413
    assert answer.json()["error"]["message"] == "Not now, too large."
    assert len(upstream.got) == 1


async def test_a_client_that_leaves_leaves_nothing_on_disk() -> None:
    """The upstream hears of it, too."""
    upstream = Listening()
    upstream.waits = True
    task = asyncio.create_task(ask(gateway_of(openai=upstream), os.urandom(700_000)))
    await upstream.asked.wait()
    assert open_files() == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(upstream.left.wait(), 5)
    assert open_files() == 0


@pytest.mark.parametrize("size", [40, 700_000])
async def test_a_form_that_is_asked_twice_under_one_key_is_answered_once(size: int) -> None:
    """The same file, whoever wrote the form; another file is a conflict."""
    fake = FakeOpenAI()
    fake.reply("one")
    gateway = gateway_over(openai=fake)
    data, word = os.urandom(size), {"Idempotency-Key": "word"}
    first, again = await ask(gateway, data, word), await ask(gateway, data, word)
    assert first.json() == again.json()
    assert len(fake.calls) == 1
    other = await ask(gateway, data[:-1] + b"?", word)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")


async def test_a_form_that_is_wrong_or_none_is_the_callers() -> None:
    """Each with its status and what is at fault."""
    gateway = gateway_of(openai=Listening())
    cases: list[tuple[int, str, dict[str, Any]]] = [
        (401, "missing_api_key", {"files": {"file": b"x"}}),
        (415, "unsupported_media_type", {"json": {"model": "openai/whisper-1"}, "headers": KEY}),
        (415, "unsupported_media_type", {"data": {"model": "openai/whisper-1"}, "headers": KEY}),
        (400, "invalid_form", {"content": b"x", "headers": {**KEY, "Content-Type": "multipart/form-data"}}),
        (400, "invalid_form", {"content": b"", "headers": {**KEY, "Content-Type": "multipart/form-data; boundary=b"}}),
        (400, "missing_parameter", {"files": {"file": b"x"}, "headers": KEY}),
        (
            404,
            "model_not_found",
            {"files": {"file": b"x"}, "data": {"model": "anthropic/claude-sonnet-4-5"}, "headers": KEY},
        ),
    ]
    async with gateway.client() as client:
        for status, code, how in cases:
            answer = await client.post(PATH, **how)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text


async def test_what_a_form_would_do_is_explained() -> None:
    """The header is heard there, too; nobody is called."""
    upstream = Listening()
    answer = await ask(gateway_of(openai=upstream), b"RIFF", {"X-Gateway-Explain": "1"})
    assert answer.status_code == 200
    assert "gpt-4o-transcribe" in answer.text
    assert upstream.got == []


async def test_sound_is_no_stream_that_could_be_switched_off() -> None:
    """It goes out bit by bit, because it may be long; nobody asked for events."""
    gateway = gateway_over(openai=FakeOpenAI(), options={"streaming": False})
    asked = {"model": "openai/tts-1", "voice": "alloy", "input": "Hi"}
    async with gateway.client() as client:
        answer = await client.post("/v1/audio/speech", json=asked, headers=KEY)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/mpeg")
        refused = await client.post(
            PATH,
            data={"model": "openai/gpt-4o-transcribe", "stream": "true"},
            files={"file": ("a.wav", b"RIFF" * 10)},
            headers=KEY,
        )
    assert (refused.status_code, refused.json()["error"]["code"]) == (501, "streaming_disabled")


@pytest.mark.parametrize("pieces", range(0, 12, 3))
async def test_an_upload_that_is_left_halfway_reaches_nobody(pieces: int) -> None:
    """Wherever its client left: nothing is asked upstream, nothing is told, nothing stays on disk."""
    upstream = Listening()
    gateway = gateway_of(openai=upstream)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    coming = [head, *(os.urandom(100_000) for _ in range(11))][:pieces]
    told: list[Any] = []

    async def receive() -> Any:
        if coming:
            return {"type": "http.request", "body": coming.pop(0), "more_body": True}
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        told.append(message)

    scope = {
        "type": "http", "method": "POST", "path": PATH, "raw_path": PATH.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"authorization", b"Bearer test-key"), (b"content-type", b"multipart/form-data; boundary=b")],
    }  # fmt: skip
    await gateway(scope, receive, send)
    assert (told, upstream.got) == ([], [])
    assert open_files() == 0
