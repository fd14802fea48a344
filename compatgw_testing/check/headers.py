"""Assertions on HTTP itself: headers both ways, connections, methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw_testing.check.base import Blocked, Skips, dig, expect, gathered, may, must, short, should
from compatgw_testing.check.probe import LEAVE_OUT
from compatgw_testing.check.wire import Stream

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe
    from compatgw_testing.check.wire import Answer

CHAT = "/chat/completions"
NAMES = ("x-request-id", "request-id")


def _id(answer: Answer) -> str | None:
    return next((answer.headers[name] for name in NAMES if answer.headers.get(name)), None)


@should("headers.request_id")
async def request_id(probe: Probe) -> None:
    """A plain answer names its request in `x-request-id`."""
    answer = await probe.ask()
    expect(_id(answer) is not None, f"the headers are {short(sorted(answer.headers))}")


@should("headers.request_id_stream")
async def request_id_stream(probe: Probe) -> None:
    """So does a stream."""
    answer = await probe.ask(stream=True)
    expect(_id(answer) is not None, f"the headers are {short(sorted(answer.headers))}")


@should("headers.request_id_error")
async def request_id_error(probe: Probe) -> None:
    """So does a refusal."""
    answer = await probe.ask(messages=LEAVE_OUT)
    expect(_id(answer) is not None, f"the headers are {short(sorted(answer.headers))}")


@should("headers.request_id_new")
async def request_id_new(probe: Probe) -> None:
    """Each answer has a request id of its own."""
    one, two = _id(await probe.ask()), _id(await probe.ask(again=1))
    if one is None:
        raise Blocked("there is no request id")
    expect(one != two, f"two answers have the request id {short(one)}")


@should("headers.keep_alive")
async def keep_alive(probe: Probe) -> None:
    """A connection serves more than one request."""
    first = await probe.send("GET", "/models", again=101)
    second = await probe.send("GET", "/models", again=102)
    if first.connection is None:
        raise Skips("connections cannot be seen here")
    expect(first.connection == second.connection, "the second request needed a connection of its own")


@must("headers.keep_alive_stream")
async def keep_alive_stream(probe: Probe) -> None:
    """After a stream and after a refusal the next request is answered."""
    await probe.ask(stream=True, again=103)
    await probe.ask(messages="hello", again=103)
    answer = await probe.send("GET", "/models", again=103)
    expect(answer.status == 200, answer.said)


@must("headers.sdk")
async def sdk(probe: Probe) -> None:
    """The headers that OpenAI's SDKs send do no harm."""
    lines = {
        "user-agent": "OpenAI/Python 3.52.0",
        "x-stainless-lang": "python",
        "x-stainless-retry-count": "0",
        "x-stainless-read-timeout": "600",
        "openai-organization": "org-example",
        "openai-project": "proj-example",
        "idempotency-key": "stainless-python-retry-1",
        "accept": "application/json",
    }
    answer = await probe.send("POST", CHAT, body=probe.asked(), headers=lines)
    expect(answer.status == 200, answer.said)


@must("headers.accept_json")
async def accept_json(probe: Probe) -> None:
    """A stream is a stream even if `Accept` says JSON, as OpenAI's SDKs do."""
    answer = await probe.send("POST", CHAT, body=probe.asked(stream=True), headers={"accept": "application/json"})
    expect(answer.status == 200 and answer.media_type == "text/event-stream", answer.said)


@must("headers.charset")
async def charset(probe: Probe) -> None:
    """`content-type: application/json; charset=utf-8` is taken."""
    lines = {"content-type": "application/json; charset=utf-8"}
    answer = await probe.send("POST", CHAT, body=probe.asked(), headers=lines)
    expect(answer.status == 200, answer.said)


@must("headers.compression")
async def compression(probe: Probe) -> None:
    """Where `Accept-Encoding` allows compression, the answer can still be read, plain and streamed."""
    lines = {"accept-encoding": "gzip, deflate"}
    plain = await probe.send("POST", CHAT, body=probe.asked(), headers=lines)
    expect(plain.status == 200 and plain.failure is None and "choices" in plain.body(), plain.said)
    streamed = await probe.send("POST", CHAT, body=probe.asked(stream=True), headers=lines)
    expect(streamed.failure is None and bool(Stream(streamed).done), streamed.said)


@should("headers.head")
async def head(probe: Probe) -> None:
    """`HEAD /models` is no server error and has no body."""
    answer = await probe.send("HEAD", "/models")
    expect(0 < answer.status < 500 and not answer.raw, answer.said)


@should("headers.options")
async def options(probe: Probe) -> None:
    """`OPTIONS /chat/completions` is no server error."""
    answer = await probe.send("OPTIONS", CHAT)
    expect(0 < answer.status < 500, answer.said)


@should("headers.query")
async def query(probe: Probe) -> None:
    """An unknown query parameter does no harm."""
    answer = await probe.send("POST", f"{CHAT}?api-version=2024-10-21", body=probe.asked())
    expect(answer.status == 200, answer.said)


@may("headers.slash")
async def slash(probe: Probe) -> None:
    """A slash after the path is no server error."""
    answer = await probe.send("POST", f"{CHAT}/", body=probe.asked())
    expect(0 < answer.status < 500, answer.said)


@must("headers.safe")
async def safe(probe: Probe) -> None:
    """No answer's headers repeat the caller's key."""
    answer = await probe.ask()
    lines = " ".join(answer.headers.values())
    expect(not probe.key or probe.key not in lines, "a header of the answer repeats the key")


@may("headers.length")
async def length(probe: Probe) -> None:
    """A plain answer says its length, or comes in HTTP's chunks."""
    headers = (await probe.ask()).headers
    known = "content-length" in headers or dig(dict(headers), "transfer-encoding") == "chunked"
    expect(known, f"the headers are {short(sorted(headers))}")


ASSERTIONS = gathered(globals())
