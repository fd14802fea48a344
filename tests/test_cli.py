"""The command line as a person uses it: help, refusals in one line, and a server that really answers."""

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import httpx
import pytest
from click.testing import CliRunner, Result

from compatgw.cli import _listen, main


def run(*args: str) -> Result:
    """The command line in process."""
    return CliRunner().invoke(main, list(args))


@pytest.mark.parametrize("args", [("--help",), ("serve", "-h"), ("demo", "-h"), ("check", "-h")])
def test_help_explains_itself(args: tuple[str, ...]) -> None:
    """Every command has a help text."""
    got = run(*args)
    assert got.exit_code == 0
    assert "Usage:" in got.output


def test_the_version_is_shown() -> None:
    """As every program does."""
    assert re.fullmatch(r"compatgw, version \d+\.\d+\.\d+\n", run("--version").output)


def test_serving_beyond_loopback_without_keys_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line that says how to mend it."""
    monkeypatch.chdir(tmp_path)
    got = run("serve", "--host", "0.0.0.0")
    assert got.exit_code == 1
    assert got.stderr.count("\n") == 1
    assert "COMPATGW_KEYS" in got.stderr


def test_a_port_that_is_taken_is_one_line() -> None:
    """And says how to choose another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        got = run("serve", "--port", str(taken.getsockname()[1]))
    assert (got.exit_code, got.stderr.count("\n")) == (1, 1)
    assert "--port" in got.stderr


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
    got = run("check", "--config", str(tmp_path / "c.toml"))
    assert (got.exit_code, got.stderr.count("\n")) == (1, 1)
    assert words in got.stderr
    assert "Traceback" not in got.output


def test_check_says_what_the_settings_mean(tmp_path: Path) -> None:
    """Providers and models by name, no secret."""
    (tmp_path / "c.toml").write_text(
        'keys = ["k1"]\n[providers.openai]\napi_key = "sk-hidden"\n[models]\nfast = "openai/x"\n'
    )
    got = run("check", "--config", str(tmp_path / "c.toml"))
    assert got.exit_code == 0
    assert "provider openai" in got.output
    assert "model fast" in got.output
    assert "sk-hidden" not in got.output


def lines_until(stream: IO[str], last: str) -> str:
    """What a process prints up to the line that holds `last`."""
    read = ""
    for line in stream:
        read += line
        if last in line:
            return read
    raise AssertionError(f"the process ended; it printed:\n{read}")


@pytest.fixture
def process() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that a test starts; stopped at its end."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for one in started:
        one.terminate()
        one.communicate(timeout=10)


def start(process: list[subprocess.Popen[str]], *args: str, **environ: str) -> subprocess.Popen[str]:
    """A `compatgw` process of its own."""
    one = subprocess.Popen(
        [sys.executable, "-u", "-m", "compatgw", *args],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environ},
    )  # fmt: skip
    process.append(one)
    return one


def wait_for(url: str) -> httpx.Response:
    """The first answer at `url`."""
    transport = httpx.HTTPTransport(retries=8)
    with httpx.Client(transport=transport, timeout=10) as client:
        return client.get(url)


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


def test_serve_answers_under_a_path_with_the_key_it_made(process: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    """On loopback without keys, one is made and printed."""
    one = start(process, "serve", "--port", "0", "--path", "api", OPENAI_API_KEY="sk-x", COMPATGW_NAME="mine")
    assert one.stdout is not None
    printed = lines_until(one.stdout, "key: ")
    key = re.search(r"key: (\S+)", printed)
    base = re.search(r"http://\S+:(\d+)/api/v1", printed)
    assert key is not None
    assert base is not None
    port = base[1]
    assert wait_for(f"http://127.0.0.1:{port}/api/healthz").status_code == 200
    headers = {"Authorization": f"Bearer {key[1]}"}
    models = httpx.get(f"http://127.0.0.1:{port}/api/v1/models", headers=headers).json()["data"]
    assert any(row["id"].startswith("openai/") for row in models)
    assert httpx.get(f"http://127.0.0.1:{port}/elsewhere").json()["error"]["code"] == "unknown_endpoint"


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
