"""Recorded streams of Bedrock, byte by byte and broken off behind every frame."""

from __future__ import annotations

import struct

import pytest

from compatgw.dialects.base import Context, Target
from compatgw.dialects.bedrock import DIALECT
from compatgw.errors import StreamInterrupted
from tests.properties.judges import drive

from .records import REASON, Recording, all_recordings

KIND = "frames"
STREAMS = [r for r in all_recordings() if r.dialect == "bedrock" and r.stream]

pytestmark = [pytest.mark.recordings, pytest.mark.skipif(not STREAMS, reason=REASON)]


def ident(recording: Recording | None) -> str:
    return recording.id if recording else "none"


def context(recording: Recording) -> Context:
    return Context(Target("bedrock", recording.model), id="chatcmpl-ours", created=1_780_000_000)


def ends(body: bytes) -> list[int]:
    """Where each frame ends."""
    found, place = [], 0
    while place < len(body):
        place += struct.unpack_from(">I", body, place)[0]
        found.append(place)
    return found


@pytest.mark.parametrize("recording", STREAMS or [None], ids=ident)
def test_every_cut_gives_the_same_chunks(recording: Recording) -> None:
    """Between any two bytes at once."""
    assert DIALECT.chat is not None
    whole = drive(DIALECT.chat.stream(context(recording)), [recording.body])
    bytewise = [recording.body[n : n + 1] for n in range(len(recording.body))]

    assert drive(DIALECT.chat.stream(context(recording)), bytewise) == whole


@pytest.mark.parametrize("recording", STREAMS or [None], ids=ident)
def test_a_stream_that_breaks_off_is_interrupted(recording: Recording) -> None:
    """Behind every frame but the last, though each of them is whole."""
    assert DIALECT.chat is not None
    *early, last = ends(recording.body)
    assert last == len(recording.body)
    for place in early:
        with pytest.raises(StreamInterrupted):
            drive(DIALECT.chat.stream(context(recording)), [recording.body[:place]])
