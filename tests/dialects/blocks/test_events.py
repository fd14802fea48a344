"""Bodies that were to be streams, and events that are no objects."""

from __future__ import annotations

import pytest

from compatgw.dialects.base import Target
from compatgw.dialects.events import interrupted, parsed
from compatgw.dialects.openai.whole import Whole
from compatgw.errors import UpstreamFailure
from compatgw.wire.sse import DEFAULT_LIMIT, SSEReader

TARGET = Target(provider="Vendor", model="m-1")


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"null", b'"x"', b"\xff"])
def test_an_event_is_an_object(data: bytes) -> None:
    """Anything else is the upstream's failure, which names it."""
    with pytest.raises(UpstreamFailure, match=r"Vendor \(model 'm-1'\) sent an answer that cannot be read"):
        parsed(data, TARGET)


def test_a_cut_stream_is_told_as_such() -> None:
    """One sentence says what happened, and that what came is not the answer."""
    said = str(interrupted(TARGET))
    assert said.startswith("Vendor (model 'm-1') closed the stream before the answer was complete.")
    assert "not the whole answer" in said


def test_a_body_is_told_from_a_stream_by_how_it_begins() -> None:
    """JSON and HTML are collected, blank reads decide nothing, and a stream is left alone for good."""
    body = Whole(TARGET, SSEReader())
    assert not body.takes(b"  ")
    assert body.takes(b' {"a"')
    assert body.takes(b": 1}")
    assert body.body == b'{"a": 1}'
    stream = Whole(TARGET, SSEReader())
    assert not stream.takes(b"data: {}\n\n")
    assert not stream.takes(b'{"a"')
    assert stream.body == b""


def test_a_body_has_a_limit() -> None:
    """What never ends is refused, not kept."""
    body = Whole(TARGET, SSEReader())
    assert body.takes(b"<html>")
    with pytest.raises(UpstreamFailure, match="not a stream"):
        body.takes(b"x" * DEFAULT_LIMIT)
