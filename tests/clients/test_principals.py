"""Jobs in this process call as a principal, without a key; nothing that comes over a wire can do the same."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest

from compatgw import Gateway, Principal
from tests.canned import Canned, ask, completion, gateway
from tests.clients.doors import DOORS, Door

JOB = Principal(name="nightly", models=("up/*",))
CHAT = "/v1/chat/completions"


async def post(door: Door, app: Gateway, **options: Any) -> Any:
    """A chat through a door."""
    headers = options.pop("headers", {})
    client = door.client(app, **options)
    if door.sync:

        def work() -> Any:
            with client:
                return client.post(CHAT, json=ask(model="up/m"), headers=headers)

        return await asyncio.to_thread(work)
    async with client:
        return await client.post(CHAT, json=ask(model="up/m"), headers=headers)


@pytest.mark.parametrize("door", DOORS, ids=str)
async def test_a_principal_calls_without_a_key(door: Door) -> None:
    """Whatever keys the gateway has, and none at all."""
    for keys in (["k"], []):
        app = gateway(Canned(completion()), keys=keys)
        assert (await post(door, app, principal=JOB)).status_code == 200
        assert (await post(door, app)).status_code == 401


async def test_a_principal_decides_instead_of_headers_and_of_the_host() -> None:
    """A wrong key does no harm, and `authenticate=` is not asked."""

    async def nobody(connection: Any) -> None:
        raise AssertionError("it was asked")

    app = gateway(Canned(completion()), keys=[], authenticate=nobody)
    for headers in ({}, {"authorization": "Bearer wrong"}, {"x-api-key": "wrong"}):
        assert (await post(DOORS[0], app, principal=JOB, headers=headers)).status_code == 200


async def test_a_principal_is_held_to_what_it_may() -> None:
    """Models, scopes and limits, as when a host's `authenticate=` had given it."""
    app = gateway(Canned(completion()))
    for principal, status, code in (
        (Principal(name="a", models=("other/*",)), 403, "model_not_allowed"),
        (Principal(name="b", scopes=("embeddings",)), 403, "insufficient_scope"),
        (Principal(name="c", requests=1), 429, "rate_limit_exceeded"),
    ):
        async with app.client(principal=principal) as client:
            await client.post(CHAT, json=ask(model="up/m"))
            answer = await client.post(CHAT, json=ask(model="up/m"))
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text


async def test_the_ledgers_team_of_a_principal_counts(ledger_url: str) -> None:
    """One that does not exist is refused, as for a host."""
    app = gateway(Canned(completion()), state={"ledger": ledger_url})
    async with app, app.client(principal=Principal(name="a", team="nobody")) as client:
        answer = await client.post(CHAT, json=ask(model="up/m"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "team_inactive")


async def test_usage_is_written_under_the_principals_name() -> None:
    """What an observer sees."""
    seen: list[str] = []
    app = gateway(Canned(completion()), on_call=lambda ended: seen.append(ended.key))
    async with app.client(principal=JOB) as client:
        await client.post(CHAT, json=ask(model="up/m"))
    assert seen == ["nightly"]


@pytest.mark.parametrize(
    "headers",
    [
        {"compatgw.vouched": "nightly"},
        {"compatgw-vouched": "nightly", "x-compatgw-vouched": "nightly"},
        {"principal": "nightly", "x-principal": "nightly", "x-forwarded-user": "nightly", "remote-user": "nightly"},
        {"authorization": "Bearer of-a-principal"},
        {"authorization": "Bearer nightly"},
        {"host": "gateway", "x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1"},
    ],
)
async def test_no_header_makes_a_principal(headers: dict[str, str], serve: Callable[..., str]) -> None:
    """Over a socket, and in process, also while a job is served."""
    app = gateway(Canned(completion()), keys=[])
    async with httpx.AsyncClient(base_url=serve(app)) as client:
        answer = await client.post(CHAT, json=ask(model="up/m"), headers=headers)
        assert answer.status_code == 401
    async with app.client(principal=JOB) as job, app.client() as other:
        answers = await asyncio.gather(
            *(client.post(CHAT, json=ask(model="up/m"), headers=headers) for client in (job, other))
        )
    assert [answer.status_code for answer in answers] == [200, 401]


async def test_a_scope_that_others_have_made_makes_no_principal() -> None:
    """Only what this very gateway has vouched for counts: not a name, not a principal, not another gateway's word."""
    app, other = gateway(Canned(completion()), keys=[]), gateway(Canned(completion()), keys=[])
    [(member, vouched)] = other._standing.site.identify.vouch(JOB).items()

    for value in (JOB, "nightly", {"principal": JOB}, vouched, None):

        async def wrapped(scope: Any, receive: Any, send: Any, value: Any = value) -> None:
            await app({**scope, member: value}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(wrapped), base_url="http://x") as client:
            assert (await client.post(CHAT, json=ask(model="up/m"))).status_code == 401, value


def test_openai_clients_of_a_principal() -> None:
    """Synchronous and not; one of key and principal has to be there."""
    app = gateway(Canned(completion()), keys=[])
    with app.openai(principal=JOB) as ai:
        got = ai.chat.completions.create(model="up/m", messages=[{"role": "user", "content": "Hi"}])
    assert got.choices[0].message.content == "Hello"

    async def ask_async() -> str | None:
        async with app.async_openai(principal=JOB) as ai:
            messages: Any = [{"role": "user", "content": "Hi"}]
            got = await ai.chat.completions.create(model="up/m", messages=messages)
        return got.choices[0].message.content

    assert asyncio.run(ask_async()) == "Hello"
    with app.openai(api_key="of-a-principal") as ai, pytest.raises(openai.AuthenticationError):
        ai.models.list()
    for make in (app.openai, app.async_openai):
        with pytest.raises(ValueError, match="one of the two"):
            make()
        with pytest.raises(ValueError, match="one of the two"):
            make(api_key="k", principal=JOB)
    for make_client in (app.client, app.sync_client):
        with pytest.raises(ValueError, match="not both"):
            make_client(api_key="k", principal=JOB)
