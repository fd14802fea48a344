"""Everything beside chat: models, status, health, scopes, hosts, methods, CORS."""

from typing import Any

import httpx
import pytest

from compatgw import Gateway
from tests.canned import KEY, Canned, ask, completion, gateway


def two(**settings: Any) -> Gateway:
    """A gateway with two providers, each a canned one."""
    return Gateway(
        providers={
            "openai": {"app": Canned(completion()), "api_key": "a"},
            "anthropic": {"app": Canned(), "api_key": "b", "models": ["claude-own/x%y"]},
        },
        models={"fast": "openai/gpt-4o-mini"},
        keys=["k", {"key": "narrow", "models": ["anthropic/*"]}],
        environ={},
        **settings,
    )


async def get(app: Gateway, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    """One request in process."""
    async with app.client() as client:
        return await client.request(method, path, headers={**KEY, **headers})


async def ids(app: Gateway, path: str = "/v1/models", **headers: str) -> set[str]:
    """The ids of a model list."""
    return {row["id"] for row in (await get(app, path, **headers)).json()["data"]}


async def test_models_lists_own_names_and_the_catalogue_of_active_providers() -> None:
    """Each row has OpenAI's members; ids are unique."""
    body = (await get(two(), "/v1/models")).json()
    assert body["object"] == "list"
    listed = [row["id"] for row in body["data"]]
    assert len(listed) == len(set(listed))
    assert {"fast", "openai/gpt-4o-mini", "anthropic/claude-own/x%y", "claude-sonnet"} <= set(listed)
    assert not any(name.startswith(("gemini/", "cohere/")) for name in listed)
    for row in body["data"]:
        assert row["object"] == "model"
        assert isinstance(row["created"], int)
        assert row["owned_by"] in ("openai", "anthropic", "compatgw")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/anthropic/claude-sonnet-4-20250514",
        "/v1/models/anthropic%2Fclaude-sonnet-4-20250514",
        "/models/anthropic%2Fclaude-sonnet-4-20250514/",
    ],
)
async def test_a_model_is_retrieved_by_an_id_with_slashes(path: str) -> None:
    """Raw, and as the SDKs encode it."""
    got = await get(two(), path)
    assert got.status_code == 200
    assert got.json()["id"] == "anthropic/claude-sonnet-4-20250514"


async def test_an_id_with_a_percent_sign_is_decoded_once() -> None:
    """Ids of one's own servers hold anything."""
    assert (await get(two(), "/v1/models/anthropic%2Fclaude-own%2Fx%25y")).json()["id"] == "anthropic/claude-own/x%y"


async def test_every_listed_model_can_be_retrieved() -> None:
    """The list and the single row agree."""
    app = two()
    for row in (await get(app, "/v1/models")).json()["data"]:
        got = await get(app, "/v1/models/" + row["id"].replace("%", "%25"))
        assert got.json() == row


async def test_an_unknown_model_is_404() -> None:
    """With what is there instead."""
    got = await get(two(), "/v1/models/gemini/gemini-2.5-pro")
    assert (got.status_code, got.json()["error"]["code"]) == (404, "model_not_found")
    assert "anthropic, openai" in got.json()["error"]["message"]


async def test_a_narrow_key_sees_and_uses_only_its_models() -> None:
    """What it may not use is not listed; asking for it is 403."""
    app = two()
    listed = await ids(app, Authorization="Bearer narrow")
    assert {name.partition("/")[0] for name in listed if "/" in name} == {"anthropic"}
    assert "claude-sonnet" in listed
    assert "gpt" not in listed
    for name in listed:
        assert (
            await get(app, f"/v1/models/{name.replace('%', '%25')}", Authorization="Bearer narrow")
        ).status_code == 200
    assert (await get(app, "/v1/models/fast", Authorization="Bearer narrow")).status_code == 403


async def test_model_routes_need_a_key() -> None:
    """Public are only health and the public part of status."""
    app = two()
    for path in ("/v1/models", "/v1/models/fast", "/v1/chat/completions"):
        method = "POST" if path.endswith("completions") else "GET"
        assert (await get(app, path, method, Authorization="")).status_code == 401
    for path in ("/healthz", "/readyz", "/api/status"):
        assert (await get(app, path, Authorization="")).status_code == 200


async def test_a_scope_shows_one_provider_only() -> None:
    """By path, and by host where configured."""
    app = two(hosts={"claude.example.com": "claude"})
    everything = await ids(app)
    scoped = await ids(app, "/claude/v1/models")
    assert scoped < everything
    assert all(name.startswith("anthropic/") or "claude" in name for name in scoped)
    assert await ids(app, "/v1/models", host="claude.example.com:443") == scoped
    assert await ids(app, "/claude/models") == scoped


async def test_a_scope_takes_bare_ids_and_refuses_other_providers() -> None:
    """S0's hosts take the provider's own ids."""
    app = two()
    async with app.client(api_key="k") as client:
        fine = await client.post("/openai/v1/chat/completions", json=ask(model="anything-new"))
        refused = await client.post("/claude/v1/chat/completions", json=ask(model="openai/gpt-4o"))
    assert fine.headers["x-model-used"] == "anything-new"
    assert refused.status_code == 404


async def test_status_tells_the_public_little_and_callers_more() -> None:
    """Upstreams are named to those with a key, or where the operator allows it."""
    app = two()
    async with app.client(api_key="k") as client:
        await client.post("/v1/chat/completions", json=ask(model="fast"))
    public = (await get(app, "/api/status", Authorization="")).json()
    assert public["success"] is True
    assert public["message"] == ""
    assert {"version", "start_time", "uptime_s", "status"} <= set(public["data"])
    assert "upstreams" not in public["data"]
    rows = {row["name"]: row for row in (await get(app, "/api/status")).json()["data"]["upstreams"]}
    assert (rows["openai"]["state"], rows["openai"]["calls"], rows["anthropic"]["state"]) == ("up", 1, "unknown")
    opened = (await get(two(status_upstreams=True), "/api/status", Authorization="")).json()
    assert "upstreams" in opened["data"]


async def test_status_remembers_the_last_failure_of_an_upstream() -> None:
    """With its time and code; the caller's own mistakes do not count, and show that it is well."""
    up = Canned(b"busy", 503)
    app = gateway(up)
    async with app.client(api_key="k") as client:
        await client.post("/v1/chat/completions", json=ask())
        up.status, up.pieces = 400, [b'{"error":{"message":"bad"}}']
        await client.post("/v1/chat/completions", json=ask())
    (row,) = (await get(app, "/api/status")).json()["data"]["upstreams"]
    assert (row["state"], row["errors"], row["last_error"]) == ("up", 1, "upstream_unavailable")
    assert row["last_error_time"] > 0


async def test_without_any_provider_the_gateway_is_alive_but_not_ready() -> None:
    """Load balancers tell the two apart."""
    app = Gateway(keys=["k"], environ={})
    assert (await get(app, "/healthz")).status_code == 200
    assert (await get(app, "/readyz")).status_code == 503
    got = await get(app, "/v1/models/x")
    assert "OPENAI_API_KEY" in got.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("OPTIONS", "/v1/chat/completions", 405, "method_not_allowed"),
        ("GET", "/", 404, "unknown_endpoint"),
        ("POST", "/v1/batches", 404, "unknown_endpoint"),
        ("GET", "/v1/files", 404, "unknown_endpoint"),
        ("GET", "/claude", 404, "unknown_endpoint"),
        ("GET", "/claude/v1", 404, "unknown_endpoint"),
    ],
)
async def test_other_methods_and_paths_are_refused_in_the_envelope(
    method: str, path: str, status: int, code: str
) -> None:
    """Never a framework's own page."""
    got = await get(two(), path, method)
    assert (got.status_code, got.json()["error"]["code"]) == (status, code)
    if status == 405:
        assert got.headers["allow"]


async def test_head_answers_without_a_body() -> None:
    """As GET does, and calls nobody."""
    got = await get(two(), "/v1/models", "HEAD")
    assert (got.status_code, got.content) == (200, b"")
    assert int(got.headers["content-length"]) > 0


async def test_cors_is_off_unless_configured() -> None:
    """No header of it appears."""
    got = await get(two(), "/v1/models", origin="https://app.example")
    assert not [name for name in got.headers if name.startswith("access-control")]


async def test_cors_lets_the_configured_origins_in() -> None:
    """Preflights need no key, and errors carry the headers, too."""
    app = two(cors_origins=["https://app.example"])
    headers = {"origin": "https://app.example"}
    preflight = await get(
        app, "/v1/chat/completions", "OPTIONS", **headers,
        **{"Authorization": "", "access-control-request-method": "POST", "access-control-request-headers": "authorization,x-stainless-os"},
    )  # fmt: skip
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-headers"] == "authorization,x-stainless-os"
    failed = await get(app, "/v1/models", **headers, Authorization="")
    assert failed.headers["access-control-allow-origin"] == "https://app.example"
    other = await get(app, "/v1/models", origin="https://evil.example")
    assert "access-control-allow-origin" not in other.headers


async def test_lifespan_and_websockets_are_answered() -> None:
    """Servers send both."""
    sent: list[Any] = []
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}, {"type": "websocket.connect"}]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    app = two()
    await app({"type": "lifespan"}, receive, send)
    await app({"type": "websocket"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete", "websocket.close"]


@pytest.mark.parametrize("value", ["a b", "x" * 129, "ü", ""])
async def test_an_ill_formed_request_id_is_replaced(value: str) -> None:
    """Nothing of a client's making ends up in logs or headers unless it is plain."""
    async with two().client() as client:
        got = await client.get("/healthz", headers=[(b"x-request-id", value.encode("latin-1"))])
    assert got.headers["x-request-id"].startswith("req_")
