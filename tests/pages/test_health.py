"""`health` of `/api/status`, and the page that tells of it."""

from typing import Any

import pytest

from compatgw import Gateway
from compatgw.pages.status import _duration
from tests.canned import Canned, completion
from tests.pages.visiting import Page, visitor

CALL = {"model": "one/m", "messages": [{"role": "user", "content": "Hi"}], "retries": 0}


def failing(*others: str, **settings: Any) -> Gateway:
    """A gateway whose provider `one` fails, beside others that answer, and gives up on it after one call."""
    providers = {"one": {"app": Canned(b"{}", status=500), "api_key": "k", "base_url": "http://up/v1"}}
    providers |= {name: {"app": Canned(completion()), "api_key": "k", "base_url": "http://up/v1"} for name in others}
    return Gateway(
        providers=providers,
        keys=["k"],
        environ={},
        breaker={"streak": 1, "least_calls": 1},
        status_upstreams=True,
        **settings,
    )


async def health(gateway: Gateway, *, called: bool = True) -> tuple[str, str]:
    """What `/api/status` says after a call that fails, and the text of the page."""
    async with visitor(gateway) as client:
        if called:
            await client.post("/v1/chat/completions", json=CALL, headers={"authorization": "Bearer k"})
        page = Page((await client.get("/docs/status")).text)
        return (await client.get("/api/status")).json()["data"]["health"], page.text


async def test_nothing_is_wrong_before_the_first_call() -> None:
    """A gateway that nobody called is up."""
    found, text = await health(failing(), called=False)
    assert found == "up"
    assert "Not called yet" in text


async def test_one_of_two_providers_is_left_alone() -> None:
    """Where another provider is left, the gateway is degraded; the page names who is left alone, and since when."""
    found, text = await health(failing("two"))
    assert found == "degraded"
    assert "Left alone" in text
    assert "Degraded" in text


async def test_the_only_provider_is_left_alone() -> None:
    """Where nobody is left, the gateway is down."""
    assert (await health(failing()))[0] == "down"


async def test_providers_are_named_only_where_the_operator_allows_it() -> None:
    """Without `status_upstreams` the page names no provider, and says how to see them."""
    gateway = Gateway(
        providers={"one": {"app": Canned(), "api_key": "k", "base_url": "http://up/v1"}}, keys=["k"], environ={}
    )
    async with visitor(gateway) as client:
        text = (await client.get("/docs/status")).text
    assert "<td>" not in text
    assert "send your key to <code>/api/status</code>" in text


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3_600, "1 h"), (90_061, "1 d 1 h"), (90_000 * 10, "10 d 10 h")],
)
def test_spans_have_their_two_largest_units(seconds: int, expected: str) -> None:
    """Nobody wants seconds after days."""
    assert _duration("en", seconds) == expected
