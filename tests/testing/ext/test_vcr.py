"""vcrpy with our cassettes: really recorded and replayed, scrubbed, matched on what was asked, converted both ways."""

import argparse
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import openai
import pytest
import vcr  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from vcr.errors import CannotOverwriteExistingCassetteException  # type: ignore[import-untyped]

from compatgw_testing import FakeOpenAI, FakeServer
from compatgw_testing.cassettes import format as tape_format
from compatgw_testing.cassettes.format import (
    Cassette,
    Chunk,
    End,
    Head,
    Interaction,
    MalformedCassette,
    Provenance,
    RecordedRequest,
)
from compatgw_testing.cassettes.scrub import LiveKeyFound, Scrubber
from compatgw_testing.ext.vcr import (
    Persister,
    export_vcr,
    import_vcr,
    llm_body,
    recorder,
    register,
    scrub_request,
    vcr_config,
)
from compatgw_testing.ext.vcr_command import add
from compatgw_testing.ext.vcr_convert import NotConvertible, interaction_of, pair_of, split
from compatgw_testing.ext.vcr_traps import cassette_is_active

ASK: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
KEY = "sk-fake-openai"


@pytest.fixture
def recorded_from() -> FakeOpenAI:
    """Two answers to record."""
    return FakeOpenAI(seed=3).reply("one two three").reply("four five")


@pytest.fixture
def server(recorded_from: FakeOpenAI) -> Iterator[FakeServer]:
    """A server to record from."""
    with FakeServer(recorded_from) as running:
        yield running


def both(url: str) -> tuple[str, list[str]]:
    """A plain and a streamed call through the official SDK: text, and the streamed deltas."""
    with openai.OpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
        plain = client.chat.completions.create(**ASK).choices[0].message.content
        stream = client.chat.completions.create(**ASK, stream=True)
        return plain or "", [chunk.choices[0].delta.content or "" for chunk in stream]


def test_the_sdk_is_recorded_and_replayed(server: FakeServer, tmp_path: Path) -> None:
    """openai 3: what is replayed, without any server, is what was recorded; the file is one of ours."""
    tape = recorder(record_mode="once")
    with tape.use_cassette(str(tmp_path / "sdk")):
        recorded = both(server.sdk_url)
    server.stop()
    with recorder(record_mode="none").use_cassette(str(tmp_path / "sdk")) as played:
        replayed = both(server.sdk_url)

    assert recorded[0] == "one two three"
    assert "".join(recorded[1]) == "four five"
    assert replayed == recorded
    assert played.play_count == 2
    cassette = tape_format.read(tmp_path / "sdk.jsonl")
    assert cassette.provenance.chunks == "inferred"
    assert cassette.provenance.model == "gpt-4o"
    assert len(cassette.interactions) == 2
    pieces = [chunk.data for chunk in cassette.interactions[1].chunks]
    assert len(pieces) > 3
    assert all(piece.endswith(b"\n\n") for piece in pieces)


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_both_libraries_sync_and_async(library: Any, server: FakeServer, tmp_path: Path) -> None:
    """The same cassette answers them, byte for byte."""
    url, headers = f"{server.base_url}/chat/completions", {"authorization": f"Bearer {KEY}"}
    with recorder(record_mode="once").use_cassette(str(tmp_path / "raw")):
        with library.Client() as client:
            first = client.post(url, json=ASK, headers=headers)
        async with library.AsyncClient() as client:
            second = await client.post(url, json={**ASK, "stream": True}, headers=headers)
    server.stop()

    with recorder(record_mode="none").use_cassette(str(tmp_path / "raw")):
        async with library.AsyncClient() as client:
            assert (await client.post(url, json=ASK)).content == first.content
        with library.Client() as client:
            again = client.post(url, json={**ASK, "stream": True})
    assert again.content == second.content
    assert again.headers["content-type"] == second.headers["content-type"]
    assert again.headers["x-request-id"] == second.headers["x-request-id"]


def test_no_secret_reaches_the_disk(
    recorded_from: FakeOpenAI, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted in header, URL, body and response; with our whole configuration, and with the persister alone."""
    live = "kq7TzW0vRb2mXy9LdPfA"
    shaped = "sk-ant-api03-" + "a1B2c3D4e5F6g7H8i9J0" * 2
    monkeypatch.setenv("OPENAI_API_KEY", live)
    said = json.dumps({"id": "x", "text": f"your key is {shaped}"}).encode()
    bare = vcr.VCR(record_mode="once")
    bare.register_persister(Persister())

    for name, tape in (("whole", recorder(record_mode="once")), ("bare", bare)):
        recorded_from.script.clear()
        recorded_from.raw(said, headers={"content-type": "application/json", "set-cookie": f"session={shaped}"})
        url = f"{server.base_url}/chat/completions?key={shaped}"
        asked = {**ASK, "user": f"my key is {shaped}"}
        with tape.use_cassette(str(tmp_path / f"{name}.jsonl")), httpx.Client() as client:
            headers = {"authorization": f"Bearer {KEY}", "x-api-key": shaped, "cookie": f"a={shaped}"}
            answer = client.post(url, json=asked, headers=headers)
        assert answer.content == said, "the client gets what the server said"

        written = (tmp_path / f"{name}.jsonl").read_text("utf-8")
        assert shaped not in written
        assert shaped[20:] not in written
        assert KEY not in written
        assert len(tape_format.read(tmp_path / f"{name}.jsonl").interactions) == 1


@pytest.mark.parametrize("persister", [True, False])
def test_a_live_key_is_refused(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, persister: bool
) -> None:
    """A value of the environment that scrubbing would not know: nothing is written, and the error does not say it."""
    live = "kq7TzW0vRb2mXy9LdPfA"
    monkeypatch.setenv("SOME_API_KEY", live)
    tape = recorder(record_mode="once")
    if not persister:
        tape.register_persister(vcr.persisters.filesystem.FilesystemPersister)

    def record() -> None:
        with tape.use_cassette(str(tmp_path / "live")), httpx.Client() as client:
            asked = {**ASK, "messages": [{"role": "user", "content": f"remember {live}"}]}
            headers = {"authorization": f"Bearer {KEY}"}
            client.post(f"{server.base_url}/chat/completions", json=asked, headers=headers)

    with pytest.raises(LiveKeyFound) as caught:
        record()

    assert not cassette_is_active(), "vcrpy leaves its patches in place if saving fails"
    assert live not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_another_question_is_another_recording(server: FakeServer, tmp_path: Path) -> None:
    """Unlike by default, the prompt counts; the order of JSON's members does not."""
    url, headers = f"{server.base_url}/chat/completions", {"authorization": f"Bearer {KEY}"}
    with recorder(record_mode="once").use_cassette(str(tmp_path / "asked")), httpx.Client(headers=headers) as client:
        client.post(url, json=ASK)
    other = {**ASK, "messages": [{"role": "user", "content": "Something else"}]}
    turned = dict(reversed(ASK.items()))

    with recorder(record_mode="none").use_cassette(str(tmp_path / "asked")), httpx.Client(headers=headers) as client:
        with pytest.raises(CannotOverwriteExistingCassetteException) as caught:
            client.post(url, json=other)
        assert client.post(url, content=json.dumps(turned, indent=2)).status_code == 200
    assert "Something else" in str(caught.value)
    assert "llm_body" in str(caught.value)


def test_bodies_that_are_no_json_are_compared_as_they_are() -> None:
    """Forms, files, nothing."""
    one, same, other = (vcr.request.Request("POST", "http://a.test/", body, {}) for body in ("a=1", "a=1", "a=2"))

    llm_body(one, same)
    with pytest.raises(AssertionError, match="a=2"):
        llm_body(one, other)
    with pytest.raises(AssertionError):
        llm_body(one, vcr.request.Request("POST", "http://a.test/", None, {}))


def test_what_was_there_keeps_its_time_and_chunks(server: FakeServer, tmp_path: Path) -> None:
    """A cassette that was recorded chunk by chunk is not joined because vcrpy added to it."""
    url, headers = f"{server.base_url}/chat/completions", {"authorization": f"Bearer {KEY}"}
    path = tmp_path / "grown.jsonl"
    address = server.origin
    chunks = (Chunk(12.5, b'{"object":"li'), Chunk(14.0, b'st"}'))
    old = Interaction(
        RecordedRequest("GET", address, "/v1/models"), Head(200, (("content-type", "application/json"),)), chunks
    )
    tape_format.write(path, Cassette(Provenance(recorded_at="2026-01-01T00:00:00Z", server="x"), (old,)))
    tape = recorder(record_mode="new_episodes")
    tape.register_persister(Persister(lambda: "2026-02-02T00:00:00Z"))

    with tape.use_cassette(str(path)), httpx.Client(headers=headers) as client:
        assert client.get(f"{address}/v1/models").json() == {"object": "list"}
        client.post(url, json=ASK)

    grown = tape_format.read(path)
    assert grown.provenance.recorded_at == "2026-01-01T00:00:00Z"
    assert grown.provenance.chunks == "inferred"
    assert grown.interactions[0] == old
    assert grown.interactions[1].recorded_at == "2026-02-02T00:00:00Z"


def test_a_cassette_of_vcrpys_own_is_read_until_there_is_one_of_ours(server: FakeServer, tmp_path: Path) -> None:
    """Moving over needs no conversion: `x.yaml` answers, `x.jsonl` is written."""
    url, headers = f"{server.base_url}/chat/completions", {"authorization": f"Bearer {KEY}"}
    with vcr.use_cassette(str(tmp_path / "moved.yaml")), httpx.Client(headers=headers) as client:
        first = client.post(url, json=ASK)

    mode = recorder(record_mode="new_episodes")
    with mode.use_cassette(str(tmp_path / "moved.jsonl")) as tape, httpx.Client(headers=headers) as client:
        assert client.post(url, json=ASK).content == first.content
        client.post(url, json={**ASK, "stream": True})
    assert tape.play_count == 1
    assert len(tape_format.read(tmp_path / "moved.jsonl").interactions) == 2


def test_import_cuts_streams_at_their_events(recorded_from: FakeOpenAI, server: FakeServer, tmp_path: Path) -> None:
    """From vcrpy's YAML and JSON; the cassette says that this is inferred, and where it comes from."""
    for name, serializer in (("a.yaml", "yaml"), ("b.json", "json")):
        recorded_from.reply("one two three").reply("four five")
        with vcr.use_cassette(str(tmp_path / name), serializer=serializer):
            both(server.sdk_url)

        cassette = import_vcr(tmp_path / name)

        assert cassette.provenance.chunks == "inferred"
        assert name in cassette.provenance.note
        plain, streamed = cassette.interactions
        assert len(plain.chunks) == 1
        assert json.loads(plain.body)["object"] == "chat.completion"
        assert [chunk.data.count(b"data: ") for chunk in streamed.chunks] == [1] * len(streamed.chunks)
        assert streamed.chunks[-1].data == b"data: [DONE]\n\n"
        assert json.loads(streamed.request.body) == {**ASK, "stream": True}
        assert KEY.encode() not in tape_format.dumps(cassette)


def test_export_is_replayed_by_vcrpy_alone(server: FakeServer, tmp_path: Path) -> None:
    """A cassette of ours, as YAML, answers the SDK through a vcrpy that knows nothing of us."""
    with recorder(record_mode="once").use_cassette(str(tmp_path / "out")):
        recorded = both(server.sdk_url)
    server.stop()

    (tmp_path / "out.yaml").write_text(export_vcr(tape_format.read(tmp_path / "out.jsonl")), "utf-8")
    with vcr.use_cassette(str(tmp_path / "out.yaml"), record_mode="none", match_on=("method", "uri", "body")):
        assert both(server.sdk_url) == recorded


def whole(body: bytes, answer: bytes, kind: str = "application/octet-stream") -> Cassette:
    """A cassette of one interaction."""
    asked = RecordedRequest("POST", "http://a.test", "/v1/x", (("q", "ü &"),), (("accept", "*/*"),), body)
    chunks = tuple(Chunk(0.0, piece) for piece in split(answer, kind))
    provenance = Provenance(chunks="inferred")
    return Cassette(provenance, (Interaction(asked, Head(200, (("content-type", kind),)), chunks),))


LINES = st.lists(st.sampled_from([b"data: x", b"\r", b"\n", b"\r\n", b": ping", "é".encode(), b"\xff", b""]))


@given(
    body=st.binary() | st.text().map(lambda text: text.encode("utf-8", "ignore")),
    answer=st.binary() | LINES.map(b"".join) | st.text().map(lambda text: text.encode("utf-8", "ignore")),
    kind=st.sampled_from(["text/event-stream; charset=utf-8", "application/json", "application/x-ndjson"]),
)
def test_bodies_survive_both_ways(
    tmp_path_factory: pytest.TempPathFactory, body: bytes, answer: bytes, kind: str
) -> None:
    """Any bytes, in request and answer, through vcrpy's YAML and back."""
    path = tmp_path_factory.mktemp("both") / "x.yaml"
    cassette = whole(body, answer, kind)

    path.write_text(export_vcr(cassette), "utf-8", newline="")
    (back,) = import_vcr(path).interactions

    # JSON in a request is kept in one spelling, and what looks like a secret is not kept.
    (expected,) = Scrubber().cassette(cassette).interactions
    assert back.request.body == expected.request.body
    assert back.request.query == expected.request.query
    assert back.body == expected.body
    assert back.chunks == expected.chunks


@given(LINES.map(b"".join))
def test_events_are_cut_at_blank_lines_alone(body: bytes) -> None:
    """Joined, the pieces are the body; each but the last ends with two line ends, of any kind, and has none inside."""
    pieces = split(body, "text/event-stream")

    assert b"".join(pieces) == body
    for piece in pieces[:-1]:
        lines = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        assert lines.endswith(b"\n\n")
    for piece in pieces:
        text = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").strip(b"\n")
        assert b"\n\n" not in text


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(b"plain", mtime=0)),
        ("deflate", zlib.compress(b"plain")),
        ("deflate", zlib.compress(b"plain")[2:-4]),
        ("identity", b"plain"),
        ("gzip", b"plain"),
    ],
)
def test_compressed_answers_are_kept_plain(coding: str, packed: bytes) -> None:
    """Whatever the compression, and if vcrpy has taken it off already; framing headers go with it."""
    headers = {"Content-Encoding": [coding], "Content-Length": ["9"], "X-Two": ["a", "b"]}
    response = {"status": {"code": 200, "message": "OK"}, "headers": headers, "body": {"string": packed}}

    made = interaction_of({"method": "get", "uri": "https://api.openai.com/v1/models"}, response)

    assert made.body == b"plain"
    assert made.head is not None
    assert made.head.headers == (("x-two", "a"), ("x-two", "b"))
    assert (made.request.service, made.request.path) == ("openai", "/v1/models")


def test_an_unknown_compression_is_refused() -> None:
    """It could hide a secret."""
    response = {"status": {"code": 200, "message": ""}, "headers": {"content-encoding": "br"}, "body": {"string": b"x"}}

    with pytest.raises(NotConvertible, match="compressed with br"):
        interaction_of({"method": "GET", "uri": "http://a.test/"}, response)


def test_old_recordings_of_httpx_are_known() -> None:
    """Before its version 6, vcrpy wrote answers of httpx in another way."""
    old = {"status_code": 201, "headers": {"a": ["b"]}, "content": "text", "http_version": "HTTP/1.1"}

    made = interaction_of({"method": "GET", "uri": "http://a.test/", "body": "x"}, old)

    assert made.head is not None
    assert (made.head.status, made.body, made.request.body) == (201, b"text", b"x")


def test_other_names_of_a_service_come_back_exactly() -> None:
    """A replay matches on the host; a conversion for our own use names the service."""
    for url in ("https://me.openai.azure.com/openai/v1/models", "https://api.cohere.ai/v2/chat", "http://h:81/v1"):
        response = {"status": {"code": 200, "message": ""}, "headers": {}, "body": {"string": b""}}
        asked: dict[str, Any] = {"method": "GET", "uri": url, "body": None, "headers": {}}

        exact, _ = pair_of(interaction_of(asked, response, exact=True))

        assert exact["uri"] == url
    assert interaction_of({**asked, "uri": "https://api.cohere.ai/v2/chat"}, response).request.service == "cohere"


def test_an_answer_that_broke_off_is_no_whole_answer(tmp_path: Path) -> None:
    """vcrpy would replay it as whole, so it is refused, or left out if that is wished."""
    good = whole(b"x", b"y").interactions[0]
    bad = Interaction(good.request, good.head, good.chunks, End("cut", "gone", 3.0))
    cassette = Cassette(Provenance(), (good, bad))

    with pytest.raises(NotConvertible, match="'cut'"):
        export_vcr(cassette)
    (tmp_path / "x.yaml").write_text(export_vcr(cassette, leave_out_broken=True), "utf-8")
    assert len(import_vcr(tmp_path / "x.yaml").interactions) == 1


@pytest.mark.parametrize(
    "content", ["", "[]", "a: b: c", "interactions: 3", "interactions: [{request: 1}]", "just text"]
)
def test_what_is_no_cassette_is_said_to_be_none(tmp_path: Path, content: str) -> None:
    """With the file's name, not with YAML's traceback."""
    (tmp_path / "odd.yaml").write_text(content)

    with pytest.raises(MalformedCassette, match=r"odd\.yaml"):
        import_vcr(tmp_path / "odd.yaml")


def test_scrubbing_a_request_again_changes_nothing() -> None:
    """What is looked for is scrubbed as what is recorded was."""
    asked = vcr.request.Request(
        "POST",
        "https://api.openai.com/v1/chat/completions?key=sk-abcdefghijklmnopqrstuvwx",
        b'{"a":1}',
        {"X-Api-Key": "k" * 30},
    )

    once = scrub_request(asked)
    text = (once.uri, dict(once.headers), once.body)
    again = scrub_request(once)

    assert (again.uri, dict(again.headers), again.body) == text
    assert "sk-abcdef" not in once.uri


def test_a_configuration_for_pytest_recording(server: FakeServer, tmp_path: Path) -> None:
    """What its fixture hands to `use_cassette` of a `VCR` of its own, after its hook; its persister stays."""

    class Combined(vcr.persisters.filesystem.FilesystemPersister):  # type: ignore[misc]
        pass

    theirs = vcr.VCR(record_mode="once")
    theirs.register_persister(Combined)
    register(theirs)
    with theirs.use_cassette(str(tmp_path / "theirs.jsonl"), **vcr_config()):
        recorded = both(server.sdk_url)
    server.stop()

    assert len(tape_format.read(tmp_path / "theirs.jsonl").interactions) == 2
    with theirs.use_cassette(str(tmp_path / "theirs.jsonl"), **vcr_config(gateway_hosts=["gw"])):
        assert both(server.sdk_url) == recorded


def test_in_ci_nothing_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing cassette is an error there, not a call."""
    monkeypatch.setenv("CI", "true")

    error = pytest.raises(CannotOverwriteExistingCassetteException)
    with recorder().use_cassette(str(tmp_path / "none")), httpx.Client() as client, error:
        client.get("http://127.0.0.1:9/")


def command(*words: str | Path) -> int:
    """Runs a command line as the group `cassette` would."""
    parser = argparse.ArgumentParser()
    add(parser.add_subparsers(required=True))
    arguments = parser.parse_args([str(word) for word in words])
    return int(arguments.run(arguments))


def test_the_commands(server: FakeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Import, then export, each beside the file or into a folder; nothing is overwritten unasked."""
    with vcr.use_cassette(str(tmp_path / "one.yaml")):
        recorded = both(server.sdk_url)
    server.stop()
    (tmp_path / "bad.yaml").write_text("[]")

    assert command("import-vcr", tmp_path / "bad.yaml", tmp_path / "one.yaml") == 1
    assert "bad.yaml" in capsys.readouterr().err
    assert command("import-vcr", tmp_path / "one.yaml") == 1
    assert "--force" in capsys.readouterr().err
    assert command("import-vcr", "--force", tmp_path / "one.yaml") == 0
    assert command("export-vcr", tmp_path / "one.jsonl", "--to", tmp_path / "out" / "deep") == 0

    assert len(tape_format.read(tmp_path / "one.jsonl").interactions) == 2
    with vcr.use_cassette(str(tmp_path / "out" / "deep" / "one.yaml"), record_mode="none"):
        assert both(server.sdk_url) == recorded


def test_import_warns_of_a_cassette_with_both_sides_of_a_gateway(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file is made all the same."""
    both_sides = [
        whole(b"x", b"y").interactions[0],
        Interaction(RecordedRequest("GET", "openai", "/v1/models"), Head(200)),
    ]
    (tmp_path / "x.yaml").write_text(export_vcr(Cassette(Provenance(), tuple(both_sides))), "utf-8")

    assert command("import-vcr", tmp_path / "x.yaml") == 0

    assert "ignore_hosts=['a.test']" in capsys.readouterr().err
    assert (tmp_path / "x.jsonl").is_file()
