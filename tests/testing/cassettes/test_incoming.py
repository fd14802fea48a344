"""Requests find their service by their path, and an answer learns that its client is gone."""

import asyncio
from typing import Any

import pytest

from compatgw_testing.cassettes.incoming import ClientGone, placed, request_of, while_there
from compatgw_testing.cassettes.services import service_at, upstream_url


async def gone() -> dict[str, Any]:
    """`receive` of a client that has left."""
    return {"type": "http.disconnect"}


async def there() -> dict[str, Any]:
    """`receive` of a client that stays."""
    await asyncio.Event().wait()
    return {}


async def test_an_answer_may_end_by_itself_after_its_client_left() -> None:
    """It is told, and has a moment for it."""
    left = asyncio.Event()
    ended: list[bool] = []

    async def answer() -> None:
        await left.wait()
        ended.append(True)

    await while_there(gone, answer(), gone=left, grace=5)

    assert ended == [True]


@pytest.mark.parametrize("left", [None, asyncio.Event()])
async def test_an_answer_that_does_not_end_is_cancelled(left: asyncio.Event | None) -> None:
    """At once, or when the moment is over."""
    cancelled: list[bool] = []

    async def answer() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)

    with pytest.raises(ClientGone):
        await while_there(gone, answer(), gone=left)

    assert cancelled == [True]


async def test_what_an_answer_raises_is_raised() -> None:
    """While its client is there."""

    async def answer() -> None:
        raise LookupError("x")

    with pytest.raises(LookupError):
        await while_there(there, answer())


async def test_a_client_that_leaves_before_its_request_is_whole() -> None:
    """There is nothing to answer."""
    with pytest.raises(ClientGone):
        await request_of({"method": "POST", "path": "/openai/v1", "headers": []}, gone)


@pytest.mark.parametrize(
    ("scope", "wanted"),
    [
        ({"path": "/openai/v1/models"}, ("openai", "/v1/models")),
        ({"path": "/t1/openai/v1/models", "root_path": "/t1"}, ("openai", "/v1/models")),
        (
            {"path": "/gemini/v1/models/a b:x", "raw_path": b"/gemini/v1/models/a%20b:x"},
            ("gemini", "/v1/models/a%20b:x"),
        ),
        ({"path": "/gemini/v1/models/a b:x"}, ("gemini", "/v1/models/a%20b:x")),
        ({"path": "/groq/openai/v1/models"}, ("groq", "/openai/v1/models")),
    ],
)
async def test_the_service_and_its_path(scope: dict[str, Any], wanted: tuple[str, str]) -> None:
    """Below the mount, escaped as a URL is."""
    bodies: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.request", "body": b"b"},
    ]

    async def receive() -> dict[str, Any]:
        return bodies.pop(0)

    request = await request_of({"method": "post", "headers": [(b"A", b"b")], "query_string": b"c=", **scope}, receive)

    assert (request.service, request.path) == wanted
    assert (request.method, request.headers, request.query, request.body) == (
        "POST",
        (("a", "b"),),
        (("c", ""),),
        b"ab",
    )


def test_a_path_without_a_service() -> None:
    """Is of the only service that is meant; of OpenAI if none is."""
    assert placed("/v1/models", ["groq"]) == ("groq", "/v1/models")
    assert placed("/v1/models", ["groq", "openai"]) == ("openai", "/v1/models")
    assert placed("/v1/models") == ("openai", "/v1/models")
    assert placed("/together/v1/models") == ("together", "/v1/models")


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://api.openai.com/v1/models?a=b", ("openai", "/v1/models")),
        ("https://api.openai.com:443/v1/models", ("openai", "/v1/models")),
        ("https://mine.openai.azure.com/openai/v1/models", ("azure", "/openai/v1/models")),
        ("https://api.cohere.ai/v2/chat", ("cohere", "/v2/chat")),
        ("https://bedrock-runtime.eu-west-1.amazonaws.com/model/a%3A0/converse", ("bedrock", "/model/a%3A0/converse")),
        (
            "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1/chat/completions",
            ("bedrock-openai", "/openai/v1/chat/completions"),
        ),
        (
            "https://aiplatform.googleapis.com/v1/projects/p/locations/global/endpoints/openapi/chat/completions",
            ("vertex-openai", "/v1/projects/p/locations/global/endpoints/openapi/chat/completions"),
        ),
        (
            "https://europe-west4-aiplatform.googleapis.com/v1/projects/p",
            ("https://europe-west4-aiplatform.googleapis.com", "/v1/projects/p"),
        ),
        ("http://localhost:8080/v1/models", ("http://localhost:8080", "/v1/models")),
        ("http://[::1]:80", ("http://[::1]", "/")),
    ],
)
def test_the_service_of_a_url(url: str, wanted: tuple[str, str]) -> None:
    """A vendor by its name, every other server by its address."""
    assert service_at(url) == wanted


@pytest.mark.parametrize(
    ("service", "path", "environment", "wanted"),
    [
        ("openai", "/v1/models?a", {}, "https://api.openai.com/v1/models?a"),
        ("openai", "/v1/models", {"OPENAI_BASE_URL": "http://a/b/v9/"}, "http://a/b/v9/models"),
        ("openai", "/other", {"OPENAI_BASE_URL": "http://a/b"}, "http://a/other"),
        ("anthropic", "/v1/messages", {"ANTHROPIC_BASE_URL": "http://a/b"}, "http://a/b/v1/messages"),
        ("together", "/v1/models", {"TOGETHER_BASE_URL": "http://a/v1"}, "http://a/v1/models"),
        ("databricks", "/serving-endpoints/x", {"DATABRICKS_BASE_URL": "http://a"}, "http://a/serving-endpoints/x"),
        ("http://localhost:1", "/v1/models", {}, "http://localhost:1/v1/models"),
    ],
)
def test_where_a_request_really_goes(service: str, path: str, environment: dict[str, str], wanted: str) -> None:
    """The user's own base URL comes first."""
    assert upstream_url(service, path, environment) == wanted


def test_a_service_that_stands_nowhere_names_its_variable() -> None:
    """So that one can set it."""
    with pytest.raises(LookupError, match="set AZURE_OPENAI_ENDPOINT"):
        upstream_url("azure", "/x", {})
    with pytest.raises(LookupError, match="set NOBODY_BASE_URL"):
        upstream_url("nobody", "/x", {})
