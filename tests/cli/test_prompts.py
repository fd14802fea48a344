"""`compatgw prompts`: versions are stored, shown, labelled and removed, and each change is written down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.looking import audit_of
from tests.cli.running import Line

TALK = [{"role": "system", "content": "Be {{mood}}."}, {"role": "user", "content": "Who are you?"}]


def test_a_version_is_stored_from_a_file_or_from_stdin(line: Line, folder: Path) -> None:
    """As it stands there, but for the line break at its end; the next one has the next number."""
    (folder / "greet.txt").write_text("Hello {{name}}.\n\nBye.\n", "utf-8")
    (folder / "talk.json").write_text(json.dumps(TALK), "utf-8")
    first = line.json("prompts", "add", "greet", "greet.txt", "--label", "production", "--label", "x")
    assert (first["number"], first["labels"], first["variables"]) == (1, ["production", "x"], ["name"])
    assert first["messages"] == [{"role": "system", "content": "Hello {{name}}.\n\nBye."}]
    assert first["by"].startswith("cli:")
    second = line.json("prompts", "add", "greet", "talk.json", "--messages")
    assert (second["number"], second["messages"]) == (2, TALK)
    third = line.json("prompts", "add", "greet", "-", stdin="Chào {{tên}} {{name}}")
    assert (third["number"], third["variables"]) == (3, ["name"])
    assert line.json("prompts", "show", "greet") == first
    assert line.json("prompts", "show", "greet", "2") == second
    assert line.json("prompts", "show", "greet", "latest") == third


def test_whoever_stores_a_version_without_a_label_is_told_how_to_use_it(line: Line) -> None:
    """The command that is named is the one that does it."""
    got = line.run("prompts", "add", "greet", "-", stdin="one")
    assert got.exit_code == 0
    command = got.stderr.strip().rpartition("compatgw ")[2].split()
    assert command == ["prompts", "label", "greet", "production", "1"]
    assert line.json(*command)["labels"] == ["production"]
    assert line.run("prompts", "add", "greet", "-", "--label", "next", stdin="two").stderr == ""


def test_a_label_moves_and_is_taken_off(line: Line) -> None:
    """And the list says where each is."""
    for text in ("one", "two"):
        line.out("prompts", "add", "greet", "-", stdin=text)
    line.out("prompts", "add", "other", "-", stdin="{{a}} {{b}}")
    assert line.json("prompts", "label", "greet", "production", "1")["labels"] == ["production"]
    moved = line.json("prompts", "label", "greet", "production", "2")
    assert (moved["labels"], moved["changed_by"], moved["version"]) == (["production"], moved["by"], 2)
    assert [(row["NAME"], row["NUMBER"], row["LABELS"], row["VARIABLES"]) for row in line.rows("prompts", "list")] == [
        ("other", "1", "-", "a,b"),
        ("greet", "2", "production", "-"),
        ("greet", "1", "-", "-"),
    ]
    listed = line.json("prompts", "list", "--name", "greet")
    assert [row["number"] for row in listed["data"]] == [2, 1]
    assert line.json("prompts", "label", "greet", "production", "--off")["labels"] == []
    assert "no version 'production'" in line.refused("prompts", "show", "greet")
    assert "no version 'production'" in line.refused("prompts", "label", "greet", "production", "--off")


def test_a_version_is_removed_and_a_prompt(line: Line) -> None:
    """One with a label only with all the others; its number is not given out again."""
    for text in ("one", "two"):
        line.out("prompts", "add", "greet", "-", "--label", "production", stdin=text)
    assert "is labelled 'production'" in line.refused("prompts", "rm", "greet", "2")
    got = line.run("prompts", "rm", "greet", "1")
    assert (got.exit_code, got.stdout, got.stderr) == (0, "", "The prompt greet/1 was removed.\n")
    assert "no version '1'" in line.refused("prompts", "rm", "greet", "1")
    assert line.json("prompts", "rm", "greet", "--all") == {"object": "prompt.deleted", "id": "greet", "deleted": True}
    assert line.json("prompts", "list")["data"] == []
    assert "no prompt 'greet'" in line.refused("prompts", "rm", "greet", "--all")
    assert line.json("prompts", "add", "greet", "-", stdin="three")["number"] == 3


def test_every_change_is_written_down(line: Line) -> None:
    """With who worked at the terminal."""
    line.out("prompts", "add", "greet", "-", stdin="one")
    line.out("prompts", "label", "greet", "next", "1")
    line.out("prompts", "label", "greet", "next", "--off")
    line.out("prompts", "rm", "greet", "1")
    entries = audit_of(line.environ["COMPATGW_STATE__LEDGER"])
    assert [(entry.action, entry.subject) for entry in reversed(entries)] == [
        ("prompt.create", "greet/1"),
        ("prompt.label", "greet/1"),
        ("prompt.unlabel", "greet/1"),
        ("prompt.remove", "greet/1"),
    ]
    assert all(entry.by.startswith("cli:") for entry in entries)


def test_a_template_shows_itself_and_obeys_nobody(line: Line) -> None:
    """What a terminal would obey is written out; the lines of a text stay lines."""
    line.out("prompts", "add", "greet", "-", stdin="One\nTwo \x1b[31mred\u202e")
    text = line.out("prompts", "show", "greet", "1")
    assert text.endswith("system:\nOne\nTwo \\x1b[31mred\\u202e\n")


@pytest.mark.parametrize(
    ("args", "stdin", "words"),
    [
        (("add", "greet", "missing.txt"), None, "Cannot read missing.txt"),
        (("add", "greet", "-"), b"\xff\xfe", "is no UTF-8 at byte 0"),
        (("add", "greet", "-"), "", "'text' is empty"),
        (("add", "greet", "-"), "a\0b", "holds a NUL"),
        (("add", "greet", "-"), "x" * 150_001, "150,001 characters"),
        (("add", "a/b", "-"), "x", "'name' must be"),
        (("add", "greet", "-", "--label", "1"), "x", "taken for a number"),
        (("add", "greet", "-", "--label", "latest"), "x", "always stands for the newest"),
        (("add", "greet", "-", "--messages"), "{", "is not JSON"),
        (("add", "greet", "-", "--messages"), "null", "either a 'text' or a list of 'messages'"),
        (("add", "greet", "-", "--messages"), '"text"', "'messages' must be a list"),
        (("add", "greet", "-", "--messages"), '[{"role": "x", "content": "y"}]', "messages[0].role"),
        (("label", "greet", "production", "1"), None, "no version '1'"),
        (("label", "greet", "1", "1"), None, "taken for a number"),
        (("show", "greet"), None, "no version 'production' of a prompt 'greet'"),
        (("rm", "greet", "99999999999"), None, "no version '99999999999'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    sqlite_url: str, args: tuple[str, ...], stdin: str | bytes | None, words: str
) -> None:
    """With status 1, and nothing is stored."""
    line = Line(COMPATGW_STATE__LEDGER=sqlite_url)
    assert words in line.refused("prompts", *args, stdin=stdin)
    assert line.json("prompts", "list")["data"] == []


@pytest.mark.parametrize(
    "args",
    [
        ("label", "greet", "production"),
        ("label", "greet", "production", "1", "--off"),
        ("label", "greet", "production", "0"),
        ("rm", "greet"),
        ("rm", "greet", "1", "--all"),
        ("rm", "greet", "one"),
        ("add", "greet"),
    ],
)
def test_a_command_that_means_nothing_is_a_usage_error(sqlite_url: str, args: tuple[str, ...]) -> None:
    """Status 2, before the ledger is opened."""
    assert Line(COMPATGW_STATE__LEDGER=sqlite_url).run("prompts", *args).exit_code == 2
