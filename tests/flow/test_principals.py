"""Callers that the ledger has no key of: of the host's `authenticate=`, of the settings, with a ledger and without one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import httpx
import openai
import pytest

import compatgw
from compatgw import Gateway, Principal
from compatgw.config import ConfigError
from compatgw.errors import Forbidden
from compatgw.flow.call import ClientGone
from tests.canned import DONE, FINISH, ROLE, STREAM, USAGE, WORD, Canned, ask, completion, gateway
from tests.flow.paying import COST, Open
from tests.state.making import Clock

CHAT = "/v1/chat/completions"


def is_always(principal: Any) -> Callable[[Any], Awaitable[Any]]:
    """An `authenticate=` that says the same of everybody."""

    async def authenticate(connection: Any) -> Any:
        return principal

    return authenticate


async def post(app: Gateway, key: str = "any", **members: Any) -> httpx.Response:
    """One chat request."""
    async with app.client(api_key=key) as client:
        return await client.post(CHAT, json=ask(**members))


def error_of(response: httpx.Response) -> dict[str, Any]:
    """The envelope's inside; there is nothing else in it."""
    body = response.json()
    assert list(body) == ["error"]
    assert set(body["error"]) == {"message", "type", "param", "code"}
    found: dict[str, Any] = body["error"]
    return found


# --- with no database at all ---


async def test_a_host_needs_no_database_and_no_keys() -> None:
    """Scopes, models, limits and a plan of the principal hold; its team is only a name."""
    who = Principal(name="ann", team="not-stored", models=("m*",), scopes=("chat",), plan="starter", requests=2)
    app = gateway(Canned(completion()), keys=[], authenticate=is_always(who))
    first, second, third = [await post(app) for _ in range(3)]
    other = await post(app, model="x")
    async with app.client() as client:
        listed = (await client.get("/v1/models")).status_code

    assert [first.status_code, second.status_code, third.status_code] == [200, 200, 429]
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-limit-tokens"] == "100000"
    assert (other.status_code, error_of(other)["code"]) == (403, "model_not_allowed")
    assert listed == 200
    await app.aclose()


async def test_a_refused_call_of_a_principal_takes_no_place() -> None:
    """One that may not use the model is told so before anything is counted."""
    app = gateway(Canned(completion()), keys=[], authenticate=is_always(Principal(name="a", models=("m",), requests=1)))

    assert [(await post(app, model=model)).status_code for model in ("x", "x", "m", "m")] == [403, 403, 200, 429]
    await app.aclose()


@pytest.mark.parametrize(
    ("scopes", "status"), [(("*",), 200), (("chat",), 200), (("embeddings",), 403), ((), 403), (("admin",), 403)]
)
async def test_scopes_of_a_principal_hold(scopes: tuple[str, ...], status: int) -> None:
    """What it may not do is 403 `insufficient_scope`; `admin` calls no models."""
    app = gateway(Canned(completion()), keys=[], authenticate=is_always(Principal(name="a", scopes=scopes)))
    got = await post(app)

    assert got.status_code == status
    assert status == 200 or error_of(got)["code"] == "insufficient_scope"
    await app.aclose()


async def test_principals_of_one_name_share_their_limits_and_others_do_not() -> None:
    """Whoever makes a new principal for every request, as hosts do, still counts together."""

    async def by_header(connection: Any) -> Principal:
        return Principal(name=connection.headers["x-user"], requests=2)

    app = gateway(Canned(completion()), keys=[], authenticate=by_header)
    codes: dict[str, list[int]] = {"ann": [], "bob": []}
    async with app.client() as client:
        for _ in range(3):
            for name, seen in codes.items():
                seen.append((await client.post(CHAT, json=ask(), headers={"x-user": name})).status_code)

    assert codes == {"ann": [200, 200, 429], "bob": [200, 200, 429]}
    await app.aclose()


async def test_names_of_principals_and_of_teams_do_not_meet() -> None:
    """A principal that is called as another one's team, or as a group of counters, has limits of its own."""

    async def by_header(connection: Any) -> Principal:
        name, _, team = connection.headers["x-user"].partition("@")
        return Principal(name=name, team=team or None, requests=1)

    app = gateway(Canned(completion()), keys=[], authenticate=by_header)
    async with app.client() as client:
        users = ["a", "a@t", "t", "t:a", "n:a", "n:a:r", "k:a", "b@a", "a@a"]
        codes = [(await client.post(CHAT, json=ask(), headers={"x-user": user})).status_code for user in users]

    assert codes == [200] * len(users)
    await app.aclose()


async def test_concurrency_of_a_principal_is_given_back() -> None:
    """While its stream runs there is no second place; afterwards there is."""
    up = Canned([ROLE, WORD], kind=STREAM, then="hang")
    app = gateway(up, keys=[], authenticate=is_always(Principal(name="a", concurrency=1)))
    async with app.client() as client, client.stream("POST", CHAT, json=ask(stream=True)) as response:
        async for data in response.aiter_raw():
            if b"Hello" in data:
                break
        crowded = await client.post(CHAT, json=ask())
    await asyncio.wait_for(up.ended.wait(), 5)
    await app.aclose()
    up.then, up.pieces = "end", [ROLE, WORD, FINISH, USAGE, DONE]

    assert (crowded.status_code, error_of(crowded)["type"]) == (429, "requests")
    assert (await post(app, stream=True)).status_code == 200
    await app.aclose()


async def test_the_principal_may_come_from_a_middleware_of_the_host() -> None:
    """From the ASGI scope: `state`, as Starlette keeps it, and `user`, as its authentication does."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.routing import Mount

    class Login:
        def __init__(self, app: Any) -> None:
            self._app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                name = dict(scope["headers"]).get(b"cookie", b"").decode().removeprefix("user=")
                scope = {**scope, "state": {"user": name}, "user": name.upper()}
            await self._app(scope, receive, send)

    seen: list[Any] = []

    async def from_state(connection: Any) -> Principal | None:
        seen.append((connection.state.user, connection.user, connection.url.path, connection.cookies))
        return Principal(name=connection.state.user) if connection.state.user else None

    app = gateway(Canned(completion()), keys=[], authenticate=from_state)
    host = Starlette(routes=[Mount("/ai", app)], middleware=[Middleware(Login)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(host), base_url="http://host") as client:
        known = await client.post("/ai/v1/chat/completions", json=ask(), headers={"cookie": "user=ann"})
        unknown = await client.post("/ai/v1/chat/completions", json=ask())

    assert known.status_code == 200
    assert (unknown.status_code, error_of(unknown)["code"]) == (401, "invalid_api_key")
    assert seen[0] == ("ann", "ANN", "/ai/v1/chat/completions", {"user": "ann"})
    await app.aclose()


async def test_the_host_decides_instead_of_keys() -> None:
    """Keys of the settings open nothing beside `authenticate=`, and need not be sent."""
    app = gateway(Canned(completion()), keys=["k"], authenticate=is_always(None))
    refused = await post(app, "k")
    await app.aclose()
    open_to_all = gateway(Canned(completion()), keys=[], authenticate=compatgw.anonymous)
    async with open_to_all.client() as client:
        allowed = await client.post(CHAT, json=ask())

    assert (refused.status_code, error_of(refused)["type"]) == (401, "authentication_error")
    assert allowed.status_code == 200
    await open_to_all.aclose()


# --- an `authenticate=` that does not behave ---


async def test_a_host_that_fails_is_a_500_without_a_trace(caplog: pytest.LogCaptureFixture) -> None:
    """The caller gets the request id and no word of the failure, the log has all of it; nothing is asked upstream."""

    async def broken(connection: Any) -> Principal:
        raise RuntimeError("postgres://root:hunter2@db is down")

    up = Canned(completion())
    app = gateway(up, keys=[], authenticate=broken)
    got = await post(app)
    error = error_of(got)

    assert (got.status_code, error["type"], error["code"]) == (500, "server_error", "internal_error")
    assert got.headers["x-request-id"] in error["message"]
    assert "hunter2" not in got.text
    assert "Traceback" not in got.text
    assert "hunter2" in caplog.text
    assert up.seen == []
    await app.aclose()


async def test_a_host_may_refuse_in_the_gateways_own_words() -> None:
    """A `GatewayError` that it raises is the answer."""

    async def strict(connection: Any) -> Principal:
        raise Forbidden("Your trial is over.", code="team_inactive")

    app = gateway(Canned(completion()), keys=[], authenticate=strict)
    got = await post(app)

    assert (got.status_code, error_of(got)["code"], error_of(got)["message"]) == (
        403,
        "team_inactive",
        "Your trial is over.",
    )
    await app.aclose()


class ActsLike:
    """Not a `Principal`, however much of one it has."""

    name = "a"
    team = None


@pytest.mark.parametrize("foreign", [{"name": "ann"}, "ann", True, object(), ActsLike(), Principal])
async def test_something_else_than_a_principal_is_said_where_the_operator_looks(
    foreign: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """500 for the caller; the log names `authenticate`, what it gave and what it must give."""
    up = Canned(completion())
    app = gateway(up, keys=[], authenticate=is_always(foreign))
    got = await post(app)

    assert (got.status_code, error_of(got)["code"]) == (500, "internal_error")
    assert "authenticate= must give a compatgw.Principal or None" in caplog.text
    assert type(foreign).__name__ in caplog.text
    assert up.seen == []
    await app.aclose()


async def test_an_authenticate_that_is_no_coroutine_is_said_the_same_way(caplog: pytest.LogCaptureFixture) -> None:
    """A plain function that forgets `async` lets nobody in."""

    def plain(connection: Any) -> Any:
        return Principal(name="ann")

    app = gateway(Canned(completion()), keys=[], authenticate=plain)
    got = await post(app)

    assert (got.status_code, error_of(got)["code"]) == (500, "internal_error")
    assert "authenticate= must be an async callable" in caplog.text
    await app.aclose()


async def test_a_host_that_does_not_answer_is_not_waited_for_for_ever() -> None:
    """503 after the bound, the host's question is cancelled, and the next call is asked anew."""
    cancelled: list[bool] = []

    async def hangs(connection: Any) -> Principal:
        try:
            if not cancelled:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return Principal(name="ann")

    app = gateway(Canned(completion()), keys=[], authenticate=hangs)
    app._standing.site.identify._host_patience = 0.02
    slow = await asyncio.wait_for(post(app), 5)
    next_one = await post(app)

    assert (slow.status_code, error_of(slow)["code"]) == (503, "overloaded")
    assert "retry-after" in slow.headers
    assert cancelled == [True]
    assert next_one.status_code == 200
    await app.aclose()


async def test_an_sdk_meets_the_hosts_refusal_as_its_own_error() -> None:
    """`AuthenticationError`, and no second try."""
    asked: list[str] = []

    async def nobody(connection: Any) -> None:
        asked.append(connection.headers["authorization"])

    app = gateway(Canned(completion()), keys=[], authenticate=nobody)
    async with app.async_openai(api_key="sk-of-the-user") as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])

    assert caught.value.code == "invalid_api_key"
    assert asked == ["Bearer sk-of-the-user"]
    assert "sk-of-the-user" not in str(caught.value)
    await app.aclose()


# --- with a ledger ---


async def test_a_principals_team_pays_sees_and_limits(open_shop: Open) -> None:
    """Its wallet is charged, its models hide the others, its plan holds; usage is under its name and the principal's."""
    who = Principal(name="ann", team="t1", models=("m", "other"))
    one = open_shop(
        Canned(completion()),
        authenticate=is_always(who),
        plans={"few": {"requests": 2}},
        models={"m": {"target": "up/m", "price": {"input": "100", "output": "1000", "per_request": "0.01"}}},
    )
    await one.key(wallet="10", team={"plan": "few", "models": ("m", "hidden")})
    got = [await one.post("none", model=model) for model in ("m", "hidden", "other", "m", "m")]
    rows = await one.rows()

    assert [each.status_code for each in got] == [200, 403, 404, 200, 429]
    assert (await one.wallet()).balance == 10 - 2 * COST
    assert {(row.team, row.key) for row in rows} == {("t1", "ann")}
    assert got[0].headers["x-ratelimit-remaining-requests"] == "1"


async def test_a_team_without_money_is_402_for_the_hosts_callers_too(open_shop: Open) -> None:
    """The principal brings no money of its own."""
    up = Canned(completion())
    one = open_shop(up, authenticate=is_always(Principal(name="ann", team="t1")))
    await one.key(wallet="0")
    got = await one.post("none")

    assert (got.status_code, error_of(got)["code"]) == (402, "insufficient_balance")
    assert up.seen == []


@pytest.mark.parametrize("team", ["nobody", "", "t1\0", "t\ud800", "x" * 10_000, "T1"])
async def test_a_team_that_does_not_exist_is_403_and_is_not_made(open_shop: Open, team: str) -> None:
    """Whatever its name: with NUL, with half a character, of any length, in other letters."""
    up = Canned(completion())
    one = open_shop(up, authenticate=is_always(Principal(name="ann", team=team)))
    await one.key(wallet="10")
    got = await one.post("none")

    assert (got.status_code, error_of(got)["code"]) == (403, "team_inactive")
    assert len(got.content) < 1000
    assert up.seen == []
    assert await one.ledger.account(team) is None


async def test_a_team_that_is_switched_off_is_403_at_once(open_shop: Open) -> None:
    """In this process from the next call on, and on again the same."""
    one = open_shop(Canned(completion()), authenticate=is_always(Principal(name="ann", team="t1")))
    await one.key()
    codes = []
    for active in (True, False, True):
        await one.office.change_team("t1", {"active": active}, by="test")
        codes.append((await one.post("none")).status_code)

    assert codes == [200, 403, 200]


async def test_a_principal_without_a_team_is_nobodys_expense(open_shop: Open) -> None:
    """It is let in and written down; no wallet moves."""
    one = open_shop(Canned(completion()), authenticate=is_always(Principal(name="ann")))
    await one.key(wallet="10")
    got = await one.post("none", model="unpriced")
    (row,) = await one.rows()

    assert got.status_code == 200
    assert (row.team, row.key, row.cost) == ("", "ann", None)
    assert (await one.wallet()).balance == 10


async def test_keys_of_the_settings_have_team_scopes_and_limits(open_shop: Open) -> None:
    """Each of its own, beside keys of the ledger; those of one name share their limits."""
    one = open_shop(
        Canned(completion()),
        keys=[
            {"key": "pays", "name": "pays", "team": "t1"},
            {"key": "reads", "name": "reads", "scopes": ["embeddings"]},
            {"key": "twin-1", "name": "twin", "requests": 1},
            {"key": "twin-2", "name": "twin", "requests": 1},
            {"key": "lost", "name": "lost", "team": "gone"},
            "plain",
        ],
    )
    minted = await one.key(wallet="10")
    order = ("pays", "reads", "twin-1", "twin-2", "lost", "plain", minted, "unknown")
    codes = {key: (await one.post(key)).status_code for key in order}

    assert list(codes.values()) == [200, 403, 200, 429, 403, 200, 200, 401]
    assert (await one.wallet()).balance == 10 - 2 * COST


async def test_a_remembered_team_outlives_a_ledger_that_is_away_for_a_moment(
    open_sqlite_shop: Open, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then 503; a team that is not remembered is 503 at once, never let in and never called unknown."""
    from compatgw.state.base import LedgerUnavailable

    teams = ["t1"]

    async def of_now(connection: Any) -> Principal:
        return Principal(name="ann", team=teams[-1])

    one = open_sqlite_shop(Canned(completion()), authenticate=of_now)
    records = one.app._standing.records
    assert records is not None
    watch = records.verifier._watch
    watch._monotonic = clock
    await one.key()
    before = await one.post("none")

    async def away(*arguments: Any) -> Any:
        raise LedgerUnavailable("The ledger is away.")

    for method in ("changes", "account"):
        monkeypatch.setattr(one.ledger, method, away)
    clock.now += 5
    soon = await one.post("none")
    clock.now += 60
    late = await one.post("none")
    teams.append("t2")
    other = await one.post("none")

    assert [each.status_code for each in (before, soon, late, other)] == [200, 200, 503, 503]
    assert error_of(late)["code"] == "overloaded"
    assert late.headers["retry-after"] == "1"


async def test_a_client_that_leaves_a_slow_host_leaves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A host that gives up its own request ends the question, too."""
    asked = asyncio.Event()
    ended = asyncio.Event()

    async def slow(connection: Any) -> Principal:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise ClientGone

    app = gateway(Canned(completion()), keys=[], authenticate=slow)
    with caplog.at_level(logging.WARNING):
        request = asyncio.create_task(post(app))
        await asked.wait()
        request.cancel()
        await asyncio.wait([request], timeout=5)
        await asyncio.wait_for(ended.wait(), 5)

    assert request.cancelled()
    assert app._standing.site.capacity.in_flight == 0
    assert caplog.text == ""
    await app.aclose()


async def test_a_budget_is_the_ledgers_alone(open_shop: Open) -> None:
    """A principal has none: its team's wallet is what bounds it."""
    one = open_shop(Canned(completion()), authenticate=is_always(Principal(name="ann", team="t1")))
    await one.key(wallet="0.03")
    codes = [(await one.post("none", max_tokens=2)).status_code for _ in range(3)]
    spent = await one.ledger.spend("ann", "total")

    assert codes == [200, 200, 402]
    assert (await one.wallet()).balance == Decimal("0.03") - 2 * COST
    assert spent.spent == 0


async def test_a_settings_key_without_its_plan_is_told_when_the_gateway_is_made() -> None:
    """A plan that nobody knows would be no limit at all."""
    with pytest.raises(ConfigError, match="no-such-plan"):
        gateway(Canned(), keys=[{"key": "k", "name": "n", "plan": "no-such-plan"}])


async def test_a_plan_of_the_ledger_is_for_keys_of_the_settings_too(open_shop: Open) -> None:
    """And wins over one of the settings; a change holds at once."""
    one = open_shop(Canned(completion()), keys=[{"key": "k", "name": "n", "plan": "gold"}])
    missing = await one.post("k")
    await one.office.put_plan("gold", requests=1, by="test")
    codes = [(await one.post("k")).status_code for _ in range(2)]

    assert (missing.status_code, missing.json()["error"]["code"]) == (403, "plan_missing")
    assert codes == [200, 429]
