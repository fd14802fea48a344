"""The official OpenAI SDK's audio, synchronous over a socket and asynchronous in process, and curl's forms."""

import base64
import io
import os
import select
import shutil
import socket
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import httpx2
import openai
import orjson
import pytest
from openai import AsyncOpenAI, OpenAI

from compatgw import Gateway
from compatgw_testing.fakes.openai.sounds import SOUNDS
from tests.canned import Canned

TTS = "openai/gpt-4o-mini-tts"
HEAR = "openai/gpt-4o-transcribe"
WHISPER = "openai/whisper-1"


def sound(seconds: float = 1.0) -> bytes:
    """A recording."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(os.urandom(int(32000 * seconds)))
    return out.getvalue()


@pytest.fixture
def ai(gateway: Any, serve: Callable[..., str]) -> OpenAI:
    """A synchronous client of the gateway's port."""
    return OpenAI(base_url=f"{serve(gateway)}/v1", api_key="test-key", max_retries=0)


@pytest.fixture
def aio(gateway: Any) -> AsyncOpenAI:
    """An asynchronous client in process."""
    made: AsyncOpenAI = gateway.async_openai(api_key="test-key")
    return made


@pytest.mark.parametrize("format", sorted(SOUNDS))
def test_speech_in_every_format(ai: OpenAI, fake_openai: Any, format: Any) -> None:
    """Every byte of the upstream's, with its own content type."""
    kind, make = SOUNDS[format]
    with ai:
        got = ai.audio.speech.create(model=TTS, voice="alloy", input="Hello there", response_format=format)
    assert got.content == make("Hello there")
    assert got.response.headers["content-type"] == kind
    assert got.response.headers["x-provider"] == "openai"


async def test_speech_streams(aio: AsyncOpenAI, fake_openai: Any, tmp_path: Path) -> None:
    """As a stream to a file, and as events."""
    text = "A rather long text, so that the sound is long, too. " * 10
    async with aio.audio.speech.with_streaming_response.create(model=TTS, voice="alloy", input=text) as got:
        assert got.headers["content-type"] == "audio/mpeg"
        await got.stream_to_file(tmp_path / "a.mp3")
    assert (tmp_path / "a.mp3").read_bytes() == SOUNDS["mp3"][1](text)
    async with aio.audio.speech.with_streaming_response.create(
        model=TTS, voice="alloy", input=text, stream_format="sse", response_format="wav"
    ) as got:
        assert got.headers["content-type"].startswith("text/event-stream")
        frames = [orjson.loads(line[6:]) async for line in got.iter_lines() if line.startswith("data: ")]
    assert {frame["type"] for frame in frames[:-1]} == {"speech.audio.delta"}
    assert frames[-1]["type"] == "speech.audio.done"
    assert frames[-1]["usage"]["total_tokens"] > 0


def test_transcriptions_in_json(ai: OpenAI, fake_openai: Any) -> None:
    """Text, log probabilities and tokens, from a large recording."""
    fake_openai.reply("Hello there.")
    with ai:
        got: Any = ai.audio.transcriptions.create(
            model=HEAR,
            file=("näme.wav", sound(30)),
            language="en",
            temperature=0.5,
            prompt="Names",
            include=["logprobs"],
        )
    assert got.text == "Hello there."
    assert got.usage.type == "tokens"
    # The fake knows the length by the recording's own header: all of it arrived.
    assert got.usage.input_tokens == 300
    assert got.logprobs[0].token
    body = fake_openai.calls[-1].body
    assert body["file"].filename == "näme.wav"
    assert (body["language"], body["temperature"], body["prompt"]) == ("en", "0.5", "Names")


async def test_transcriptions_in_other_formats(aio: AsyncOpenAI, fake_openai: Any) -> None:
    """Words with their times, speakers, and plain texts."""
    for _ in range(5):
        fake_openai.reply("Hello there.")
    file = ("a.wav", sound())
    verbose = await aio.audio.transcriptions.create(
        model=WHISPER, file=file, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert verbose.words is not None
    assert [word.word for word in verbose.words] == ["Hello", "there."]
    assert verbose.segments is not None
    assert verbose.duration == 1.0
    assert fake_openai.calls[-1].body["timestamp_granularities"] == ["word", "segment"]
    diarized: Any = await aio.audio.transcriptions.create(
        model="openai/gpt-4o-transcribe-diarize", file=file, response_format="diarized_json", chunking_strategy="auto"
    )
    assert diarized.segments[0].speaker == "A"
    assert await aio.audio.transcriptions.create(model=WHISPER, file=file, response_format="text") == "Hello there.\n"
    srt: Any = await aio.audio.transcriptions.create(model=WHISPER, file=file, response_format="srt")
    assert srt.startswith("1\n00:00:00,000 --> 00:00:01,000\nHello there.")
    vtt: Any = await aio.audio.transcriptions.create(model=WHISPER, file=file, response_format="vtt")
    assert vtt.startswith("WEBVTT\n")


def test_transcriptions_stream(ai: OpenAI, fake_openai: Any) -> None:
    """Word by word, then the whole with its tokens."""
    fake_openai.reply("One two three.")
    with ai:
        events: list[Any] = list(ai.audio.transcriptions.create(model=HEAR, file=("a.wav", sound()), stream=True))
    assert "".join(event.delta for event in events[:-1]) == "One two three."
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == "One two three."
    assert events[-1].usage.total_tokens > 0


async def test_a_model_without_streams_is_told_as_one(aio: AsyncOpenAI, fake_openai: Any) -> None:
    """The vendor ignores `stream` for its eldest model, and so its answer is not what was asked for."""
    fake_openai.reply("One two three.")
    events: list[Any] = [
        event
        async for event in await aio.audio.transcriptions.create(model=WHISPER, file=("a.wav", sound()), stream=True)
    ]
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert events[-1].text == "One two three."


@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_translations(ai: OpenAI, fake_openai: Any) -> None:
    """Likewise."""
    fake_openai.reply("Good morning.")
    fake_openai.reply("Good morning.")
    with ai:
        got = ai.audio.translations.create(model=WHISPER, file=("a.mp3", sound()))
        assert got.text == "Good morning."
        verbose: Any = ai.audio.translations.create(
            model=WHISPER, file=("a.mp3", sound()), response_format="verbose_json"
        )
    assert verbose.task == "translate"


def test_refusals_reach_the_sdk(ai: OpenAI, fake_openai: Any) -> None:
    """The upstream's and the gateway's own, with what is at fault."""
    with ai:
        with pytest.raises(openai.BadRequestError) as caught:
            ai.audio.speech.create(model=TTS, voice="alloy", input="x", response_format="midi")  # type: ignore[arg-type]
        assert caught.value.param == "response_format"
        with pytest.raises(openai.BadRequestError) as caught:
            ai.audio.transcriptions.create(model=HEAR, file=("a.wav", b""))
        assert (caught.value.param, caught.value.code) == ("file", "invalid_value")
        with pytest.raises(openai.BadRequestError, match="file format") as caught:
            ai.audio.transcriptions.create(model=HEAR, file=("a.doc", sound()))
        with pytest.raises(openai.NotFoundError):
            ai.audio.transcriptions.create(model="nothing/there", file=("a.wav", sound()))
        with pytest.raises(openai.AuthenticationError):
            ai.with_options(api_key="wrong").audio.transcriptions.create(model=HEAR, file=("a.wav", sound()))


@pytest.mark.parametrize("way", [{"cut_after_bytes": 200}, {"truncate_after_bytes": 200}, {"error_after": 2}])
def test_a_transcript_that_breaks_off_is_an_error(ai: OpenAI, fake_openai: Any, way: Any) -> None:
    """The SDK raises inside its stream, however the upstream's ended."""
    fake_openai.fault("One two three four five six.", **way)
    got: list[Any] = []
    with ai, pytest.raises(openai.APIError):
        got.extend(ai.audio.transcriptions.create(model=HEAR, file=("a.wav", sound()), stream=True))
    assert all(event.type == "transcript.text.delta" for event in got)


@pytest.mark.parametrize("then", ["break", "end"])
def test_speech_that_breaks_off_is_never_whole(serve: Callable[..., str], then: str) -> None:
    """The client's connection breaks as the upstream's did: what it has is not taken for all of it."""
    upstream = Canned([b"RIFF" * 1000] * 3, kind="audio/wav", then=then)
    gateway = Gateway(providers={"openai": {"app": upstream, "api_key": "k"}}, keys=["k"], environ={})
    with OpenAI(base_url=f"{serve(gateway)}/v1", api_key="k", max_retries=0) as ai:
        if then == "end":
            assert ai.audio.speech.create(model=TTS, voice="alloy", input="Hi").content == b"RIFF" * 3000
            return
        with pytest.raises((openai.APIConnectionError, httpx.RemoteProtocolError, httpx2.RemoteProtocolError)):
            ai.audio.speech.create(model=TTS, voice="alloy", input="Hi")


@pytest.mark.parametrize(("body", "kind"), [(b"", "audio/mpeg"), (b'{"error": {"message": "no"}}', "application/json")])
async def test_speech_that_is_none_is_an_error(body: bytes, kind: str) -> None:
    """Status 200 from the upstream is not enough."""
    gateway = Gateway(
        providers={"openai": {"app": Canned(body, kind=kind), "api_key": "k"}},
        keys=["k"],
        environ={},
        retries={"most": 0},
    )
    with pytest.raises(openai.InternalServerError) as caught:
        await (
            gateway.async_openai(api_key="k")
            .with_options(max_retries=0)
            .audio.speech.create(model=TTS, voice="alloy", input="Hi")
        )
    assert caught.value.status_code == 502


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_sends_a_form(gateway: Any, fake_openai: Any, serve: Callable[..., str], tmp_path: Path) -> None:
    """From a file, whole and in chunks without a length, under either path."""
    file = tmp_path / "speech.wav"
    # Over a megabyte: curl asks first whether it may send it.
    file.write_bytes(sound(40))
    origin = serve(gateway)
    for path, more in (("/v1/audio/transcriptions", []), ("/audio/translations", ["-H", "Transfer-Encoding: chunked"])):
        fake_openai.reply("Hello there.")
        done = subprocess.run(
            ["curl", "-sS", "-F", "model=openai/whisper-1", "-F", f"file=@{file}", "-F", "response_format=text",
             "-H", "Authorization: Bearer test-key", *more, origin + path],
            capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        assert (done.stdout, done.stderr) == ("Hello there.\n", "")
        assert fake_openai.calls[-1].body["file"].data == file.read_bytes()
    done = subprocess.run(
        ["curl", "-sS", "-F", "model=openai/whisper-1", "-F", f"audio=@{file}", "-H", "Authorization: Bearer test-key",
         origin + "/v1/audio/transcriptions"],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    error = orjson.loads(done.stdout)["error"]
    assert (error["param"], error["type"]) == ("audio", "invalid_request_error")


@pytest.mark.parametrize("way", ["by its length", "in chunks"])
def test_two_gigabytes_are_refused_early(gateway: Any, serve: Callable[..., str], way: str) -> None:
    """By what the client says, before it sends anything; else as soon as it has sent too much."""
    host, _, port = serve(gateway).removeprefix("http://").partition(":")
    head = b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer test-key\r\n"
    head += b"Content-Type: multipart/form-data; boundary=b\r\n"
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    sent = 0
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        if way == "by its length":
            connection.sendall(head + b"Content-Length: 2147483648\r\n\r\n")
        else:
            connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(part) + part + b"\r\n")
            piece = bytes(1 << 20)
            connection.setblocking(False)
            while not select.select([connection], [], [], 0)[0]:
                assert sent < 1 << 31
                _, writable, _ = select.select([connection], [connection], [], 30)
                if writable:
                    connection.setblocking(True)
                    try:
                        connection.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")
                    except (BrokenPipeError, ConnectionResetError):
                        break
                    sent += len(piece)
        connection.setblocking(True)
        answer = b""
        while not answer.endswith(b"}}") and (data := connection.recv(65536)):
            answer += data
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"request_too_large" in answer
    # What is under way in buffers comes on top of the limit of 100 MiB.
    assert sent < 130 << 20


async def test_gemini_speaks() -> None:
    """A WAV with its own content type, where no format was asked for."""
    samples = bytes(4800)
    inline = {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": base64.b64encode(samples).decode()}
    answer = {"candidates": [{"content": {"parts": [{"inlineData": inline}]}, "finishReason": "STOP"}]}
    upstream = Canned(orjson.dumps(answer))
    gateway = Gateway(providers={"gemini": {"app": upstream, "api_key": "k"}}, keys=["k"], environ={})
    ai = gateway.async_openai(api_key="k")
    got = await ai.audio.speech.create(model="gemini/gemini-2.5-flash-preview-tts", voice="Kore", input="Hello")
    assert got.response.headers["content-type"] == "audio/wav"
    assert got.response.headers["x-clamped-params"] == "response_format=wav"
    with wave.open(io.BytesIO(got.content)) as file:
        assert file.readframes(10_000) == samples
