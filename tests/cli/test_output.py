"""What commands print: one JSON value, plain columns for scripts, tables for people on a terminal."""

from __future__ import annotations

import asyncio
import json
import re
import time
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.cli import tables
from compatgw.cli.tables import Long, Value, When, column, show_record, show_table
from compatgw.gateway import Gateway
from compatgw.state.base import Key, Team, UsageRow
from tests.cli.conftest import RING
from tests.cli.looking import add, use
from tests.cli.running import Line, Seen, Terminal

LONG = "openrouter/deepseek/deepseek-r1-distill-llama-70b:free"


@pytest.fixture
def filled(sqlite_url: str) -> dict[str, str]:
    """The environment of a ledger with something of everything."""
    line = Line(COMPATGW_STATE__LEDGER=sqlite_url, TZ="Asia/Ho_Chi_Minh")
    line.out("teams", "create", "Research & Development, Hồ Chí Minh [bold]", "--id", "research", "--wallet")
    line.out("wallet", "topup", "research", "1234.5")
    line.out("wallet", "correct", "research", "-0.123456789", "--note", "Charged [red]twice")
    line.out("prompts", "add", "greet", "-", "--label", "production", stdin="[red]{{name}}\x1b[31m\u202e")
    now = time.time()
    add(
        sqlite_url,
        [
            Key(
                id="A1b2C3d4E5f6",
                team="research",
                name="ci",
                hash="-",
                hint="wxyz",
                budget=Decimal("20"),
                tokens=1_000_000,
            ),
            Key(id="B1b2C3d4E5f6", team="research", name="old", hash="-", hint="abcd", revoked=1.0),
            Key(id="C1b2C3d4E5f6", team="research", name="over", hash="-", hint="efgh", expires=1.0),
        ],
    )
    use(
        sqlite_url,
        [
            UsageRow(
                id=f"u{number}",
                at=now - 60,
                request="r",
                team="research",
                key="A1b2C3d4E5f6",
                model=model,
                input=123_456_789,
                output=4_567,
                cost=Decimal("18.518518350"),
                charge=Decimal("1.000000001"),
            )
            for number, model in enumerate(["gpt-4o", LONG, "\x1b[31mred\u202e"])
        ],
    )
    return line.environ


LISTS = (
    ("teams", "list"),
    ("keys", "list"),
    ("plans", "list"),
    ("prompts", "list"),
    ("prompts", "show", "greet"),
    ("wallet", "show", "research"),
    ("wallet", "entries", "research"),
    ("usage",),
    ("usage", "--by", "team", "--by", "model"),
    ("db", "show"),
    ("teams", "show", "research"),
    ("keys", "show", "A1b2C3d4E5f6"),
)


@pytest.mark.parametrize("args", LISTS, ids=" ".join)
def test_nothing_but_text_comes_where_nobody_reads(filled: dict[str, str], args: tuple[str, ...]) -> None:
    """No colours, no frames, and the same again: what a caller has named itself cannot write any either."""
    line = Line(**filled)
    text = line.out(*args)
    assert text.isprintable() or set(re.sub(r"[^\x00-\x1f\x7f-\x9f\u202e]", "", text)) == {"\n"}
    assert not re.search("[─│┌━]", text)
    assert line.out(*args) == text
    printed = line.out(*args, "--json")
    assert printed.replace("\n", "").isprintable()
    value = json.loads(printed)
    assert isinstance(value, dict)
    assert isinstance(value["object"], str)


async def over_http(url: str, paths: tuple[str, ...]) -> list[object]:
    """What the management API answers of the same ledger."""
    gateway = Gateway(state={"ledger": url}, keys=[{"key": "operator", "scopes": ["admin"]}], environ={})
    async with gateway, gateway.client(api_key="operator") as client:
        return [(await client.get(f"http://gateway/api/admin/{path}")).json() for path in paths]


def test_json_is_what_the_management_api_answers(filled: dict[str, str]) -> None:
    """Member for member, on one ledger."""
    line = Line(**filled)
    line.out("plans", "set", "mine", "--requests", "7")
    same = {
        ("teams", "list"): "teams",
        ("teams", "show", "research"): "teams/research",
        ("keys", "list"): "keys",
        ("keys", "show", "A1b2C3d4E5f6"): "keys/A1b2C3d4E5f6",
        ("plans", "list"): "plans",
        ("prompts", "list"): "prompts",
        ("prompts", "show", "greet"): "prompts/greet/production",
        ("wallet", "entries", "research"): "teams/research/wallet/entries",
        ("usage", "--by", "team", "--by", "model", "--since", "2026-01-01", "--until", "2126-01-01"): (
            "usage/totals?group=team,model&since=2026-01-01T00:00:00Z&until=2126-01-01T00:00:00Z"
        ),
    }
    answers = asyncio.run(over_http(filled["COMPATGW_STATE__LEDGER"], (*same.values(), "teams/research/wallet")))
    for args, answer in zip(same, answers, strict=False):
        assert line.json(*args) == answer, args
    wallet = line.json("wallet", "show", "research")
    wallet.pop("entries")
    assert wallet == answers[-1]


def test_plain_columns_are_split_at_spaces(filled: dict[str, str]) -> None:
    """Every line has as many words as the head, whatever a model is called; free text comes last."""
    line = Line(**filled)
    for args in (("keys", "list"), ("plans", "list"), ("prompts", "list"), ("usage", "--by", "model")):
        head, *rows = line.out(*args).splitlines()
        assert rows
        assert {len(row.split()) for row in rows} == {len(head.split())}
    assert line.out("teams", "list").splitlines()[1].endswith("Hồ Chí Minh [bold]")
    assert "\\x1b[31mred\\u202e" in line.out("usage", "--by", "model")


def test_times_are_utc_for_scripts_and_local_for_people(filled: dict[str, str]) -> None:
    """The same moment, seven hours apart in Vietnam."""
    plain = Line(**filled).rows("wallet", "entries", "research")[-1]["AT"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", plain)
    shown = on_terminal(filled, "wallet", "entries", "research").text
    local = re.findall(r"\d{4}-\d\d-\d\d (\d\d):(\d\d)", shown)[-1]
    assert (int(local[0]), local[1]) == ((int(plain[11:13]) + 7) % 24, plain[14:16])


def on_terminal(environ: dict[str, str], *args: str, columns: int = 120) -> Seen:
    """What a command shows on a terminal."""
    return Terminal(*args, columns=columns, environ=environ).end()


@pytest.mark.parametrize(
    ("args", "columns"), [*((args, 80) for args in LISTS), (("keys", "list"), 120), (LISTS[6], 120)], ids=str
)
def test_a_table_fits_its_terminal(filled: dict[str, str], args: tuple[str, ...], columns: int) -> None:
    """No line is longer, and what is left out is named."""
    seen = on_terminal(filled, *args, columns=columns)
    assert seen.code == 0
    assert max(map(len, seen.text.splitlines())) <= columns
    assert "\x1b[1m" in seen.raw
    assert "[bold]" in seen.text or "teams" not in args
    named = re.search(r"Left out for want of room: ([^;]*);\s--json shows all", seen.text)
    heads = next(text for text in seen.text.splitlines() if text.strip())
    for head in named[1].replace("\n", " ").split(", ") if named is not None else ():
        assert f" {head} " not in f" {heads} "


def test_a_narrow_terminal_cuts_no_amount(filled: dict[str, str]) -> None:
    """Half an amount would be another: the line goes on below instead."""
    text = on_terminal(filled, "usage", "--by", "team", "--by", "model", columns=30).text.replace("\n", "")
    assert text.count("1.000000001") == 3
    assert "3.000000003" in text


def test_standings_have_colours(filled: dict[str, str]) -> None:
    """Active keys are green, revoked ones red, expired ones yellow; not where colours are not wanted."""
    raw = on_terminal(filled, "keys", "list").raw
    for colour, word in ((32, "active"), (31, "revoked"), (33, "expired")):
        assert f"\x1b[{colour}m{word}" in raw
    assert "\x1b[32m" not in on_terminal({**filled, "NO_COLOR": "1"}, "keys", "list").raw


def test_totals_stand_below_a_line_and_numbers_on_the_right(filled: dict[str, str]) -> None:
    """With separators for people, and as many decimals in the whole column."""
    lines = on_terminal(filled, "usage", "--by", "model").text.splitlines()
    total = next(number for number, text in enumerate(lines) if text.startswith("total"))
    assert set(lines[total - 1].strip()) == {"─"}
    assert "370,370,367" in lines[total]
    amounts = [text.rstrip().rsplit(" ", 1)[-1] for text in lines if "1.000000001" in text or text.startswith("total")]
    assert amounts == ["1.000000001"] * 3 + ["3.000000003"]
    ends = {len(text.rstrip()) for text in lines if "1.000000001" in text or text.startswith("total")}
    assert len(ends) == 1


def test_an_empty_list_says_how_to_go_on(sqlite_url: str) -> None:
    """On a terminal; a script gets the head alone."""
    environ = {"COMPATGW_STATE__LEDGER": sqlite_url}
    assert on_terminal(environ, "teams", "list").text == "No teams. Make one: compatgw teams create NAME\n"
    assert len(Line(**environ).out("teams", "list").splitlines()) == 1


def test_a_long_list_is_shown_whole(sqlite_url: str) -> None:
    """Over all pages of the ledger."""
    add(sqlite_url, [Team(id=f"t{number}", name="One of many") for number in range(1_001)])
    line = Line(COMPATGW_STATE__LEDGER=sqlite_url)
    assert [row["ID"] for row in line.rows("teams", "list")] == [f"t{number}" for number in reversed(range(1_001))]
    assert len(line.json("teams", "list")["data"]) == 1_001


def test_a_secret_is_asked_for_without_an_echo(sqlite_url: str, tmp_path: Path) -> None:
    """Typed at a terminal it is not seen, and it is stored."""

    environ = {"COMPATGW_STATE__LEDGER": sqlite_url, "COMPATGW_STATE__KEY_RING": RING}
    Line(**environ).out("teams", "create", "Acme", "--id", "acme")
    terminal = Terminal("provider-keys", "set", "acme", "openai", environ=environ)
    terminal.until("Key of team acme at openai")
    terminal.send("sk-typed-by-hand-9876\n")
    seen = terminal.end()
    assert seen.code == 0, seen.text
    assert "typed-by-hand" not in seen.raw
    assert "...9876" in seen.text


def test_long_work_shows_how_far_it_is(sqlite_url: str) -> None:
    """A bar on a terminal, which goes when the work is done."""

    environ = {"COMPATGW_STATE__LEDGER": sqlite_url, "COMPATGW_STATE__KEY_RING": RING}
    line = Line(**environ)
    line.out("teams", "create", "Acme", "--id", "acme")
    for provider in ("openai", "anthropic"):
        line.out("provider-keys", "set", "acme", provider, stdin="sk-of-the-provider-1234")
    environ["COMPATGW_STATE__KEY_RING"] = f"k2{RING[2:-4]}AAA=,{RING}"
    seen = on_terminal(environ, "provider-keys", "reseal")
    assert seen.code == 0, seen.text
    assert "Sealing" in seen.text
    assert "2/2" in seen.text
    assert seen.text.endswith("2 provider keys were sealed anew.\n")


cells = st.one_of(
    st.none(),
    st.text(max_size=30),
    st.integers(-(10**9), 10**9),
    st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**9), max_value=10**9),
    st.integers(0, 10**12).map(Long),
    st.floats(0, 4_000_000_000).map(When),
    st.booleans(),
    st.lists(st.text(max_size=10), max_size=3),
)


@given(st.lists(st.tuples(cells, cells, cells), max_size=6))
def test_any_value_is_one_word_of_one_line(rows: list[tuple[Value, Value, Value]]) -> None:
    """Whatever texts hold, and no amount loses a digit."""
    columns = (column("one"), column("two"), column("three"))
    texts = tables._texts(columns, rows, terminal=False)
    for row, line in zip(rows, texts, strict=True):
        for value, text in zip(row, line, strict=True):
            words = tables._word(text, columns[0])
            assert len(words.split()) == 1
            assert words.split() == [words]
            if isinstance(value, Decimal):
                assert Decimal(text) == value


def test_a_record_and_a_table_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """The plain form to the letter: scripts rest on it."""
    show_record("Ignored", {"a member": "x", "none": None, "yes": True, "many": ["a", "b"]})
    show_table(
        (column("name", free=True), column("size"), column("cost USD")),
        [("Of two words", Long(12_000), Decimal("1.5")), ("b", Long(3), Decimal("-20.125"))],
        total=("total", Long(12_003), Decimal("-18.625")),
    )
    assert capsys.readouterr().out == (
        "a_member  x\n"
        "none      -\n"
        "yes       yes\n"
        "many      a,b\n"
        " SIZE  COST_USD  NAME\n"
        "12000     1.500  Of two words\n"
        "    3   -20.125  b\n"
        "12003   -18.625  total\n"
    )
