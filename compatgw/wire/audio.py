"""OpenAI's requests for speech and for what recordings say, its answers' usage, and the events of its streams.

Unknown members are kept. What voices, models and formats there are is for the upstream to say, beyond OpenAI's
published lists.

What does not live here: the validators and what clients may leave out (`surfaces/audio.py`), forms (`multipart.py`).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypeAlias

import orjson
from pydantic import Discriminator, Field, Tag
from typing_extensions import TypedDict

from compatgw.wire.chat import Open, by_kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.wire.multipart import Upload

MAX_INPUT = 1_000_000
"""Characters of a text to be spoken; most models take far fewer, and say so."""

Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=512)]
Sound: TypeAlias = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]

SOUND_TYPES: Mapping[str, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg; codecs=opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
"""Content types, by `response_format`."""
PLAIN = ("text", "srt", "vtt")
"""Formats of a transcript that are not JSON."""
PLAIN_TYPE = "text/plain; charset=utf-8"

DELTA = "transcript.text.delta"
SEGMENT = "transcript.text.segment"
DONE = "transcript.text.done"
SPOKEN = "speech.audio.delta"
SAID = "speech.audio.done"


class Voice(Open):
    """A voice of one's own."""

    id: Name


AnyVoice: TypeAlias = Annotated[
    Annotated[Name, Tag("<string>")] | Annotated[Voice, Tag("<object>")], Discriminator(by_kind)
]
Strategy: TypeAlias = Annotated[
    Annotated[str, Tag("<string>")] | Annotated[dict[str, str], Tag("<object>")], Discriminator(by_kind)
]


class SpeechRequest(Open):
    """`POST /audio/speech`."""

    model: Name
    input: Annotated[str, Field(min_length=1, max_length=MAX_INPUT)]
    voice: AnyVoice
    instructions: NotRequired[str]
    response_format: NotRequired[Sound]
    speed: NotRequired[Annotated[float, Field(ge=0.25, le=4)]]
    stream_format: NotRequired[Literal["audio", "sse"]]


class TranslationRequest(Open):
    """`POST /audio/translations`, a form without its file."""

    model: Name
    prompt: NotRequired[str]
    response_format: NotRequired[Literal["json", "text", "srt", "verbose_json", "vtt"]]
    temperature: NotRequired[Annotated[float, Field(ge=0, le=1)]]


class TranscriptionRequest(Open):
    """`POST /audio/transcriptions`, a form without its file."""

    model: Name
    chunking_strategy: NotRequired[Strategy]
    include: NotRequired[list[str]]
    keywords: NotRequired[list[str]]
    known_speaker_names: NotRequired[Annotated[list[str], Field(max_length=4)]]
    known_speaker_references: NotRequired[Annotated[list[str], Field(max_length=4)]]
    language: NotRequired[str]
    languages: NotRequired[list[str]]
    prompt: NotRequired[str]
    response_format: NotRequired[Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"]]
    stream: NotRequired[bool]
    temperature: NotRequired[Annotated[float, Field(ge=0, le=1)]]
    timestamp_granularities: NotRequired[list[Literal["word", "segment"]]]


class TranslationForm(TranslationRequest):
    """A validated form with its one file."""

    files: list[Upload]


class TranscriptionForm(TranscriptionRequest):
    """A validated form with its one file."""

    files: list[Upload]


LISTS = (
    "include", "keywords", "known_speaker_names", "known_speaker_references", "languages", "timestamp_granularities",
)  # fmt: skip
"""Members that are lists; a form says each entry as `NAME[]`."""


class TokenDetails(TypedDict, total=False):
    """Parts of a number of tokens."""

    text_tokens: int
    audio_tokens: int


class AudioUsage(TypedDict):
    """Tokens of one call. What is told in seconds has another shape, and no tokens."""

    type: NotRequired[Literal["tokens"]]
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_token_details: NotRequired[TokenDetails]


# --- streams ---------------------------------------------------------------------------------


def event(members: dict[str, Any]) -> bytes:
    """One event of a stream, which has its type for a name."""
    return b"event: " + str(members["type"]).encode() + b"\ndata: " + orjson.dumps(members) + b"\n\n"


# --- sounds ----------------------------------------------------------------------------------


def wav_header(size: int, rate: int, channels: int = 1, bits: int = 16) -> bytes:
    """The 44 bytes that make raw samples a WAV file.

    Args:
        size: Bytes of the samples.
        rate: Samples a second.
    """
    frame = channels * bits // 8
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", min(36 + size, 0xFFFFFFFF), b"WAVE",
        b"fmt ", 16, 1, channels, rate, rate * frame, frame, bits,
        b"data", min(size, 0xFFFFFFFF),
    )  # fmt: skip
