"""The cassette of one test: each mode, what is written and when, and what is said at the end."""

import json
import re
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from compatgw_testing import FakeServer
from compatgw_testing.cassettes.format import Cassette, MalformedCassette, Provenance, read, write
from compatgw_testing.cassettes.session import DUMMY_KEY, Mode, Session, path_of
from compatgw_testing.doors import inprocess
from compatgw_testing.faults import ConnectionCut
from tests.testing.cassettes.upstreams import CHAT, HI, Upstream, answered, asked

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
SECRET = "sk-live-0aB1cD2eF3gH4iJ5kL6mN7oP8qR9"
ENVIRONMENT = {"OPENAI_API_KEY": SECRET, "OPENAI_BASE_URL": "http://upstream.test/v1", "OPENAI_ORG_ID": "org-1"}


def say(text: str) -> dict[str, object]:
    """A chat request."""
    return {**HI, "messages": [{"role": "user", "content": text}]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is not there."""
    return tmp_path / "cassettes" / "one.jsonl"


def session(path: Path, mode: Mode, upstream: Any = None, **more: Any) -> Session:
    """A session whose upstream is an application in this process."""
    upstream = upstream or Upstream(b"live")
    more = {"environment": ENVIRONMENT, "test": "tests/test_a.py::test_b", "now": lambda: NOW, **more}
    return Session(path, mode, connect=lambda: inprocess.client(upstream, library="httpx"), **more)


async def ask(app: Any, *texts: str) -> list[str]:
    """What is answered to each text; of an error, its status."""
    async with inprocess.client(app, library="httpx") as http:
        answers = [await http.post(CHAT, json=say(text)) for text in texts]
    return [one.text if one.status_code == 200 else str(one.status_code) for one in answers]


def on_file(path: Path) -> list[tuple[str, str]]:
    """What a file answers to what."""
    found = read(path).interactions
    return [(json.loads(one.request.body)["messages"][0]["content"], one.body.decode()) for one in found]


def content(path: Path) -> bytes | None:
    """The bytes of a file; None if there is none."""
    return path.read_bytes() if path.exists() else None


def filed(path: Path, *texts: str) -> None:
    """Writes a cassette with an answer to each text."""
    about = Provenance(server="old.example", recorded_at="2026-11-01T00:00:00Z")
    write(path, Cassette(about, tuple(answered(asked(say(text)), f"old {text}".encode()) for text in texts)))


@pytest.mark.parametrize(
    ("mode", "texts", "answers", "filed_after", "problems"),
    [
        ("none", ["a", "b"], ["old a", "old b"], [("a", "old a"), ("b", "old b")], []),
        ("none", ["a", "c"], ["old a", "400"], [("a", "old a"), ("b", "old b")], ["answers POST", "nobody asked"]),
        ("once", ["a", "b"], ["old a", "old b"], [("a", "old a"), ("b", "old b")], []),
        ("once", ["a", "c"], ["old a", "400"], [("a", "old a"), ("b", "old b")], ["answers POST", "nobody asked"]),
        ("new_episodes", ["a", "c"], ["old a", "live"], [("a", "old a"), ("b", "old b"), ("c", "live")], []),
        ("new_episodes", ["a", "a"], ["old a", "live"], [("a", "old a"), ("b", "old b"), ("a", "live")], []),
        ("all", ["a", "c"], ["live", "live"], [("b", "old b"), ("a", "live"), ("c", "live")], []),
        ("rewrite", ["a", "c"], ["live", "live"], [("a", "live"), ("c", "live")], []),
    ],
)
async def test_each_mode_with_a_file(
    path: Path,
    mode: Mode,
    texts: list[str],
    answers: list[str],
    filed_after: list[tuple[str, str]],
    problems: list[str],
) -> None:
    """What is answered, from where, what is written, and what is wrong, as vcrpy and pytest-recording have it."""
    filed(path, "a", "b")
    upstream = Upstream(b"live")
    tape = session(path, mode, upstream)

    assert await ask(tape, *texts) == answers
    found = tape.finish(passed=True)

    assert len(found) == len(problems)
    assert all(words in problem for words, problem in zip(problems, found, strict=True))
    assert on_file(path) == filed_after
    assert len(upstream.asked) == answers.count("live")


@pytest.mark.parametrize("mode", ["once", "new_episodes", "all", "rewrite"])
async def test_each_mode_without_a_file(path: Path, mode: Mode) -> None:
    """Everything is recorded; the file says when, from where, and by which test."""
    tape = session(path, mode)

    assert await ask(tape, "a", "a") == ["live", "live"]
    assert content(path) is None
    assert tape.finish(passed=True) == []

    assert on_file(path) == [("a", "live"), ("a", "live")]
    assert read(path).provenance == Provenance(
        "recorded",
        server="upstream.test",
        model="gpt-4o-mini",
        recorded_at="2026-11-21T10:00:00Z",
        test="tests/test_a.py::test_b",
    )


async def test_none_without_a_file(path: Path) -> None:
    """The request fails, and the problem says that there is no file, and how to make it."""
    upstream = Upstream()
    tape = session(path, "none", upstream)

    assert await ask(tape, "a") == ["400"]
    (problem,) = tape.finish(passed=True)

    assert problem.startswith(f"there is no cassette {path}, so nothing recorded answers POST openai")
    assert "'once'" in problem
    assert upstream.asked == []
    assert content(path) is None


@pytest.mark.parametrize("mode", ["once", "new_episodes", "all", "rewrite"])
async def test_a_test_that_failed_writes_nothing(path: Path, mode: Mode) -> None:
    """Neither a new file nor over an old one."""
    if mode != "once":
        filed(path, "a")
    before = content(path)
    tape = session(path, mode)

    await ask(tape, "z")

    assert tape.finish(passed=False) == []
    assert content(path) == before


async def test_what_was_added_later_says_when(path: Path) -> None:
    """The rest keeps the time of the first line."""
    filed(path, "a")
    tape = session(path, "new_episodes")

    await ask(tape, "a", "b")
    tape.finish(passed=True)

    assert [one.recorded_at for one in read(path).interactions] == ["", "2026-11-21T10:00:00Z"]
    assert read(path).provenance.recorded_at == "2026-11-01T00:00:00Z"


async def test_rewriting_nothing_removes_the_file(path: Path) -> None:
    """A test that asks for nothing any more needs no cassette."""
    filed(path, "a")

    assert session(path, "rewrite").finish(passed=True) == []
    assert content(path) is None


async def test_a_break_that_is_the_recording_is_kept(path: Path) -> None:
    """A test that passes because the stream broke has a tape with the break."""
    tape = session(path, "once", Upstream(b"one", b"two", failure=ConnectionCut("x")))

    with pytest.raises(httpx.RemoteProtocolError):
        await ask(tape, "a")
    assert tape.finish(passed=True) == []

    (one,) = read(path).interactions
    assert (one.body, one.end.kind) == (b"onetwo", "cut")
    with pytest.raises(httpx.RemoteProtocolError):
        await ask(session(path, "none"), "a")


async def test_unused_answers_may_be_allowed(path: Path) -> None:
    """Where one says so; and they are no problem of a test that failed."""
    filed(path, "a", "b")

    assert session(path, "none", allow_unused=True).finish(passed=True) == []
    assert session(path, "none").finish(passed=False) == []
    first, second = session(path, "none").finish(passed=True)
    assert "nobody asked for what was recorded for POST openai /v1/chat/completions" in first
    assert "'b'" in second


SPELLINGS: list[Callable[[str], str]] = [str, lambda key: b64encode(key.encode()).decode(), lambda key: key[::-1]]


@pytest.mark.parametrize("spell", SPELLINGS)
@pytest.mark.parametrize("place", ["header", "url", "body", "answer", "answer header"])
async def test_no_secret_reaches_the_disk(path: Path, place: str, spell: Callable[[str], str]) -> None:
    """Planted in a header, the URL, the body and the answer: taken out, or nothing is written."""
    key = spell(SECRET)
    headers = {"content-type": "text/plain"} | ({"x-request-id": key} if place == "answer header" else {})
    upstream = Upstream(b"your key ", key[:9].encode(), key[9:].encode() if place == "answer" else b"", headers=headers)
    if place != "answer":
        upstream.chunks = (b"fine",)
    tape = session(path, "once", upstream)

    async with inprocess.client(tape, library="httpx") as http:
        await http.post(
            CHAT + (f"?note={key}&key={key}" if place == "url" else ""),
            json=say(f"my key is {key}" if place == "body" else "a"),
            headers={"authorization": f"Bearer {SECRET}"} | ({"x-mine": key} if place == "header" else {}),
        )
    problems = tape.finish(passed=True)

    for file in path.parent.rglob("*") if path.parent.exists() else ():
        assert SECRET.encode() not in file.read_bytes()
        assert key.encode() not in file.read_bytes()
    assert not any(SECRET in problem or key in problem for problem in problems)
    if place == "header" or spell is str:
        assert content(path) is not None
    else:
        assert "the value of OPENAI_API_KEY stands in" in problems[0]


async def test_replay_finds_what_was_scrubbed(path: Path) -> None:
    """A request with another secret in it gets the answer of the one that was recorded."""
    tape = session(path, "once")
    await ask(tape, f"my key is {SECRET}")
    tape.finish(passed=True)

    again = session(path, "none")
    assert await ask(again, "my key is sk-other-99999999999999999999999999") == ["live"]
    assert again.finish(passed=True) == []


def test_an_old_cassette_is_told_once(path: Path) -> None:
    """For the file, not for each of its answers; and only when it is replayed."""
    filed(path, "a", "b")
    late = NOW + timedelta(days=200)

    (warning,) = session(path, "none", now=lambda: late).warnings

    assert warning.startswith(f"{path}: recorded 220 days ago (2026-11-01), more than 180")
    assert session(path, "none").warnings == ()
    assert session(path, "rewrite", now=lambda: late).warnings == ()
    assert session(path, "none", now=lambda: late, max_age=timedelta(days=999)).warnings == ()


def test_replay_has_dummy_keys_and_recording_the_real_ones(path: Path) -> None:
    """And a vendor that the user has no key for has none while recording, so that its SDK says so."""
    recording = session(path, "once").environ("http://here/t1")
    assert recording.set["OPENAI_BASE_URL"] == "http://here/t1/openai/v1"
    assert recording.set["OPENAI_API_KEY"] == SECRET
    assert "ANTHROPIC_API_KEY" in recording.unset
    assert "OPENAI_ORG_ID" not in recording.unset

    filed(path, "a")
    replaying = session(path, "once").environ("http://here/t1")
    assert replaying.set["OPENAI_API_KEY"] == replaying.set["CO_API_KEY"] == DUMMY_KEY
    assert replaying.set["ANTHROPIC_BASE_URL"] == "http://here/t1/anthropic"
    assert "OPENAI_ORG_ID" in replaying.unset


def test_an_unmodified_application_records_and_replays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing but the variables: recorded from a server, then replayed when that is gone."""
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}
    upstream = Upstream(json.dumps(body).encode(), headers={"content-type": "application/json"})

    def application() -> str:
        with openai.OpenAI(max_retries=0) as sdk:
            return sdk.chat.completions.create(**HI).id  # type: ignore[call-overload,no-any-return]

    def run(tape: Session) -> str:
        with FakeServer(tape) as server, monkeypatch.context() as patch:
            change = tape.environ(server.origin)
            for name, value in change.set.items():
                patch.setenv(name, value)
            for name in change.unset:
                patch.delenv(name, raising=False)
            said = application()
        assert tape.finish(passed=True) == []
        return said

    with FakeServer(upstream) as real:
        environment = {"OPENAI_BASE_URL": f"{real.origin}/v1", "OPENAI_API_KEY": SECRET}
        assert run(Session(path, "once", environment=environment)) == "1"
    assert upstream.asked[0][0]["authorization"] == f"Bearer {SECRET}"
    assert run(Session(path, "once", environment={})) == "1"


def test_modes_and_files_that_do_not_exist(path: Path) -> None:
    """A mode that is none, and a file that is no cassette, are told at once."""
    with pytest.raises(ValueError, match="there is no mode 'sometimes'"):
        Session(path, "sometimes", environment={})  # type: ignore[arg-type]
    path.parent.mkdir(parents=True)
    path.write_text("nothing")
    with pytest.raises(MalformedCassette, match="line 1"):
        Session(path, "none", environment={})


@pytest.mark.parametrize(
    ("module", "test", "wanted"),
    [
        ("test_chat", "test_stream", "test_chat/test_stream.jsonl"),
        ("test_chat", "test_stream[openai-True]", "test_chat/test_stream[openai-True].jsonl"),
        ("test_chat", "test_stream[a/b:c]", r"test_chat/test_stream\[a-b-c\]-[0-9a-f]{8}.jsonl"),
        ("test_chat", "test_stream[é]", r"test_chat/test_stream\[-\]-[0-9a-f]{8}.jsonl"),
        ("..", "test", r"_-[0-9a-f]{8}/test.jsonl"),
    ],
)
def test_names_of_files_are_safe(tmp_path: Path, module: str, test: str, wanted: str) -> None:
    """Readable where that is possible; one for each test where it is not."""
    found = path_of(tmp_path, module, test).relative_to(tmp_path).as_posix()

    assert found == wanted or re.fullmatch(wanted, found)
    assert path_of(tmp_path, "m", "a/b") != path_of(tmp_path, "m", "a:b")
    assert len(path_of(tmp_path, "m", "x" * 999).name) < 200
