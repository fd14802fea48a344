"""Every recorded answer of an audio endpoint passes byte by byte; requests are sent as they were."""

from __future__ import annotations

import base64
import os
import random
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from compatgw.dialects.base import Context, Target
from compatgw.dialects.openai.audio import SPEECH
from compatgw.errors import UpstreamFailure
from compatgw.providers.table import PROVIDERS
from compatgw.surfaces.audio import parse_speech

from .records import REASON, VARIABLE

KIND = "audio"


class Recording(NamedTuple):
    """One interaction about audio."""

    id: str
    vendor: str
    model: str
    path: str
    request: Any
    type: str
    body: bytes
    stripped: bool


def _all() -> list[Recording]:
    folder = os.environ.get(VARIABLE)
    if not folder or not Path(folder).is_dir():
        return []
    found = []
    for path in sorted(Path(folder).glob("*/*/*.json")):
        value = orjson.loads(path.read_bytes())
        sent, answer = value.get("request") or {}, value["response"]
        if answer["status"] != 200 or "/audio/" not in str(sent.get("url")):
            continue
        found.append(
            Recording(
                value["id"],
                value["provider"],
                value["model"],
                sent["url"],
                sent["body_json"],
                answer["headers"]["content-type"],
                base64.b64decode(answer["body_b64"]),
                "stripped" in answer.get("body_note", ""),
            )
        )
    return found


ALL = _all()

pytestmark = [pytest.mark.recordings, pytest.mark.skipif(not ALL, reason=REASON)]


def _ident(recording: Recording) -> str:
    return recording.id


def _target(recording: Recording) -> Target:
    return Target(recording.vendor, recording.model, PROVIDERS[recording.vendor].quirks)


@pytest.mark.parametrize("recording", ALL, ids=_ident)
def test_a_sound_passes_byte_by_byte(recording: Recording) -> None:
    """Cut at random places; where the recording keeps none of its bytes, there is no sound."""
    decoder = SPEECH.stream(Context(_target(recording), "id", 7))
    chance = random.Random(recording.id)
    parts, at = [], 0
    while at < len(recording.body):
        size = chance.randrange(1, 5000)
        parts += decoder.feed(recording.body[at : at + size])
        at += size
    assert recording.type.startswith("audio/")
    if recording.stripped:
        with pytest.raises(UpstreamFailure):
            decoder.finish()
        return
    parts += decoder.finish()
    assert b"".join(part.data for part in parts) == recording.body


@pytest.mark.parametrize("recording", ALL, ids=_ident)
def test_a_request_is_sent_as_it_was(recording: Recording) -> None:
    """Through the surface and the codec, nothing added and nothing lost."""
    parsed = parse_speech(orjson.dumps(recording.request))
    outgoing = SPEECH.encode(parsed.request, _target(recording))
    assert orjson.loads(outgoing.body) == recording.request
    assert recording.path.endswith(outgoing.path)
    assert (outgoing.dropped, outgoing.clamped) == ((), ())
