"""How calls end when the process does: SIGTERM, a host's lifespan, a loop that is cancelled."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from compatgw import Ended, Gateway
from compatgw.web.visits import server_here
from tests.canned import DONE, FINISH, ROLE, STREAM, WORD, Canned, ask, gateway
from tests.hosts.stage import BODY, HOSTS, KEY, WAIT, Upstream, environment, write_recipe, write_settings

ROOT = Path(__file__).parents[2]


@contextmanager
def process(file: Path, settings: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A recipe under uvicorn's own command, and its origin."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listener.close()
    command = [sys.executable, "-m", "uvicorn", f"{file.stem}:app", "--app-dir", str(file.parent), "--port", str(port)]
    environ = {**os.environ, **environment(settings), "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen([*command, *options], env=environ, stderr=subprocess.PIPE, cwd=file.parent)
    origin = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 40
        while True:
            try:
                httpx.get(f"{origin}/ai/healthz", timeout=WAIT)
                break
            except httpx.ConnectError:
                assert running.poll() is None, running.communicate()[1].decode()
                assert time.monotonic() < until
        yield running, origin
    finally:
        running.kill()
        running.wait()
        assert running.stderr is not None
        running.stderr.close()


def events(lines: Iterator[str]) -> list[Any]:
    """The data of the events that are left."""
    return [line.removeprefix("data: ") for line in lines if line]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("options", [(), ("--timeout-graceful-shutdown", "1")], ids=["patient", "impatient"])
def test_sigterm_gives_streams_a_while_and_then_an_honest_end(
    options: tuple[str, ...], serve: Callable[..., str], tmp_path: Path
) -> None:
    """Neither a server that waits for ever nor one that cancels leaves a client with a stream that looks whole."""
    upstream = Upstream()
    settings = write_settings(serve(upstream), tmp_path, shutdown_grace=60.0 if options else 1.0)
    gate = upstream.fresh()
    gate.let(2)
    with process(write_recipe(HOSTS["fastapi"], "/ai", tmp_path), settings, *options) as (running, origin):
        body = {**BODY, "stream": True}
        with httpx.stream("POST", f"{origin}/ai/v1/chat/completions", json=body, headers=KEY, timeout=WAIT) as got:
            lines = got.iter_lines()
            next(lines)
            running.send_signal(signal.SIGTERM)
            last = events(lines)[-1]
        assert orjson.loads(last)["error"]["code"] == "overloaded"
        assert running.wait(WAIT) in (0, -signal.SIGTERM)
    assert gate.closed.wait(WAIT)


@pytest.mark.timeout(120)
def test_a_stream_that_ends_within_the_grace_is_whole(serve: Callable[..., str], tmp_path: Path) -> None:
    """SIGTERM waits for it."""
    upstream = Upstream()
    settings = write_settings(serve(upstream), tmp_path, shutdown_grace=60.0)
    gate = upstream.fresh()
    gate.let(2)
    with process(write_recipe(HOSTS["starlette"], "/ai", tmp_path), settings) as (running, origin):
        body = {**BODY, "stream": True}
        with httpx.stream("POST", f"{origin}/ai/v1/chat/completions", json=body, headers=KEY, timeout=WAIT) as got:
            lines = got.iter_lines()
            next(lines)
            running.send_signal(signal.SIGTERM)
            # The listener closes at once, so that the signal has arrived when nobody answers any more.
            while True:
                try:
                    socket.create_connection(("127.0.0.1", httpx.URL(origin).port or 0), 1).close()
                except OSError:
                    break
            gate.let(4)
            assert events(lines)[-1] == "[DONE]"
        assert running.wait(WAIT) in (0, -signal.SIGTERM)


class Heard:
    """A client of a raw ASGI application, which reads a stream as it comes."""

    def __init__(self, app: Gateway, body: dict[str, Any]) -> None:
        self.messages: list[Any] = []
        self.began = asyncio.Event()
        self._body: list[Any] = [{"type": "http.request", "body": orjson.dumps(body)}]
        scope = {
            "type": "http", "method": "POST", "path": "/v1/chat/completions", "root_path": "",
            "headers": [(b"authorization", b"Bearer k"), (b"content-type", b"application/json")],
        }  # fmt: skip
        self.task = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def _receive(self) -> Any:
        if self._body:
            return self._body.pop()
        return await asyncio.Event().wait()

    async def _send(self, message: Any) -> None:
        self.messages.append(message)
        if message.get("body"):
            self.began.set()

    def last(self) -> Any:
        """The last event before the end."""
        body = b"".join(message.get("body", b"") for message in self.messages)
        return orjson.loads(body.strip().rsplit(b"data: ", 1)[1])


def hanging(**settings: Any) -> Gateway:
    """A gateway whose upstream says two words and then nothing."""
    return gateway(Canned([ROLE, WORD], kind=STREAM, then="hang"), **settings)


async def test_closing_ends_calls_after_the_grace_and_says_why() -> None:
    """In the stream as an event, in the record as what it was."""
    seen: list[Ended] = []
    app = hanging(shutdown_grace=0.05, on_call=seen.append)
    heard = Heard(app, ask(stream=True))
    await heard.began.wait()
    await app.aclose()
    await asyncio.wait_for(heard.task, 5)
    assert heard.last()["error"]["code"] == "overloaded"
    assert heard.messages[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert [(call.status, call.code) for call in seen] == [(503, "overloaded")]


async def test_a_call_without_an_answer_yet_gets_an_ordinary_error() -> None:
    """503, with when to try again."""
    up = Canned(status=0, then="hang")
    app = gateway(up, shutdown_grace=0.05)
    heard = Heard(app, ask())
    await up.began.wait()
    await app.aclose()
    await asyncio.wait_for(heard.task, 5)
    assert heard.messages[0]["status"] == 503
    assert (b"retry-after", b"1") in heard.messages[0]["headers"]


async def test_a_server_that_cancels_gets_its_way_after_a_last_word() -> None:
    """The cancellation is passed on; the client is told before."""
    heard = Heard(hanging(), ask(stream=True))
    await heard.began.wait()
    heard.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await heard.task
    assert heard.last()["error"]["code"] == "overloaded"


async def test_closing_waits_for_what_ends_by_itself() -> None:
    """As long as there is time."""
    app = gateway(Canned([ROLE, WORD, FINISH, DONE], kind=STREAM), shutdown_grace=30.0)
    heard = Heard(app, ask(stream=True))
    await asyncio.sleep(0)
    await app.aclose()
    assert heard.task.done()
    assert b"[DONE]" in b"".join(message.get("body", b"") for message in heard.messages)


async def test_the_lifespan_opens_and_closes() -> None:
    """Within it the gateway is ready, afterwards it says that it is not."""
    app = gateway(Canned())
    client = app.client(api_key="k")
    async with app.lifespan(object()):
        assert (await client.get("/readyz")).status_code == 200
    assert (await client.get("/readyz")).status_code == 503
    async with app.lifespan():
        assert (await client.get("/readyz")).status_code == 200


async def test_a_background_response_that_is_cut_off_is_kept_as_failed() -> None:
    """Whoever asks for it later learns that it will not be done."""
    app = gateway(Canned(status=0, then="hang"), shutdown_grace=0.05)
    async with app.client(api_key="k") as client:
        made = await client.post("/v1/responses", json={"model": "m", "input": "hi", "background": True})
        await app.aclose()
        found = (await client.get(f"/v1/responses/{made.json()['id']}")).json()
    assert found["status"] == "failed"
    await app.aclose()


def test_a_process_without_a_talkative_server_has_none() -> None:
    """pytest handles SIGTERM in no way that says when it stops."""
    assert server_here() is None
