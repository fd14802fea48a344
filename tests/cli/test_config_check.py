"""What `compatgw config check` says of settings, and of mistakes in them; what SIGHUP does."""

from __future__ import annotations

import os
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from compatgw.config import load
from compatgw.importing import Imported
from compatgw.origins import lines_of, origins
from compatgw_testing.server import FakeServer
from tests.cli.running import Line, Terminal, start, wait_for, within

FILE = """\
name = "mine"
keys = ["caller-key-12345678", { key = "another-secret-key", name = "b" }]

[providers.openai]
api_key = "sk-hidden-abcd"
headers = { X-Token = "token-hidden" }

[providers.groq]
[providers.own]
  base_url = "http://user:pass-hidden@own/v1"
  api_key = "secret:OWN_KEY"

[models]
fast = "own/x"

[state]
counters = "redis://:redis-hidden@host:6379/0"
"""
ENVIRON = {"GROQ_API_KEY": "gsk-hidden-wxyz", "OWN_KEY": "own-key-hidden", "COMPATGW_MAX_BODY": "4096"}


def found(*args: str, **environ: str) -> dict[str, tuple[str, str, str]]:
    """Kind, source and value of each setting."""
    told = Line(**ENVIRON, **environ).json("config", "check", *args)
    return {each["name"]: (each["kind"], each["source"], each["value"]) for each in told["settings"]}


def test_every_setting_has_its_source(folder: Path) -> None:
    """A line of the file, a variable by its name, or nothing; a provider's key under its usual name, too."""
    (folder / "compatgw.toml").write_text(FILE)
    got = found()

    assert got["name"] == ("file", "compatgw.toml:1", "mine")
    assert got["providers.openai.api_key"] == ("file", "compatgw.toml:5", "****abcd")
    assert got["providers.groq.api_key"] == ("variable", "GROQ_API_KEY", "****wxyz")
    assert got["providers.own.api_key"] == ("file", "compatgw.toml:11, secret OWN_KEY", "****dden")
    assert got["models.fast"] == ("file", "compatgw.toml:14", "own/x")
    assert got["max_body"] == ("variable", "COMPATGW_MAX_BODY", "4096")
    assert got["timeouts.connect"][:2] == ("default", "")
    assert got["keys.1.name"] == ("file", "compatgw.toml:2", "b")
    assert set(found("--set")) < set(got)
    assert not [name for name, (kind, _, _) in found("--set").items() if kind == "default"]


@pytest.mark.parametrize("args", [(), ("--json",), ("--set",)])
def test_no_secret_is_shown(folder: Path, args: tuple[str, ...]) -> None:
    """Not of a key, a header, a URL, or a variable."""
    (folder / "compatgw.toml").write_text(FILE)
    got = Line(**ENVIRON).run("config", "check", *args)

    assert got.exit_code == 0, got.output
    for word in ("hidden", "caller-key", "another-secret"):
        assert word not in got.output.replace("****dden", "")


def test_the_plain_table_has_its_columns(folder: Path) -> None:
    """For `grep` and `awk`; the short name is the same command."""
    (folder / "compatgw.toml").write_text('name = "mine"\n')
    head, first = Line().out("config", "check", "--set").splitlines()

    assert head.split() == ["SETTING", "SOURCE", "VALUE"]
    assert first.split() == ["name", "file", "compatgw.toml:1", "mine"]


def test_people_get_a_table(folder: Path) -> None:
    """On a terminal."""
    (folder / "compatgw.toml").write_text('name = "mine"\n')
    seen = Terminal("config", "check", "--set", columns=100).end()

    assert seen.code == 0
    assert "compatgw.toml:1" in seen.text
    assert "\x1b[" in seen.raw


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("nope = 1", "1:1", "The line: nope = 1"),
        ('name = "x"\nmax_body = "big"\n', "2:1", 'The line: max_body = "big"'),
        ("name = 'x'\na = [", "2:6", "not valid TOML"),
        ('name = "x"\nkey = "sk-hidden\n', "2:17", "not valid TOML"),
        ("[timeouts]\n# first\n  total = 0\n", "3:3", "The line: total = 0"),
        ('keys = [\n  "a",\n]\n[[oidc]]\nissuer = "https://x"\naudience = "a"\n', "6:1", "audience"),
        ('[[keys]]\nkey = "b"\n[[keys]]\nkey = "z"\nrates = 3\n', "5:1", "'keys.1.rates'"),
        ("[providers.openai]\n", "1:1", "OPENAI_API_KEY"),
        ('[providers.x]\nbase_url = "http://x"\napi_key = "secret:NOT_THERE"\n', "3:1", "NOT_THERE"),
        ('text = """\n1\n2\n"""\n', "1:1", "'text'"),
    ],
)
def test_a_mistake_is_told_with_its_place(folder: Path, text: str, place: str, words: str) -> None:
    """File, line, column and the line itself, in one line."""
    (folder / "compatgw.toml").write_text(text)
    told = Line(OPENAI_API_KEY="").refused("config", "check")

    assert told.startswith(f"compatgw.toml:{place}: ")
    assert words in told
    assert "sk-hidden" not in told


def test_a_mistake_in_a_variable_names_it() -> None:
    """It has no line."""
    told = Line(COMPATGW_MAX_BODY="much").refused("config", "check")

    assert "COMPATGW_MAX_BODY" in told


# --- live ------------------------------------------------------------------------------------------


async def _models(scope: Any, receive: Any, send: Any) -> None:
    headers = dict(scope["headers"])
    given = headers.get(b"authorization") or b"Bearer " + headers.get(b"x-api-key", b"")
    status = {b"Bearer good": 200, b"Bearer broken": 500}.get(given, 401)
    status = 404 if scope["path"] == "/none/models" else status
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b'{"data": []}' if scope["method"] == "GET" else b""})


@pytest.fixture
def upstream() -> Iterator[str]:
    """A server that lists its models to whoever has the key `good`."""
    with FakeServer(_models) as server:
        yield server.origin


def test_each_key_is_tried(folder: Path, upstream: str) -> None:
    """One request each; what is refused or out of reach ends the command with 3."""
    (folder / "compatgw.toml").write_text(
        f"""
[providers.fine]
base_url = "{upstream}/v1"
api_key = "good"
api_keys = ["sk-bad-hidden"]
[providers.claude]
base_url = "{upstream}/v1"
dialect = "anthropic"
auth = "x-api-key"
api_key = "good"
[providers.broken]
base_url = "{upstream}/v1"
api_key = "broken"
[providers.none]
base_url = "{upstream}/none"
api_key = "good"
[providers.away]
base_url = "http://127.0.0.1:9/v1"
api_key = "good"
[providers.voyage]
api_key = "good"
"""
    )
    got = Line().run("config", "check", "--live", "--set")
    rows = [line.split()[:3] for line in got.stdout.partition("PROVIDER")[2].splitlines()[1:]]

    assert got.exit_code == 3, got.output
    assert rows == [
        ["fine", "1", "ok"],
        ["fine", "2", "refused"],
        ["claude", "1", "ok"],
        ["broken", "1", "failing"],
        ["none", "1", "untested"],
        ["away", "1", "unreachable"],
        ["voyage", "1", "untested"],
    ]
    assert "sk-bad-hidden" not in got.output


def test_good_keys_end_well(folder: Path, upstream: str) -> None:
    """With status 0, also in JSON."""
    (folder / "compatgw.toml").write_text(f'[providers.fine]\nbase_url = "{upstream}/v1"\napi_key = "good"\n')
    told = Line().json("config", "check", "--live")

    assert told["live"] == [{"provider": "fine", "key": 1, "outcome": "ok", "why": ""}]


# --- lines -----------------------------------------------------------------------------------------

_NAMES = st.text("abc-_é. ", min_size=1, max_size=5)
_VALUES = st.recursive(
    st.integers(-9, 9) | st.booleans() | st.text(max_size=8),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(_NAMES, each, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(_NAMES, _VALUES, max_size=4))
@example({"_": "\x85"})
@example({"a": "\u2028", "b": 1})
def test_every_member_of_a_file_has_a_line(values: dict[str, Any]) -> None:
    """And it is one that its name stands in."""
    text = Imported("a test", values).toml()
    known, lines = lines_of(text), text.split("\n")

    assert tomllib.loads(text) == values
    for name in values:
        assert (name,) in known or any(path[0] == name for path in known)
    for path, spot in known.items():
        assert lines[spot.line - 1] == spot.text
        assert str(path[0])[:1] in text


def test_keywords_are_no_lines() -> None:
    """What neither file nor variable has is as by default."""
    got = origins(load(None, {}, {}), None, "", {})
    assert {each.kind for each in got} == {"default"}


# --- SIGHUP ----------------------------------------------------------------------------------------


def test_sighup_has_the_file_read_again(folder: Path, process: list[subprocess.Popen[str]]) -> None:
    """Without an end of the process; a mistake in the file changes nothing."""
    file = folder / "compatgw.toml"
    file.write_text('keys = ["first"]\n[providers.a]\nbase_url = "http://a/v1"\nauth = "none"\n')
    one = start(process, "serve", "--port", "0")
    assert one.stdout is not None
    url = next(line.split()[-1] for line in one.stdout if "http://" in line)

    def status(key: str) -> int:
        return httpx.get(f"{url}/models", headers={"Authorization": f"Bearer {key}"}, timeout=10).status_code

    wait_for(url.removesuffix("/v1") + "/healthz")
    assert status("first") == 200
    file.write_text(file.read_text().replace("first", "second"))
    os.kill(one.pid, signal.SIGHUP)
    assert within(10, lambda: status("second") == 200)
    assert status("first") == 401
    file.write_text("keys = [")
    os.kill(one.pid, signal.SIGHUP)
    assert any("nothing was changed" in line for line in one.stdout)
    assert status("second") == 200
