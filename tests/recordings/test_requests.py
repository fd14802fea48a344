"""Every recorded chat request in OpenAI's form passes the surface and fits every dialect, or is refused by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from compatgw.dialects.base import Dialect, Target
from compatgw.errors import InvalidRequest, UnsupportedParameter
from compatgw.providers.table import PROVIDERS
from compatgw.surfaces.chat import parse

from .exceptions import REQUESTS
from .judging import ACCEPTED
from .records import REASON, Recording, all_recordings

KIND = "requests"
SENT = [
    r for r in all_recordings() if r.dialect == "openai" and isinstance(r.request, dict) and "messages" in r.request
]

# Each dialect with models whose rules differ.
MODELS = {
    "anthropic": ("claude-sonnet-4-5", "claude-opus-4-6", "claude-sonnet-5-5"),
    "gemini": ("gemini-2.0-flash", "gemini-2.5-flash", "gemini-3-pro-preview"),
    "cohere": ("command-a-03-2025", "command-a-reasoning-08-2025", "command-r-08-2024"),
    "bedrock": ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.amazon.nova-lite-v1:0", "openai.gpt-oss-120b-1:0"),
}

DIALECTS = ("openai", *MODELS)


def targets(dialect: str, model: str) -> list[Target]:
    """Where a request may go in a dialect: every OpenAI-like provider, or models whose rules differ."""
    if dialect == "openai":
        rows = [row for row in PROVIDERS.values() if row.dialect == dialect]
        return [Target(provider=row.title, model=model, quirks=row.quirks) for row in rows]
    return [Target(provider="Vendor", model=name) for name in MODELS[dialect]]


pytestmark = [pytest.mark.recordings, pytest.mark.skipif(not SENT, reason=REASON)]


@dataclass(frozen=True)
class Case:
    """A recorded request and the dialect that it is to be written in."""

    recording: Recording
    dialect: str

    @property
    def vendor(self) -> str:
        """Whose client sent it."""
        return f"{self.recording.vendor}>{self.dialect}"


CASES = [Case(recording, dialect) for recording in SENT for dialect in DIALECTS]


def ident(case: Case | None) -> str:
    return f"{case.dialect}-{case.recording.id}" if case else "none"


def _in_openais_words(body: bytes, target: Target) -> bytes:
    """The body without an effort that is written in the provider's own word, as its row says."""
    if not target.quirks.efforts:
        return body
    value = orjson.loads(body)
    if value.get("reasoning_effort") in target.quirks.efforts.values():
        del value["reasoning_effort"]
    return orjson.dumps(value)


@pytest.mark.parametrize("recording", CASES or [None], ids=ident)
def test_a_recorded_request_is_accepted_or_refused_by_name(
    recording: Case, record_property: Callable[[str, Any], None]
) -> None:
    """The vendor's own request types take what the dialect writes; else 400 `unsupported_parameter` names the member."""
    case, source = recording, recording.recording
    body = orjson.dumps(source.request)
    excuse = REQUESTS.get(source.id) or REQUESTS.get(f"{source.id}@{case.dialect}")
    if excuse:
        pytest.skip(excuse)
    dialect: Dialect = importlib.import_module(f"compatgw.dialects.{case.dialect}").DIALECT
    assert dialect.chat is not None
    try:
        parsed = parse(body)
    except InvalidRequest:
        assert source.status >= 400, "the vendor took this request"
        return
    for target in targets(case.dialect, source.model):
        before = orjson.dumps(parsed.request)
        try:
            outgoing = dialect.chat.encode(parsed.request, target)
        except UnsupportedParameter as refusal:
            assert refusal.code == "unsupported_parameter"
            assert refusal.param
            record_property("verdict", f"{case.dialect} refused")
            continue
        finally:
            assert orjson.dumps(parsed.request) == before, "encoding changed its argument"
        ACCEPTED[case.dialect](_in_openais_words(outgoing.body, target))
        record_property("verdict", f"{case.dialect} accepted")
