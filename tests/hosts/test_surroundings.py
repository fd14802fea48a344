"""What stands around a mount: the host's middleware, its error handlers, proxies, prefixes, threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Mount, Route

from compatgw import Gateway
from tests.canned import Canned, ask, completion, gateway
from tests.hosts.stage import KEY, WAIT, Upstream, tried


class Stamped(BaseHTTPMiddleware):
    """A middleware of the usual kind, which puts a header on every answer."""

    async def dispatch(self, request: Request, call_next: Any) -> Any:
        """Passes on."""
        answer = await call_next(request)
        answer.headers["x-stamp"] = "host"
        return answer


def over(upstream: str, **settings: Any) -> Gateway:
    """A gateway over a server."""
    return Gateway(
        providers={"local": {"base_url": f"{upstream}/v1", "auth": "none"}},
        keys=["k"], retries={"most": 0}, environ={}, **settings,
    )  # fmt: skip


AROUND = {
    "gzip": [Middleware(GZipMiddleware, minimum_size=1)],
    "cors": [Middleware(CORSMiddleware, allow_origins=["https://app.example"], allow_headers=["*"])],
    "hosts": [Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1"])],
    "base": [Middleware(Stamped)],
    "all": [Middleware(Stamped), Middleware(GZipMiddleware, minimum_size=1), Middleware(Stamped)],
}


@pytest.mark.parametrize("kind", AROUND)
def test_middleware_of_the_host_neither_holds_streams_back_nor_hides_leaving(
    kind: str, serve: Callable[..., str]
) -> None:
    """Every check of the host matrix holds inside of it."""
    upstream = Upstream()
    app = over(serve(upstream))
    host = Starlette(routes=[Mount("/ai", app)], middleware=AROUND[kind], lifespan=app.lifespan)
    row = tried(serve(host) + "/ai", upstream)
    print(f"Starlette with {kind:5}", row)
    assert set(row.values()) == {"ok"}


def test_a_session_of_the_host_travels_beside_the_call(serve: Callable[..., str]) -> None:
    """Its middleware reads and writes its cookie around the mount, and `authenticate=` sees what it read."""
    pytest.importorskip("itsdangerous", reason="Starlette's sessions need it")
    from starlette.middleware.sessions import SessionMiddleware
    from starlette.requests import HTTPConnection
    from starlette.responses import PlainTextResponse

    from compatgw import Principal

    async def who(connection: HTTPConnection) -> Principal | None:
        user = connection.session.get("user")
        return Principal(name=user) if user else None

    async def login(request: Request) -> PlainTextResponse:
        request.session["user"] = "ann"
        return PlainTextResponse("in")

    app = Gateway(
        providers={"up": {"app": Canned(completion()), "base_url": "http://up"}}, authenticate=who, environ={}
    )
    host = Starlette(
        routes=[Route("/login", login), Mount("/ai", app)],
        middleware=[Middleware(SessionMiddleware, secret_key="s", https_only=False)],
    )
    with httpx.Client(base_url=serve(host), timeout=WAIT) as client:
        assert client.post("/ai/v1/chat/completions", json=ask()).status_code == 401
        client.get("/login")
        assert client.post("/ai/v1/chat/completions", json=ask()).status_code == 200


def test_error_handlers_of_the_host_never_see_our_failures(serve: Callable[..., str]) -> None:
    """Not even one for every exception, and not for an application upstream that explodes."""
    seen: list[Exception] = []
    host = FastAPI()

    @host.exception_handler(Exception)
    async def everything(request: Request, error: Exception) -> JSONResponse:
        seen.append(error)
        return JSONResponse({"theirs": True}, 599)

    async def explode(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("the upstream exploded")

    host.mount("/ai", gateway(explode))
    origin = serve(host)
    answers = [
        httpx.post(f"{origin}/ai/v1/chat/completions", json=ask(), headers=KEY, timeout=WAIT),
        httpx.post(f"{origin}/ai/v1/chat/completions", content=b"[", headers=KEY, timeout=WAIT),
        httpx.get(f"{origin}/ai/nothing", timeout=WAIT),
        httpx.put(f"{origin}/ai/v1/models", timeout=WAIT),
    ]
    assert [answer.status_code for answer in answers] == [503, 400, 404, 405]
    assert all(set(answer.json()["error"]) == {"message", "type", "param", "code"} for answer in answers)
    assert seen == []


def test_the_bare_mount_path_is_the_hosts_redirect_and_nobody_elses(serve: Callable[..., str]) -> None:
    """Starlette answers 307 itself; where we are asked, there is our own 404."""
    app = gateway(Canned())
    mounted = serve(Starlette(routes=[Mount("/ai", app)]))
    beside = serve(app.beside(Starlette(), "/ai"))
    assert httpx.post(f"{mounted}/ai", json={}, timeout=WAIT).status_code == 307
    for url in (f"{mounted}/ai/", f"{beside}/ai", f"{beside}/ai/"):
        found = httpx.post(url, json={}, timeout=WAIT)
        assert (found.status_code, found.json()["error"]["code"]) == (404, "unknown_endpoint")


@pytest.mark.parametrize("mounted", [True, False])
def test_behind_a_proxy_that_strips_a_prefix_all_is_as_without(mounted: bool, serve: Callable[..., str]) -> None:
    """`--root-path` and `X-Forwarded-*` change nothing of where a route is."""
    upstream = Upstream()
    app = over(serve(upstream))
    host = Starlette(routes=[Mount("/ai", app)]) if mounted else app.beside(Starlette(), "/ai")
    origin = serve(host, root_path="/proxy")
    assert set(tried(f"{origin}/ai", upstream).values()) == {"ok"}
    told = {"x-forwarded-proto": "https", "x-forwarded-host": "evil.example", "x-forwarded-prefix": "/evil", **KEY}
    answer = httpx.get(f"{origin}/ai/v1/models", headers=told, timeout=WAIT)
    assert answer.status_code == 200
    assert "evil" not in answer.text + str(answer.headers)


@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
def test_an_application_below_a_root_path_of_its_own_finds_its_routes(serve: Callable[..., str]) -> None:
    """`FastAPI(root_path=)` is in the path of some requests and not of others."""
    host = FastAPI(root_path="/proxy")
    host.mount("/ai", gateway(Canned(completion())))
    origin = serve(host)
    for path in ("/ai/v1/models", "/proxy/ai/v1/models"):
        assert httpx.get(origin + path, headers=KEY, timeout=WAIT).status_code == 200


def test_two_gateways_in_one_host_share_nothing(serve: Callable[..., str]) -> None:
    """Keys, models, limits, what is in flight and what is closed are each one's own."""
    one, two = Canned(completion(model="one")), Canned(completion(model="two"))
    first, second = gateway(one, keys=["k1"], cache={"enabled": True}), gateway(two, keys=["k2"])
    host = Starlette(routes=[Mount("/a/b", first), Mount("/a", second)], lifespan=first.lifespan)
    with httpx.Client(base_url=serve(host), timeout=WAIT) as client:
        for path, key, other, model in (("/a/b", "k1", "k2", "one"), ("/a", "k2", "k1", "two")):
            url = f"{path}/v1/chat/completions"
            answer = client.post(url, json=ask(), headers={"Authorization": f"Bearer {key}"})
            assert answer.json()["model"] == model
            assert client.post(url, json=ask(), headers={"Authorization": f"Bearer {other}"}).status_code == 401
    assert (len(one.asked), len(two.asked)) == (1, 1)


async def test_closing_one_gateway_leaves_the_other_open() -> None:
    """In the same loop, too."""
    first, second = gateway(Canned(completion())), gateway(Canned(completion()))
    async with second.lifespan():
        async with first.lifespan():
            pass
        async with second.client(api_key="k") as client:
            assert (await client.get("/readyz")).status_code == 200
            assert (await client.post("/v1/chat/completions", json=ask())).status_code == 200


def test_one_gateway_answers_in_many_threads_at_once(serve: Callable[..., str]) -> None:
    """Each thread has a loop of its own; connections are never shared between them."""
    app = over(serve(Upstream()))
    statuses: list[int] = []

    async def some() -> None:
        async with app.client(api_key="k") as client:
            answers = [await client.post("/v1/chat/completions", json=ask()) for _ in range(5)]
        statuses.extend(answer.status_code for answer in answers)
        await app.aclose()

    threads = [threading.Thread(target=lambda: asyncio.run(some())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert statuses == [200] * 30


async def test_a_lifespan_reaches_gateway_and_host() -> None:
    """The gateway begins before the host and ends before it; a host that knows none is told of nothing."""
    said: list[str] = []

    async def host(scope: Any, receive: Any, send: Any) -> None:
        for phase in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{phase}"
            said.append(phase)
            await send({"type": f"lifespan.{phase}.complete"})

    async def without(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("There is no lifespan here.")

    for inner in (host, without):
        app = gateway(Canned())
        messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
        sent: list[str] = []

        async def receive(messages: Any = messages) -> Any:
            return next(messages)

        async def send(message: Any, sent: list[str] = sent) -> None:
            sent.append(message["type"])

        await app.beside(inner, "/ai")({"type": "lifespan"}, receive, send)
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        async with app.client() as client:
            assert (await client.get("/readyz")).status_code == 503
    assert said == ["startup", "shutdown"]


@pytest.mark.parametrize("path", ["", "/", "ai", "//"])
def test_a_place_beside_an_application_needs_a_name(path: str) -> None:
    """At `/` nothing would be left for the host."""
    with pytest.raises(ValueError, match="no place beside"):
        gateway(Canned()).beside(Canned(), path)
