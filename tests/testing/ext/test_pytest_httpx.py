"""Provider answers behind pytest-httpx: the real plugin, the real SDKs on httpx, plain, streamed and broken."""

import asyncio
import gc
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import cohere
import httpx
import httpx2
import openai
import pytest
from pytest_httpx import HTTPXMock

from compatgw_testing import FakeOpenAI, fail, fault, reply, tool_call
from compatgw_testing.ext.pytest_httpx import add_provider_response, conflicts, intercepts_httpx
from compatgw_testing.fakes.openai.habits import HABITS
from tests.testing.driver import MODELS, question

pytest_plugins = ["pytester"]

URLS: dict[str, str] = {
    "openai": "https://api.openai.com/v1/chat/completions",
    "anthropic": "https://api.anthropic.com/v1/messages",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent",
    "cohere": "https://api.cohere.com/v2/chat",
}
KEYS: dict[str, dict[str, str]] = {
    "openai": {"authorization": "Bearer sk-mine"},
    "anthropic": {"x-api-key": "sk-ant-mine", "anthropic-version": "2023-06-01"},
    "gemini": {"x-goog-api-key": "mine"},
    "cohere": {"authorization": "Bearer mine"},
}
DIALECTS: list[str] = ["openai", "anthropic", "gemini", "cohere"]
ASK: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def legacy() -> Iterator[openai.OpenAI]:
    """openai 3 on an httpx client, which it still takes."""
    with httpx.Client() as http:
        yield openai.OpenAI(api_key="sk-mine", http_client=http, max_retries=0)  # type: ignore[arg-type]


@pytest.fixture
async def legacy_async() -> AsyncIterator[openai.AsyncOpenAI]:
    """The same on an event loop."""
    async with httpx.AsyncClient() as http:
        yield openai.AsyncOpenAI(api_key="sk-mine", http_client=http, max_retries=0)  # type: ignore[arg-type]


def drained(source: Iterable[Any]) -> tuple[list[Any], Exception | None]:
    """What came, and what broke it off."""
    got: list[Any] = []
    try:
        got.extend(source)
    except (openai.OpenAIError, httpx.HTTPError) as failure:
        return got, failure
    return got, None


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_vendor_answers_at_its_own_host(httpx_mock: HTTPXMock, dialect: str) -> None:
    """Without a URL the vendor's hosts are taken, any key is as good as another, and the journal knows the body."""
    fake = add_provider_response(httpx_mock, dialect, "Bonjour")

    with httpx.Client() as client:
        answer = client.post(URLS[dialect], json=question(dialect), headers=KEYS[dialect])

    assert answer.status_code == 200
    assert "Bonjour" in answer.text
    assert fake.assert_called_once().body == question(dialect)
    assert len(httpx_mock.get_requests()) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_each_vendor_streams_when_asked(httpx_mock: HTTPXMock, dialect: str) -> None:
    """The body, or the URL, says so at call time; pieces come one by one."""
    add_provider_response(httpx_mock, dialect, reply(chunks=["Bon", "jour"]))
    url = URLS[dialect].replace(":generateContent", ":streamGenerateContent?alt=sse")
    body = question(dialect) if dialect == "gemini" else question(dialect, stream=True)

    async with httpx.AsyncClient() as client, client.stream("POST", url, json=body, headers=KEYS[dialect]) as answer:
        pieces = [piece async for piece in answer.aiter_raw()]

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert len(pieces) > 1
    assert b"Bon" in b"".join(pieces)


def test_one_registration_serves_plain_and_stream_in_turn(httpx_mock: HTTPXMock, legacy: openai.OpenAI) -> None:
    """A list is one answer per request; ids go on, tool calls and streams are as the SDK wants them."""
    fake = add_provider_response(httpx_mock, "openai", ["one", tool_call("look", city="Paris"), "three words here"])

    first = legacy.chat.completions.create(**ASK)
    tools: Any = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    second = legacy.chat.completions.create(**ASK, tools=tools)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in legacy.chat.completions.create(**ASK, stream=True))

    assert first.choices[0].message.content == "one"
    calls: Any = second.choices[0].message.tool_calls
    assert calls[0].function.arguments == '{"city":"Paris"}'
    assert text == "three words here"
    assert first.id != second.id
    assert len(fake.calls) == 3
    assert not fake.unused


async def test_the_asynchronous_sdk(httpx_mock: HTTPXMock, legacy_async: openai.AsyncOpenAI) -> None:
    """Twenty calls at once share the script."""
    fake = add_provider_response(httpx_mock, "openai", [f"answer {n}" for n in range(20)])

    answers = await asyncio.gather(*(legacy_async.chat.completions.create(**ASK) for _ in range(20)))

    assert {one.choices[0].message.content for one in answers} == {f"answer {n}" for n in range(20)}
    assert len(fake.calls) == 20


async def test_a_synchronous_client_inside_a_running_loop(httpx_mock: HTTPXMock) -> None:
    """It is not taken for an asynchronous one, nor the other way round in a thread."""
    add_provider_response(httpx_mock, "cohere", ["sync", "async"])
    with httpx.Client() as http:
        client = cohere.ClientV2(api_key="x", httpx_client=http)
        one = client.chat(model=MODELS["cohere"], messages=[cohere.UserChatMessageV2(content="Hi")])
    async with httpx.AsyncClient() as http2:
        other = cohere.AsyncClientV2(api_key="x", httpx_client=http2)
        two = await other.chat(model=MODELS["cohere"], messages=[cohere.UserChatMessageV2(content="Hi")])

    parts = [answer.message.content or [] for answer in (one, two)]
    assert [getattr(part[0], "text", "") for part in parts] == ["sync", "async"]


def test_errors_are_the_vendors(httpx_mock: HTTPXMock, legacy: openai.OpenAI) -> None:
    """The SDK raises the class that the true envelope deserves, with the request id; a retry takes the next step."""
    add_provider_response(httpx_mock, "openai", [fail(429, retry_after=0.001), "Hello"])
    add_provider_response(httpx_mock, "cohere", fail(401))

    assert legacy.with_options(max_retries=1).chat.completions.create(**ASK).choices[0].message.content == "Hello"
    with httpx.Client() as http:
        client = cohere.ClientV2(api_key="x", httpx_client=http)
        with pytest.raises(cohere.UnauthorizedError):
            client.chat(model=MODELS["cohere"], messages=[cohere.UserChatMessageV2(content="Hi")])


def test_what_the_vendor_would_refuse_is_refused(httpx_mock: HTTPXMock, legacy: openai.OpenAI) -> None:
    """The script is not touched by a call that the vendor would not take."""
    fake = add_provider_response(httpx_mock, "openai", "Hello")

    with pytest.raises(openai.BadRequestError):
        legacy.chat.completions.create(**{**ASK, "temperature": 9})

    assert fake.last.outcome == "refused"
    assert len(fake.unused) == 1


def test_a_key_must_be_there_and_may_have_to_be_the_right_one(httpx_mock: HTTPXMock) -> None:
    """By default any will do, but none will not; with `key` only that one, in the header or Gemini's query."""
    add_provider_response(httpx_mock, "openai", "Hello")
    add_provider_response(httpx_mock, "cohere", ["Hello", "Hello"], key="right")
    add_provider_response(httpx_mock, "gemini", ["Hello", "Hello"], key="right")
    with httpx.Client() as client:
        assert client.post(URLS["openai"], json=ASK).status_code == 401
        for given, status in (("right", 200), ("wrong", 401)):
            answer = client.post(URLS["cohere"], json=question("cohere"), headers={"authorization": f"Bearer {given}"})
            assert answer.status_code == status
        for given, status in (("right", 200), ("wrong", 400)):
            answer = client.post(f"{URLS['gemini']}?key={given}", json=question("gemini"))
            assert answer.status_code == status


def test_a_stream_that_breaks_raises_the_librarys_error(httpx_mock: HTTPXMock, legacy: openai.OpenAI) -> None:
    """Some pieces come, then httpx.RemoteProtocolError, as from a socket."""
    add_provider_response(httpx_mock, "openai", fault("one two three four", cut_after=3))
    add_provider_response(httpx_mock, "anthropic", fault("one two three four", cut_after=3))

    got, failure = drained(legacy.chat.completions.create(**ASK, stream=True))
    assert len(got) == 3
    assert isinstance(failure, openai.APIConnectionError)
    assert isinstance(failure.__cause__, httpx.RemoteProtocolError)

    body = question("anthropic", stream=True)
    with (
        httpx.Client() as client,
        client.stream("POST", URLS["anthropic"], json=body, headers=KEYS["anthropic"]) as answer,
    ):
        pieces, failure = drained(answer.iter_raw())
    assert len(pieces) == 3
    assert isinstance(failure, httpx.RemoteProtocolError)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stall_is_the_clients_timeout_and_takes_no_time(
    httpx_mock: HTTPXMock, legacy_async: openai.AsyncOpenAI, stream: bool
) -> None:
    """The clock is virtual: a read timeout of an hour passes at once."""
    add_provider_response(httpx_mock, "openai", fault("one two three", stall_after=2))

    async def ask() -> None:
        answer: Any = await legacy_async.with_options(timeout=3600).chat.completions.create(**ASK, stream=stream)
        async for _ in answer:
            pass

    with pytest.raises((openai.APITimeoutError, httpx.ReadTimeout)):
        await asyncio.wait_for(ask(), 10)


def test_leaving_early_reaches_the_fake(httpx_mock: HTTPXMock) -> None:
    """A client that closes a stream halfway is noticed."""
    fake = add_provider_response(httpx_mock, "openai", "one two three four five six")
    with (
        httpx.Client() as client,
        client.stream("POST", URLS["openai"], json={**ASK, "stream": True}, headers=KEYS["openai"]) as answer,
    ):
        next(answer.iter_raw())

    assert fake.last.outcome == "client_closed"


def test_a_reusable_answer_stands(httpx_mock: HTTPXMock, legacy: openai.OpenAI) -> None:
    """The last step answers all that come later."""
    add_provider_response(httpx_mock, "openai", ["first", "then"], is_reusable=True)

    said = [legacy.chat.completions.create(**ASK).choices[0].message.content for _ in range(4)]

    assert said == ["first", "then", "then", "then"]


def test_other_places(httpx_mock: HTTPXMock) -> None:
    """A full URL, a pattern, a mount, and further matchers of pytest-httpx."""
    add_provider_response(httpx_mock, "openai", "full", url="http://gw.test/v1/chat/completions")
    add_provider_response(httpx_mock, "groq", "mounted", url=re.compile("http://proxy.test/"), mount="/via")
    add_provider_response(
        httpx_mock, "openai", "lyon", url=re.compile("http://m.test/"), match_headers={"x-city": "Lyon"}
    )
    add_provider_response(
        httpx_mock, "openai", "oslo", url=re.compile("http://m.test/"), match_headers={"x-city": "Oslo"}
    )

    with httpx.Client(headers=KEYS["openai"]) as client:
        assert "full" in client.post("http://gw.test/v1/chat/completions", json=ASK).text
        answer = client.post("http://proxy.test/via/openai/v1/chat/completions", json=ASK)
        assert "mounted" in answer.text
        assert "x_groq" in answer.json()
        assert "oslo" in client.post("http://m.test/v1/chat/completions", json=ASK, headers={"x-city": "Oslo"}).text
        assert "lyon" in client.post("http://m.test/v1/chat/completions", json=ASK, headers={"x-city": "Lyon"}).text


def test_a_fake_of_ones_own(httpx_mock: HTTPXMock, legacy: openai.OpenAI) -> None:
    """A fake that an earlier call returned goes on with its journal; one without a script is asked itself."""
    mine = FakeOpenAI(seed="mine").always("standing")
    assert add_provider_response(httpx_mock, mine) is mine
    add_provider_response(httpx_mock, mine, "scripted")

    said = [legacy.chat.completions.create(**ASK).choices[0].message.content for _ in range(2)]

    assert said == ["scripted", "standing"]
    assert len(mine.calls) == 2


def test_mistakes_are_said_at_once(httpx_mock: HTTPXMock) -> None:
    """Before any request: unknown dialects, fakes of unknown hosts, things that are no mock."""
    with pytest.raises(ValueError, match="no dialect 'opanai'"):
        add_provider_response(httpx_mock, "opanai")
    with pytest.raises(ValueError, match="hosts"):
        add_provider_response(httpx_mock, FakeOpenAI(habit=replace(HABITS["groq"], base="/else")), "x")
    with pytest.raises(TypeError, match="no mock"):
        add_provider_response(object(), "openai", "x")  # type: ignore[arg-type]


def test_no_thread_outlives_its_mock(httpx_mock: HTTPXMock) -> None:
    """The thread that serves a synchronous client ends when the mock forgets its callbacks."""
    add_provider_response(httpx_mock, "openai", "Hello")
    before = set(threading.enumerate())
    with httpx.Client(headers=KEYS["openai"]) as client:
        client.post(URLS["openai"], json=ASK)
    mine = set(threading.enumerate()) - before
    assert len(mine) == 1

    httpx_mock.reset()
    # httpx's responses and their streams refer to each other.
    gc.collect()

    for thread in mine:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("fixtures", "markers", "named"),
    [
        (["httpx_mock", "llm_cassette"], [], ("httpx_mock", "llm_cassette")),
        (["httpx_mock"], ["vcr"], ("httpx_mock", "@pytest.mark.vcr")),
        (["httpx2_mock", "vcr_cassette", "tmp_path"], [], ("httpx2_mock", "vcr_cassette")),
    ],
)
def test_a_mock_and_a_cassette_do_not_go_together(
    fixtures: list[str], markers: list[str], named: tuple[str, str]
) -> None:
    """The advice names both, and what to do."""
    advice = conflicts(fixtures, markers)

    assert advice is not None
    assert all(name in advice for name in named)
    assert "Split the test" in advice


@pytest.mark.parametrize(
    ("fixtures", "markers"),
    [(["httpx_mock"], []), (["llm_cassette"], ["vcr"]), (["tmp_path"], []), (["httpx_mock", "vcr"], ["asyncio"])],
)
def test_either_alone_is_fine(fixtures: list[str], markers: list[str]) -> None:
    """The fixture `vcr` says nothing: pytest-recording has it in every test."""
    assert conflicts(fixtures, markers) is None


def test_who_intercepts_httpx() -> None:
    """Only then must a gateway of the test speak httpx to its upstreams."""
    assert intercepts_httpx(["tmp_path", "httpx_mock"])
    assert intercepts_httpx(["respx_mock"])
    assert not intercepts_httpx(["httpx2_mock", "tmp_path"])


class Router:
    """A mock in the manner of respx: routes with side effects, tried in order."""

    def __init__(self) -> None:
        self.effects: list[tuple[dict[str, Any], Callable[[Any], Any]]] = []

    def route(self, **lookups: Any) -> Any:
        """A route; only what the adapter uses."""
        return SimpleNamespace(mock=lambda side_effect: self.effects.append((lookups, side_effect)))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answers for `httpx.MockTransport`."""
        for lookups, effect in self.effects:
            full, pattern = lookups.get("url"), lookups.get("url__regex")
            if full == request.url or (pattern and re.match(pattern, str(request.url))):
                answer: httpx.Response = effect(request)
                return answer
        raise AssertionError(f"no route for {request.url}")


def test_mocks_in_the_manner_of_respx() -> None:
    """The route gives as many answers as were scripted, or goes on with the last one; other matchers are refused."""
    router = Router()
    add_provider_response(router, "openai", ["one", "two"])
    add_provider_response(router, "openai", "always", url="http://m.test/v1/chat/completions", is_reusable=True)
    with pytest.raises(TypeError, match="match_json"):
        add_provider_response(router, "openai", "x", match_json={})

    with httpx.Client(transport=httpx.MockTransport(router), headers=KEYS["openai"]) as client:
        assert "one" in client.post(URLS["openai"], json=ASK).text
        assert "two" in client.post(URLS["openai"], json=ASK).text
        with pytest.raises(AssertionError, match="all 2 scripted answers were given"):
            client.post(URLS["openai"], json=ASK)
        for _ in range(3):
            assert "always" in client.post("http://m.test/v1/chat/completions", json=ASK).text


class Callbacks:
    """A mock in the manner of pytest-httpx, for httpx2."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[Any], Any]] = []

    def add_callback(self, callback: Callable[[Any], Any], **matchers: Any) -> None:
        """Keeps it; each answers once."""
        self.callbacks.append(callback)

    def plain(self, request: httpx2.Request) -> httpx2.Response:
        """For a synchronous `httpx2.MockTransport`."""
        answer: httpx2.Response = self.callbacks.pop(0)(request)
        return answer

    async def later(self, request: httpx2.Request) -> httpx2.Response:
        """For an asynchronous `httpx2.MockTransport`."""
        answer: httpx2.Response = await self.callbacks.pop(0)(request)
        return answer


async def test_mocks_of_httpx2() -> None:
    """The answer is of the library that the request is of, with its errors, sync and async."""
    mock = Callbacks()
    add_provider_response(mock, "openai", ["one", "two", fault("three four five", cut_after=2)])

    http = httpx2.Client(transport=httpx2.MockTransport(mock.plain))
    with openai.OpenAI(api_key="x", http_client=http) as client:
        assert client.chat.completions.create(**ASK).choices[0].message.content == "one"
    http_later = httpx2.AsyncClient(transport=httpx2.MockTransport(mock.later))
    async with openai.AsyncOpenAI(api_key="x", http_client=http_later, max_retries=0) as later:
        assert (await later.chat.completions.create(**ASK)).choices[0].message.content == "two"
        stream = await later.chat.completions.create(**ASK, stream=True)
        with pytest.raises(openai.APIConnectionError) as caught:
            [chunk async for chunk in stream]
    assert isinstance(caught.value.__cause__, httpx2.RemoteProtocolError)


SUITE = """
import httpx
import pytest
from compatgw_testing.ext.pytest_httpx import add_provider_response

def test_both(httpx_mock, llm_cassette):
    pass

@pytest.mark.vcr
def test_marked(httpx_mock):
    pass

def test_one(httpx_mock):
    fake = add_provider_response(httpx_mock, "cohere", "Hello")
    body = {"model": "command-a-03-2025", "messages": [{"role": "user", "content": "Hi"}]}
    answer = httpx.post("https://api.cohere.com/v2/chat", json=body, headers={"authorization": "Bearer x"})
    assert answer.json()["message"]["content"][0]["text"] == "Hello"
    fake.assert_called_once()
"""


def test_a_suite_with_both_is_told_so(pytester: pytest.Pytester) -> None:
    """Each test that has a mock and a cassette fails with the advice; one that has only the mock passes."""
    pytester.makepyfile(SUITE)
    pytester.makeini("[pytest]\nmarkers = vcr: a marker of another plugin")

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")

    outcomes = result.parseoutcomes()
    assert outcomes.get("passed") == 1
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) == 2
    result.stdout.fnmatch_lines_random(
        ["*httpx_mock and llm_cassette are in one test*", "*and @pytest.mark.vcr are in*"]
    )
