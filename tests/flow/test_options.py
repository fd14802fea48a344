"""Every option of a request, wherever it stands and whoever sends it: each changes which upstream is called.

What does not live here: how options are read (`tests/surfaces/test_extensions.py`), plans of made-up worlds
(`tests/policy/test_plan.py`).
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import openai
import orjson
import pytest

from compatgw import Gateway
from compatgw.policy.access import Principal, caller_of_principal
from compatgw.policy.limits import input_tokens
from compatgw.policy.needs import needs
from compatgw.policy.plan import Question, plan
from compatgw.surfaces.extensions import MEMBERS, claim
from tests.canned import Canned, ask
from tests.flow.upstreams import BUSY, QUESTION, Turns, either, error_of, explained, post, several
from tests.state.making import Clock

LLAMA = "llama-3.3-70b"
AT_GROQ, AT_CEREBRAS = "groq/llama-3.3-70b-versatile", "cerebras/llama-3.3-70b"
AT_NOVITA = "novita/meta-llama/llama-3.3-70b-instruct"
PICTURE = [
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]}
]


class Recorder:
    """An upstream that answers, and remembers what it was asked."""

    def __init__(self, name: str) -> None:
        self.asked: list[dict[str, Any]] = []
        self._answer = either(name)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The application."""
        message = await receive()
        self.asked.append(orjson.loads(message["body"]))

        async def again() -> Any:
            return message

        await self._answer(scope, again, send)


class World:
    """A gateway over providers of the catalogue, one that nobody knows, one that fails and one that hangs."""

    def __init__(self, *names: str, **settings: Any) -> None:
        self.upstreams = {name: Recorder(name) for name in names or ("groq", "cerebras", "novita", "tinfoil", "one")}
        self.broken = Turns(Canned(BUSY, 500))
        apps: dict[str, Any] = {**self.upstreams, "broken": self.broken, "hanging": Canned([], status=0, then="hang")}
        self.app = several(apps, **settings)

    @property
    def called(self) -> list[str]:
        """Who was called, by name."""
        return [name for name, one in self.upstreams.items() for _ in one.asked]

    @property
    def sent(self) -> list[dict[str, Any]]:
        """What they were sent."""
        return [body for one in self.upstreams.values() for body in one.asked]


def placed(members: dict[str, Any], place: str) -> dict[str, Any]:
    """Options at the top level of a body, or inside one of the two objects."""
    return members if place == "top" else {place: members}


def shares(*weights: tuple[str, float], strategy: str = "weighted") -> dict[str, Any]:
    """A `load_balance` over these models."""
    return {"strategy": strategy, "models": [{"model": model, "weight": weight} for model, weight in weights]}


# Without its option each of these calls goes to the first that is named, with it to the second.
CASES: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("fallback", "broken/m", {"fallback": ["one/m"]}, "error", "one"),
    ("fallback in order", "broken/m", {"fallback": ["hanging2/m", AT_NOVITA, "one/m"]}, "error", "novita"),
    ("optimise", LLAMA, {"optimise": "cost"}, "groq", "novita"),
    ("optimize", LLAMA, {"optimize": "cost"}, "groq", "novita"),
    ("trust_level", LLAMA, {"trust_level": 2}, "groq", "tinfoil"),
    ("model_hints", LLAMA, {"model_hints": ["nobody/x", AT_CEREBRAS]}, "groq", "cerebras"),
    ("weights", LLAMA, {"load_balance": shares((AT_GROQ, 0), (AT_CEREBRAS, 1))}, "groq", "cerebras"),
    ("round-robin", LLAMA, {"load_balance": shares((AT_NOVITA, 1), strategy="round-robin")}, "groq", "novita"),
    ("least-latency", LLAMA, {"load_balance": shares((AT_CEREBRAS, 1), strategy="least-latency")}, "groq", "cerebras"),
    ("require_tools", "one/m", {"require_tools": True, "fallback": [LLAMA]}, "one", "groq"),
    ("require_streaming", "one/m", {"require_streaming": True, "fallback": [LLAMA]}, "one", "groq"),
]


@pytest.mark.parametrize("via", ["http", "sdk"])
@pytest.mark.parametrize("place", ["top", "gateway", "cailos"])
@pytest.mark.parametrize(("model", "members", "without", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])  # fmt: skip
async def test_an_option_changes_who_is_called_wherever_it_stands(
    model: str, members: dict[str, Any], without: str, expected: str, place: str, via: str
) -> None:
    """At the top level, inside `gateway` and inside `cailos`; over HTTP and from the SDK; nothing of it goes on."""
    plain, world = World(), World()
    before = await post(plain.app, model=model)
    if via == "http":
        got = (await post(world.app, model=model, **placed(members, place))).headers["x-provider"]
    else:
        async with world.app.async_openai(api_key="k") as client:
            raw = await client.chat.completions.with_raw_response.create(
                model=model, messages=QUESTION, extra_body=placed(members, place)
            )
        got = raw.headers["x-provider"]

    assert (before.headers["x-provider"] if before.status_code == 200 else "error") == without
    assert (got, world.called) == (expected, [expected])
    assert not (MEMBERS | {"gateway", "cailos"}) & {name for body in world.sent for name in body}


@pytest.mark.parametrize("via", ["http", "sdk"])
@pytest.mark.parametrize("place", ["top", "gateway", "cailos"])
async def test_retries_and_timeout_are_kept_wherever_they_stand(place: str, via: str) -> None:
    """As many tries as were asked for; as many milliseconds as were given."""
    world = World(retries=0)

    async def status(model: str, **members: Any) -> int:
        body = placed(members, place)
        if via == "http":
            return (await post(world.app, model=model, **body)).status_code
        async with world.app.async_openai(api_key="k") as client:
            try:
                await client.with_options(max_retries=0).chat.completions.create(
                    model=model, messages=QUESTION, extra_body=body
                )
            except openai.APIStatusError as error:
                return error.status_code
        return 200

    assert await status("broken/m", retries=3) == 502
    assert world.broken.calls == 4
    assert await status("hanging/m", timeout=20) == 504


@pytest.mark.parametrize("place", ["gateway", "cailos"])
async def test_speed_and_vision_are_filters_too(place: str) -> None:
    """`speed` stands inside an object only: at the top level it is an upstream's own word, and goes on untouched."""
    world = World("one", "groq", "openrouter")
    fast = await post(world.app, model="one/m", **placed({"speed": "fast", "fallback": [LLAMA]}, place))
    sees = await post(world.app, model=LLAMA, **placed({"require_vision": True, "fallback": ["claude-sonnet"]}, place))
    outside = await post(world.app, model="one/m", speed="fast", **placed({"fallback": [LLAMA]}, place))

    assert [each.headers["x-provider"] for each in (fast, sees, outside)] == ["groq", "openrouter", "one"]
    assert world.upstreams["one"].asked[-1]["speed"] == "fast"
    assert "speed" not in world.upstreams["groq"].asked[0]


async def test_needs_that_a_request_shows_choose_as_well() -> None:
    """An image goes to a model that sees, without `require_vision`."""
    world = World("groq", "openrouter")
    got = await post(world.app, model=LLAMA, messages=PICTURE, fallback=["claude-sonnet"])

    assert (got.headers["x-provider"], world.called) == ("openrouter", ["openrouter"])


async def test_optimise_speed_goes_by_what_was_seen_where_nothing_is_written() -> None:
    """Of two that nobody rates the one that answered sooner of late."""
    world = World("cerebras", "novita")
    for key, latency in ((AT_CEREBRAS, 2.0), (AT_NOVITA, 0.1)):
        world.app._standing.house.health.began(key)
        world.app._standing.house.health.answered(key, latency)
    plain = await post(world.app, model=LLAMA)
    got = await post(world.app, model=LLAMA, gateway={"optimise": "speed"})

    assert [each.headers["x-provider"] for each in (plain, got)] == ["cerebras", "novita"]


async def test_models_take_turns() -> None:
    """Round-robin over whole calls: each as often as the others, and each `load_balance` has turns of its own."""
    world = World()
    models = shares((AT_GROQ, 1), (AT_CEREBRAS, 1), (AT_NOVITA, 1), strategy="round-robin")
    got = []
    for number in range(9):
        got.append((await post(world.app, model="any", load_balance=models)).headers["x-provider"])
        if number % 2:
            await post(world.app, model=LLAMA, load_balance={"strategy": "round-robin"})

    assert got == ["groq", "cerebras", "novita"] * 3


async def test_the_one_that_answers_sooner_gets_more() -> None:
    """Least latency over whole calls: what was slow a moment ago loses every pair that it is drawn into."""
    world = World("groq", "cerebras", random=random.Random(5))
    for key, latency in ((AT_GROQ, 3.0), (AT_CEREBRAS, 0.05)):
        world.app._standing.house.health.began(key)
        world.app._standing.house.health.answered(key, latency)
    got = [
        (await post(world.app, model=LLAMA, load_balance={"strategy": "least-latency"})).headers["x-provider"]
        for _ in range(20)
    ]

    assert got == ["cerebras"] * 20


# --- who is left out, and by what ---


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"trust_level": 3}, ["trust_level 3 leaves out groq/llama-3.3-70b-versatile, cerebras/llama-3.3-70b"]),
        ({"require_vision": True}, ["require_vision leaves out groq/llama-3.3-70b-versatile"]),
        ({"gateway": {"speed": "fast"}, "model": AT_CEREBRAS}, ["speed 'fast' leaves out cerebras/llama-3.3-70b"]),
        ({"model": "one/m", "require_tools": True}, ["require_tools leaves out one/m"]),
        ({"model": "one/m", "require_streaming": True}, ["require_streaming leaves out one/m"]),
        ({"model": "one/m", "trust_level": 1}, ["trust_level 1 leaves out one/m"]),
        (
            {"model": "one/m", "require_tools": True, "fallback": [AT_GROQ], "trust_level": 2},
            ["require_tools leaves out one/m", "trust_level 2 leaves out groq/llama-3.3-70b-versatile"],
        ),
        ({"load_balance": shares((AT_GROQ, 1)), "require_vision": True}, ["require_vision leaves out groq/"]),
    ],
)
async def test_a_404_says_which_filter_left_nobody(members: dict[str, Any], words: list[str]) -> None:
    """`model_not_found`, and the option by name; nobody is called."""
    world = World("groq", "cerebras", "one")
    got = await post(world.app, **{"model": LLAMA, **members})
    error = error_of(got)

    assert (got.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    for each in words:
        assert each in error["message"]
    assert world.called == []


@pytest.mark.parametrize("place", ["top", "gateway", "cailos"])
@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("fallback", "one/m", "invalid_type"),
        ("retries", 6, "invalid_value"),
        ("retries", "2", "invalid_type"),
        ("timeout", 300_001, "invalid_value"),
        ("timeout", 0, "invalid_value"),
        ("load_balance", {"strategy": "best"}, "invalid_value"),
        ("load_balance", {}, "missing_parameter"),
        ("optimise", "price", "invalid_value"),
        ("trust_level", 4, "invalid_value"),
        ("require_tools", "yes", "invalid_type"),
        ("model_hints", [1], "invalid_type"),
    ],
)
async def test_a_value_that_is_none_is_refused_with_its_place(place: str, name: str, value: Any, code: str) -> None:
    """400 with the path of the member, whichever spelling it had."""
    world = World("one")
    got = await post(world.app, **placed({name: value}, place))
    error = error_of(got)

    assert (got.status_code, error["code"]) == (400, code)
    assert error["param"].startswith(name if place == "top" else f"{place}.{name}")
    assert world.called == []


@pytest.mark.parametrize(("retries", "milliseconds"), [(0, 1), (5, 300_000)])
async def test_the_ends_of_the_ranges_are_taken(retries: int, milliseconds: int) -> None:
    """0 to 5 retries, 1 to 300,000 milliseconds."""
    plan_ = await explained(World("one").app, retries=retries, timeout=milliseconds)

    assert [row["provider"] for row in plan_["targets"]] == ["one"]


# --- shares ---


def question(app: Gateway, **members: Any) -> Question:
    """What a request asks of the planner."""
    body, options = claim(ask(model=LLAMA, **members))
    request: Any = body
    caller = caller_of_principal(Principal(name="x"), None, {})
    return Question(
        model=LLAMA, scope=None, caller=caller, options=options, needs=needs(request, input_tokens(request))
    )


def chi_square(seen: Counter[Any], expected: dict[Any, float]) -> float:
    """How far counts are from what they should be."""
    assert set(seen) <= set(expected)
    return sum((seen[name] - count) ** 2 / count for name, count in expected.items())


def test_weights_are_the_shares_of_ten_thousand_calls() -> None:
    """First by all weights, then among the rest by what is left of them, so that a failure spreads as they say."""
    app = World(random=random.Random(1)).app
    weights = {AT_GROQ: 5.0, AT_CEREBRAS: 3.0, AT_NOVITA: 2.0}
    asked = question(app, load_balance=shares(*weights.items()))
    picks = [
        tuple(
            route.key for route in plan(asked, app._standing.house.directory, app._standing.house.health.live()).targets
        )
        for _ in range(10_000)
    ]
    first = Counter(pick[0] for pick in picks)
    both = Counter(pick[:2] for pick in picks)
    total = sum(weights.values())
    pairs = {
        (one, two): 10_000 * weights[one] / total * weights[two] / (total - weights[one])
        for one in weights
        for two in weights
        if one != two
    }

    # One in a thousand: two degrees of freedom, five degrees of freedom.
    assert chi_square(first, {name: 1000 * weight for name, weight in weights.items()}) < 13.8
    assert chi_square(both, pairs) < 20.5
    # The test can fail: the same counts are far from other shares.
    assert chi_square(first, dict.fromkeys(weights, 10_000 / 3)) > 1000


def test_targets_that_nothing_is_known_of_are_drawn_alike() -> None:
    """Least latency before the first answer: a third each."""
    app = World(random=random.Random(1)).app
    models = shares((AT_GROQ, 1), (AT_CEREBRAS, 1), (AT_NOVITA, 1), strategy="least-latency")
    asked = question(app, load_balance=models)
    first = Counter(
        plan(asked, app._standing.house.directory, app._standing.house.health.live()).targets[0].key
        for _ in range(10_000)
    )

    assert chi_square(first, dict.fromkeys((AT_GROQ, AT_CEREBRAS, AT_NOVITA), 10_000 / 3)) < 13.8


# --- the same again ---


async def run(seed: int) -> list[tuple[int, bytes, list[tuple[str, str]]]]:
    """Forty calls of all kinds on a fresh gateway: what came back, byte for byte."""
    flaky = Turns(*[Canned(BUSY, 500), either("flaky")] * 100)
    apps: dict[str, Any] = {name: either(name) for name in ("groq", "cerebras", "novita")}
    app = several({**apps, "flaky": flaky}, retries=2, clock=Clock(), random=random.Random(seed))
    weighted = {"load_balance": shares((AT_GROQ, 2), (AT_CEREBRAS, 1), (AT_NOVITA, 1))}
    kinds: list[dict[str, Any]] = [
        {"model": LLAMA, **weighted},
        {"model": LLAMA, **weighted, "stream": True},
        {"model": "flaky/m", "fallback": [AT_GROQ]},
        {"model": LLAMA, "load_balance": {"strategy": "round-robin"}},
        {"model": "nobody/x"},
    ]
    out = []
    for number in range(40):
        got = await post(app, **kinds[number % len(kinds)])
        headers = [(name, value) for name, value in got.headers.items() if name != "server-timing"]
        out.append((got.status_code, got.content, headers))
    return out


async def test_with_a_seed_the_same_requests_give_the_same_routes_and_bytes() -> None:
    """Ids, retries and weighted picks come from one source; another seed gives others."""
    one, two, other = await run(11), await run(11), await run(12)

    assert one == two
    assert [status for status, *_ in one] == [status for status, *_ in other]
    assert one != other
    assert len({dict(headers).get("x-provider") for *_, headers in one}) == 5
