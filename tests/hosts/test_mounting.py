"""The gateway inside FastAPI and Starlette applications under a real server."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from compatgw import Gateway
from tests.gated import GatedUpstream

BODY = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
KEY = {"Authorization": "Bearer k"}


def gateway(upstream: GatedUpstream, **settings: Any) -> Gateway:
    """A gateway over `upstream` alone."""
    return Gateway(
        providers={"local": {"app": upstream, "base_url": "http://upstream/v1"}}, keys=["k"], environ={}, **settings
    )


def in_fastapi(app: Gateway) -> Any:
    """Mounted in FastAPI."""
    host = FastAPI()
    host.mount("/ai", app)
    return host


def in_starlette(app: Gateway) -> Any:
    """Mounted in Starlette."""
    return Starlette(routes=[Mount("/ai", app)])


@pytest.mark.parametrize("mount", [in_fastapi, in_starlette])
def test_a_stream_passes_event_by_event(
    mount: Callable[[Gateway], Any], serve: Callable[..., str], upstream: GatedUpstream
) -> None:
    """Each word reaches the client before the upstream has sent the next one."""
    origin = serve(mount(gateway(upstream)))
    upstream.let(2)  # the role says nothing: the head of the answer comes with the first word
    with httpx.stream("POST", f"{origin}/ai/v1/chat/completions", json=BODY, headers=KEY) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        lines = (line for line in response.iter_lines() if line)
        assert delta(next(lines)) == {"role": "assistant", "content": ""}
        assert delta(next(lines)) == {"content": "word1 "}
        for number in (2, 3, 4):
            upstream.let()
            assert delta(next(lines)) == {"content": f"word{number} "}
        upstream.let()
        assert delta(next(lines)) == {}
        assert list(lines) == ["data: [DONE]"]


def delta(line: str) -> Any:
    """The delta of an event."""
    return json.loads(line.removeprefix("data: "))["choices"][0]["delta"]


@pytest.mark.parametrize("mount", [in_fastapi, in_starlette])
def test_a_client_that_leaves_ends_the_call_upstream_at_once(
    mount: Callable[[Gateway], Any], serve: Callable[..., str], upstream: GatedUpstream
) -> None:
    """Nobody pays for words that nobody reads."""
    app = gateway(upstream)
    origin = serve(mount(app))
    upstream.let(2)
    with httpx.stream("POST", f"{origin}/ai/v1/chat/completions", json=BODY, headers=KEY) as response:
        next(response.iter_lines())
    assert upstream.closed.wait(5)


def test_every_failure_inside_a_mount_has_the_envelope(serve: Callable[..., str], upstream: GatedUpstream) -> None:
    """The host's own error pages never show."""
    origin = serve(in_fastapi(gateway(upstream)))
    with httpx.Client(base_url=f"{origin}/ai", headers=KEY) as client:
        answers = [
            client.get("/v1/nothing"),
            client.get("/v1/chat/completions"),
            client.post("/v1/chat/completions", content=b"{"),
            client.post("/v1/chat/completions", content=b"x", headers={"content-type": "text/plain"}),
            client.post("/v1/chat/completions", json=BODY, headers={"Authorization": "Bearer wrong"}),
        ]
    assert [answer.status_code for answer in answers] == [404, 405, 400, 415, 401]
    for answer in answers:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-request-id"].startswith("req_")


def test_the_mount_answers_with_and_without_v1_and_trailing_slash(
    serve: Callable[..., str], upstream: GatedUpstream
) -> None:
    """No answer is ever a redirect."""
    origin = serve(in_starlette(gateway(upstream)))
    for path in ("/v1/models", "/models", "/v1/models/", "//v1/models", "/healthz"):
        assert httpx.get(f"{origin}/ai{path}", headers=KEY).status_code == 200


def test_two_gateways_in_one_process_know_nothing_of_each_other(
    serve: Callable[..., str], upstream: GatedUpstream
) -> None:
    """Keys and models are an instance's own."""
    host = Starlette(
        routes=[
            Mount("/a", gateway(upstream, models={"first": "local/m"})),
            Mount(
                "/b", Gateway(providers={"other": {"app": upstream, "base_url": "http://x"}}, keys=["k2"], environ={})
            ),
        ]
    )
    origin = serve(host)
    first = httpx.get(f"{origin}/a/v1/models", headers=KEY).json()["data"]
    assert [row["id"] for row in first] == ["first"]
    assert httpx.get(f"{origin}/b/v1/models", headers=KEY).status_code == 401
    assert httpx.get(f"{origin}/b/v1/models", headers={"Authorization": "Bearer k2"}).json()["data"] == []
