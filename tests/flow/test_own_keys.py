"""Teams' own provider keys in whole calls: whose key is sent, who pays, what happens when it fails, and that it never shows.

What does not live here: storing them over the management API (`tests/admin`).
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from decimal import Decimal
from typing import Any

import openai
import orjson
import pytest

from compatgw.admin import documents
from compatgw.state.base import AuditEntry, ProviderSecret, UsageRow
from tests.canned import DONE, FINISH, ROLE, STREAM, USAGE, WORD, Canned, completion
from tests.flow.paying import COST, PRICE, RING, Open, Shop
from tests.state.making import Clock

OWN = "sk-team-own-SEEDED-0123456789"
PLATFORM = "sk-platform-secret"
NEWER = "k2:" + "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI="
OTHER = "k9:" + "Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2M="
ZERO = Decimal(0)

# What providers answer to a key that is no good, or whose account is empty.
REFUSALS = {
    "401": (401, f'{{"error": {{"message": "Incorrect API key provided: {OWN}", "code": "invalid_api_key"}}}}'),
    "403": (403, '{"error": {"message": "This key is not allowed here"}}'),
    "400 about the key": (400, '{"error": {"message": "API key not valid. Please pass a valid API key."}}'),
    "402": (402, '{"error": {"message": "Payment required"}}'),
    "429 insufficient_quota": (429, '{"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}'),
    "400 credit balance": (400, '{"error": {"message": "Your credit balance is too low"}}'),
}


class ByKey(Canned):
    """An upstream that answers by the key that it is sent; without a refusal for it, with a completion.

    Args:
        refused: Key to status and body.
    """

    def __init__(self, refused: dict[str, tuple[int, str]], body: Any = None) -> None:
        super().__init__(completion() if body is None else body, kind="application/json" if body is None else STREAM)
        self._whole = (self.status, self.pieces, self.headers)
        self._refused = refused

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The application."""
        found = self._refused.get(dict(scope["headers"])[b"authorization"].decode().removeprefix("Bearer "))
        self.status, self.pieces, self.headers = self._whole
        if found is not None:
            self.status, self.pieces = found[0], [found[1].encode()]
            self.headers = [(b"content-type", b"application/json")]
        await super().__call__(scope, receive, send)


def keys_of(up: Canned) -> list[str]:
    """The keys that the upstream was sent, call by call."""
    return [seen[b"authorization"].decode().removeprefix("Bearer ") for seen in up.seen]


async def own(one: Shop, secret: str = OWN) -> None:
    """Gives the team a key of its own at the provider."""
    await one.office.put_provider_key("t1", "up", secret, by="test")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_teams_own_key_is_sent_in_place_of_the_platforms_and_nothing_is_charged(
    open_shop: Open, stream: bool
) -> None:
    """The upstream sees that key alone, the wallet stays as it is, and usage says `byok` and what it is worth."""
    up = Canned([ROLE, WORD, FINISH, USAGE, DONE], kind=STREAM) if stream else Canned(completion())
    one = open_shop(up)
    key = await one.key(wallet="10")
    await own(one)
    got = await one.post(key, stream=stream)
    wallet = await one.wallet()
    (row,) = await one.rows()

    assert got.status_code == 200
    assert keys_of(up) == [OWN]
    assert PLATFORM not in str(up.seen)
    assert (wallet.balance, wallet.reserved) == (Decimal(10), ZERO)
    assert await one.charges() == []
    assert (row.byok, row.cost, row.charge, row.input, row.output) == (True, COST, ZERO, 3, 2)


async def test_an_empty_wallet_an_unpriced_model_and_a_spent_budget_do_not_matter(open_shop: Open) -> None:
    """Whoever pays the provider needs no money here."""
    one = open_shop(Canned(completion()))
    key = await one.key(wallet="0", budget=Decimal("0.001"))
    await own(one)
    got = [(await one.post(key, model=model)).status_code for model in ("m", "unpriced")]

    assert got == [200, 200]
    assert (await one.ledger.spend(key[4:16], "total")).spent == 0


async def test_limits_hold_all_the_same(open_shop: Open) -> None:
    """A key of one's own buys no more calls of this gateway."""
    one = open_shop(Canned(completion()))
    key = await one.key(requests=1)
    await own(one)

    assert [(await one.post(key)).status_code for _ in range(2)] == [200, 429]


async def test_other_teams_and_removed_keys_go_with_the_platforms(open_shop: Open) -> None:
    """The key is its team's alone, and only while it is stored: in this process from the next call on."""
    up = Canned(completion())
    one = open_shop(up)
    key = await one.key()
    await one.office.add_team("t2", "Other", by="test")
    _, other = await one.office.mint_key("t2", "App", by="test")
    await own(one)
    await one.post(key)
    await one.post(other)
    await one.office.put_provider_key("t1", "up", "sk-another-of-theirs", by="test")
    await one.post(key)
    await one.office.remove_provider_key("t1", "up", by="test")
    await one.post(key)

    assert keys_of(up) == [OWN, PLATFORM, "sk-another-of-theirs", PLATFORM]


async def test_another_node_learns_of_it_within_seconds(open_shop: Open, clock: Clock) -> None:
    """Stored, replaced, removed and allowed to fall back: each there 5 s later, for keys and for principals."""
    up = Canned(completion())
    here, there = open_shop(up), open_shop(up, keys=[{"key": "of-settings", "name": "s", "team": "t1"}])
    records = there.app._standing.records
    assert records is not None
    records.verifier._watch._monotonic = records.verifier._monotonic = clock
    key = await here.key()
    seen = []

    async def both() -> None:
        clock.now += 5
        before = len(up.seen)
        for each in (key, "of-settings"):
            assert (await there.post(each)).status_code == 200
        seen.append(keys_of(up)[before:])

    await both()
    await own(here)
    await both()
    await own(here, "sk-another-of-theirs")
    await both()
    await here.office.remove_provider_key("t1", "up", by="test")
    await both()
    await here.office.open_wallet("t1", by="test")
    clock.now += 5
    poor = [(await there.post(each)).status_code for each in (key, "of-settings")]

    assert seen == [[PLATFORM] * 2, [OWN] * 2, ["sk-another-of-theirs"] * 2, [PLATFORM] * 2]
    assert poor == [402, 402]


async def test_a_principal_of_a_team_has_its_teams_key(open_shop: Open) -> None:
    """Keys of the settings and of the host are of a team, too."""
    up = Canned(completion())
    one = open_shop(up, keys=[{"key": "of-settings", "name": "s", "team": "t1"}])
    await one.key(wallet="0")
    await own(one)

    assert (await one.post("of-settings")).status_code == 200
    assert keys_of(up) == [OWN]


# --- when it fails ---


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("why", REFUSALS)
async def test_its_failure_is_403_and_never_the_platforms_money(
    open_sqlite_shop: Open, why: str, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """One call upstream, with that key; the answer names the code and does not show the key."""
    up = ByKey({OWN: REFUSALS[why]}, [ROLE, WORD, FINISH, USAGE, DONE] if stream else None)
    one = open_sqlite_shop(up)
    key = await one.key(wallet="10")
    await own(one)
    with caplog.at_level(logging.DEBUG):
        got = await one.post(key, stream=stream)
    wallet = await one.wallet()
    (row,) = await one.rows()
    error = got.json()["error"]

    assert (got.status_code, error["type"], error["code"]) == (403, "permission_error", "provider_key_rejected")
    assert "your team's own provider key" in error["message"].lower()
    assert "gateway's own credential" not in error["message"]
    assert "this gateway's account" not in error["message"]
    assert keys_of(up) == [OWN]
    assert (wallet.balance, wallet.reserved) == (Decimal(10), ZERO)
    assert (row.status, row.code, row.byok, row.cost, row.charge) == (403, "provider_key_rejected", True, ZERO, ZERO)
    assert OWN not in got.text + caplog.text


async def test_an_official_sdk_sees_its_own_class_of_error_and_does_not_try_again(open_sqlite_shop: Open) -> None:
    """`PermissionDeniedError`, after one call upstream."""
    up = ByKey({OWN: REFUSALS["401"]})
    one = open_sqlite_shop(up)
    key = await one.key()
    await own(one)
    async with one.app.async_openai(api_key=key) as client:
        with pytest.raises(openai.PermissionDeniedError) as caught:
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])

    assert caught.value.code == "provider_key_rejected"
    assert len(up.seen) == 1


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_provider_that_is_down_is_not_a_rejected_key_and_costs_no_platform_money_either(
    open_sqlite_shop: Open, status: int
) -> None:
    """The caller is told what happened; nobody else's key is tried."""
    up = ByKey({OWN: (status, '{"error": {"message": "down"}}')})
    one = open_sqlite_shop(up)
    key = await one.key(wallet="10")
    await own(one)
    got = await one.post(key)

    assert got.status_code == {500: 502, 503: 503, 429: 429}[status]
    assert keys_of(up) == [OWN]
    assert (await one.wallet()).balance == 10


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("why", REFUSALS)
async def test_a_team_that_allows_it_goes_on_with_the_platforms_key_and_pays(
    open_sqlite_shop: Open, why: str, stream: bool
) -> None:
    """Both keys are tried in that order; the wallet has the charge, and usage no longer says `byok`."""
    up = ByKey({OWN: REFUSALS[why]}, [ROLE, WORD, FINISH, USAGE, DONE] if stream else None)
    one = open_sqlite_shop(up)
    key = await one.key(wallet="10", team={"byok_fallback": True})
    await own(one)
    got = await one.post(key, stream=stream)
    wallet = await one.wallet()
    (row,) = await one.rows()

    assert got.status_code == 200
    assert keys_of(up) == [OWN, PLATFORM]
    assert (wallet.balance, wallet.reserved) == (10 - COST, ZERO)
    assert (row.byok, row.cost, row.charge) == (False, COST, COST)


async def test_a_fallback_needs_the_money_that_any_call_needs(open_shop: Open) -> None:
    """402 from an empty wallet, 403 for a model without a price; the platform's key is not used."""
    up = ByKey({OWN: REFUSALS["401"]})
    one = open_shop(up)
    key = await one.key(wallet="0", team={"byok_fallback": True})
    await own(one)
    poor, unpriced = await one.post(key), await one.post(key, model="unpriced")

    assert (poor.status_code, poor.json()["error"]["code"]) == (402, "insufficient_balance")
    assert (unpriced.status_code, unpriced.json()["error"]["code"]) == (403, "model_not_priced")
    assert keys_of(up) == [OWN, OWN]
    assert (await one.wallet()).reserved == 0


async def test_a_fallback_that_fails_costs_nothing(open_shop: Open) -> None:
    """The platform's own trouble is told as such, and what was held comes back."""
    up = ByKey({OWN: REFUSALS["401"], PLATFORM: (500, "{}")})
    one = open_shop(up)
    key = await one.key(wallet="10", team={"byok_fallback": True})
    await own(one)
    got = await one.post(key)
    wallet = await one.wallet()

    assert got.status_code == 502
    assert keys_of(up) == [OWN, PLATFORM]
    assert (wallet.balance, wallet.reserved) == (Decimal(10), ZERO)


async def test_a_fault_of_the_caller_is_no_reason_for_the_platforms_key(open_sqlite_shop: Open) -> None:
    """What the request itself did wrong, another key would not mend."""
    up = ByKey({OWN: (400, '{"error": {"message": "temperature is out of range", "param": "temperature"}}')})
    one = open_sqlite_shop(up)
    key = await one.key(wallet="10", team={"byok_fallback": True})
    await own(one)
    got = await one.post(key)

    assert got.status_code == 400
    assert keys_of(up) == [OWN]


async def test_a_stream_that_breaks_after_its_first_word_stays_the_teams_own(open_sqlite_shop: Open) -> None:
    """No second answer from the platform behind half a first one, and no charge."""
    up = Canned([ROLE, WORD], kind=STREAM, then="break")
    one = open_sqlite_shop(up)
    key = await one.key(wallet="10", team={"byok_fallback": True})
    await own(one)
    got = await one.post(key, stream=True)
    (row,) = await one.rows()

    assert b"upstream_stream_interrupted" in got.content
    assert keys_of(up) == [OWN]
    assert (row.byok, row.charge) == (True, ZERO)
    assert (await one.wallet()).balance == 10


# --- keys that do not open ---


@pytest.mark.parametrize("ring", [None, OTHER, RING.replace("a2tr", "eHh4", 1)], ids=["none", "another", "changed"])
@pytest.mark.parametrize("fallback", [False, True])
async def test_a_key_that_does_not_open_is_a_rejected_one(open_shop: Open, ring: str | None, fallback: bool) -> None:
    """No ring, another ring, a ring with another key of that name: 403 unless the team allows the platform's."""
    first = open_shop(Canned())
    key = await first.key(wallet="10", team={"byok_fallback": fallback})
    await own(first)
    up = Canned(completion())
    one = open_shop(up, state={"key_ring": ring})
    got = await one.post(key)
    wallet = await one.wallet()
    (row,) = await one.rows()

    if fallback:
        assert got.status_code == 200
        assert keys_of(up) == [PLATFORM]
        assert wallet.balance == 10 - COST
        assert row.byok is False
    else:
        assert (got.status_code, got.json()["error"]["code"]) == (403, "provider_key_rejected")
        assert up.seen == []
        assert (wallet.balance, row.charge, row.code) == (Decimal(10), ZERO, "provider_key_rejected")
    assert wallet.reserved == 0


async def test_a_row_that_is_moved_to_another_team_does_not_open(open_shop: Open) -> None:
    """Whoever can write to the tables still cannot use another team's key."""
    up = Canned(completion())
    one = open_shop(up)
    key = await one.key()
    await one.office.add_team("t2", "Other", by="test")
    await one.office.put_provider_key("t2", "up", OWN, by="test")
    (theirs,) = (await one.ledger.page(ProviderSecret)).items
    await one.ledger.add(replace(theirs, id="stolen", team="t1"))
    got = await one.post(key)

    assert (got.status_code, got.json()["error"]["code"]) == (403, "provider_key_rejected")
    assert up.seen == []


async def test_keys_are_sealed_anew_while_calls_run(open_shop: Open) -> None:
    """Every call of both nodes goes out with the team's key, before, during and after; then the old ring can go."""
    up = Canned(completion())
    old = open_shop(up)
    key = await old.key(wallet="1")
    await own(old)
    both = open_shop(up, state={"key_ring": f"{NEWER},{RING}"})
    before = await asyncio.gather(*[one.post(key) for one in (old, both) for _ in range(5)])
    during = await asyncio.gather(both.office.reseal(by="test"), *[both.post(key) for _ in range(20)])
    after = open_shop(up, state={"key_ring": NEWER})
    last = [await both.post(key), await after.post(key)]
    (sealed,) = (await after.ledger.page(ProviderSecret)).items

    assert during[0] == 1
    assert {got.status_code for got in (*before, *during[1:], *last)} == {200}
    assert set(keys_of(up)) == {OWN}
    assert sealed.ring == "k2"
    assert (await after.wallet()).balance == 1


async def test_it_shows_nowhere(open_sqlite_shop: Open, caplog: pytest.LogCaptureFixture) -> None:
    """Not in an answer, even of an upstream that repeats it; not in logs, reprs, usage, audit or the database's file."""
    said = orjson.dumps({"error": {"message": f"Bad key {OWN}, Bearer {OWN}"}}).decode()
    refusals: list[Any] = [None, (401, said), (500, said), (422, said), (200, said)]
    told = []
    with caplog.at_level(logging.DEBUG):
        for refusal in refusals:
            one = open_sqlite_shop(ByKey({OWN: refusal} if refusal else {}))
            key = await one.key()
            await own(one)
            for stream in (False, True):
                got = await one.post(key, stream=stream)
                told += [got.text, str(got.headers)]
            account = await one.ledger.account("t1")
            assert account is not None
            house = one.app._standing.house
            endpoint = house.own_keys.endpoint(account, house.keys.first("up"))
            assert endpoint is not None
            assert endpoint.secret == OWN
            told += [repr(endpoint), repr(house), repr(house.own_keys.__dict__), repr(one.app.settings), repr(account)]
            await one.app.aclose()
        one = open_sqlite_shop(Canned(completion()), state={"key_ring": OTHER})
        told.append((await one.post(await one.key())).text)
        await one.app.aclose()
    told += [repr(row) for row in (await one.ledger.page(UsageRow)).items]
    audits = (await one.ledger.page(AuditEntry)).items
    secrets = (await one.ledger.page(ProviderSecret)).items
    told += [repr(entry) for entry in (*audits, *secrets)]
    told += [orjson.dumps(documents.of_provider_key(secret)).decode() for secret in secrets]
    await one.app.aclose()

    assert len(secrets) == 1
    assert len([entry for entry in audits if entry.action.startswith("provider_key")]) == len(refusals)
    assert secrets[0].last4 == OWN[-4:]
    for text in (*told, caplog.text):
        assert OWN not in text
        assert "SEEDED" not in text
    assert OWN.encode() not in one.app.settings.state.ledger.get_secret_value().encode()  # type: ignore[union-attr]


async def test_the_price_header_of_such_a_call_is_of_the_model_not_of_the_wallet(open_sqlite_shop: Open) -> None:
    """`X-Cost` says what the tokens are worth; the record's `charge` says that nobody paid it here."""
    one = open_sqlite_shop(Canned(completion()), models={"m": {"target": "up/m", "price": PRICE}})
    key = await one.key(wallet="10")
    await own(one)

    assert (await one.post(key)).headers["x-cost"] == "0.0123"
