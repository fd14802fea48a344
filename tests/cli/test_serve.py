"""The gateway on its own as a person runs it: help, refusals in one line, and a server that really answers."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from click.testing import Result

from compatgw.cli.serve import _listen
from compatgw.cli.setting import LEDGER
from compatgw.state.base import Key, Team
from tests.cli.looking import add
from tests.cli.running import Line, Terminal, lines_until, start, wait_for, within

STATE = ("sqlalchemy", "aiosqlite", "alembic", "argon2", "cryptography", "rich")


def run(*args: str, **environ: str) -> Result:
    """The command line in process."""
    return Line(**environ).run(*args)


@pytest.mark.parametrize("args", [("--help",), ("serve", "-h"), ("demo", "-h"), ("config", "check", "-h")])
def test_help_explains_itself(args: tuple[str, ...]) -> None:
    """Every command has a help text."""
    got = run(*args)
    assert got.exit_code == 0
    assert "Usage:" in got.output


def test_the_version_is_shown() -> None:
    """As every program does."""
    assert re.fullmatch(r"compatgw, version \d+\.\d+\.\d+\n", run("--version").output)


def test_serving_beyond_loopback_without_keys_is_refused(folder: Path) -> None:
    """In one line that says how to mend it, and no file is left behind."""
    got = run("serve", "--host", "0.0.0.0")
    assert got.exit_code == 1
    assert got.stderr.count("\n") == 1
    assert "COMPATGW_KEYS" in got.stderr
    assert list(folder.iterdir()) == []


def test_a_port_that_is_taken_is_one_line(folder: Path) -> None:
    """It says how to choose another, and no file is left behind."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        got = run("serve", "--port", str(taken.getsockname()[1]))
    assert (got.exit_code, got.stderr.count("\n")) == (1, 1)
    assert "--port" in got.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = [", "not valid TOML"),
        ("nope = 1", "'nope'"),
        ('[providers.azure]\napi_key = "x"', "base_url"),
        ("[providers.openai]", "OPENAI_API_KEY"),
    ],
)
def test_a_wrong_setting_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    """No traceback, whatever is wrong."""
    (tmp_path / "c.toml").write_text(text)
    got = run("config", "check", "--config", str(tmp_path / "c.toml"))
    assert (got.exit_code, got.stderr.count("\n")) == (1, 1)
    assert words in got.stderr
    assert "Traceback" not in got.output


def test_check_says_what_the_settings_mean(tmp_path: Path) -> None:
    """Providers and models by name, no secret."""
    (tmp_path / "c.toml").write_text(
        'keys = ["k1"]\n[providers.openai]\napi_key = "sk-hidden"\n[models]\nfast = "openai/x"\n'
    )
    got = run("config", "check", "--config", str(tmp_path / "c.toml"))
    assert got.exit_code == 0
    assert "provider openai" in got.output
    assert "model fast" in got.output
    assert "sk-hidden" not in got.output


def test_the_demos_curl_lines_work_as_printed(process: list[subprocess.Popen[str]]) -> None:
    """Each of them is pasted into a shell, and streams an answer."""
    assert process == []
    one = start(process, "demo", "--port", "0")
    assert one.stdout is not None
    printed = lines_until(one.stdout, "Stop with")
    base = re.search(r"base URL  (\S+)", printed)
    assert base is not None
    assert wait_for(base[1].removesuffix("/v1") + "/healthz").status_code == 200
    commands = re.findall(r"^curl .*$", printed, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=20)  # noqa: S602 - ours
        assert done.stdout.endswith("data: [DONE]\n\n"), done.stdout + done.stderr
    python = printed[printed.index("from openai") : printed.index("Stop with")]
    done = subprocess.run([sys.executable, "-c", python], capture_output=True, text=True, timeout=50)
    assert done.stdout.count(" -> ") == 4, done.stderr
    console = re.search(r"(http\S+)/console   log in with (\S+)", printed)
    assert console is not None
    assert httpx.get(f"{console[1]}/console/login").status_code == 200
    calls = httpx.get(f"{console[1]}/api/admin/usage", headers={"Authorization": f"Bearer {console[2]}"}).json()["data"]
    assert {call["provider"] for call in calls} == {"openai", "anthropic", "gemini", "cohere"}


def test_serve_answers_under_a_path_with_the_key_it_made(process: list[subprocess.Popen[str]], folder: Path) -> None:
    """On loopback without keys, two are made and printed, to call and to manage; so is that a file was made."""
    one = start(process, "serve", "--port", "0", "--path", "api", OPENAI_API_KEY="sk-x", COMPATGW_NAME="mine")
    assert one.stdout is not None
    printed = lines_until(one.stdout, "console: ")
    assert printed.count("Made compatgw.db") == 1
    assert (folder / "compatgw.db").is_file()
    key = re.search(r"key: (\S+)", printed)
    base = re.search(r"http://\S+:(\d+)/api/v1", printed)
    assert key is not None
    assert base is not None
    port = base[1]
    assert wait_for(f"http://127.0.0.1:{port}/api/healthz").status_code == 200
    headers = {"Authorization": f"Bearer {key[1]}"}
    models = httpx.get(f"http://127.0.0.1:{port}/api/v1/models", headers=headers).json()["data"]
    assert any(row["id"].startswith("openai/") for row in models)
    console = re.search(r"console: (\S+)/console   log in with (\S+)", printed)
    assert console is not None
    admin = {"Authorization": f"Bearer {console[2]}"}
    assert httpx.get(f"{console[1]}/api/admin/teams", headers=admin).status_code == 200
    assert httpx.get(f"{console[1]}/api/admin/teams", headers=headers).status_code == 403
    assert httpx.get(f"http://127.0.0.1:{port}/elsewhere").json()["error"]["code"] == "unknown_endpoint"


def port_of(one: subprocess.Popen[str]) -> str:
    """The origin of a server that was started, and what it printed."""
    assert one.stdout is not None
    base = re.search(r"http://127\.0\.0\.1:\d+", lines_until(one.stdout, "Application startup complete"))
    assert base is not None
    return base[0]


def models(origin: str, key: str) -> int:
    """The status of a call."""
    return httpx.get(f"{origin}/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code


def chat(origin: str, key: str) -> int:
    """The status of a call that goes nowhere: its model is nobody's."""
    body = {"model": "nobody/nothing", "messages": [{"role": "user", "content": "Hello"}]}
    return httpx.post(
        f"{origin}/v1/chat/completions", headers={"Authorization": f"Bearer {key}"}, json=body
    ).status_code


def test_a_key_is_made_and_revoked_while_the_server_runs(
    process: list[subprocess.Popen[str]], ledger_url: str, folder: Path
) -> None:
    """Good at once, refused within five seconds of its end; on the same settings file as the server."""
    (folder / "compatgw.toml").write_text(f'[state]\nledger = "{ledger_url}"\n')
    line = Line()
    line.out("teams", "create", "Acme", "--id", "acme")
    first = line.out("keys", "create", "--team", "acme", "--name", "first").strip()
    origin = port_of(start(process, "serve", "--port", "0", OPENAI_API_KEY="sk-x"))

    made = line.json("keys", "create", "--team", "acme", "--name", "second")
    assert models(origin, first) == models(origin, made["key"]) == 200
    line.out("keys", "revoke", made["id"])
    assert within(5.0, lambda: models(origin, made["key"]) == 401)
    assert models(origin, first) == 200
    line.out("teams", "deactivate", "acme")
    assert within(5.0, lambda: chat(origin, first) == 403)


def test_a_ledger_with_an_active_key_needs_no_other(process: list[subprocess.Popen[str]], folder: Path) -> None:
    """None is made up, and every address may be listened on; one that is not active is none."""
    line = Line()
    line.out("teams", "create", "Acme", "--id", "acme")
    made = line.json("keys", "create", "--team", "acme", "--name", "only")
    one = start(process, "serve", "--port", "0", "--host", "0.0.0.0", OPENAI_API_KEY="sk-x")
    assert one.stdout is not None
    printed = lines_until(one.stdout, "Application startup complete")
    assert "key:" not in printed
    assert "Made" not in printed

    line.out("keys", "revoke", made["id"])
    assert "Refusing to listen on 0.0.0.0" in line.refused("serve", "--host", "0.0.0.0", "--port", "0")


def test_an_active_key_is_found_on_any_page(folder: Path) -> None:
    """Behind a thousand that have ended."""
    Line().out("teams", "create", "Acme", "--id", "acme")
    keys = [Key(id="good", team="acme", name="good", hash="-")]
    keys += [Key(id=f"k{number}", team="acme", name="old", hash="-", revoked=1.0) for number in range(1_000)]
    add(LEDGER, keys)
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        refusal = Line(OPENAI_API_KEY="sk-x").refused(
            "serve", "--host", "0.0.0.0", "--port", str(taken.getsockname()[1])
        )
    assert "--port" in refusal
    assert "without keys" not in refusal


def without(*modules: str) -> str:
    """Python that runs the command line where these are not installed."""
    return f"import sys; sys.modules.update(dict.fromkeys({modules!r})); from compatgw.cli import main; main()"


def test_serve_works_where_no_database_is_installed(folder: Path) -> None:
    """Without a ledger, as ever: a key is made up, and no file."""
    command = [sys.executable, "-u", "-c", without(*STATE), "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as one:
        assert one.stdout is not None
        printed = lines_until(one.stdout, "Application startup complete")
        one.terminate()
    assert "key: cgw-" in printed
    assert "compatgw.db" not in printed
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("lacking", "args", "words"),
    [
        (STATE, ("keys", "list"), "pip install 'compatgw[standalone]'"),
        (STATE, ("db", "show"), "pip install 'compatgw[standalone]'"),
        (("rich",), ("usage",), "needs rich: pip install"),
        (("uvicorn",), ("serve", "--port", "0"), "needs uvicorn: pip install"),
        (("compatgw_testing",), ("demo", "--port", "0"), "needs compatgw_testing: pip install"),
        (("click",), ("--help",), "pip install"),
    ],
    ids=str,
)
def test_what_is_not_installed_is_named_with_its_extra(
    lacking: tuple[str, ...], args: tuple[str, ...], words: str
) -> None:
    """In one line."""
    command = [sys.executable, "-c", without(*lacking), *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == 1
    assert words in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_help_loads_no_database() -> None:
    """The list of commands is there at once."""
    script = (
        "import sys; from compatgw.cli import main; main(['--help'], standalone_mode=False); "
        "print(sorted({'sqlalchemy', 'rich', 'uvicorn', 'compatgw.gateway'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50)
    assert done.stdout.endswith("[]\n"), done.stdout + done.stderr


def test_a_database_that_cannot_be_used_is_told_at_the_start(folder: Path) -> None:
    """Gone or newer: one line, whatever keys there are besides."""
    gone = {"COMPATGW_STATE__LEDGER": "postgresql://a:hidden@127.0.0.1:1/x"}
    refusal = Line(**gone).refused("serve", "--port", "0")
    assert "cannot be used now" in refusal
    assert "hidden" not in refusal
    assert "cannot be used now" in Line(**gone, COMPATGW_KEYS="k").refused("serve", "--port", "0")
    Line().out("teams", "create", "x")
    add(LEDGER, [Team(id="t", name="t")])
    with closing(sqlite3.connect(LEDGER.removeprefix("sqlite:///"))) as other:
        other.execute("UPDATE compatgw_schema SET version_num = '0999'")
        other.commit()
    assert "newer than" in Line(COMPATGW_KEYS="k").refused("serve", "--port", "0")


def test_an_interrupted_server_ends_with_130(folder: Path) -> None:
    """By ^C at its terminal, in order and without a traceback."""
    terminal = Terminal("serve", "--port", "0", environ={"COMPATGW_KEYS": "k"})
    terminal.until("Application startup complete")
    terminal.send("\x03")
    seen = terminal.end()
    assert seen.code == 130
    assert "Traceback" not in seen.text
    assert "Application shutdown complete" in seen.text


async def test_answers_are_not_held_back_for_an_acknowledgement() -> None:
    """Nagle's algorithm is off for connections of the server, on asyncio's own loop too."""
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def came(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        accepted.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listener = _listen("127.0.0.1", 0)
    server = await asyncio.start_server(came, sock=listener)
    async with server:
        _, writer = await asyncio.open_connection(*listener.getsockname())
        on = await asyncio.wait_for(accepted, 5)
        writer.close()
        await writer.wait_closed()

    assert on


def test_logs_are_json_where_they_are_asked_for(process: list[subprocess.Popen[str]], folder: Path) -> None:
    """The server's own lines and one for each call, every one an object."""
    one = start(
        process, "serve", "--port", "0", "--log-format", "json", "--log-level", "debug",
        COMPATGW_KEYS="k", OPENAI_API_KEY="sk-x",
    )  # fmt: skip
    origin = port_of(one)
    body = {"model": "anthropic/claude", "messages": [{"role": "user", "content": "Hello"}]}
    got = httpx.post(f"{origin}/v1/chat/completions", headers={"Authorization": "Bearer k"}, json=body)
    assert got.status_code == 404
    assert one.stdout is not None
    lines = lines_until(one.stdout, "model_not_found").splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]

    assert told[-1]["request_id"] == got.headers["x-request-id"]
    assert told[-1]["call"]["status"] == 404
    assert {line["logger"] for line in told} <= {"compatgw", "compatgw.calls", "uvicorn.error", "asyncio"}
