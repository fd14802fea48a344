"""`compatgw-testing check`: exit codes, what is printed where, and the JSON form."""

import argparse
import io
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from compatgw_testing import FakeOpenAI, FakeServer
from compatgw_testing.check import command
from compatgw_testing.check.scorecard import GROUPS
from tests.testing.check.broken import Bent, answers, plain
from tests.testing.check.servers import MODEL


class Terminal(io.StringIO):
    """Text that takes itself for a terminal."""

    def isatty(self) -> bool:
        """It does."""
        return True


def _parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="compatgw-testing")
    command.add(parser.add_subparsers(required=True))
    return parser.parse_args(["check", *words])


def _run(
    *words: str,
    out: io.StringIO | None = None,
    err: io.StringIO | None = None,
    environ: Mapping[str, str] | None = None,
) -> tuple[int, str, str]:
    """Exit code, output and errors; in a thread, for the run has an event loop of its own."""
    streams = (out or io.StringIO(), err or io.StringIO())
    codes: list[int] = []
    args = _parsed(*words)
    thread = threading.Thread(target=lambda: codes.append(command.check(args, *streams, environ or {})))
    thread.start()
    thread.join(30)
    return codes[0], streams[0].getvalue(), streams[1].getvalue()


@pytest.fixture(scope="module")
def good() -> Iterator[tuple[str, ...]]:
    """The words that name a good server, which embeds nothing."""
    absent = answers(lambda said: said.path == "/v1/embeddings", 404, {"error": {"message": "There is no such path."}})
    with FakeServer(Bent(FakeOpenAI(models=(MODEL,)), absent)) as server:
        yield (f"{server.origin}/v1", "--key", FakeOpenAI.default_key, "--model", MODEL)


@pytest.fixture(scope="module")
def broken() -> Iterator[tuple[str, ...]]:
    """The words that name a server whose answers have no right `object`, and which gives no logprobs."""

    def change(value: dict[str, Any]) -> None:
        value["object"] = "completion"
        value["choices"][0]["message"]["tool_calls"] = []

    with FakeServer(Bent(FakeOpenAI(models=(MODEL,)), plain(change))) as server:
        yield (f"{server.origin}/v1", "--key", FakeOpenAI.default_key, "--model", MODEL)


def test_a_good_server(good: tuple[str, ...]) -> None:
    """Exit code 0, a line for each group, nothing but the scorecard when piped."""
    code, out, err = _run(*good, "--only", "models", "--only", "embeddings")

    assert (code, err) == (0, "")
    assert "models" in out
    assert "12/12" in out
    assert "CONFORMS  12 of 12 assertions hold (100 %), 8 skipped" in out
    assert "skipped  embeddings.status, embeddings.vector" in out
    assert "\x1b" not in out
    assert FakeOpenAI.default_key not in out


def test_a_broken_server(broken: tuple[str, ...]) -> None:
    """Exit code 1; what failed stands with its sentence and its evidence, musts first."""
    code, out, _ = _run(*broken, "--only", "chat.object", "--only", "chat.no_tool_calls", "--only", "chat.role")

    assert code == 1
    assert out.index("FAIL must  chat.object: `object` is `chat.completion`.") < out.index("FAIL should")
    assert 'object is "completion", not "chat.completion"' in out
    assert "DOES NOT CONFORM  1 of 3 assertions hold (33 %)" in out
    assert "1 must failed" in out


def test_a_should_is_no_must(broken: tuple[str, ...]) -> None:
    """A `should` that fails is shown, and the exit code is 0."""
    code, out, _ = _run(*broken, "--only", "chat.no_tool_calls")

    assert code == 0
    assert "FAIL should" in out
    assert "CONFORMS  0 of 1" in out


def test_a_must_that_is_blocked(broken: tuple[str, ...]) -> None:
    """What could not be judged does not pass in silence."""
    with FakeServer(FakeOpenAI(models=(MODEL,))) as server:
        url = f"{server.origin}/v1"
        code, out, _ = _run(url, "--key", "wrong", "--model", MODEL, "--only", "chat.object")

    assert code == 1
    assert "not judged  chat.object" in out
    assert "a must could not be judged" in out


def test_json(broken: tuple[str, ...]) -> None:
    """One object whose members are always there."""
    code, out, err = _run(*broken, "--only", "chat.object", "--only", "chat.role", "--json", err=Terminal())
    value = json.loads(out)

    assert code == 1
    assert set(value) == {"form", "url", "model", "ok", "counts", "requests", "seconds", "groups", "results"}
    assert (value["form"], value["ok"], value["model"]) == (1, False, MODEL)
    assert value["counts"] == {"pass": 1, "fail": 1, "skip": 0, "must_failed": 1, "blocked": 0}
    assert value["groups"] == [{"group": "chat", "pass": 1, "fail": 1, "skip": 0}]
    first = value["results"][0]
    assert set(first) == {"id", "group", "severity", "says", "state", "blocked", "evidence", "seconds"}
    assert (first["id"], first["state"], first["severity"]) == ("chat.object", "fail", "must")
    assert "2/2" not in out
    assert "1/2 chat.object" in err


def test_a_terminal(broken: tuple[str, ...]) -> None:
    """Colours and a line of progress; NO_COLOR leaves the colours out."""
    words = (*broken, "--only", "chat.object", "--only", "chat.role")
    _, coloured, progress = _run(*words, out=Terminal(), err=Terminal())
    _, bare, _ = _run(*words, out=Terminal(), environ={"NO_COLOR": "1"})
    _, dumb, _ = _run(*words, out=Terminal(), environ={"TERM": "dumb"})

    assert "\x1b[31mFAIL must\x1b[0m" in coloured
    assert "1/2 chat.object" in progress
    assert progress.endswith("\r\x1b[K")
    assert "\x1b" not in bare + dumb


def test_nobody_there() -> None:
    """Exit code 2, and what to do."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        code, out, err = _run(f"http://me:hidden@127.0.0.1:{unused.getsockname()[1]}/v1")

    assert (code, out) == (2, "")
    assert "cannot be reached: ConnectError" in err
    assert "Check that the server runs" in err
    assert "hidden" not in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("localhost:8000/v1",), "begin with http:// or https://"),
        (("http://localhost/v1", "--only", "nothing"), "is no group of the scorecard"),
        (("http://[::1/v1",), "cannot be read"),
    ],
)
def test_nothing_to_judge(words: tuple[str, ...], said: str) -> None:
    """A bad URL or group is exit code 2, and one sentence."""
    code, out, err = _run(*words)

    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("seconds", ["0", "soon", "-1", "99999"])
def test_a_bad_timeout(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused with the bounds."""
    with pytest.raises(SystemExit):
        _parsed("http://localhost/v1", "--timeout", seconds)

    assert "between 0 and 3600" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """It has examples, the groups and the exit codes."""
    with pytest.raises(SystemExit):
        _parsed("--help")
    text = capsys.readouterr().out

    assert "compatgw-testing check http://127.0.0.1:8080/v1 --only stream" in text
    assert ", ".join(GROUPS) in " ".join(text.split())
    assert "exit code: 0 all musts hold" in text


def test_the_command_line(good: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """The sub-command runs what it parsed."""
    args = _parsed(*good, "--only", "models.status")

    assert args.run(args) == 0
    assert "CONFORMS  1 of 1" in capsys.readouterr().out
