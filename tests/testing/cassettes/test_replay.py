"""Replaying gives what was recorded, at the speed that was asked for, and ends as it ended."""

import asyncio
from collections.abc import Callable
from typing import Any

import anthropic
import cohere
import httpx
import openai
import pytest
from google import genai
from hypothesis import given
from hypothesis import strategies as st

from compatgw_testing import FakeServer
from compatgw_testing.cassettes.format import Chunk, End, Head, Interaction
from compatgw_testing.cassettes.match import Matcher
from compatgw_testing.cassettes.replay import Replay, rechunked
from compatgw_testing.doors import inprocess
from tests.testing.cassettes.upstreams import CHAT, CHUNKS, EVENTS, HI, answered, asked, by_hand, drink


def client(app: Any) -> httpx.AsyncClient:
    """A client in this process."""
    return inprocess.client(app, library="httpx", timeout=5)


async def test_everything_at_once_by_default() -> None:
    """Nothing waits, however long the recording took."""

    async def never(_seconds: float) -> None:
        raise AssertionError("replay at full speed does not wait")

    app = Replay([answered(asked(), *CHUNKS, end=End("eof", None, 9e9))], sleep=never)

    async with client(app) as http:
        answer = await http.post(CHAT, json=HI)

    assert answer.content == EVENTS


@pytest.mark.parametrize(("speed", "wanted"), [(1.0, [5, 10, 20, 30, 40]), (2.0, [2.5, 5, 10, 15, 20])])
async def test_the_speed_of_the_recording(speed: float, wanted: list[float]) -> None:
    """Head, chunks and end come when they came, by the clock, not each late by what the one before was late."""
    now = 100.0
    at: list[float] = []

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        at.append(round((now - 100) * 1000, 3))

    app = Replay([answered(asked(), *CHUNKS)], speed=speed, sleep=sleep, clock=lambda: now)
    async with client(app) as http:
        await http.post(CHAT, json=HI)

    assert at == wanted
    with pytest.raises(ValueError, match="backwards"):
        Replay([], speed=-1)


@given(st.lists(st.binary(max_size=90), max_size=8), st.integers())
def test_cutting_anew_keeps_the_bytes(pieces: list[bytes], seed: int) -> None:
    """The same bytes, the same cuts for the same seed, no empty piece, and none before its bytes were there."""
    chunks = [Chunk(float(number), piece) for number, piece in enumerate(pieces)]

    made = list(rechunked(chunks, seed))

    assert b"".join(chunk.data for chunk in made) == b"".join(pieces)
    assert made == list(rechunked(chunks, seed))
    assert all(chunk.data for chunk in made)
    sent = 0
    for chunk in made:
        sent += len(chunk.data)
        assert sum(map(len, pieces[: int(chunk.t_ms) + 1])) >= sent


async def test_another_seed_cuts_elsewhere() -> None:
    """And what the client reads is cut there, within events and characters."""
    body = EVENTS * 4
    cuts: set[tuple[int, ...]] = set()
    for seed in range(5):
        got: list[bytes] = []
        async with client(Replay([answered(asked(), body)], rechunk=seed)) as http:
            await drink(http, got)
        assert b"".join(got) == body
        cuts.add(tuple(map(len, got)))

    assert len(cuts) == 5


async def test_without_the_service_in_the_path() -> None:
    """A cassette of one service stands for it, so that a client needs no more than the address."""
    app = Replay([answered(asked(), *CHUNKS), answered(asked(), *CHUNKS)])

    async with client(app) as http:
        assert (await http.post("/v1/chat/completions", json=HI)).status_code == 200
        assert (await http.post(CHAT, json=HI)).status_code == 200


async def test_a_server_that_is_no_vendor_stands_below_its_host() -> None:
    """Several addresses in one cassette are told apart by their hosts."""
    one = asked(service="http://127.0.0.1:8080")
    other = asked(service="https://llm.example")
    app = Replay([answered(one, b"one"), answered(other, b"other")])

    async with client(app) as http:
        assert (await http.post("/llm.example/v1/chat/completions", json=HI)).text == "other"
        assert (await http.post("/127.0.0.1:8080/v1/chat/completions", json=HI)).text == "one"


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("cut", httpx.RemoteProtocolError),
        ("client_closed", httpx.RemoteProtocolError),
        ("reset", httpx.ReadError),
        ("timeout", httpx.ReadTimeout),
        ("refused", httpx.ConnectError),
    ],
)
async def test_ends_as_it_ended(kind: Any, error: type[Exception]) -> None:
    """In this process, as the library's own error, after all the chunks."""
    head = None if kind == "refused" else Head(200, (), 1.0)
    chunks = () if kind == "refused" else (Chunk(2.0, b"a"), Chunk(3.0, b"b"))
    got: list[bytes] = []

    async with client(Replay([Interaction(asked(), head, chunks, End(kind, None, 4.0))])) as http:
        with pytest.raises(error):
            await drink(http, got)

    assert tuple(got) == tuple(chunk.data for chunk in chunks)


@pytest.mark.parametrize("kind", ["cut", "reset", "timeout"])
async def test_breaks_reach_a_socket(kind: Any) -> None:
    """The chunks arrive, the end of the body does not; nobody waits for what will not come."""
    one = Interaction(asked(), Head(200, (), 1.0), (Chunk(2.0, b"a"), Chunk(3.0, b"b")), End(kind, None, 4.0))

    with FakeServer(Replay([one])) as server:
        seen = await by_hand(server.origin, CHAT, HI)

    assert (seen.status, seen.chunks, seen.complete) == (200, [b"a", b"b"], False)


async def test_equal_requests_at_the_same_time() -> None:
    """Each answer is given once, in the order of the recording, to those who ask first."""
    app = Replay([answered(asked(), str(number).encode()) for number in range(20)])

    with FakeServer(app) as server:
        async with httpx.AsyncClient(timeout=10) as http:
            answers = await asyncio.gather(*(http.post(server.origin + CHAT, json=HI) for _ in range(20)))

    assert sorted(int(one.text) for one in answers) == list(range(20))
    assert app.answers.unused == ()


def openai_asks(origin: str) -> Any:
    """OpenAI's SDK, with its retries."""
    with openai.OpenAI(api_key="k", base_url=f"{origin}/openai/v1") as sdk:
        return sdk.chat.completions.create(model="m", messages=[{"role": "user", "content": "Ho"}])


def anthropic_asks(origin: str) -> Any:
    """Anthropic's, with its retries."""
    with anthropic.Anthropic(api_key="k", base_url=f"{origin}/anthropic") as sdk:
        return sdk.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "Ho"}])


def gemini_asks(origin: str) -> Any:
    """Google's."""
    sdk = genai.Client(api_key="k", http_options=genai.types.HttpOptions(base_url=f"{origin}/gemini"))
    try:
        return sdk.models.generate_content(model="m", contents="Ho")
    finally:
        sdk.close()


def cohere_asks(origin: str) -> Any:
    """Cohere's, with its retries."""
    with httpx.Client() as http:
        sdk = cohere.ClientV2("k", base_url=f"{origin}/cohere", httpx_client=http)
        return sdk.chat(model="m", messages=[{"role": "user", "content": "Ho"}])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("asks", "error"),
    [
        (openai_asks, openai.BadRequestError),
        (anthropic_asks, anthropic.BadRequestError),
        (gemini_asks, genai.errors.ClientError),
        (cohere_asks, cohere.BadRequestError),
    ],
)
def test_a_request_without_an_answer(asks: Callable[[str], Any], error: type[Exception]) -> None:
    """The SDK raises its class for a bad request, at once and with the reason; the replay has noted it once."""
    app = Replay([answered(asked(), *CHUNKS)])

    with FakeServer(app) as server, pytest.raises(error, match="nothing recorded answers POST") as raised:
        asks(server.origin)

    assert len(app.misses) == 1
    assert "no_cassette_match" in f"{raised.value} {getattr(raised.value, 'code', '')}".lower()


async def test_a_file_whose_length_was_edited_by_hand() -> None:
    """The content length is that of what is sent."""
    head = Head(200, (("content-length", "3"),), 1.0)
    one = Interaction(asked(), head, (Chunk(2.0, b"longer"),), End("eof", None, 3.0))

    async with client(Replay(Matcher([one]))) as http:
        assert (await http.post(CHAT, json=HI)).content == b"longer"
