"""How commands fail: one line on stderr, the right status, no traceback, nothing half done; and their help."""

from __future__ import annotations

import os
import shlex
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest

from compatgw.cli import MANAGING, SERVING, main
from compatgw.cli.setting import LEDGER
from compatgw.state.schema import HEAD
from tests.cli.conftest import RING
from tests.cli.looking import keys_of, statement
from tests.cli.running import PROGRAM, Line, Terminal

READING = (("teams", "list"), ("keys", "list"), ("plans", "list"), ("prompts", "list"), ("usage",), ("db", "show"))


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def test_every_command_explains_itself_with_an_example() -> None:
    """A help text, each option with its own, and a line that one can copy."""
    found = dict(commands(main))
    assert len(found) > 25
    for path, command in found.items():
        text = Line().out(*path, "--help")
        assert f"compatgw {' '.join(path)}" in text.partition("Example:")[2], path
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, (path, parameter.name)


def test_every_example_is_read(sqlite_url: str) -> None:
    """Its options exist and its values are taken: none ends as a usage error."""
    line = Line(COMPATGW_STATE__LEDGER=sqlite_url, COMPATGW_STATE__KEY_RING=RING)
    for path, command in commands(main):
        if path[0] in SERVING:
            continue
        assert command.help is not None
        for example in command.help.partition("Example:")[2].strip().splitlines():
            words = shlex.split(example.strip().removeprefix("KEY=$(").removesuffix(")").partition("<")[0])
            args = words[words.index("compatgw") + 1 :]
            got = line.run(*args, stdin="sk-of-a-provider-1234")
            assert got.exit_code in (0, 1), (example, got.output)
            assert got.exception is None or isinstance(got.exception, SystemExit), (example, got.exception)


def test_the_list_of_commands_says_what_they_say_of_themselves() -> None:
    """Though it is written without loading them."""
    for name, place in {**SERVING, **MANAGING}.items():
        command = main.get_command(click.Context(main), name)
        assert command is not None
        assert command.help is not None
        assert place.help == " ".join(command.help.partition("\n\n")[0].split()), name


@pytest.mark.parametrize(
    "args",
    [
        ("nope",),
        ("keys", "nope"),
        ("keys", "create"),
        ("keys", "create", "--team", "a", "--name", "b", "--expires", "soon"),
        ("keys", "create", "--team", "a", "--name", "b", "--expires", "2026-13-01"),
        ("keys", "create", "--team", "a", "--name", "b", "--period", "day"),
        ("keys", "create", "--team", "a", "--name", "b", "--requests", "-1"),
        ("keys", "rotate", "x", "--grace", "1y"),
        ("teams", "show"),
        ("teams", "list", "--nope"),
        ("wallet", "topup", "acme", "--nope", "5"),
    ],
    ids=" ".join,
)
def test_a_usage_error_is_two_and_touches_nothing(folder: Path, args: tuple[str, ...]) -> None:
    """Not even a ledger is made."""
    got = Line().run(*args)
    assert (got.exit_code, got.stdout) == (2, "")
    assert list(folder.iterdir()) == []


def test_without_a_setting_the_ledger_is_made_in_this_folder_and_told_once(folder: Path) -> None:
    """On stderr, so that what a script reads is not disturbed; `db show` makes nothing."""
    assert "none yet" in Line().out("db", "show")
    assert list(folder.iterdir()) == []
    first, second = Line().run("teams", "list", "--json"), Line().run("teams", "list", "--json")
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout == second.stdout
    assert first.stderr.count("Made compatgw.db") == 1
    assert second.stderr == ""
    assert (folder / LEDGER.removeprefix("sqlite:///")).is_file()


def test_commands_work_where_the_settings_say(folder: Path, tmp_path: Path) -> None:
    """The file in the folder, the one that is named, the environment over both."""
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.toml").write_text(f'[state]\nledger = "sqlite:///{tmp_path}/{name}.db"\n')
        Line().out("teams", "create", name, "--id", name, "--config", str(tmp_path / f"{name}.toml"))
    assert list(folder.iterdir()) == []
    (tmp_path / "one.toml").rename(folder / "compatgw.toml")
    assert [row["ID"] for row in Line().rows("teams", "list")] == ["one"]
    named = Line(COMPATGW_CONFIG=str(tmp_path / "two.toml"))
    assert [row["ID"] for row in named.rows("teams", "list")] == ["two"]
    named.environ["COMPATGW_STATE__LEDGER"] = f"sqlite:///{tmp_path}/three.db"
    assert [row["ID"] for row in named.rows("teams", "list")] == ["three"]


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"COMPATGW_CONFIG": "missing.toml"}, "Cannot read the configuration file missing.toml"),
        ({"COMPATGW_NOPE": "1"}, "'nope'"),
        ({"COMPATGW_STATE__LEDGER": "mysql://a:hidden@b/c"}, "'mysql'"),
        ({"COMPATGW_STATE__LEDGER": "sqlite:///missing/ledger.db"}, "folder"),
        ({"COMPATGW_STATE__KEY_RING": "k1:hidden"}, "'state.key_ring'"),
        ({"COMPATGW_STATE__LEDGER": "postgresql://a:hidden@127.0.0.1:1/x"}, "cannot be used now"),
    ],
    ids=str,
)
def test_a_wrong_setting_or_a_database_that_is_gone_is_one_line(environ: dict[str, str], words: str) -> None:
    """Without the secret in it."""
    refusal = Line(**environ).refused("teams", "list")
    assert words in refusal
    assert "hidden" not in refusal


@pytest.mark.parametrize("args", [("teams", "list"), ("db", "show"), ("db", "upgrade")], ids=" ".join)
def test_a_database_that_refuses_is_one_line(postgres_url: str, args: tuple[str, ...]) -> None:
    """In its own words, and with where to mend it."""
    refusal = Line(COMPATGW_STATE__LEDGER=postgres_url.replace("/postgres?", "/nowhere?")).refused(*args)
    assert refusal == (
        "The database refuses: database \"nowhere\" does not exist. Mend it there, or name another in 'state.ledger'.\n"
    )


@pytest.mark.parametrize("args", READING, ids=" ".join)
def test_a_file_that_is_no_database_is_one_line(folder: Path, args: tuple[str, ...]) -> None:
    """And stays as it is."""
    (folder / "compatgw.db").write_text("a letter" * 1_000)
    assert "not a database" in Line().refused(*args)
    assert (folder / "compatgw.db").read_text() == "a letter" * 1_000


def test_a_locked_file_is_one_line_after_a_while(sqlite_url: str) -> None:
    """And the same command goes through when the lock is gone."""
    line = Line(COMPATGW_STATE__LEDGER=sqlite_url)
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "database is locked. Try again" in line.refused("teams", "create", "x")
        assert line.json("db", "show")["schema"] == HEAD
    assert line.json("teams", "create", "x")["name"] == "x"


def test_a_newer_schema_is_not_touched(sqlite_url: str) -> None:
    """It is told, and shown."""
    line = Line(COMPATGW_STATE__LEDGER=sqlite_url)
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as other:
        other.execute("UPDATE compatgw_schema SET version_num = '0999'")
        other.commit()
    for args in (("teams", "list"), ("db", "upgrade")):
        assert "newer than" in line.refused(*args)
    assert line.json("db", "show")["schema"] == "0999"
    assert "0999, newer than" in line.out("db", "show")


def test_an_upgrade_says_from_where_to_where(folder: Path, empty_database: Callable[[str], str], kind: str) -> None:
    """From nothing first, and the second time there is nothing to do."""
    line = Line(COMPATGW_STATE__LEDGER=empty_database(kind))
    assert line.json("db", "show")["schema"] is None
    assert line.out("db", "upgrade") == f"The schema went from nothing to {HEAD}.\n"
    assert line.out("db", "upgrade") == f"The schema is {HEAD} already.\n"
    assert line.json("db", "upgrade") == {"object": "database.upgrade", "from": HEAD, "to": HEAD}
    shown = line.json("db", "show")
    assert (shown["schema"], shown["needed"], shown["rows"]["teams"]) == (HEAD, HEAD, 0)


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """A back end."""
    return str(request.param)


@pytest.fixture
def empty_database(request: pytest.FixtureRequest, folder: Path) -> Iterator[Callable[[str], str]]:
    """Gives a database without tables."""
    made: list[str] = []

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{folder}/new.db"
        server = str(request.getfixturevalue("postgres_url"))
        statement(server, "CREATE DATABASE compatgw_new")
        made.append(server)
        return server.replace("/postgres?", "/compatgw_new?")

    yield make
    for server in made:
        statement(server, "DROP DATABASE compatgw_new")


def test_db_show_hides_the_password(postgres_url: str) -> None:
    """And says where the ledger is."""
    url = postgres_url.replace("postgres:@", "postgres:hidden@")
    shown = Line(COMPATGW_STATE__LEDGER=url).out("db", "show")
    assert "hidden" not in shown
    assert "postgresql://postgres:***@" in shown


def test_postgresql_without_tables_says_which_command_makes_them(empty_database: Callable[[str], str]) -> None:
    """Nobody's database gets tables by a list."""
    line = Line(COMPATGW_STATE__LEDGER=empty_database("postgres"))
    assert "Run 'compatgw db upgrade' once" in line.refused("teams", "list")


def test_a_command_that_is_interrupted_ends_with_130(sqlite_url: str) -> None:
    """At a prompt, and while it waits for a lock; without a traceback, and nothing is done."""
    environ = {"COMPATGW_STATE__LEDGER": sqlite_url, "COMPATGW_STATE__KEY_RING": RING}
    asked = Terminal("provider-keys", "set", "acme", "openai", environ=environ)
    asked.until("Key of team acme")
    asked.send("\x03")
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = Terminal("db", "upgrade", environ=environ)
        waiting.until("Upgrading")
        waiting.send("\x03")
        for seen in (asked.end(), waiting.end()):
            assert seen.code == 130, seen.text
            assert "Traceback" not in seen.text


def test_a_reader_that_leaves_is_no_traceback(sqlite_url: str) -> None:
    """`compatgw plans list --json | head -1`."""
    command = [*PROGRAM, "plans", "list", "--json"]
    environ = {**os.environ, "COMPATGW_STATE__LEDGER": sqlite_url}
    reader, writer = os.pipe()
    with subprocess.Popen(command, stdout=writer, stderr=subprocess.PIPE, env=environ, text=True) as one:
        os.close(reader)
        os.close(writer)
        _, said = one.communicate(timeout=50)
    assert "Traceback" not in said


def test_two_commands_at_once_both_come_through(sqlite_url: str) -> None:
    """They wait for each other's lock; every key is there once."""
    line = Line(COMPATGW_STATE__LEDGER=sqlite_url)
    line.out("teams", "create", "Acme", "--id", "acme")
    command = [*PROGRAM, "keys", "create", "--team", "acme", "--name", "x"]
    environ = {**os.environ, "COMPATGW_STATE__LEDGER": sqlite_url}
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environ, text=True) for _ in range(3)]
    texts = {one.communicate(timeout=50)[0].strip() for one in started}
    assert len(texts) == 3
    assert {key.hint for key in keys_of(sqlite_url)} == {text[-4:] for text in texts}
