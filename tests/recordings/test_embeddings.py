"""Every recorded answer of embeddings, rerank and moderations becomes the hub's, and says what the vendor said."""

from __future__ import annotations

import base64
import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from openai.types import CreateEmbeddingResponse, ModerationCreateResponse

from compatgw.dialects.base import Context, Quirks, Target
from compatgw.dialects.table import DIALECTS
from compatgw.errors import GatewayError
from compatgw.providers.table import PROVIDERS
from compatgw.surfaces.base import View
from compatgw.surfaces.embeddings import EMBEDDINGS
from compatgw.surfaces.moderations import MODERATIONS
from compatgw.surfaces.rerank import RERANK

from .records import REASON, VARIABLE

if TYPE_CHECKING:
    from compatgw.dialects.base import MediaCodec, Result

KIND = "media"
SURFACES = {"embeddings": EMBEDDINGS, "rerank": RERANK, "moderations": MODERATIONS}
# Rows of vendors that speak Gemini's protocol under another name.
ROWS = {"vertex": "gemini"}
# Recording id -> why it is no answer of an endpoint that the gateway calls.
OTHERS = {
    "ollama/embeddings/openllmetry--embeddings-test-ollama-embeddings-legacy-0": (
        "Ollama's own older endpoint, `/api/embeddings`: the gateway calls its OpenAI-like one"
    ),
    "openai/embeddings/ruby-openai--usage-embeddings-0": "a report of what an organisation has used, not embeddings",
    "openai/moderations/ruby-openai--usage-moderations-0": "a report of what an organisation has used, not moderations",
}


@dataclass(frozen=True, slots=True)
class Recording:
    """One interaction. `surface` is whose answer it is, by the folder that it lies in or, for errors, by its URL."""

    id: str
    vendor: str
    surface: str
    model: str
    status: int
    request: Any
    headers: dict[str, str]
    body: bytes


def recordings() -> list[Recording]:
    """All of these endpoints, refusals as well; none without the folder."""
    folder = os.environ.get(VARIABLE)
    found = []
    for path in sorted(Path(folder).glob("*/*/*.json")) if folder else ():
        if path.parent.name not in (*SURFACES, "error"):
            continue
        value = orjson.loads(path.read_bytes())
        url = value["request"]["url"].partition("?")[0] if value.get("request") else ""
        named = {"embed": "embeddings", "rerank": "rerank", "moderations": "moderations"}
        surface = next((name for word, name in named.items() if word in url.rpartition("/")[2].lower()), None)
        if surface is None or (path.parent.name == "error" and "embed" not in path.name):
            continue
        answer = value["response"]
        body = answer["body_text"].encode() if "body_text" in answer else orjson.dumps(answer["body_json"])
        headers = {name.lower(): one for name, one in (answer.get("headers") or {}).items() if isinstance(one, str)}
        request = value["request"].get("body_json") or {}
        model = str(value["model"] or request.get("model") or "unnamed")
        found.append(
            Recording(value["id"], value["provider"], surface, model, answer["status"], request, headers, body)
        )
    return found


ALL = recordings()
GOOD = [one for one in ALL if one.status < 400 and one.id not in OTHERS]
REFUSED = [one for one in ALL if one.status >= 400]

pytestmark = [pytest.mark.recordings, pytest.mark.skipif(not ALL, reason=REASON)]


def ident(recording: Recording | None) -> str:
    return recording.id if recording else "none"


def codec(recording: Recording) -> tuple[MediaCodec, Context]:
    """How the vendor's answers are read."""
    row = PROVIDERS[ROWS.get(recording.vendor, recording.vendor)]
    found: MediaCodec | None = getattr(DIALECTS[row.dialect], recording.surface)
    assert found is not None
    return found, Context(Target(recording.vendor, recording.model, row.quirks), "ours", 1_780_000_000)


def shown(recording: Recording, result: Result, **members: Any) -> Any:
    """What a client is told whose request has these members."""
    surface = SURFACES[recording.surface]
    needed: Any = {
        "embeddings": {"input": "a"},
        "moderations": {"input": "a"},
        "rerank": {"query": "q", "documents": ["a"]},
    }
    parsed = surface.parse(orjson.dumps({"model": "m", **needed[recording.surface], **members}))
    return orjson.loads(surface.face(parsed, View("id", 1)).whole(result))


def vectors(value: Any) -> list[list[float]]:
    """The vectors of a recorded answer, read by plain code that shares nothing with the translators."""
    if "embeddings" in value:
        given = value["embeddings"]
        rows = next(iter(given.values())) if isinstance(given, dict) else given
        return [row["values"] if isinstance(row, dict) else row for row in rows]
    if "embedding" in value:
        return [value["embedding"]["values"]]
    found = []
    for row in value["data"]:
        data = base64.b64decode(row["embedding"]) if isinstance(row["embedding"], str) else None
        if data is None:
            found.append(row["embedding"])
        elif "cost" in value["usage"]:  # the one vendor whose numbers have a byte each
            found.append(list(struct.unpack(f"{len(data)}b", data)))
        else:
            found.append(list(struct.unpack(f"<{len(data) // 4}f", data)))
    return found


def tokens(value: Any) -> int | None:
    """What a recorded answer says of tokens."""
    for path in (("usage", "total_tokens"), ("usageMetadata", "promptTokenCount")):
        if (number := (value.get(path[0]) or {}).get(path[1])) is not None:
            return int(number)
    number = ((value.get("meta") or {}).get("billed_units") or {}).get("input_tokens")
    return None if number is None else int(number)


@pytest.mark.parametrize("recording", [one for one in GOOD if one.surface == "embeddings"] or [None], ids=ident)
def test_embeddings(recording: Recording) -> None:
    """The SDK's types take them in both forms, with the same numbers, and the tokens are the vendor's."""
    codec_, context = codec(recording)
    value = orjson.loads(recording.body)
    result = codec_.decode(recording.body, context)

    assert (result.usage and result.usage["total_tokens"]) == tokens(value)
    body = CreateEmbeddingResponse.model_validate(shown(recording, result), strict=False)
    expected = vectors(value)
    assert [row.index for row in body.data] == list(range(len(expected)))
    assert [row.embedding for row in body.data] == expected
    packed = shown(recording, result, encoding_format="base64")
    for row, vector in zip(packed["data"], expected, strict=True):
        data = base64.b64decode(row["embedding"], validate=True)
        assert struct.unpack(f"<{len(vector)}f", data) == pytest.approx(vector, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("recording", [one for one in GOOD if one.surface == "rerank"] or [None], ids=ident)
def test_rerank(recording: Recording) -> None:
    """The same documents with the same scores, in the same order."""
    codec_, context = codec(recording)
    value = orjson.loads(recording.body)
    result = codec_.decode(recording.body, context)

    given = value.get("results") or value["data"]
    assert [(row["index"], row["relevance_score"]) for row in result.body["results"]] == [
        (row["index"], row["relevance_score"]) for row in given
    ]
    assert (result.usage and result.usage["total_tokens"]) == tokens(value)
    assert result.body.get("meta") == value.get("meta")
    assert all(math.isfinite(row["relevance_score"]) for row in shown(recording, result)["results"])


@pytest.mark.parametrize("recording", [one for one in GOOD if one.surface == "moderations"] or [None], ids=ident)
def test_moderations(recording: Recording) -> None:
    """The SDK's types take them, strictly, and every judgement is the vendor's."""
    codec_, context = codec(recording)
    value = orjson.loads(recording.body)
    result = codec_.decode(recording.body, context)

    body = shown(recording, result)
    ModerationCreateResponse.model_validate(body, strict=True)
    for ours, theirs in zip(body["results"], value["results"], strict=True):
        assert ours["flagged"] == theirs["flagged"]
        assert ours["categories"].items() >= theirs["categories"].items()
        assert ours["category_scores"].items() >= theirs["category_scores"].items()


@pytest.mark.parametrize("recording", REFUSED or [None], ids=ident)
def test_refusals(recording: Recording) -> None:
    """An unknown model is the caller's 404; our key is never the caller's fault."""
    codec_, context = codec(recording)
    error = codec_.error(recording.status, recording.headers, recording.body, context.target)

    assert isinstance(error, GatewayError)
    assert error.status == (502 if recording.status in (401, 403) else 404)


@pytest.mark.parametrize("recording", GOOD or [None], ids=ident)
def test_requests(recording: Recording) -> None:
    """What a recorded client sent to an OpenAI-like vendor is taken by the surface, and goes on as it was."""
    row = PROVIDERS[ROWS.get(recording.vendor, recording.vendor)]
    if row.dialect in ("gemini", "cohere") and recording.surface != "rerank":
        pytest.skip("a request in the vendor's own protocol")
    request = SURFACES[recording.surface].parse(orjson.dumps(recording.request)).request
    found, context = codec(recording)
    target = Target(row.name, recording.model, Quirks() if row.dialect == "openai" else row.quirks)
    sent = orjson.loads(found.encode(request, target).body)
    given = {name: member for name, member in recording.request.items() if member is not None}

    if isinstance(given.get("input"), str) and row.dialect != "openai":
        given["input"] = [given["input"]]
    assert {**sent, "model": None} == {**given, "model": None}
    assert context.target.provider == recording.vendor


def test_the_exceptions_are_there() -> None:
    """Each with its reason; one that is gone has to go from the list as well."""
    folder = Path(os.environ[VARIABLE])

    for name in OTHERS:
        assert (folder / f"{name}.json").is_file()
