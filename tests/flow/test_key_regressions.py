"""What users of other gateways have met with keys, secrets, errors and weight, each under the number of their thread.

Whole calls through whole gateways. What does not live here: usage, money and limits (`test_regressions.py`).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import openai
import pytest

from compatgw.state.secrets import mint
from compatgw_testing import FakeGemini
from tests.canned import DONE, FINISH, ROLE, STREAM, USAGE, WORD, Canned, ask, completion
from tests.flow.breaking import CHAT, Between, error_of
from tests.flow.paying import Open
from tests.gated import GatedUpstream
from tests.state.making import Clock

QUESTION: Any = [{"role": "user", "content": "hi"}]


def _stream(client: httpx.AsyncClient) -> AbstractAsyncContextManager[httpx.Response]:
    return client.stream("POST", CHAT, json=ask(stream=True))


# --- errors, keys ---


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "told"), [(502, 502), (500, 502), (503, 503), (529, 503), (504, 504), (429, 429)])
async def test_litellm_16286_retry_after_of_an_upstream_reaches_the_sdk(
    open_sqlite_shop: Open, status: int, told: int, stream: bool
) -> None:
    """BerriAI/litellm#16286, PR #16288: it was lost on 502, 503 and 504; and such a call costs nothing."""
    up = Canned(b'{"error": {"message": "later"}}', status=status, headers={"retry-after": "17"})
    one = open_sqlite_shop(up)
    key = await one.key(wallet="10")
    async with one.app.async_openai(api_key=key) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await client.with_options(max_retries=0).chat.completions.create(
                model="m", messages=QUESTION, stream=stream
            )

    assert caught.value.status_code == told
    assert caught.value.response.headers["retry-after"] == "17"
    assert len(up.asked) == 1
    assert (await one.wallet()).free == 10


async def test_litellm_15799_geminis_key_is_in_a_header_and_in_nothing_that_is_told(
    open_sqlite_shop: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """BerriAI/litellm#15799, #8075, #6963: it stood in the URL, and so in every exception and log line."""
    secret = "AIza-SEEDED-secret-of-gemini"
    fake = FakeGemini().reply("Bonjour", usage=(3, 2))
    seen: list[tuple[str, bytes, dict[bytes, bytes]]] = []

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["path"], scope["query_string"], dict(scope["headers"])))
        await fake(scope, receive, send)

    broken = Canned(f'{{"error": {{"message": "API key not valid: {secret}", "status": "INVALID"}}}}'.encode(), 400)
    told: list[str] = []
    with caplog.at_level(logging.DEBUG):
        for upstream in (watched, broken, Canned([], status=0, then="break")):
            one = open_sqlite_shop(
                upstream,
                providers={"gemini": {"app": upstream, "base_url": "http://gemini/v1beta", "api_key": secret}},
                models={},
            )
            key = await one.key()
            for stream in (False, True):
                got = await one.post(key, model="gemini/gemini-2.5-flash", stream=stream)
                told += [got.text, str(got.headers)]
            told += [repr(await one.rows()), repr(one.app._standing.house)]

    assert len(seen) == 2
    for path, query, headers in seen:
        assert secret not in path + query.decode()
        assert headers[b"x-goog-api-key"].decode() == secret
    assert [text for text in (*told, caplog.text) if secret in text] == []


async def test_litellm_5762_no_key_of_anybody_is_in_what_a_caller_or_a_log_is_told(
    open_sqlite_shop: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """BerriAI/litellm#5762, PR #25203: a caller's own key, a wrong one, and the platform's."""
    up = Canned(b'{"error": {"message": "sk-platform-secret is wrong"}}', status=401)
    one = open_sqlite_shop(up)
    good = await one.key(wallet="10")
    wrong = good[:-1] + ("a" if good[-1] != "a" else "b")
    unknown = mint().text
    keys = [good, wrong, unknown, "sk-not-ours-SEEDED", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.SEEDED"]
    with caplog.at_level(logging.DEBUG):
        got = [await one.post(key) for key in keys]
        odd = await one.post("", headers={"x-api-key": "sk-in-another-header-SEEDED"})
    told = [each.text + str(each.headers) for each in (*got, odd)] + [caplog.text, repr(await one.rows())]

    assert [each.status_code for each in (*got, odd)] == [502, 401, 401, 401, 401, 401]
    for secret in (*keys, "SEEDED", "sk-platform-secret"):
        assert [text for text in told if secret in text] == []


async def test_litellm_35535_what_is_revoked_on_one_node_is_refused_on_the_other_within_seconds(
    open_shop: Open, clock: Clock
) -> None:
    """BerriAI/litellm#35535, #34217, #9820, #2149: a key and a team; at once here, within 5 s there; streams end well."""
    up = Canned(completion())
    far = Between(up)
    here, there = open_shop(up), open_shop(far)
    for one in (here, there):
        records = one.app._standing.records
        assert records is not None
        records.verifier._watch._monotonic = records.verifier._monotonic = clock
    first, second = await here.key(), await here.key()
    warm = [(await one.post(key)).status_code for one in (here, there) for key in (first, second)]
    slow = GatedUpstream()
    far.answer = slow
    slow.let(2)
    async with there.app.client(api_key=first) as client, _stream(client) as running:
        far.answer = up
        await here.office.revoke_key(first[4:16], by="test")
        at_once = (await here.post(first)).status_code
        clock.now += 5
        after = await there.post(first)
        slow.let(4)
        # What has begun is not cut: it ends as it would have.
        ended = await running.aread()
    still = (await there.post(second)).status_code
    await here.office.change_team("t1", {"active": False}, by="test")
    team_at_once = (await here.post(second)).status_code
    clock.now += 5
    team_after = await there.post(second)

    assert warm == [200] * 4
    assert ended.endswith(b"data: [DONE]\n\n")
    assert (at_once, after.status_code, error_of(after)["code"]) == (401, 401, "invalid_api_key")
    assert (still, team_at_once, team_after.status_code) == (200, 403, 403)
    assert error_of(team_after)["code"] == "team_inactive"


# --- weight ---


async def test_litellm_12685_a_stream_makes_no_task_for_its_chunks(open_sqlite_shop: Open) -> None:
    """BerriAI/litellm#12685, #27954, #6404: 2000 chunks take as many tasks as 20 do."""
    made: dict[int, int] = {}
    loop = asyncio.get_running_loop()
    for size in (20, 2000):
        one = open_sqlite_shop(Canned([ROLE, *[WORD] * size, FINISH, USAGE, DONE], kind=STREAM))
        key = await one.key(wallet="10")
        await one.post(key, stream=True)
        count = 0

        def factory(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
            nonlocal count
            count += 1
            return asyncio.Task(work, loop=loop, **options)

        loop.set_task_factory(factory)
        try:
            got = await one.post(key, stream=True)
        finally:
            loop.set_task_factory(None)
        made[size] = count
        assert got.content.count(b"Hello") == size
        await one.app.aclose()

    assert made[2000] <= made[20] + 5


async def test_litellm_15128_usage_that_cannot_be_written_is_bounded_and_calls_go_on(
    open_sqlite_shop: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """BerriAI/litellm#15128, #21908, #38193: more than may wait is dropped, counted and said; no answer waits for it."""
    one = open_sqlite_shop(Canned(completion()))
    key = await one.key()
    await one.post(key)
    session = await one.ledger._session()  # type: ignore[attr-defined]
    session.writer._backlog, session.writer._lag = 5, 3600
    got = [await one.post(key) for _ in range(9)]
    dropped = session.writer.dropped
    rows = await one.rows()

    assert {each.status_code for each in got} == {200}
    assert dropped >= 3
    assert len(rows) == 10 - dropped
    assert "usage rows are dropped" in caplog.text
    assert caplog.text.count("its usage is not recorded") == dropped
