"""`compatgw explain`: where a request would go with these settings, and why; nobody is called."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from compatgw import Gateway
from tests.cli.running import Line, Terminal

SETTINGS = """
keys = ["k", {key = "other", name = "ci", plan = "of-the-ledger"}]

[state]
ledger = "sqlite:///never-made.db"

[providers.groq]
api_key = "sk-SEEDED-groq"
base_url = "http://127.0.0.1:1/never-called"

[providers.cerebras]
api_key = "sk-SEEDED-cerebras"
base_url = "http://127.0.0.1:1/never-called"

[models."cerebras/llama-3.3-70b"]
price = {input = "0.1", output = "0.1"}
"""
ASK: dict[str, Any] = {
    "model": "llama-3.3-70b",
    "messages": [{"role": "user", "content": "hi"}],
    "max_tokens": 1000,
    "optimise": "cost",
}
GROQ, CEREBRAS = "groq/llama-3.3-70b-versatile", "cerebras/llama-3.3-70b"


@pytest.fixture
def settings(folder: Path) -> Path:
    """Two providers of one codename, and a ledger that nobody may open."""
    path = folder / "compatgw.toml"
    path.write_text(SETTINGS)
    return path


def request(**members: Any) -> str:
    """A chat request."""
    return orjson.dumps({**ASK, **members}).decode()


def test_targets_come_in_their_order_with_what_they_cost_and_what_is_left_out(settings: Path, folder: Path) -> None:
    """Place, reason, price, context and trust as columns; a candidate without a place says why."""
    (folder / "r.json").write_text(request(fallback=["nobody/x"]))
    rows = Line().rows("explain", "r.json")
    head = Line().out("explain", "r.json").splitlines()[0].split()
    targets = {row["TARGET"]: row for row in rows if row["PLACE"] != "-"}

    assert head == ["PLACE", "TARGET", "REASON", "PRICE_USD", "CONTEXT", "TRUST", "FOUND_AS", "WHY"]
    assert [row["PLACE"] for row in rows[:2]] == ["1", "2"]
    assert list(targets) == [CEREBRAS, GROQ]
    assert all(float(row["PRICE_USD"]) > 0 and int(row["CONTEXT"]) > 1000 for row in targets.values())
    assert {row["TRUST"] for row in targets.values()} == {"1"}
    assert rows[-1]["TARGET"] == "nobody/x"
    assert {row["REASON"] for row in rows[2:]} == {"no_provider"}


def test_the_prices_are_those_of_the_request(settings: Path) -> None:
    """Twice the output costs about twice as much, and the cheaper one comes first."""
    one, two = (
        [float(row["price"]) for row in Line().json("explain", "-", stdin=request(max_tokens=tokens))["targets"]]
        for tokens in (10_000, 20_000)
    )

    assert one == sorted(one)
    assert all(1.9 < more / less < 2.1 for less, more in zip(one, two, strict=True))


def test_json_is_what_the_gateway_answers_to_the_same_request(settings: Path) -> None:
    """Member for member."""
    body = request(require_tools=True, load_balance={"strategy": "weighted", "models": [{"model": GROQ}]})

    async def served() -> Any:
        gateway = Gateway(str(settings), state={"ledger": None}, keys=["k"], environ={})
        async with gateway, gateway.client(api_key="k") as client:
            headers = {"content-type": "application/json", "x-gateway-explain": "1"}
            return (await client.post("/v1/chat/completions", content=body, headers=headers)).json()

    assert Line().json("explain", "-", stdin=body) == asyncio.run(served())


def test_a_settings_file_is_named_like_everywhere(settings: Path, folder: Path) -> None:
    """`--config` wins over the file in this folder."""
    (folder / "other.toml").write_text('[providers.groq]\napi_key = "x"\n')
    found = Line().json("explain", "-", "--config", "other.toml", stdin=request())

    assert [f"{row['provider']}/{row['model']}" for row in found["targets"]] == [GROQ]


def test_a_key_that_may_use_less_is_looked_through(settings: Path) -> None:
    """With `--key-models` what the key may not use is left out, and the rest stays."""
    found = Line().json("explain", "-", "--key-models", "cerebras/*", "--key-models", "gpt-*", stdin=request())
    reasons = {row["model"]: row["reason"] for row in found["left_out"]}

    assert [row["provider"] for row in found["targets"]] == ["cerebras"]
    assert reasons[GROQ] == "not_for_this_key"


def test_a_request_that_nothing_is_left_for_ends_with_1_and_still_says_why(settings: Path) -> None:
    """The table is there, and one line on stderr."""
    got = Line().run("explain", "-", stdin=request(trust_level=3))

    assert (got.exit_code, got.stderr.count("\n")) == (1, 1)
    assert "Nothing is left to call for the model 'llama-3.3-70b'" in got.stderr
    assert got.stdout.count("trust_level 3") == 2
    assert got.stdout.count("trust_too_low") == 2


def test_hints_that_mean_nothing_are_named(settings: Path) -> None:
    """On stderr, so that columns stay columns."""
    got = Line().run("explain", "-", stdin=request(model_hints=["cerebras/llama-3.3-70b", "nobody/y"]))

    assert got.exit_code == 0
    assert got.stderr == "Hints that mean nothing here: nobody/y.\n"
    assert got.stdout.splitlines()[1].split()[1:3] == [CEREBRAS, "hint"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "The body is empty"),
        ("{", "not valid JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "Missing required parameter"),
        (request(retries=6), "'retries' must lie between 0 and 5"),
        (request(model="\x1b[31mred", trust_level=9), "'trust_level' must lie between 0 and 3"),
    ],
)
def test_a_request_that_is_none_is_one_line(settings: Path, body: str, words: str) -> None:
    """The words of the gateway's own 400."""
    assert words in Line().refused("explain", "-", stdin=body)


def test_a_file_that_is_not_there_is_one_line(settings: Path) -> None:
    """It says what to name instead."""
    assert "Cannot read nothing.json: No such file or directory." in Line().refused("explain", "nothing.json")


def test_a_wrong_setting_is_one_line(folder: Path) -> None:
    """The same as `compatgw config check` says."""
    (folder / "compatgw.toml").write_text("nope = 1")
    assert "'nope'" in Line().refused("explain", "-", stdin=request())


def test_nothing_is_opened_made_or_shown_that_is_secret(settings: Path, folder: Path) -> None:
    """No ledger comes into being, no Redis is asked, and no key is printed, also where the environment names them."""
    line = Line(COMPATGW_STATE__COUNTERS="redis://127.0.0.1:1", COMPATGW_STATE__LEDGER="postgresql://u:p@127.0.0.1:1/x")
    printed = line.out("explain", "-", stdin=request()) + line.out("explain", "-", "--json", stdin=request())

    assert [path.name for path in folder.iterdir()] == ["compatgw.toml"]
    assert "SEEDED" not in printed


def test_control_characters_of_a_request_are_not_obeyed(settings: Path) -> None:
    """A model's name cannot colour the terminal or write a line of its own."""
    got = Line().run("explain", "-", stdin=request(model="\x1b[31mred\nline"))

    assert "\x1b" not in got.stdout + got.stderr
    assert got.stderr.count("\n") == 1


@pytest.mark.parametrize("columns", [80, 160])
def test_on_a_terminal_it_is_a_table_that_fits(settings: Path, folder: Path, columns: int) -> None:
    """With colours; on a wide one with the sentence that says why."""
    (folder / "r.json").write_text(request())
    seen = Terminal("explain", "r.json", columns=columns).end()

    assert seen.code == 0, seen.text
    assert max(map(len, seen.text.splitlines())) <= columns
    assert "\x1b[1m" in seen.raw
    assert "─" in seen.text
    assert GROQ in seen.text
    assert ("Left out for want of room" in seen.text) == (columns == 80)
    assert ("It is left out by" in seen.text) == (columns == 160)


def test_what_is_printed_in_json_is_one_value(settings: Path) -> None:
    """Also where nothing is left: the plan, then status 1."""
    got = Line().run("explain", "-", "--json", stdin=request(model="nobody/x"))

    assert got.exit_code == 1
    assert json.loads(got.stdout)["targets"] == []
