"""Every recorded refusal becomes the envelope that the contract asks for."""

from __future__ import annotations

import importlib
import re

import pytest

from compatgw.dialects.base import Dialect, Target
from compatgw.errors import UpstreamFailure

from .records import REASON, Recording, all_recordings

KIND = "errors"
REFUSED = [r for r in all_recordings() if r.status >= 400]

pytestmark = [pytest.mark.recordings, pytest.mark.skipif(not REFUSED, reason=REASON)]

CONTEXT = re.compile(r"too many tokens|prompt too long|too_many_prompt_tokens|total length of all messages", re.I)
CODES = {"invalid_value", "unsupported_parameter", "invalid_type", "missing_parameter", "content_blocked"}


def expected(recording: Recording) -> tuple[int, str, set[str]]:
    """Status, type and codes of the contract's section 3 for what was recorded."""
    text = recording.body.decode()
    if recording.status in (401, 403) or "API_KEY_INVALID" in text:
        return 502, "upstream_error", {"upstream_error"}
    if recording.status == 404:
        return 404, "not_found_error", {"model_not_found"}
    if recording.status == 429:
        return 429, "rate_limit_error", {"upstream_rate_limited"}
    if CONTEXT.search(text):
        return 400, "invalid_request_error", {"context_length_exceeded"}
    assert recording.status == 400
    return 400, "invalid_request_error", CODES


def ident(recording: Recording | None) -> str:
    return recording.id if recording else "none"


@pytest.mark.parametrize("recording", REFUSED or [None], ids=ident)
def test_a_recorded_refusal_becomes_the_right_envelope(recording: Recording) -> None:
    """Status, type and code by the contract; the caller's own mistakes keep the vendor's sentence."""
    dialect: Dialect = importlib.import_module(f"compatgw.dialects.{recording.dialect}").DIALECT
    assert dialect.chat is not None
    target = Target(provider=recording.vendor, model=recording.model)
    failure = dialect.chat.error(recording.status, recording.headers, recording.body, target)

    assert isinstance(failure, UpstreamFailure)
    assert failure.upstream_status == recording.status
    body = failure.envelope()["error"]
    status, kind, codes = expected(recording)
    assert (failure.status, body["type"]) == (status, kind)
    assert body["code"] in codes
    assert set(body) == {"message", "type", "param", "code"}
    assert body["message"]
    if status == 400:  # the vendor's sentence, without the quotes and escapes of its JSON
        words = re.findall(r"[A-Za-z]{4,}", body["message"])[:4]
        assert all(word in recording.body.decode() for word in words)
    if status == 502:
        assert not re.search(r"api[ _-]?key", body["message"], re.I)
