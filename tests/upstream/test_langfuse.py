"""Prompts of Langfuse: the exact calls, what becomes of its documented answers, and of everything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Literal

import orjson
import pytest

# Loaded beforehand, so that its import does not eat up what a call may take.
import compatgw.upstream.aio  # noqa: F401
from compatgw.errors import GatewayError, UpstreamFailure, UpstreamTimeout
from compatgw.upstream.client import UpstreamClient
from compatgw.upstream.langfuse import Langfuse
from compatgw.wire.prompts import Prompt, PromptMessage
from tests.upstream.langfuse import PUBLIC, SECRET, TOKEN, FakeLangfuse, chat, text

PATH = "/api/public/v2/prompts"


@pytest.fixture
async def server() -> AsyncIterator[FakeLangfuse]:
    """A Langfuse with nothing in it."""
    async with FakeLangfuse() as made:
        yield made


@pytest.fixture(params=["aiohttp", "httpx"])
async def langfuse(request: pytest.FixtureRequest, server: FakeLangfuse) -> AsyncIterator[Langfuse]:
    """A client of it, over each transport."""
    kind: Literal["aiohttp", "httpx"] = request.param
    upstream = UpstreamClient(transport=kind, user_agent="compatgw/9")
    yield Langfuse(upstream, server.url + "/", PUBLIC, SECRET, timeout=5.0)
    await upstream.aclose()


async def refused(langfuse: Langfuse, name: str = "greet") -> GatewayError:
    """The failure of asking; no secret is in it."""
    with pytest.raises(UpstreamFailure) as caught:
        await langfuse.prompt(name, None)
    shown = repr(caught.value) + str(caught.value) + orjson.dumps(caught.value.envelope()).decode()
    for secret in (SECRET, TOKEN, PUBLIC):
        assert secret not in shown
    return caught.value


# --- the calls -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "version", "line"),
    [
        ("greet", None, "/greet?label=production"),
        ("greet", 3, "/greet?version=3"),
        ("greet", "next", "/greet?label=next"),
        ("greet", "3", "/greet?label=3"),
        ("greet", "latest", "/greet?label=latest"),
        ("team/greet.v2", None, "/team%2Fgreet.v2?label=production"),
        ("a b&c=d?e#f%2F", "x&version=1", "/a%20b%26c%3Dd%3Fe%23f%252F?label=x%26version%3D1"),
        ("grüße/é", None, "/gr%C3%BC%C3%9Fe%2F%C3%A9?label=production"),
        ("../secrets", None, "/..%2Fsecrets?label=production"),
        ("%2e%2e", None, "/%252e%252e?label=production"),
    ],
)
async def test_one_call_asks_for_one_version(
    langfuse: Langfuse, server: FakeLangfuse, name: str, version: Any, line: str
) -> None:
    """The exact path and query, whatever is in a name; and the key of the project, once."""
    assert await langfuse.prompt(name, version) is None
    assert server.lines == [f"GET {PATH}{line} HTTP/1.1"]
    assert server.header("authorization") == [f"Basic {TOKEN}"]
    assert server.header("accept") == ["application/json"]
    assert server.header("user-agent") == ["compatgw/9"]


@pytest.mark.parametrize("name", [".", ".."])
async def test_a_name_that_is_another_place_is_not_asked_for(
    langfuse: Langfuse, server: FakeLangfuse, name: str
) -> None:
    """Clients and proxies would make another path of it."""
    assert await langfuse.prompt(name, None) is None
    assert server.heads == []


# --- its answers -----------------------------------------------------------------------------


async def test_a_text_prompt_is_a_system_message(langfuse: Langfuse, server: FakeLangfuse) -> None:
    """With its version and its labels."""
    server.versions["greet"] = [text("One", 1, []), text("Hello {{name}}", 2)]
    assert await langfuse.prompt("greet", None) == Prompt(
        name="greet",
        version=2,
        labels=frozenset({"production", "latest"}),
        messages=(PromptMessage("system", "Hello {{name}}"),),
    )
    one = await langfuse.prompt("greet", 1)
    assert one is not None
    assert (one.version, one.labels, one.messages[0].content) == (1, frozenset(), "One")
    assert await langfuse.prompt("greet", 3) is None
    assert await langfuse.prompt("greet", "next") is None
    assert await langfuse.prompt("other", None) is None


async def test_a_chat_prompt_is_its_messages(langfuse: Langfuse, server: FakeLangfuse) -> None:
    """In their order, with their roles; older versions of theirs name no type."""
    server.versions["greet"] = [chat(("system", "s {{a}}"), ("user", "q"), ("assistant", "a"), version=4)]
    server.versions["old"] = [{**text("", 1), "type": "chat", "prompt": [{"role": "developer", "content": "d"}]}]
    found, old = await langfuse.prompt("greet", 4), await langfuse.prompt("old", None)
    assert found is not None
    assert old is not None
    assert [(message.role, message.content) for message in found.messages] == [
        ("system", "s {{a}}"),
        ("user", "q"),
        ("assistant", "a"),
    ]
    assert old.messages == (PromptMessage("developer", "d"),)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "no version"),
        ({**text("x"), "version": None}, "no version"),
        ({**text("x"), "version": True}, "no version"),
        ({**text("x"), "version": "1"}, "no version"),
        (text(""), "no messages"),
        ({**text("x"), "prompt": None}, "no messages"),
        ({**text("x"), "prompt": []}, "no messages"),
        ({**text("x"), "prompt": {"role": "user"}}, "no messages"),
        ({**text("x"), "prompt": ["hello"]}, "is no object"),
        ({**text("x"), "prompt": [{"type": "placeholder", "name": "history"}]}, "placeholder 'history'"),
        (chat(("tool", "x")), "role 'tool'"),
        ({**text("x"), "prompt": [{"role": "user", "content": None}]}, "role 'user'"),
        ({**text("x"), "prompt": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, "role 'user'"),
        ({**text("x"), "prompt": [{"role": ["user"], "content": "x"}]}, "role"),
    ],
)
async def test_a_prompt_that_cannot_be_used_is_told_why(
    langfuse: Langfuse, server: FakeLangfuse, value: Any, words: str
) -> None:
    """Rather than half of it used."""
    server.answer = (200, orjson.dumps(value))
    error = await refused(langfuse)
    assert words in error.message
    assert "Mend it there" in error.message


@pytest.mark.parametrize("labels", [None, "production", 5])
async def test_labels_that_are_none_are_none(langfuse: Langfuse, server: FakeLangfuse, labels: Any) -> None:
    """The prompt itself is sound."""
    server.answer = (200, orjson.dumps({**text("x"), "labels": labels}))
    found = await langfuse.prompt("greet", None)
    assert found is not None
    assert found.labels == frozenset()


# --- everything else -------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 429, 500, 502, 503, 529])
async def test_a_status_of_trouble_is_told_without_a_secret(
    langfuse: Langfuse, server: FakeLangfuse, status: int
) -> None:
    """One call, even to a redirect; what it says is told on, cut, and without what must not be seen."""
    server.answer = (status, f"no: {PUBLIC} {SECRET} {TOKEN} {'x' * 290}{SECRET}".encode())
    server.headers = {"Location": f"{server.url}/elsewhere", "Retry-After": "7"}
    error = await refused(langfuse)
    assert str(status) in error.message
    assert "no: " in error.message
    assert SECRET[:12] not in error.message
    assert len(error.message) < 400
    assert error.retry_after == 7
    assert len(server.heads) == 1


@pytest.mark.parametrize("header", ["", "soon", "-1", "99999", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT", "٣"])
async def test_a_pause_that_is_none_is_left_out(langfuse: Langfuse, server: FakeLangfuse, header: str) -> None:
    """Only seconds, and not more than an hour."""
    server.answer = (429, b"{}")
    server.headers = {"Retry-After": header.encode().decode("latin-1")}
    assert (await refused(langfuse)).retry_after is None


async def test_the_wrong_key_is_told(server: FakeLangfuse) -> None:
    """401 of the real check; the operator's fault, not the caller's."""
    upstream = UpstreamClient(transport="aiohttp")
    error = await refused(Langfuse(upstream, server.url, PUBLIC, "wrong"))
    assert "401" in error.message
    assert "Invalid credentials" in error.message
    assert server.header("authorization") != [f"Basic {TOKEN}"]
    await upstream.aclose()


@pytest.mark.parametrize("body", [b"<html>Not Found</html>", b"", b"[]", b'{"detail":"Not Found"}', b"null"])
async def test_a_page_that_is_missing_is_not_a_prompt_that_is(
    langfuse: Langfuse, server: FakeLangfuse, body: bytes
) -> None:
    """A proxy's 404 must not take a template away that is known."""
    server.answer = (404, body)
    assert "404" in (await refused(langfuse)).message


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"\xff\xfe", b"NaN", b"[" * 5000])
async def test_an_answer_that_is_not_json_is_told(langfuse: Langfuse, server: FakeLangfuse, body: bytes) -> None:
    """Whatever came instead."""
    server.answer = (200, body)
    assert "not JSON" in (await refused(langfuse)).message


async def test_a_huge_answer_is_not_read_to_its_end(langfuse: Langfuse, server: FakeLangfuse) -> None:
    """A megabyte is the most."""
    server.answer = (200, orjson.dumps(text("x" * (1 << 20))))
    assert "over the limit" in (await refused(langfuse)).message


async def test_nobody_there_and_a_connection_that_breaks(langfuse: Langfuse, server: FakeLangfuse) -> None:
    """Both are told, and name no address."""
    server.broken = True
    first = await refused(langfuse)
    await server.stop()
    second = await refused(langfuse)
    assert "127.0.0.1" not in first.message + second.message
    assert second.status == 503


async def test_a_slow_one_is_given_up(server: FakeLangfuse) -> None:
    """After the time that it has."""
    server.gate.clear()
    upstream = UpstreamClient(transport="aiohttp")
    langfuse = Langfuse(upstream, server.url, PUBLIC, SECRET, timeout=0.05)
    with pytest.raises(UpstreamTimeout, match=r"within 0\.05 seconds"):
        await langfuse.prompt("greet", None)
    await upstream.aclose()


async def test_leaving_ends_the_call(server: FakeLangfuse) -> None:
    """Nothing goes on behind it."""
    server.gate.clear()
    upstream = UpstreamClient(transport="aiohttp")
    asking = asyncio.create_task(Langfuse(upstream, server.url, PUBLIC, SECRET).prompt("greet", None))
    await server.waiting.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await upstream.aclose()


@pytest.mark.parametrize(
    ("url", "public", "secret", "words"),
    [
        ("cloud.langfuse.com", "p", "s", "base_url"),
        ("ftp://cloud.langfuse.com", "p", "s", "base_url"),
        ("https://cloud.langfuse.com", "", "s", "public_key"),
        ("https://cloud.langfuse.com", "p", "", "secret_key"),
        ("https://cloud.langfuse.com", "p:q", "s-e-c-r-e-t", "public_key"),
    ],
)
def test_an_address_or_key_that_cannot_be_is_refused(url: str, public: str, secret: str, words: str) -> None:
    """When it is made, and not at the first call."""
    with pytest.raises(ValueError, match=words) as caught:
        Langfuse(UpstreamClient(transport="httpx"), url, public, secret)
    assert "s-e-c-r-e-t" not in str(caught.value)


def test_its_repr_shows_no_secret() -> None:
    """Nor what it holds."""
    langfuse = Langfuse(UpstreamClient(transport="httpx"), "https://x.test", PUBLIC, SECRET)
    shown = repr(langfuse) + repr(langfuse._endpoint)
    assert SECRET not in shown
    assert TOKEN not in shown
