"""`POST /v1/chat/completions` end to end, over an upstream whose every byte is given."""

import asyncio
import logging
from typing import Any

import httpx
import orjson
import pytest

from compatgw import Gateway, Principal, anonymous
from tests.canned import DONE, FINISH, KEY, ROLE, STREAM, USAGE, WORD, Canned, ask, chunk, completion, gateway


async def post(app: Any, body: Any = None, headers: dict[str, str] | None = None, **options: Any) -> httpx.Response:
    """One chat request in process."""
    content = body if isinstance(body, bytes) else orjson.dumps(body or ask())
    async with app.client() as client:
        sent = {"content-type": "application/json", **KEY, **(headers or {})}
        got: httpx.Response = await client.post("/v1/chat/completions", content=content, headers=sent, **options)
        return got


def error_of(response: httpx.Response) -> Any:
    """The envelope's inside, checked for its shape."""
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    return body["error"]


def events(response: httpx.Response) -> list[bytes]:
    """The events of a stream, exactly framed."""
    assert response.content.endswith(b"\n\n")
    return [block + b"\n\n" for block in response.content.split(b"\n\n")[:-1]]


# --- answers ---


async def test_a_plain_answer_and_its_headers() -> None:
    """The answer is the provider's; headers say where it came from."""
    up = Canned(completion())
    got = await post(gateway(up), headers={"X-Request-ID": "mine-1"})
    assert got.status_code == 200
    assert got.json() == orjson.loads(completion())
    assert got.headers["x-request-id"] == "mine-1"
    assert (got.headers["x-model-used"], got.headers["x-provider"]) == ("m", "up")
    assert up.paths == ["/v1/chat/completions"]
    assert up.asked[0] == ask()
    assert up.seen[0][b"authorization"] == b"Bearer sk-upstream-secret"


async def test_a_stream_is_passed_on_event_by_event() -> None:
    """Usage is asked of the upstream, and its chunk kept from a client that did not ask."""
    up = Canned([ROLE, WORD, FINISH, USAGE, DONE], kind=STREAM)
    got = await post(gateway(up), ask(stream=True))
    assert events(got) == [ROLE, WORD, FINISH, DONE]
    assert up.asked[0]["stream_options"] == {"include_usage": True}
    assert got.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert got.headers["x-accel-buffering"] == "no"


async def test_a_client_that_asks_for_usage_gets_its_chunk_last() -> None:
    """After the finish reason, before the end."""
    up = Canned([ROLE, WORD, FINISH, USAGE, DONE], kind=STREAM)
    got = await post(gateway(up), ask(stream=True, stream_options={"include_usage": True}))
    assert events(got)[-2:] == [USAGE, DONE]


@pytest.mark.parametrize("size", [1, 2, 7, 100])
async def test_bytes_cut_anywhere_make_the_same_stream(size: int) -> None:
    """Upstream writes need not end where events end."""
    data = b"".join([ROLE, WORD, chunk({"content": "ü€🎉"}), FINISH, DONE])
    up = Canned([data[i : i + size] for i in range(0, len(data), size)], kind=STREAM)
    got = await post(gateway(up), ask(stream=True))
    assert b"".join(events(got)) == data


async def test_a_plain_answer_to_a_stream_becomes_a_stream() -> None:
    """Caches and old proxies do that."""
    got = await post(gateway(Canned(completion())), ask(stream=True))
    sent = events(got)
    assert sent[-1] == DONE
    text = "".join(
        choice["delta"].get("content") or "" for event in sent[:-1] for choice in orjson.loads(event[6:])["choices"]
    )
    assert text == "Hello"


async def test_the_model_of_an_answer_can_be_the_requested_one() -> None:
    """As the operator sets it, plain and streamed."""
    got = await post(gateway(Canned(completion()), echo_model=True))
    assert got.json()["model"] == "m"
    got = await post(gateway(Canned([WORD, FINISH, DONE], kind=STREAM), echo_model=True), ask(stream=True))
    assert orjson.loads(events(got)[0][6:])["model"] == "m"


async def test_a_name_of_the_operators_own_leads_to_its_target() -> None:
    """And the header tells the model behind it."""
    up = Canned(completion())
    got = await post(gateway(up, models={"fast": "up/tiny-1"}), ask(model="fast"))
    assert got.headers["x-model-used"] == up.asked[0]["model"] == "tiny-1"


async def test_dropped_parameters_are_named() -> None:
    """What a provider's quirks leave out is said in a header."""
    up = Canned(completion())
    app = gateway(up)
    app2 = type(app)(
        providers={"up": {"app": up, "base_url": "http://x", "quirks": {"drop": ["seed", "logit_bias"]}}},
        keys=["k"],
        environ={},
    )
    got = await post(app2, ask(seed=1, logit_bias={"1": 2}))
    assert set(got.headers["x-dropped-params"].split(",")) == {"seed", "logit_bias"}
    refused = await post(app2, ask(seed=1), headers={"X-On-Unsupported": "reject"})
    assert (refused.status_code, error_of(refused)["param"]) == (400, "seed")


async def test_names_of_dropped_members_fill_no_more_than_a_header() -> None:
    """They are the caller's own words."""
    up = Canned(completion())
    app = Gateway(
        providers={"up": {"app": up, "base_url": "http://x", "quirks": {"known_only": True}}}, keys=["k"], environ={}
    )
    got = await post(app, ask(**{f"member_{n}\r\nX-Evil: 1": 1 for n in range(5000)}))
    assert got.status_code == 200
    assert len(got.headers["x-dropped-params"]) < 8000
    assert "x-evil" not in got.headers


# --- refusals of ours ---


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", {}, 400, "invalid_json"),
        (b"", {}, 400, "invalid_json"),
        (b"\xff", {}, 400, "invalid_json"),
        (b"[]", {}, 400, "invalid_type"),
        (
            b'{"model":"m","messages":[{"role":"user","content":"a"}],"x":' + b"[" * 300 + b"]" * 300 + b"}",
            {},
            400,
            "invalid_json",
        ),
        (b"x" * 2000, {}, 413, "request_too_large"),
        (b"x", {"content-type": "text/plain"}, 415, "unsupported_media_type"),
        (b"{}", {"X-On-Unsupported": "maybe"}, 400, "missing_parameter"),
        (orjson.dumps(ask()), {"X-On-Unsupported": "maybe"}, 400, "invalid_value"),
        (orjson.dumps(ask(model="openai/gpt-4o")), {}, 404, "model_not_found"),
        (orjson.dumps(ask()), {"Authorization": ""}, 401, "missing_api_key"),
        (orjson.dumps(ask()), {"Authorization": "Basic k"}, 401, "missing_api_key"),
        (orjson.dumps(ask()), {"Authorization": "Bearer wrong"}, 401, "invalid_api_key"),
        (orjson.dumps(ask()), {"x-api-key": "wrong"}, 401, "invalid_api_key"),
    ],
)
async def test_a_bad_request_is_refused_with_its_status(
    body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    """Nothing of it reaches the upstream."""
    up = Canned(completion())
    got = await post(gateway(up, max_body=1024), body, headers)
    assert (got.status_code, error_of(got)["code"]) == (status, code)
    assert not up.asked


async def test_a_body_without_a_length_is_bounded_too() -> None:
    """Chunked bodies are counted as they come."""
    sent = 0

    async def receive() -> dict[str, Any]:
        nonlocal sent
        sent += 1
        return {"type": "http.request", "body": b"x" * 600, "more_body": True}

    answer: list[Any] = []

    async def send(message: Any) -> None:
        answer.append(message)

    headers = [(b"authorization", b"Bearer k"), (b"transfer-encoding", b"chunked")]
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers}
    await gateway(Canned(), max_body=1024)(scope, receive, send)
    assert (answer[0]["status"], sent) == (413, 2)


async def test_a_body_that_never_comes_is_not_waited_for_for_ever() -> None:
    """A client that sends half a request holds nothing."""
    answer: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        answer.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [(b"x-api-key", b"k")]}
    await gateway(Canned(), timeouts={"body": 0.01})(scope, receive, send)
    assert answer[0]["status"] == 400


async def test_a_truncated_body_means_that_the_client_left() -> None:
    """There is nobody to answer."""
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": b"{", "more_body": True}]
    messages.append({"type": "http.disconnect"})
    answer: list[Any] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        answer.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [(b"x-api-key", b"k")]}
    await gateway(Canned())(scope, receive, send)
    assert answer == []


async def test_header_injection_in_a_models_name_stays_in_its_header() -> None:
    """Whatever stands in a name, it is one header value."""
    up = Canned(completion())
    got = await post(gateway(up), ask(model="up/m\r\nX-Evil: 1\u2028ü"))
    assert got.status_code == 200
    assert "x-evil" not in got.headers
    assert got.headers["x-model-used"].startswith("m%0D%0AX-Evil: 1")
    assert up.asked[0]["model"] == "m\r\nX-Evil: 1\u2028ü"


async def test_calls_over_the_cap_are_shed_at_once() -> None:
    """503 with Retry-After, never a queue."""
    up = Canned([], status=0, then="hang")
    app = gateway(up, max_in_flight=1)
    first = asyncio.create_task(post(app))
    await up.began.wait()
    got = await post(app)
    assert (got.status_code, error_of(got)["code"], got.headers["retry-after"]) == (503, "overloaded", "1")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await up.ended.wait()
    up.then, up.status, up.pieces = "end", 200, [completion()]
    assert (await post(app)).status_code == 200


async def test_streaming_can_be_switched_off() -> None:
    """501 says so."""
    got = await post(gateway(Canned(), streaming=False), ask(stream=True))
    assert (got.status_code, error_of(got)["code"]) == (501, "streaming_disabled")


# --- failures of the upstream ---


@pytest.mark.parametrize(
    ("up", "status", "code"),
    [
        (Canned(b'{"error":{"message":"bad temperature","param":"temperature"}}', 400), 400, "invalid_value"),
        (Canned(b'{"error":{"message":"maximum context length is 8"}}', 400), 400, "context_length_exceeded"),
        (Canned(b'{"error":{"message":"Incorrect API key provided"}}', 401), 502, "upstream_error"),
        (Canned(b"{}", 403), 502, "upstream_error"),
        (Canned(b'{"error":{"message":"no money"}}', 402), 503, "upstream_unavailable"),
        (Canned(b'{"error":{"message":"x","code":"insufficient_quota"}}', 429), 503, "upstream_unavailable"),
        (Canned(b'{"error":{"message":"The model `x` does not exist"}}', 404), 404, "model_not_found"),
        (Canned(b'{"error":"slow down"}', 429, headers={"retry-after": "7"}), 429, "upstream_rate_limited"),
        (Canned(b"<html>502 Bad Gateway</html>", 502, kind="text/html"), 502, "upstream_error"),
        (Canned(b"", 500), 502, "upstream_error"),
        (Canned(b"busy", 503), 503, "upstream_unavailable"),
        (Canned(b"busy", 529), 503, "upstream_unavailable"),
        (Canned(b"", 504), 504, "upstream_timeout"),
        (Canned(b"", 302, headers={"location": "http://evil/"}), 502, "upstream_error"),
        (Canned(b"<html>hi</html>", 200, kind="text/html"), 502, "upstream_error"),
        (Canned(b"", 200), 502, "upstream_error"),
        (Canned(b"{", 200), 502, "upstream_error"),
        (Canned(b'{"choices":[]}', 200), 502, "upstream_error"),
        (Canned(b'{"error":{"message":"boom","code":503}}', 200), 503, "upstream_unavailable"),
        (Canned([completion()[:40]], then="break"), 503, "upstream_unavailable"),
        (Canned([], status=0, then="break"), 503, "upstream_unavailable"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_upstream_that_fails_before_its_first_word_is_an_http_error(
    up: Canned, status: int, code: str, stream: bool
) -> None:
    """Plain or streamed, with the envelope, and never with our own credential in it."""
    got = await post(gateway(up), ask(stream=stream))
    assert (got.status_code, error_of(got)["code"]) == (status, code)
    assert "sk-upstream-secret" not in got.text


async def test_a_limit_keeps_its_retry_after() -> None:
    """Clients wait as long as the provider asks."""
    got = await post(gateway(Canned(b'{"error":"slow down"}', 429, headers={"retry-after": "6.2"})))
    assert got.headers["retry-after"] == "7"


async def test_our_credential_is_taken_out_of_whatever_the_upstream_says() -> None:
    """Some echo the key that they were sent."""
    body = b'{"error":{"message":"unknown field near sk-upstream-secret"}}'
    got = await post(gateway(Canned(body, 400)))
    assert error_of(got)["message"] == "unknown field near [redacted]"
    events_ = [ROLE, WORD, b'data: {"error":{"message":"died with sk-upstream-secret"}}\n\n']
    got = await post(gateway(Canned(events_, kind=STREAM)), ask(stream=True))
    assert b"sk-upstream-secret" not in got.content


async def test_an_upstream_that_hangs_times_out() -> None:
    """Before its head, and before a stream's first byte."""
    for stream in (False, True):
        up = Canned([], status=0, then="hang")
        got = await post(gateway(up), ask(stream=stream, timeout=20))
        assert (got.status_code, error_of(got)["code"]) == (504, "upstream_timeout")
        await up.ended.wait()


async def test_an_upstream_that_only_ever_says_that_it_lives_times_out() -> None:
    """Comments without end are no answer."""

    async def pings(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        head = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        while True:
            await send({"type": "http.response.body", "body": b": ping\n\n", "more_body": True})
            await asyncio.sleep(0)

    got = await post(gateway(pings), ask(stream=True, timeout=30))
    assert (got.status_code, error_of(got)["code"]) == (504, "upstream_timeout")


async def test_an_answer_over_the_limit_is_refused() -> None:
    """Memory stays bounded whatever an upstream sends."""
    got = await post(gateway(Canned([b" " * 800] * 3), max_answer=1024))
    assert (got.status_code, error_of(got)["code"]) == (502, "upstream_error")


# --- the honest end of a stream ---


@pytest.mark.parametrize(
    ("pieces", "then", "code"),
    [
        ([ROLE, WORD], "end", "upstream_stream_interrupted"),
        ([ROLE, WORD, DONE], "end", "upstream_stream_interrupted"),
        ([ROLE, WORD], "break", "upstream_stream_interrupted"),
        ([ROLE, WORD], "hang", "upstream_timeout"),
        ([ROLE, WORD, b"data: {not json\n\n"], "hang", "upstream_error"),
        (
            [ROLE, WORD, b'data: {"error":{"message":"overloaded","type":"overloaded_error"}}\n\n'],
            "hang",
            "upstream_unavailable",
        ),
        ([ROLE, WORD, chunk({"content": "x"})[:-20]], "end", "upstream_stream_interrupted"),
    ],
)
async def test_a_stream_that_does_not_finish_ends_with_one_error_and_no_done(
    pieces: list[bytes], then: str, code: str
) -> None:
    """What was sent stays; then one error event; then the end."""
    got = await post(gateway(Canned(pieces, kind=STREAM, then=then)), ask(stream=True, timeout=50))
    sent = events(got)
    assert sent[:2] == [ROLE, WORD]
    assert len(sent) == 3
    error = orjson.loads(sent[2][6:])["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code


@pytest.mark.parametrize("pieces", [[], [ROLE], [ROLE, chunk({"content": ""})], [b": ping\n\n"], [DONE]])
async def test_a_stream_that_says_nothing_is_an_http_error(pieces: list[bytes]) -> None:
    """Until the first word nothing is promised to the client."""
    got = await post(gateway(Canned(pieces, kind=STREAM)), ask(stream=True))
    assert (got.status_code, error_of(got)["code"]) == (502, "upstream_stream_interrupted")


async def test_a_stream_that_finished_may_lack_its_done() -> None:
    """The finish reason is the end that counts; our own [DONE] follows it."""
    got = await post(gateway(Canned([ROLE, WORD, FINISH], kind=STREAM)), ask(stream=True))
    assert events(got) == [ROLE, WORD, FINISH, DONE]


async def test_what_follows_done_is_not_waited_for() -> None:
    """A connection that stays open after the end holds nobody."""
    up = Canned([ROLE, WORD, FINISH, DONE], kind=STREAM, then="hang")
    got = await post(gateway(up), ask(stream=True))
    assert events(got)[-1] == DONE
    await up.ended.wait()


# --- clients that leave ---


async def test_a_client_that_leaves_while_waiting_ends_the_call_upstream() -> None:
    """A plain call is cancelled, too."""
    up = Canned([], status=0, then="hang")
    app = gateway(up)
    left = asyncio.Event()
    body = orjson.dumps(ask())
    first = True

    async def receive() -> dict[str, Any]:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body}
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [(b"x-api-key", b"k")]}
    task = asyncio.create_task(app(scope, receive, send))
    await up.began.wait()
    left.set()
    await task
    assert up.ended.is_set()
    assert app._standing.site.capacity.in_flight == 0


async def test_a_client_that_does_not_read_is_let_go() -> None:
    """Every send has a bound, so that the upstream's connection is freed."""
    up = Canned([ROLE, *[WORD] * 50], kind=STREAM, then="hang")
    app = gateway(up, timeouts={"send": 0.02})
    body = orjson.dumps(ask(stream=True))
    first = True

    async def receive() -> dict[str, Any]:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        await asyncio.Event().wait()

    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [(b"x-api-key", b"k")]}
    await app(scope, receive, send)
    assert up.ended.is_set()


async def test_a_server_that_raises_on_send_is_a_client_that_left() -> None:
    """Newer ASGI servers do so."""
    up = Canned([ROLE, WORD], kind=STREAM, then="hang")
    first = True

    async def receive() -> dict[str, Any]:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": orjson.dumps(ask(stream=True))}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        raise OSError

    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [(b"x-api-key", b"k")]}
    await gateway(up)(scope, receive, send)
    assert up.ended.is_set()


# --- who calls ---


async def test_without_keys_nobody_gets_in_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    """A mount is never an open relay by accident."""
    with caplog.at_level(logging.WARNING, "compatgw"):
        app = gateway(Canned(completion()), keys=None)
    assert len(caplog.records) == 1
    for word in ("keys=", "authenticate=", "compatgw.anonymous"):
        assert word in caplog.text
    got = await post(app)
    assert (got.status_code, error_of(got)["code"]) == (401, "invalid_api_key")


async def test_anonymous_is_the_explicit_way_in() -> None:
    """Everybody is let in, with or without a key."""
    app = gateway(Canned(completion()), keys=None, authenticate=anonymous)
    assert (await post(app, headers={"Authorization": ""})).status_code == 200


async def test_the_host_decides_who_calls_and_with_which_models() -> None:
    """Its callable sees the connection and gives a principal."""

    async def who(connection: Any) -> Principal | None:
        return Principal(name="ann", models=("up/small*",)) if connection.headers.get("x-user") == "ann" else None

    app = gateway(Canned(completion()), keys=None, authenticate=who)
    assert (await post(app)).status_code == 401
    refused = await post(app, ask(model="up/large"), {"x-user": "ann"})
    assert (refused.status_code, error_of(refused)["code"]) == (403, "model_not_allowed")
    assert (await post(app, ask(model="up/small-1"), {"x-user": "ann"})).status_code == 200


async def test_a_failure_of_the_hosts_callable_is_500_without_a_trace(caplog: pytest.LogCaptureFixture) -> None:
    """The request id leads the operator to the log."""

    async def who(connection: Any) -> Principal | None:
        raise ZeroDivisionError("secret detail")

    got = await post(gateway(Canned(), keys=None, authenticate=who))
    assert (got.status_code, error_of(got)["code"]) == (500, "internal_error")
    assert "secret detail" not in got.text
    assert got.headers["x-request-id"] in got.text
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "api-key"])
async def test_keys_are_taken_from_any_of_the_usual_headers(name: str) -> None:
    """OpenAI's, Anthropic's and Azure's."""
    value = "Bearer k" if name == "authorization" else "k"
    got = await post(gateway(Canned(completion())), headers={"Authorization": "", name: value})
    assert got.status_code == 200


async def test_an_x_api_key_decides_alone() -> None:
    """A wrong one is not forgiven for a right bearer."""
    got = await post(gateway(Canned(completion())), headers={"x-api-key": "wrong"})
    assert got.status_code == 401
