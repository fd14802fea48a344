"""The playground: the call that its form asks for is the call that the API makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, get_args

import orjson
import pytest

from compatgw.errors import InvalidRequest
from compatgw.pages import words
from compatgw.pages.console.forms import Form
from compatgw.pages.console.login import SESSION
from compatgw.pages.console.playground import request_of
from compatgw.policy import plan
from compatgw.state.base import UsageRow
from compatgw.telemetry.base import Began, Observer
from tests.canned import STREAM, Canned
from tests.pages.console.looking import assert_harmless
from tests.pages.console.operating import PLAIN, Console, form_in, wrong_fields
from tests.pages.test_pages import ATTACKS
from tests.pages.visiting import Page

if TYPE_CHECKING:
    import httpx

PATH = "/console/playground"
MODEL = "openai/gpt-4o-mini"


async def scripted(console: Console, path: str, values: dict[str, str] | None = None, **headers: str) -> httpx.Response:
    """What our script sends, and what it gets."""
    token = Page((await console.get(PATH)).text).values("data-csrf")[0]
    given = {"model": MODEL, "prompt": "Hello!", "stream": "yes", **(values or {})}
    return await console.http.post(f"{PATH}/{path}", data=given, headers={"x-csrf-token": token, **headers})


async def asked(console: Console, values: dict[str, Any]) -> tuple[int, httpx.Response]:
    """What the form gets without script."""
    answer = await console.send(PATH, "ask", {"model": MODEL, "prompt": "Hello!", **values})
    return answer.status_code, answer


def events(text: str) -> list[Any]:
    """The events of a stream, with its end as None."""
    found = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return [None if each == "[DONE]" else orjson.loads(each) for each in found]


async def rows(console: Console, count: int = 1) -> tuple[UsageRow, ...]:
    """The calls that were written down, as soon as there are so many."""
    async with asyncio.timeout(10):
        while len(found := (await console.ledger.page(UsageRow)).items) < count:
            pass
    return found


# --- what is asked ---------------------------------------------------------------------------------


def test_a_form_becomes_a_request() -> None:
    """Empty fields are no members; members of the JSON win over fields; a stream tells its usage."""
    form = {
        "model": "m",
        "prompt": "Hi\n",
        "system": " Be brief. ",
        "temperature": "0,5",
        "max_completion_tokens": "1,000",
    }
    request = request_of(Form({name: (value,) for name, value in form.items()}), stream=True)
    assert request == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi\n"}],
        "temperature": 0.5,
        "max_completion_tokens": 1000,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    extra = '{"messages": [], "temperature": 1, "stream": true, "stream_options": {"x": 1}, "fallback": ["n"]}'
    request = request_of(Form({**{name: (value,) for name, value in form.items()}, "extra": (extra,)}), stream=False)
    assert (request["messages"], request["temperature"], request["stream"], request["fallback"]) == (
        [],
        1,
        False,
        ["n"],
    )
    assert "stream_options" not in request
    assert request_of(Form({"model": ("m",)}), stream=False) == {
        "model": "m", "messages": [{"role": "user", "content": ""}], "stream": False
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"model": ""}, "model"),
        ({"temperature": "warm"}, "temperature"),
        ({"temperature": "9"}, "temperature"),
        ({"max_completion_tokens": "many"}, "max_completion_tokens"),
        ({"extra": "{"}, "extra"),
        ({"extra": "[1]"}, "extra"),
        ({"extra": '{"messages": 5}'}, "prompt"),
    ],
)
async def test_what_cannot_be_asked_is_said_next_to_its_field(
    console: Console, values: dict[str, str], field: str
) -> None:
    """Without script on the page, its values kept; with it in the envelope, with the member that is wrong."""
    status, answer = await asked(console, values)
    assert (status, wrong_fields(Page(answer.text))) == (400, [field])
    sent = dict(form_in(answer, "ask").fields)
    assert {name: sent[name].strip("\n") for name in values} == values
    refused = await scripted(console, "plan", values)
    assert refused.status_code == 400
    assert (refused.json()["error"]["param"] or "").partition("[")[0] in (field, "messages")
    assert (await scripted(console, "run", values)).status_code == 400


def test_an_infinite_temperature_is_no_number() -> None:
    """What JSON cannot hold never leaves the form as a request."""
    for odd in ("nan", "Infinity", "1e999"):
        with pytest.raises(InvalidRequest):
            request_of(Form({"model": ("m",), "temperature": (odd,)}), stream=False)


# --- the answer ------------------------------------------------------------------------------------


async def test_the_answer_comes_bit_by_bit(console: Console) -> None:
    """As a client of the API gets it: events, headers, usage with its cost, the end; and kept by nobody."""
    answer = await scripted(console, "run")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    for name, value in {
        "x-provider": "openai", "x-model-used": "gpt-4o-mini", "cache-control": "no-store", "x-frame-options": "DENY"
    }.items():  # fmt: skip
        assert value in answer.headers[name]
    found = events(answer.text)
    assert found[-1] is None
    assert any(choice["delta"].get("content") for each in found[:-1] for choice in each["choices"])
    usage = next(each["usage"] for each in found[:-1] if each.get("usage"))
    (row,) = await rows(console)
    assert (row.key, row.request, row.stream) == ("console:ops", answer.headers["x-request-id"], True)
    assert (row.input, row.output) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert row.cost is not None
    assert Decimal(str(usage["cost"])) == row.cost


async def test_the_answer_comes_whole(console: Console) -> None:
    """To a script that wants it so, and on the page to whoever has none."""
    answer = await scripted(console, "run", {"stream": ""} | {"extra": ""})
    assert answer.status_code == 200
    token = Page((await console.get(PATH)).text).values("data-csrf")[0]
    whole = await console.http.post(
        f"{PATH}/run", data={"model": MODEL, "prompt": "Hello!"}, headers={"x-csrf-token": token}
    )
    said = whole.json()["choices"][0]["message"]["content"]
    status, answer = await asked(console, {})
    page = Page(answer.text)
    assert status == 200
    for shown in (said, "openai/gpt-4o-mini", "x-provider", "server-timing", "x-cost", whole.headers["x-cost"]):
        assert shown in page.text, shown
    assert dict(form_in(answer, "ask").fields)["prompt"].strip("\n") == "Hello!"


async def test_a_call_that_fails_says_so(open_console: Callable[..., Console]) -> None:
    """The error, its code, and the target that was asked; inside a stream, too."""
    console = open_console(providers={"openai": {"app": Canned(b"{}", status=500), "api_key": "x"}})
    await console.login()
    status, answer = await asked(console, {"extra": '{"retries": 0}'})
    page = Page(answer.text)
    assert status == 200
    assert "502 upstream_error" in page.text
    refused = await scripted(console, "run", {"extra": '{"retries": 0}'})
    assert (refused.status_code, refused.json()["error"]["code"]) == (502, "upstream_error")
    assert refused.headers["cache-control"] == "no-store"
    first = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"So"}}]}\n\n'
    broken = open_console(providers={"openai": {"app": Canned([first], kind=STREAM, then="break"), "api_key": "x"}})
    await broken.login()
    found = events((await scripted(broken, "run")).text)
    assert found[-1]["error"]["code"] == "upstream_stream_interrupted"


# --- the plan --------------------------------------------------------------------------------------


async def test_the_plan_is_that_of_the_api(console: Console) -> None:
    """Targets in their order with their price, and whatever is left out with its reason; nobody is called for it."""
    request = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Hello!"}],
        "fallback": ["claude-sonnet-4-5", "no/such"],
    }
    client = console.gateway.client(api_key=PLAIN)
    told = (await client.post("/v1/chat/completions", json=request, headers={"x-gateway-explain": "1"})).json()
    await client.aclose()
    extra = '{"fallback": ["claude-sonnet-4-5", "no/such"]}'
    status, without = await asked(console, {"extra": extra, "only_plan": "yes"})
    assert status == 200
    for answer in (await scripted(console, "plan", {"extra": extra}), without):
        text = Page(answer.text).text
        places = [text.index(f"{each['provider']}/{each['model']}") for each in told["targets"]]
        assert len(places) == 2
        assert places == sorted(places)
        for each in told["targets"]:
            assert each["price"] in text
        for each in told["left_out"]:
            assert each["model"] in text
            assert each["reason"] in text
            assert each["sentence"] in text
    assert "The answer appears here." in Page(without.text).text
    assert "Nothing has been called" in (await console.page("/console/models")).text


async def test_a_plan_without_targets_says_so(console: Console) -> None:
    """A name that nobody knows has a plan that tells why."""
    answer = await scripted(console, "plan", {"model": "no/such"})
    assert answer.status_code == 200
    assert "Nobody is left to call." in Page(answer.text).text
    assert "no_provider" in answer.text


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_all_reasons_have_words(language: str) -> None:
    """Whatever a plan says can be said on the page."""
    known = words.texts(language)
    assert {f"insight.why-{each}" for each in get_args(plan.Why)} <= set(known)
    assert {f"insight.reason-{each}" for each in get_args(plan.Reason)} <= set(known)


# --- as whom ---------------------------------------------------------------------------------------


async def test_as_a_team(console: Console) -> None:
    """Its models and its wallet hold; a team that does not exist is said next to the field."""
    await console.office.add_team("acme", "Acme", models=["anthropic/*"], by="test")
    status, answer = await asked(console, {"team": "acme"})
    assert (status, wrong_fields(Page(answer.text))) == (404, ["model"])
    assert "not_visible" in answer.text
    await console.office.open_wallet("acme", by="test")
    dear = await scripted(console, "run", {"team": "acme", "model": "anthropic/claude-sonnet-4-5"})
    assert dear.status_code == 402
    await console.office.move("acme", "topup", Decimal(5), by="test", idempotency=None)
    paid = await scripted(console, "run", {"team": "acme", "model": "anthropic/claude-sonnet-4-5"})
    assert paid.status_code == 200
    wallet = await console.ledger.wallet("acme")
    assert wallet is not None
    assert wallet.balance < 5
    nobody = await scripted(console, "run", {"team": "nobody"})
    assert (nobody.status_code, nobody.json()["error"]["code"]) == (403, "team_inactive")
    status, answer = await asked(console, {"team": "nobody"})
    assert status == 403
    assert "The team" in Page(answer.text).text


async def test_without_a_ledger(open_console: Callable[..., Console]) -> None:
    """It works, and asks for no team."""
    console = open_console(ledger=False)
    await console.login()
    status, answer = await asked(console, {})
    assert status == 200
    assert "team" not in dict(form_in(answer, "ask").fields)
    assert (await scripted(console, "run")).status_code == 200


class Listening(Observer):
    """Keeps the headers that it is told."""

    def __init__(self) -> None:
        self.heard: list[dict[str, str]] = []

    def began(self, call: Began) -> None:
        """A call begins."""
        self.heard.append(dict(call.headers))


async def test_nobody_hears_the_token(console: Console) -> None:
    """Who is told of calls is told neither the session nor what guards its forms."""
    found = Listening()
    object.__setattr__(console.gateway._standing.house, "observers", (found,))
    token = Page((await console.get(PATH)).text).values("data-csrf")[0]
    await scripted(console, "run")
    await asked(console, {})
    assert len(found.heard) == 2
    (cookie,) = [value for name, value in console.http.cookies.items() if name == SESSION]
    for headers in found.heard:
        assert "user-agent" in headers
        assert token not in headers.values()
        assert cookie not in str(headers)


# --- what others say -------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ATTACKS)
async def test_everything_is_text(open_console: Callable[..., Console], attack: str) -> None:
    """What is typed in, names of models, answers, headers and errors are shown, and are nothing else."""
    said = {"id": "c", "object": "chat.completion", "created": 1, "model": attack, "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": attack, "reasoning_content": attack}}]}  # fmt: skip
    names: dict[str, Any] = {"models": {attack: "openai/gpt-4o"}}
    console = open_console(providers={"openai": {"app": Canned(orjson.dumps(said)), "api_key": "x"}}, **names)
    await console.login()
    for values in ({"model": attack, "prompt": attack, "system": attack}, {"temperature": attack, "extra": attack}):
        _, answer = await asked(console, values)
        assert_harmless(answer.text)
        assert attack in Page(answer.text).text or attack in Page(answer.text).values("value")
        planned = await scripted(console, "plan", values)
        if planned.headers["content-type"].startswith("text/html"):
            assert {tag for tag, _ in Page(planned.text).elements}.isdisjoint({"script", "img", "svg", "i"})
    assert_harmless((await console.http.get(PATH, params={"model": attack})).text)


async def test_the_page_is_small(console: Console) -> None:
    """Below 100 KB in either language."""
    for language in ("en", "vi"):
        assert len((await console.get(f"{PATH}?lang={language}")).content) < 100_000
