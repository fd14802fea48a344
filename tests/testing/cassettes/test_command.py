"""The command line for cassettes: what it finds, what it says, and how it exits."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from compatgw_testing import FakeServer
from compatgw_testing.cassettes.format import Cassette, End, Head, Interaction, Provenance, read, write
from compatgw_testing.cassettes.lint import lint
from compatgw_testing.cli import main
from tests.testing.cassettes.upstreams import CHAT, CHUNKS, EVENTS, HI, Upstream, answered, asked

ABOUT = Provenance(server="api.openai.com", model="gpt-4o-mini", recorded_at="2026-11-20T10:00:00Z")
KEY = "sk-0aB1cD2eF3gH4iJ5kL6mN7oP8qR9"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit code, output and errors of `cassette ...`."""
    try:
        code = main(["cassette", *map(str, words)])
    except SystemExit as ended:
        code = int(ended.code or 0)
    output, errors = capsys.readouterr()
    return code, output, errors


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A cassette with nothing wrong in it."""
    path = tmp_path / "tapes" / "good.jsonl"
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    write(path, Cassette(replace(ABOUT, recorded_at=now), (answered(asked(), *CHUNKS),)))
    return path


@pytest.mark.parametrize("action", ["lint", "show", "diff", "prune", "replay", "record", "import-vcr", "export-vcr"])
def test_each_action_has_help(capsys: pytest.CaptureFixture[str], action: str) -> None:
    """With an example, for those of ours."""
    code, output, _ = run(capsys, action, "--help")

    assert code == 0
    assert action.endswith("-vcr") or f"Example: compatgw-testing cassette {action} " in " ".join(output.split())
    assert action in run(capsys, "--help")[1]


def found(path: Path, cassette: Cassette, **environment: str) -> list[str]:
    """What lint finds in a cassette."""
    write(path, cassette)
    now = datetime(2026, 11, 21, tzinfo=UTC)
    return [f"{one.level}: {one.text}" for one in lint(path, environment=environment, now=now)]


BAD = {
    "error: an API key stands in the body of interaction 1": answered(asked({"model": "m", "input": KEY}), b""),
    "error: an API key stands in the answer to interaction 1": answered(asked(), KEY[:9].encode(), KEY[9:].encode()),
    "error: interaction 1 has headers that no cassette keeps: authorization": answered(
        asked(headers=(("authorization", "x"),)), b""
    ),
    "error: the value of MY_KEY stands in the answer to interaction 1": answered(asked(), b"hunter2-hunter2"),
    "error: interaction 1 has no answer, but ends cleanly": Interaction(asked(), None),
    "error: interaction 1 says content-length 9": Interaction(asked(), Head(200, (("content-length", "9"),))),
    "error: interaction 1 has times that run backwards": Interaction(
        asked(), Head(200, (), 5.0), (), End("eof", None, 1)
    ),
    "warning: interaction 1: 'input' of the request looks as random": answered(
        asked({"model": "m", "input": "Zx9Qw3Er7Ty1Ui5Op2As8Df4Gh6JkLzXcVb"}), b""
    ),
    "warning: recorded 325 days ago": replace(answered(asked(), b""), recorded_at="2025-12-31T00:00:00Z"),
}


@pytest.mark.parametrize("words", list(BAD))
def test_lint_finds(tmp_path: Path, words: str) -> None:
    """Each kind of thing that is wrong, once, where it is, and without the secret."""
    (text,) = found(tmp_path / "x.jsonl", Cassette(ABOUT, (BAD[words],)), MY_KEY="hunter2-hunter2")

    assert text.startswith(words)
    assert KEY not in text
    assert "hunter2" not in text


def test_lint_finds_what_concerns_the_whole_file(tmp_path: Path) -> None:
    """Emptiness, a first line that says too little, and answers whose order decides."""
    path = tmp_path / "x.jsonl"
    same = (answered(asked(), b"1"), answered(asked(), b"2"), answered(asked(), b"1"))

    assert found(path, Cassette(ABOUT)) == ["error: it has no interaction; record it again"]
    (text,) = found(path, Cassette(replace(ABOUT, recorded_at=""), same[:1]))
    assert text.startswith("warning: it says that it was recorded, but not when")
    (text,) = found(path, Cassette(replace(ABOUT, server=""), same[:1]))
    assert text.startswith("warning: it does not say what answered")
    (text,) = found(path, Cassette(ABOUT, same))
    assert text.startswith("warning: interactions 1, 2, 3 answer the same request")
    assert found(path, Cassette(ABOUT, (same[0], same[2]))) == []
    assert found(path, Cassette(replace(ABOUT, source="from documents", recorded_at=""), same[:1])) == []


def test_lint_counts_and_exits(capsys: pytest.CaptureFixture[str], good: Path) -> None:
    """0 if all is well, 1 for errors, and for warnings if they count; a broken file is told by its line."""
    assert run(capsys, "lint", good.parent) == (0, "1 cassette, 0 errors, 0 warnings\n", "")
    write(good.parent / "old.jsonl", Cassette(replace(ABOUT, recorded_at="2020-01-01T00:00:00Z"), (answered(asked()),)))
    assert run(capsys, "lint", good.parent)[0] == 0
    assert run(capsys, "lint", good.parent, "--strict")[0] == 1
    assert run(capsys, "lint", good.parent, "--strict", "--max-age", "99999")[0] == 0
    (good.parent / "bad.jsonl").write_text('{"cassette": 1, "provenance": "recorded"}\n{"end": {}}\n')
    code, output, _ = run(capsys, "lint", good.parent / "bad.jsonl")
    assert code == 1
    assert output.startswith(f"{good.parent / 'bad.jsonl'}: error: line 2: a line that belongs to no request")


def test_show_prints_for_people(capsys: pytest.CaptureFixture[str], good: Path) -> None:
    """Where it comes from, each exchange in two lines, and more if asked."""
    _, output, _ = run(capsys, "show", good)
    assert "api.openai.com" in output
    assert "1. POST openai /v1/chat/completions, model gpt-4o-mini, 'Hi'" in output
    assert f"200 text/event-stream, {len(EVENTS)} bytes in 3 chunks, first after 10.0 ms, eof after 40.0 ms" in output

    _, output, _ = run(capsys, "show", good, "--chunks", "--body")
    assert repr(CHUNKS[1]) in output
    assert "☕" in output


def test_diff_compares_by_meaning(capsys: pytest.CaptureFixture[str], good: Path, tmp_path: Path) -> None:
    """Not by chunks, times and ids; what changed is told by its place."""
    other = tmp_path / "other.jsonl"
    anew = EVENTS.replace(b'"id":"1"', b'"id":"2"')
    write(other, Cassette(ABOUT, (answered(asked(), anew),)))
    assert run(capsys, "diff", good, other)[:2] == (0, "nothing differs\n")
    assert run(capsys, "diff", good, other, "--exact")[0] == 1

    write(
        other,
        Cassette(
            ABOUT,
            (answered(asked(), EVENTS.replace(b"caf\xc3\xa9", b"tea")), answered(asked({"a": 1}))),
        ),
    )
    code, output, _ = run(capsys, "diff", good, other)
    assert code == 1
    assert "body[0].choices[0].delta.content: was 'café ', is 'tea '" in output
    assert "+ POST openai /v1/chat/completions" in output
    assert "- 2. POST" in run(capsys, "diff", other, good)[1]


def test_prune_lists_and_deletes_those_without_a_test(
    capsys: pytest.CaptureFixture[str], good: Path, tmp_path: Path
) -> None:
    """By the test that the file names; one that names none is left alone."""
    (tmp_path / "test_a.py").write_text("async def test_b():\n    pass\n")
    tapes = {"here": "test_a.py::test_b[x]", "gone": "test_a.py::test_c", "lost": "test_z.py::TestA::test_b"}
    for name, test in tapes.items():
        write(good.parent / f"{name}.jsonl", Cassette(replace(ABOUT, test=test)))

    code, output, _ = run(capsys, "prune", good.parent, "--root", tmp_path)
    assert code == 1
    assert output.endswith("2 cassettes to delete\n")
    code, _, _ = run(capsys, "prune", good.parent, "--root", tmp_path, "--delete")

    assert code == 0
    assert sorted(path.stem for path in good.parent.iterdir()) == ["good", "here"]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("lint", "nowhere"), "there is no nowhere"),
        (("lint", "."), "there is no .jsonl file in ."),
        (("replay", "good.jsonl", "--speed", "-1"), "--speed is 0 or more"),
        (("replay", "good.jsonl", "--port", "99999"), "--port is from 0 to 65535"),
        (("record", "good.jsonl"), "good.jsonl is there already"),
        (("record", "good.jsonl", "--add", "--rewrite"), "give one of them"),
        (("diff", "good.jsonl", "nowhere"), "cannot read nowhere"),
    ],
)
def test_mistakes_are_told(
    capsys: pytest.CaptureFixture[str],
    good: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    what: str,
) -> None:
    """What was asked for cannot be done: exit code 2, and one sentence."""
    monkeypatch.chdir(tmp_path if words == ("lint", ".") else good.parent)
    if words == ("lint", "."):
        good.unlink()

    code, output, errors = run(capsys, *words)

    assert (code, output) == (2, "")
    assert errors.startswith(f"compatgw-testing cassette {words[0]}: ")
    assert what in errors


@contextmanager
def standing(*words: object, environment: dict[str, str] | None = None) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`cassette replay` or `record` in a process: its origin, and the process."""
    command = [sys.executable, "-W", "error", "-m", "compatgw_testing", "cassette", *map(str, words)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}
    ) as process:
        try:
            assert process.stdout is not None
            match = re.search(r" on (http://\S+) ", process.stdout.readline())
            assert match, process.stderr and process.stderr.read()
            yield match[1], process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Interrupts it; its exit code and what else it printed."""
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    return process.returncode, output + errors


def test_replay_serves_on_a_port(good: Path) -> None:
    """For a client in any language; again and again, unless each answer is given once."""
    with standing("replay", good) as (origin, process):
        for _ in range(2):
            assert httpx.post(origin + CHAT, json=HI).content == EVENTS
        assert ended(process)[0] == 0

    with standing("replay", good, "--once", "--rechunk", "7") as (origin, process):
        assert httpx.post(origin + "/v1/chat/completions", json=HI).content == EVENTS
        assert httpx.post(origin + CHAT, json=HI).status_code == 400
        code, output = ended(process)
        assert code == 1
        assert "1 request had no answer" in output


def test_record_stands_between(tmp_path: Path) -> None:
    """What passes is in the file after Ctrl-C, without the key; adding answers what is there."""
    path = tmp_path / "mine.jsonl"
    upstream = Upstream()
    with FakeServer(upstream) as server:
        environment = {"OPENAI_BASE_URL": f"{server.origin}/v1", "OPENAI_API_KEY": KEY}
        with standing("record", path, environment=environment) as (origin, process):
            answer = httpx.post(origin + CHAT, json=HI, headers={"authorization": f"Bearer {KEY}"})
            assert answer.content == EVENTS
            assert not path.exists()
            code, output = ended(process)
            assert code == 0, output
            assert f"{path}: 1 interaction\n" in output
        with standing("record", path, "--add", environment=environment) as (origin, process):
            httpx.post(origin + CHAT, json=HI)
            httpx.post(origin + CHAT, json={**HI, "stream": True})
            assert ended(process)[0] == 0

    assert len(upstream.asked) == 2
    assert upstream.asked[0][0]["authorization"] == f"Bearer {KEY}"
    assert KEY not in path.read_text()
    assert len(read(path).interactions) == 2
    assert json.loads(path.read_text().splitlines()[0])["provenance"] == "recorded"


def test_record_refuses_a_live_key(tmp_path: Path) -> None:
    """A key that the vendor gives back in an unknown shape: nothing is written, and one is told."""
    path = tmp_path / "mine.jsonl"
    with FakeServer(Upstream(b"you are hunter2-", b"hunter2-hunter2")) as server:
        environment = {"OPENAI_BASE_URL": f"{server.origin}/v1", "OPENAI_API_KEY": "hunter2-hunter2-hunter2"}
        with standing("record", path, environment=environment) as (origin, process):
            httpx.post(origin + CHAT, json=HI)
            code, output = ended(process)

    assert code == 1
    assert "the value of OPENAI_API_KEY stands in the answer to interaction 1" in output
    assert "hunter2" not in output
    assert not path.exists()
