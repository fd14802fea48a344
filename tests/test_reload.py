"""Other settings for a gateway that runs, and what hosts hand in: providers, secrets, prices.

What does not live here: what settings mean (`test_config.py`).
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from compatgw import Gateway
from compatgw.config import ConfigError
from compatgw.policy.access import Principal
from tests.canned import DONE, FINISH, KEY, ROLE, STREAM, USAGE, WORD, Canned, ask, completion


class Slow:
    """An upstream whose stream waits in its middle until `go` is set."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The application."""
        await receive()
        head = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", STREAM.encode())]}
        await send(head)
        await send({"type": "http.response.body", "body": ROLE + WORD, "more_body": True})
        await self.go.wait()
        await send({"type": "http.response.body", "body": WORD + FINISH + USAGE + DONE})


def up(app: Any, **members: Any) -> dict[str, Any]:
    """A provider."""
    return {"app": app, "base_url": "http://upstream/v1", "api_key": "sk-upstream-secret", **members}


async def chat(gateway: Gateway, model: str, key: str = "k") -> httpx.Response:
    """One call."""
    async with gateway.client(api_key=key) as client:
        return await client.post("/v1/chat/completions", json=ask(model=model))


async def test_a_stream_goes_on_while_new_calls_have_the_new_settings() -> None:
    """Its provider is gone for everybody else, its key too; it ends as it would have."""
    slow = Slow()
    gateway = Gateway({"keys": ["k"], "providers": {"old": up(slow)}}, environ={})
    async with gateway.client(api_key="k") as client:
        body = ask(model="old/m", stream=True)
        async with client.stream("POST", "/v1/chat/completions", json=body) as stream:
            lines = stream.aiter_lines()
            first = await anext(lines)
            await gateway.reload(
                {"keys": ["k2"], "providers": {"new": up(Canned(completion())), "other": up(Canned())}}
            )

            assert gateway.providers == ("new", "other")
            assert (await chat(gateway, "new/m", "k2")).status_code == 200
            assert (await chat(gateway, "old/m", "k2")).status_code == 404
            assert (await chat(gateway, "new/m", "k")).status_code == 401
            slow.go.set()
            rest = [line async for line in lines if line]

    assert stream.status_code == 200
    assert "chat.completion.chunk" in first
    assert sum('"Hello"' in line for line in rest) >= 1
    assert rest[-1] == "data: [DONE]"
    await gateway.aclose()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nope": 1}, "nope"),
        ({"providers": {"openai": {}}}, "OPENAI_API_KEY"),
        ({"transport": "httpx"}, "'transport' cannot change"),
        ({"state": {"on_counters_loss": "refuse"}}, "'state' cannot change"),
        ({"hosts": {"x": "y"}}, "'hosts'"),
        ({"models": {"m": {"price": {"input": "much"}}}}, "price"),
    ],
)
async def test_wrong_settings_change_nothing(change: dict[str, Any], words: str) -> None:
    """The gateway goes on as before, and says what is wrong."""
    upstream = Canned(completion())
    config = {"keys": ["k"], "providers": {"up": up(upstream)}}
    gateway = Gateway(config, environ={})
    before = gateway.settings
    with pytest.raises(ConfigError, match=words):
        await gateway.reload({**config, **change})

    assert gateway.settings is before
    assert (await chat(gateway, "up/m")).status_code == 200
    await gateway.aclose()


async def test_limits_go_on() -> None:
    """Who has used a minute's calls up has not got them back by a reload."""
    key = {"key": "k", "name": "somebody", "requests": 1}
    config = {"keys": [key], "providers": {"up": up(Canned(completion()))}}
    gateway = Gateway(config, environ={})
    assert (await chat(gateway, "up/m")).status_code == 200
    await gateway.reload({**config, "name": "other"})
    assert (await chat(gateway, "up/m")).status_code == 429
    await gateway.aclose()


async def test_kept_answers_and_what_is_known_of_upstreams_go_on() -> None:
    """A reload that changes neither asks nobody anew."""
    upstream = Canned(completion())
    config = {"keys": ["k"], "cache": {"enabled": True}, "providers": {"up": up(upstream)}}
    gateway = Gateway(config, environ={})
    async with gateway.client(api_key="k") as client:
        for _ in range(2):
            body = ask(model="up/m", temperature=0)
            assert (await client.post("/v1/chat/completions", json=body)).status_code == 200
            await gateway.reload({**config, "max_body": 2048})
    (seen,) = gateway._standing.house.health

    assert len(upstream.asked) == 1
    assert seen.calls == 1
    await gateway.aclose()


async def test_clients_that_were_made_before_are_still_known() -> None:
    """Whoever was vouched for by the gateway needs no new client."""
    gateway = Gateway({"providers": {"up": up(Canned(completion()))}, "keys": ["k"]}, environ={})
    async with gateway.client(principal=Principal(name="job")) as client:
        await gateway.reload({"providers": {"up": up(Canned(completion()))}, "keys": ["other"]})
        assert (await client.post("/v1/chat/completions", json=ask(model="up/m"))).status_code == 200
    await gateway.aclose()


async def test_the_file_is_read_again_and_keywords_stay(tmp_path: Path) -> None:
    """`reload()` alone takes what stands in the file by then."""
    file = tmp_path / "c.toml"
    file.write_text('name = "one"\nmax_body = 2048\n')
    gateway = Gateway(file, max_body=4096, keys=["k"], environ={})
    file.write_text('name = "two"\nmax_body = 8192\n')
    await gateway.reload()
    assert (gateway.settings.name, gateway.settings.max_body) == ("two", 4096)
    await gateway.reload(max_body=9000)
    assert gateway.settings.max_body == 9000


async def test_whoever_manages_has_it_read_again_over_http(tmp_path: Path) -> None:
    """With the scope `admin` alone; a mistake is told and changes nothing."""
    file = tmp_path / "c.toml"
    good = 'keys = ["k", { key = "a", name = "boss", scopes = ["admin"] }]\n'
    file.write_text(good)
    gateway = Gateway(file, environ={})
    async with gateway.client() as client:
        path, admin = "/api/admin/reload", {"Authorization": "Bearer a"}
        file.write_text('name = "two"\n' + good)
        assert (await client.post(path, headers=KEY)).status_code == 403
        assert (await client.get(path, headers=admin)).status_code == 405
        assert gateway.settings.name == "compatgw"
        got = await client.post(path, headers=admin)
        assert (got.status_code, got.json(), gateway.settings.name) == (
            200, {"object": "gateway.reload", "reloaded": True, "others_told": False}, "two",
        )  # fmt: skip
        file.write_text("name = ")
        got = await client.post(path, headers=admin)
        assert (got.status_code, got.json()["error"]["code"]) == (400, "invalid_configuration")
        assert "not valid TOML" in got.json()["error"]["message"]
        assert gateway.settings.name == "two"


async def test_many_reloads_at_one_time_come_one_after_the_other() -> None:
    """None is lost: each adds its own model, while calls go on."""
    gateway = Gateway({"keys": ["k"], "providers": {"up": up(Canned(completion()))}}, environ={})
    async with asyncio.TaskGroup() as group:
        for number in range(12):
            group.create_task(gateway.add_model(f"m{number}", "up/real"))
            group.create_task(chat(gateway, "up/m"))
    assert set(gateway.settings.models) == {f"m{number}" for number in range(12)}
    await gateway.aclose()


# --- extension points ------------------------------------------------------------------------------


async def test_providers_and_models_come_and_go_while_it_runs() -> None:
    """The ones that only the environment named stay when another one is added."""
    gateway = Gateway(keys=["k"], environ={"GROQ_API_KEY": "gsk", "XAI_API_KEY": "xai"})
    added = Canned(completion())
    await gateway.add_provider("mine", up(added))
    await gateway.add_model("fast", "mine/small")

    assert set(gateway.providers) == {"groq", "xai", "mine"}
    assert (await chat(gateway, "fast")).status_code == 200
    assert added.asked[0]["model"] == "small"
    await gateway.remove_provider("mine")
    assert set(gateway.providers) == {"groq", "xai"}
    assert (await chat(gateway, "mine/small")).status_code == 404
    with pytest.raises(ConfigError, match="nobody"):
        await gateway.remove_provider("nobody")
    await gateway.aclose()


async def test_secrets_come_from_the_hosts_own_source() -> None:
    """A rotated one is used after a reload; none is shown."""
    vault = {"team/up": "sk-first", "door": "k"}
    upstream = Canned(completion())
    config = {"keys": ["secret:door"], "providers": {"up": up(upstream, api_key="secret:team/up")}}
    gateway = Gateway(config, secret_source=vault.get, environ={})
    assert (await chat(gateway, "up/m")).status_code == 200
    vault["team/up"] = "sk-second"
    await gateway.reload()
    assert (await chat(gateway, "up/m")).status_code == 200

    assert [seen[b"authorization"] for seen in upstream.seen] == [b"Bearer sk-first", b"Bearer sk-second"]
    assert "sk-" not in repr(gateway.settings)
    await gateway.aclose()


def test_without_a_source_a_secret_is_a_variable() -> None:
    """So a file can name one that is not the provider's usual one."""
    config = {"providers": {"up": {"base_url": "http://x/v1", "api_key": "secret:MY_KEY"}}}
    gateway = Gateway(config, environ={"MY_KEY": "sk-mine"})
    key = gateway.settings.providers["up"].api_key
    assert key is not None
    assert key.get_secret_value() == "sk-mine"
    with pytest.raises(ConfigError, match=r"providers\.up\.api_key.*MY_KEY"):
        Gateway(config, environ={})


def test_a_source_of_secrets_that_fails_shows_none() -> None:
    """Its own words may hold what nobody may see."""

    def broken(name: str) -> str:
        raise RuntimeError("token s.hunter2 refused")

    with pytest.raises(ConfigError, match="RuntimeError") as caught:
        Gateway({"keys": ["secret:x"]}, secret_source=broken, environ={})
    assert "hunter2" not in repr(caught.value)


async def test_prices_come_from_the_hosts_own_source(caplog: pytest.LogCaptureFixture) -> None:
    """After the operator's own, before the package's; one that fails is told, and fails no call."""
    config = {
        "keys": ["k"],
        "providers": {"up": up(Canned(completion()))},
        "models": {"up/own": {"price": {"input": "1", "output": "1"}}},
    }

    def source(provider: str, model: str) -> dict[str, object] | None:
        if model == "broken":
            raise RuntimeError("no list today")
        return {"input": "1000000", "output": "2000000"} if model in ("dear", "own") else None

    told: list[Any] = []
    gateway = Gateway(config, price_source=source, on_call=told.append, environ={})
    with caplog.at_level(logging.ERROR, "compatgw"):
        for model in ("dear", "own", "unknown", "broken"):
            assert (await chat(gateway, f"up/{model}")).status_code == 200
    await gateway.aclose()

    costs = [ended.cost for ended in told]
    assert (costs[0], costs[2], costs[3]) == (7, None, None)
    assert costs[1] is not None
    assert costs[1] < 1
    assert "no list today" in caplog.text


async def test_other_processes_read_their_settings_again_too(
    redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Those that share counters: who cannot goes on as before and says so; nobody tells it any further."""
    written = f"""
        [state]
        counters = "{redis_url}"
        [providers.up]
        base_url = "http://upstream/v1"
        auth = "none"
        [[keys]]
        key = "admin"
        scopes = ["admin"]
        [models]
        fast = "up/{{model}}"
    """
    files = [tmp_path / "one.toml", tmp_path / "two.toml", tmp_path / "three.toml"]
    for file in files:
        file.write_text(written.format(model="small"))
    gateways = [Gateway(file, environ={}) for file in files]
    for gateway in gateways:
        await gateway._standing.house.news.hear()
    for file in files[:2]:
        file.write_text(written.format(model="large"))
    files[2].write_text(written.format(model="large") + "nonsense = 1")

    async with gateways[0].client(api_key="admin") as client:
        got = await client.post("/api/admin/reload")
    for gateway in gateways:
        await gateway._standing.house.news.hear()
        await gateway._standing.house.tasks.aclose()

    assert got.json() == {"object": "gateway.reload", "reloaded": True, "others_told": True}
    assert [gateway.settings.models["fast"] for gateway in gateways] == ["up/large", "up/large", "up/small"]
    assert caplog.text.count("as another process did") == 1
    assert caplog.text.count("This one cannot") == 1
    for gateway in gateways:
        await gateway._standing.house.news.hear()
        assert not gateway._standing.house.tasks._tasks
        await gateway.aclose()
