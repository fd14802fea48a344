"""What users of other gateways have met with usage, money and limits, each under the number of their thread.

Whole calls through whole gateways. Where a thread asked for something that this gateway does otherwise on purpose,
its test says so. What a stream owes when it breaks or its client leaves is also in `test_accounting.py`, and what
storage alone can show in `tests/state/test_regressions.py`. What does not live here: keys (`test_key_regressions.py`).
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import orjson
import pytest

from compatgw import ConfigError, Gateway
from compatgw.state.base import UsageRow
from compatgw.state.secrets import mint
from tests.canned import DONE, FINISH, ROLE, STREAM, USAGE, WORD, Canned, ask, chunk, completion
from tests.flow.breaking import CHAT, error_of
from tests.flow.paying import COST, PRICE, Open

USED = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
QUESTION: Any = [{"role": "user", "content": "hi"}]
D = Decimal


async def leave(app: Gateway, key: str, up: Canned, **members: Any) -> None:
    """Asks, and leaves when the upstream has the question."""
    async with app.client(api_key=key) as client:
        request = asyncio.create_task(client.post(CHAT, json=ask(**members)))
        await asyncio.wait_for(up.began.wait(), 5)
        request.cancel()
        await asyncio.wait([request], timeout=5)
    await asyncio.wait_for(up.ended.wait(), 5)


# --- usage, cost, budgets ---


_IN_EVERY_CHUNK = [
    chunk({"role": "assistant", "content": ""}, usage={**USED, "completion_tokens": 0, "total_tokens": 3}),
    chunk({"content": "Hello"}, usage={**USED, "completion_tokens": 1, "total_tokens": 4}),
    chunk({}, "stop", usage=USED),
]


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize(
    "pieces",
    [
        [ROLE, WORD, FINISH, USAGE],
        [ROLE, WORD, chunk({}, "stop", usage=USED)],
        _IN_EVERY_CHUNK,
        [*_IN_EVERY_CHUNK, USAGE],
        [ROLE, WORD, USAGE, FINISH],
        [ROLE, WORD, chunk({}, "stop", x_groq={"usage": USED})],
    ],
    ids=["after the end", "with the end", "in every chunk", "in every chunk and after", "before the end", "groq"],
)
async def test_litellm_11915_usage_of_a_stream_is_metered_once_wherever_it_stands(
    open_sqlite_shop: Open, pieces: list[bytes], asked: bool
) -> None:
    """BerriAI/litellm#11915, #9657, #12233, #17136, #23847: always asked for, and passed on in one chunk to who asked."""
    up = Canned([*pieces, DONE], kind=STREAM)
    one = open_sqlite_shop(up)
    key = await one.key(wallet="10")
    wish: Any = {"stream_options": {"include_usage": True}} if asked else {}
    async with one.app.async_openai(api_key=key) as client:
        stream = await client.chat.completions.create(model="m", messages=QUESTION, stream=True, **wish)
        seen = [each async for each in stream]
    (row,) = await one.rows()
    told = [each.usage for each in seen if not each.choices]

    assert up.asked[0]["stream_options"] == {"include_usage": True}
    assert (row.input, row.output, row.estimated, row.cost, row.charge) == (3, 2, False, COST, COST)
    assert [each.total_tokens for each in told if each is not None] == ([5] if asked else [])
    assert len(told) == asked


async def test_one_api_2224_an_upstream_that_knows_no_stream_options_is_not_sent_them(open_sqlite_shop: Open) -> None:
    """songquanpeng/one-api#2224: a quirk of the provider says so, nothing is guessed; usage is then estimated."""
    up = Canned([ROLE, WORD, FINISH, DONE], kind=STREAM)
    providers = {
        "up": {"app": up, "base_url": "http://upstream/v1", "api_key": "k", "quirks": {"stream_options": False}}
    }
    one = open_sqlite_shop(up, providers=providers)
    key = await one.key(wallet="10")
    got = await one.post(key, stream=True, stream_options={"include_usage": True})
    (row,) = await one.rows()

    assert got.content.endswith(b"data: [DONE]\n\n")
    assert "stream_options" not in up.asked[0]
    assert (row.status, row.estimated, row.output) == (200, True, 2)
    assert row.charge == row.cost == D("0.01") + row.input * D("0.0001") + row.output * D("0.001")


async def test_one_api_2224_without_the_quirk_the_refusal_names_the_member(open_sqlite_shop: Open) -> None:
    """songquanpeng/one-api#2224: it is not hidden by a second call, and costs nothing."""
    said = {"error": {"message": "Unknown parameter: 'stream_options'", "param": "stream_options"}}
    up = Canned(orjson.dumps(said), status=400)
    one = open_sqlite_shop(up)
    got = await one.post(await one.key(wallet="10"), stream=True)

    assert (got.status_code, error_of(got)["param"]) == (400, "stream_options")
    assert len(up.asked) == 1
    assert (await one.wallet()).free == 10


@pytest.mark.parametrize("stream", [False, True])
async def test_litellm_17364_a_client_that_leaves_before_the_first_word_owes_nothing(
    open_shop: Open, stream: bool
) -> None:
    """BerriAI/litellm#37140, #17364, #13245, #36008, #37558, #30630, #35958: the upstream is let go, all comes back.

    There is no policy of reading on for the usage alone: who leaves stops the upstream, and what was delivered counts.
    """
    up = Canned([ROLE] if stream else [], kind=STREAM if stream else "application/json", then="hang")
    one = open_shop(up)
    key = await one.key(wallet="10", budget=D(5), tokens=10_000, concurrency=1)
    await leave(one.app, key, up, stream=stream)
    (row,) = await one.rows()
    wallet = await one.wallet()
    spend = await one.ledger.spend(key[4:16], "total")
    up.then, up.pieces = "end", [completion()]
    up.headers = [(b"content-type", b"application/json")]
    after = await one.post(key)

    assert (row.status, row.code, row.cost, row.charge, row.output) == (499, "client_gone", D(0), D(0), 0)
    assert (wallet.balance, wallet.reserved, spend.spent, spend.reserved) == (D(10), D(0), D(0), D(0))
    assert after.status_code == 200
    assert int(after.headers["x-ratelimit-remaining-tokens"]) <= 10_000 - 4096


async def test_litellm_14295_whoever_leaves_in_the_middle_of_many_is_charged_once(open_shop: Open) -> None:
    """BerriAI/litellm#14295, reverted by #14304: ten that leave and ten that stay; each is in the ledger once."""
    up = Canned([ROLE, WORD, FINISH, USAGE, DONE], kind=STREAM)
    hanging = Canned([ROLE, WORD], kind=STREAM, then="hang")

    async def upstream(scope: Any, receive: Any, send: Any) -> None:
        await (hanging if b"leaves" in dict(scope["headers"])[b"authorization"] else up)(scope, receive, send)

    one = open_shop(upstream)
    key = await one.key(wallet="100")
    two = open_shop(
        upstream, providers={"up": {"app": upstream, "base_url": "http://upstream/v1", "api_key": "leaves"}}
    )

    async def begin_and_leave() -> None:
        body = ask(stream=True)
        async with two.app.client(api_key=key) as client, client.stream("POST", CHAT, json=body) as response:
            async for data in response.aiter_raw():
                if b"Hello" in data:
                    return

    await asyncio.gather(*[begin_and_leave() for _ in range(10)], *[one.post(key, stream=True) for _ in range(10)])
    await two.app.aclose()
    rows = await one.rows()
    wallet = await one.wallet()
    charges = await one.charges()

    assert sorted(row.status for row in rows) == [200] * 10 + [499] * 10
    assert len({row.id for row in rows}) == len(charges) == 20
    assert sum(row.charge for row in rows) == sum(charges) == 100 - wallet.balance
    assert wallet.reserved == 0


_BROKEN = b'data: {"error": {"message": "' + b"very sorry indeed " * 50 + b'", "type": "server_error"}}\n\n'


@pytest.mark.parametrize(
    ("up", "status"),
    [
        (Canned(b'{"error": {"message": "' + b"very sorry indeed " * 50 + b'"}}'), 502),
        (Canned([_BROKEN], kind=STREAM), 502),
        (Canned([ROLE, _BROKEN], kind=STREAM), 502),
        (Canned(b"<html>" + b"very sorry indeed " * 50 + b"</html>", kind="text/html"), 502),
    ],
    ids=["200 with an error", "stream of an error", "error after the role", "a page"],
)
async def test_new_api_7062_the_text_of_an_error_is_not_billed(open_sqlite_shop: Open, up: Canned, status: int) -> None:
    """QuantumNous/new-api#7062, #4168, #5288, #5290, #7486: however much of it there is, and with whatever status."""
    one = open_sqlite_shop(up)
    got = await one.post(await one.key(wallet="10"), stream=up.headers[0][1] == STREAM.encode())
    wallet = await one.wallet()
    (row,) = await one.rows()

    assert got.status_code == status
    assert (wallet.balance, wallet.reserved) == (D(10), D(0))
    assert (row.cost, row.charge, row.output, row.status) == (D(0), D(0), 0, status)


async def test_new_api_5235_after_half_an_answer_the_half_is_billed_and_the_error_is_not(open_shop: Open) -> None:
    """QuantumNous/new-api#5235, PR #7195: five characters of an answer are two tokens, 900 of an apology none."""
    one = open_shop(Canned([ROLE, WORD, _BROKEN], kind=STREAM))
    got = await one.post(await one.key(wallet="10"), stream=True)
    (row,) = await one.rows()

    assert b"[DONE]" not in got.content
    assert (row.output, row.estimated, row.status, row.code) == (2, True, 502, "upstream_error")
    assert await one.charges() == [row.charge] == [row.cost]


async def test_litellm_34732_two_gateways_share_one_wallet_and_one_budget(open_shop: Open) -> None:
    """BerriAI/litellm#34732, #40095, #26672, #23714, #11083: 40 calls at once, money for two of them."""
    up = Canned(completion())
    shops = [open_shop(up), open_shop(up)]
    rich = await shops[0].key(wallet="0.027")
    tight = await shops[0].key(budget=D("0.013"))
    got = await asyncio.gather(*[shops[n % 2].post((rich, tight)[n // 2 % 2], max_tokens=2) for n in range(40)])
    answered = sum(each.status_code == 200 for each in got)
    wallet = await shops[0].wallet()
    spend = await shops[0].ledger.spend(tight[4:16], "total")

    assert {each.status_code for each in got} == {200, 402}
    assert {each.headers.get("x-should-retry") for each in got if each.status_code == 402} == {"false"}
    assert wallet.balance == D("0.027") - answered * COST >= 0
    assert (wallet.reserved, spend.reserved) == (D(0), D(0))
    assert spend.spent <= D("0.013")
    assert len(up.asked) == answered <= 2


async def test_litellm_36926_however_calls_end_nothing_stays_reserved(open_shop: Open) -> None:
    """BerriAI/litellm#36926, #22726, #20615: leaked reservations made a budget look spent; here all of it is free again."""
    ends = [
        Canned(completion()),
        Canned(b"{}", status=500),
        Canned(b'{"error": {"message": "slow down"}}', status=429, headers={"retry-after": "1"}),
        Canned(b'{"error": {"message": "no"}}', status=400),
        Canned(b'{"error": {"message": "who?"}}', status=401),
        Canned(b"not json"),
        Canned([], status=0, then="break"),
        Canned([ROLE, WORD, FINISH, USAGE, DONE], kind=STREAM),
        Canned([ROLE, WORD], kind=STREAM, then="break"),
        Canned([ROLE], kind=STREAM, then="break"),
        Canned([ROLE, WORD, b"data: garbage\n\n", FINISH, DONE], kind=STREAM),
        Canned([], kind=STREAM),
    ]
    first = open_shop(Canned())
    key = await first.key(wallet="10", budget=D(5), concurrency=1)
    for up in ends:
        one = open_shop(up)
        for stream in (False, True):
            await one.post(key, stream=stream)
        assert (await one.post(key, model="unpriced")).status_code == 403
        # An upstream that asked for a second of rest has it: 503.
        assert (await one.post(key, max_tokens=10**6)).status_code in (402, 503)
        await one.app.aclose()
    slow = open_shop(Canned([ROLE], kind=STREAM, then="hang"), timeouts={"total": 0.02, "first_byte": 0.02})
    late = [(await slow.post(key, stream=stream)).status_code for stream in (False, True)]
    gone = Canned([], then="hang")
    left = open_shop(gone)
    await leave(left.app, key, gone)
    await left.app.aclose()
    wallet = await first.wallet()
    spend = await first.ledger.spend(key[4:16], "total")
    await first.app.aclose()
    rows = (await first.ledger.page(UsageRow, limit=1000)).items

    assert late == [504, 504]
    assert (wallet.reserved, spend.reserved) == (D(0), D(0))
    assert 10 - wallet.balance == spend.spent == sum(row.charge for row in rows) > 0
    # Each of them had its place among the calls at one time, which there was one of.
    assert 429 not in {row.status for row in rows if row.code == "rate_limit_exceeded"}


@pytest.mark.parametrize(("tokens", "cost"), [(200_000, "20.012"), (200_001, "40.0142")])
async def test_new_api_1664_a_long_prompt_costs_what_long_prompts_cost(
    open_sqlite_shop: Open, tokens: int, cost: str
) -> None:
    """QuantumNous/new-api#1664: from 200,001 tokens on the other price, in header, wallet and record."""
    tiers = {**PRICE, "above": [{"tokens": 200_000, "input": "200", "output": "2000"}]}
    usage = {"prompt_tokens": tokens, "completion_tokens": 2, "total_tokens": tokens + 2}
    one = open_sqlite_shop(Canned(completion(usage=usage)), models={"m": {"target": "up/m", "price": tiers}})
    got = await one.post(await one.key(wallet="100"))
    (row,) = await one.rows()

    assert D(got.headers["x-cost"]) == row.cost == row.charge == D(cost) == 100 - (await one.wallet()).balance


async def test_new_api_4569_what_a_call_cost_is_found_by_the_request_id_that_its_caller_has(open_shop: Open) -> None:
    """QuantumNous/new-api#4569, #1550: by the caller itself, beside its balance, and by the operator; not by others."""
    one = open_shop(Canned(completion()))
    key, admin = await one.key(wallet="10"), await one.key(scopes=("admin",))
    await one.office.add_team("t2", "Other", by="test")
    _, other = await one.office.mint_key("t2", "App", by="test")
    mine, _ = [await one.post(key, headers={"x-request-id": f"mine-{n}"}) for n in range(2)]
    await one.app.aclose()
    async with one.app.client(api_key=admin) as client:
        found = (await client.get("/api/admin/usage", params={"request": "mine-0"})).json()["data"]
    async with one.app.client(api_key=key) as client:
        own = (await client.get("/v1/generation", params={"id": "mine-0"})).json(parse_float=D)["data"]
        balance = await client.get("/v1/key")
    async with one.app.client(api_key=other) as client:
        others = await client.get("/v1/generation", params={"id": "mine-0"})

    assert mine.headers["x-request-id"] == "mine-0"
    assert [(D(row["cost"]), D(row["charge"])) for row in found] == [(COST, COST)]
    assert (own["id"], D(own["total_cost"])) == ("mine-0", COST)
    assert f"{10 - 2 * COST:f}" in balance.text
    assert others.status_code == 404


@pytest.mark.parametrize(
    ("details", "expected"),
    [({"cached_tokens": 1000}, "0.12"), ({"cache_write_tokens": 1000}, "0.235"), ({}, "0.21")],
)
async def test_one_api_317_prices_of_cached_tokens_are_charged(
    open_sqlite_shop: Open, details: dict[str, int], expected: str
) -> None:
    """Laisky/one-api#317: reads cost less and writes more, and the configuration that says so counts."""
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "total_tokens": 1100,
        "prompt_tokens_details": details,
    }
    price = {**PRICE, "cached_input": "10", "cache_write": "125"}
    one = open_sqlite_shop(Canned(completion(usage=usage)), models={"m": {"target": "up/m", "price": price}})
    await one.post(await one.key(wallet="10"))
    (row,) = await one.rows()

    assert (row.cached, row.cache_write) == (details.get("cached_tokens", 0), details.get("cache_write_tokens", 0))
    assert row.charge == D(expected)


# --- limits ---


async def test_litellm_40291_two_gateways_on_one_redis_have_one_limit_of_tokens(
    open_sqlite_shop: Open, redis_url: str
) -> None:
    """BerriAI/litellm#40291, #27736, #10555, #18518, #3788, #5783: room for three, whichever of them is asked."""
    # What is not used comes back when a call ends: so none of these does.
    running_on = Canned([ROLE, WORD], kind=STREAM, then="hang")
    shops = [open_sqlite_shop(running_on, state={"counters": redis_url}) for _ in range(2)]
    key = await shops[0].key(tokens=3000)
    clients = [one.app.client(api_key=key) for one in shops]
    try:
        statuses = []
        running = []
        for number in range(6):
            request = clients[number % 2].build_request("POST", CHAT, json=ask(stream=True, max_tokens=990))
            response = await clients[number % 2].send(request, stream=True)
            running.append(response)
            statuses.append(response.status_code)
        for response in running:
            await response.aclose()
    finally:
        for client in clients:
            await client.aclose()

    assert statuses == [200, 200, 200, 429, 429, 429]


@pytest.mark.parametrize("stream", [False, True])
async def test_litellm_40291_what_a_call_really_used_counts_for_the_next(open_sqlite_shop: Open, stream: bool) -> None:
    """BerriAI/litellm#3788: an answer ten times as long as was asked for leaves a debt behind."""
    usage = {"prompt_tokens": 10, "completion_tokens": 50_000, "total_tokens": 50_010}
    up = Canned([ROLE, WORD, FINISH, chunk(usage=usage), DONE], kind=STREAM) if stream else None
    one = open_sqlite_shop(up or Canned(completion(usage=usage)))
    key = await one.key(tokens=20_000)
    first, second = [await one.post(key, stream=stream, max_tokens=100) for _ in range(2)]

    assert first.status_code == 200
    assert (second.status_code, error_of(second)["type"]) == (429, "tokens")
    # 30,010 are owed, and the next one wants about 105: 90 seconds and a little.
    assert 90 <= int(second.headers["retry-after"]) <= 91
    assert second.headers["x-ratelimit-remaining-tokens"] == "0"


async def test_envoy_1866_the_headers_fall_with_every_call_streamed_or_not(open_sqlite_shop: Open) -> None:
    """envoyproxy/ai-gateway#1866, #1754: the remaining header never fell, and the limit never took effect."""
    one = open_sqlite_shop(Canned(completion(usage={**USED, "completion_tokens": 97, "total_tokens": 100})))
    key = await one.key(requests=4, tokens=1000)
    got = [await one.post(key, max_tokens=395, stream=number % 2 == 1) for number in range(5)]
    left = [int(each.headers["x-ratelimit-remaining-tokens"]) for each in got]

    assert [each.status_code for each in got] == [200, 200, 200, 200, 429]
    assert [each.headers["x-ratelimit-remaining-requests"] for each in got] == ["3", "2", "1", "0", "0"]
    # Each holds 400 and comes to 100; seconds that pass in between give a few back.
    assert all(abs(seen - expected) < 100 for seen, expected in zip(left, (600, 500, 400, 300, 600), strict=True))
    assert error_of(got[4])["message"].startswith("The limit of 4 requests a minute is reached.")


async def test_tensorzero_3643_what_cannot_work_is_said_when_the_gateway_is_made() -> None:
    """tensorzero/tensorzero#3643: it started fine with rate limits and no database, and then answered 502."""
    wrong: list[dict[str, str]] = [
        {"ledger": "mysql://localhost/x"},
        {"ledger": "sqlite://"},
        {"ledger": "nonsense"},
        {"counters": "memcached://localhost"},
        {"ledger": "sqlite:///x.db", "key_ring": "short"},
    ]
    for state in wrong:
        with pytest.raises(ConfigError, match=r"state\.(ledger|counters|key_ring)"):
            Gateway(providers={"up": {"app": Canned(), "base_url": "http://up"}}, environ={}, state=state)


async def test_tensorzero_3643_a_database_that_is_not_there_is_said_by_readiness_and_by_every_call() -> None:
    """tensorzero/tensorzero#3643: no server starts with it; mounted, where nobody starts it, it is 503 and says what."""
    app = Gateway(
        providers={"up": {"app": Canned(completion()), "base_url": "http://up/v1", "api_key": "k"}},
        environ={},
        state={"ledger": "postgresql://user:SEEDED-password@127.0.0.1:1/none"},
    )
    async with app.client(api_key="cgw-nothing") as client:
        ready, health = await client.get("/readyz"), await client.get("/healthz")
        status = await client.get("/api/status")
    async with app.client(api_key=mint().text) as client:
        call = await client.post(CHAT, json=ask())
    told: list[Any] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        told.append(message)

    await app({"type": "lifespan"}, receive, send)
    await app.aclose()

    assert (ready.status_code, call.status_code, health.status_code, status.status_code) == (503, 503, 200, 200)
    for got in (ready, call):
        assert error_of(got)["code"] == "overloaded"
        assert "127.0.0.1:1/none cannot be used now" in error_of(got)["message"]
        assert got.headers["retry-after"] == "1"
        assert "SEEDED-password" not in got.text
    assert [message["type"] for message in told] == ["lifespan.startup.failed"]
    assert "SEEDED-password" not in str(told)
