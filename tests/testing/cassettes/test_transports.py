"""Clients of both libraries record by themselves: chunks pass, breaks break, and the tape has all of it."""

import gzip
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import pytest

from compatgw_testing import FakeAnthropic
from compatgw_testing.cassettes.format import read
from compatgw_testing.cassettes.record import Tape
from compatgw_testing.cassettes.session import Session
from compatgw_testing.cassettes.transports import recording
from compatgw_testing.doors import inprocess
from compatgw_testing.faults import ConnectionCut, ConnectionReset, ConnectRefused
from tests.testing.cassettes.upstreams import CHUNKS, EVENTS, HI, Upstream

URL = "https://api.openai.com/v1/chat/completions?a=b"
LIBRARIES: dict[str, Any] = {"httpx": httpx, "httpx2": httpx2}
EACH = pytest.mark.parametrize("sync", [True, False])


@pytest.fixture(params=list(LIBRARIES))
def library(request: pytest.FixtureRequest) -> Any:
    """Both libraries."""
    return request.param


async def stream(library: Any, tape: Tape, app: Any, *, sync: bool, read: int | None = None) -> list[bytes]:
    """The chunks that a client gets, `read` of them at most; it breaks as the library breaks."""
    module = LIBRARIES[library]
    wrapped: Any = recording  # of any of its forms
    transport = wrapped(inprocess.transport(app, library=library, sync=sync), tape, library=library, sync=sync)
    got: list[bytes] = []
    if sync:
        with module.Client(transport=transport) as http, http.stream("POST", URL, json=HI) as answer:
            chunks: Iterator[bytes] = answer.iter_raw()
            for chunk in chunks:
                got.append(chunk)
                if len(got) == read:
                    break
        return got
    async with module.AsyncClient(transport=transport) as http, http.stream("POST", URL, json=HI) as answer:
        coming: AsyncIterator[bytes] = answer.aiter_raw()
        async for chunk in coming:
            got.append(chunk)
            if len(got) == read:
                break
    return got


@EACH
async def test_chunks_pass_and_are_recorded(library: Any, sync: bool) -> None:
    """As they came, under the service that the URL is of."""
    tape, upstream = Tape(), Upstream()

    assert tuple(await stream(library, tape, upstream, sync=sync)) == CHUNKS

    (one,) = tape.interactions
    assert (one.request.service, one.request.path, one.request.query) == (
        "openai",
        "/v1/chat/completions",
        (("a", "b"),),
    )
    assert tuple(chunk.data for chunk in one.chunks) == CHUNKS
    assert one.end.kind == "eof"
    assert upstream.asked[0][0]["accept-encoding"] == "identity"


@EACH
@pytest.mark.parametrize(
    ("failure", "kind", "error"),
    [(ConnectionCut("x"), "cut", "RemoteProtocolError"), (ConnectionReset("x"), "reset", "ReadError")],
)
async def test_a_break_is_recorded(library: Any, sync: bool, failure: Exception, kind: str, error: str) -> None:
    """And raised as what it is in the library."""
    tape = Tape()

    with pytest.raises(getattr(LIBRARIES[library], error)):
        await stream(library, tape, Upstream(failure=failure), sync=sync)

    (one,) = tape.interactions
    assert (one.body, one.end.kind, one.end.error) == (EVENTS, kind, error)


@EACH
async def test_no_connection(library: Any, sync: bool) -> None:
    """There is no head."""

    async def refusing(_scope: Any, _receive: Any, _send: Any) -> None:
        raise ConnectRefused("x")

    tape = Tape()
    with pytest.raises(LIBRARIES[library].ConnectError):
        await stream(library, tape, refusing, sync=sync)

    assert tape.interactions[0].head is None
    assert tape.interactions[0].end.kind == "refused"


@EACH
async def test_a_client_that_leaves(library: Any, sync: bool) -> None:
    """What came until then, and who ended it."""
    tape = Tape()

    await stream(library, tape, Upstream(), sync=sync, read=1)

    assert tape.interactions[0].end.kind == "client_closed"


@EACH
async def test_what_is_packed_is_unpacked(library: Any, sync: bool) -> None:
    """For the client, too: its headers say nothing of packing any more."""
    tape = Tape()
    packed = Upstream(gzip.compress(EVENTS), headers={"content-encoding": "gzip", "content-type": "text/plain"})

    assert b"".join(await stream(library, tape, packed, sync=sync)) == EVENTS
    assert tape.interactions[0].body == EVENTS


def test_a_session_keeps_what_an_sdk_recorded(tmp_path: Path) -> None:
    """The file is that of any session: scrubbed, and replayed to the same SDK."""
    path = tmp_path / "one.jsonl"
    fake = FakeAnthropic().reply("Bonjour")
    session = Session(path, "rewrite", environment={"ANTHROPIC_API_KEY": fake.api_key})

    def ask(http: Any, base: str) -> str:
        with anthropic.Anthropic(api_key=fake.api_key, base_url=base, http_client=http) as sdk:
            answer = sdk.messages.create(
                model="claude-haiku-4-5", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
            )
            return "".join(block.text for block in answer.content if block.type == "text")

    inner = inprocess.transport(fake, library="httpx2", sync=True)
    recorder = recording(inner, session.tape, library="httpx2", sync=True)
    assert ask(httpx2.Client(transport=recorder), "https://api.anthropic.com") == "Bonjour"
    assert session.finish(passed=True) == []

    assert read(path).provenance.server == "api.anthropic.com"
    replay = inprocess.client(Session(path, "none", environment={}), library="httpx2", sync=True)
    assert ask(replay, "http://fake.test/anthropic") == "Bonjour"
