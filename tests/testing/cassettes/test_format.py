"""The file of a cassette holds exactly what it was given, and says where it is broken."""

import json
import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw_testing.cassettes.format import (
    Cassette,
    Chunk,
    End,
    Head,
    Interaction,
    MalformedCassette,
    Provenance,
    RecordedRequest,
    compact,
    dumps,
    loads,
    read,
    write,
)
from tests.testing.cassettes.upstreams import CHUNKS, answered, asked

texts = st.text(st.characters(codec="utf-8"), max_size=12)
times = st.floats(0, 1e7, allow_nan=False)
pairs = st.lists(st.tuples(texts, texts), max_size=3).map(tuple)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
spaced = values.map(lambda value: json.dumps(value, indent=1).encode())
bodies = st.binary(max_size=40) | values.map(compact) | spaced
requests = st.builds(RecordedRequest, texts, texts, texts, pairs, pairs, bodies)
ends = st.builds(
    End, st.sampled_from(["eof", "cut", "reset", "timeout", "refused", "client_closed"]), st.none() | texts, times
)
interactions = st.builds(
    Interaction,
    requests,
    st.builds(Head, st.integers(100, 999), pairs, times),
    st.lists(st.builds(Chunk, times, st.binary(max_size=30)), max_size=4).map(tuple),
    ends,
    texts,
) | st.builds(Interaction, requests, st.none(), st.just(()), ends)
provenances = st.builds(
    Provenance,
    st.sampled_from(["recorded", "from documents"]),
    *[texts] * 5,
    chunks=st.sampled_from(["as received", "inferred"]),
)


@given(st.builds(Cassette, provenances, st.lists(interactions, max_size=3).map(tuple)))
def test_what_is_written_is_read(cassette: Cassette) -> None:
    """Any bytes, cut anywhere, with any end; and the file is the same when it is written again."""
    content = dumps(cassette)

    assert loads(content) == cassette
    assert dumps(loads(content)) == content
    assert loads(content.decode()) == cassette


@given(st.binary(max_size=200))
def test_anything_else_is_refused_by_name(content: bytes) -> None:
    """Whatever bytes a file has, the error says which file and which line."""
    with pytest.raises(MalformedCassette, match=r"^some\.jsonl, line \d+: "):
        loads(content, "some.jsonl")


def test_a_line_for_each_chunk_that_people_can_read() -> None:
    """JSON is JSON, text is text, and only what is no text is base64."""
    cassette = Cassette(Provenance(server="a"), (answered(asked({"b": 1, "a": "é"}), *CHUNKS),))

    lines = [json.loads(line) for line in dumps(cassette).decode().splitlines()]

    assert [next(iter(line)) for line in lines] == ["cassette", "request", "head", "t_ms", "t_ms", "t_ms", "end"]
    assert lines[1]["request"]["json"] == {"b": 1, "a": "é"}
    assert lines[3]["text"] == CHUNKS[0].decode()
    assert lines[4]["b64"] == b64encode(CHUNKS[1]).decode()


HEADER = {"cassette": 1, "provenance": "recorded"}
REQUEST = {"request": {"method": "POST", "service": "openai", "path": "/"}}
HEAD = {"head": {"status": 200, "headers": [], "t_ms": 1}}
END = {"end": {"kind": "eof", "t_ms": 2}}


@pytest.mark.parametrize(
    ("lines", "number", "what"),
    [
        ([], 1, "no JSON"),
        ([[1]], 1, "no JSON object"),
        ([{}], 1, "first line must say"),
        ([{"cassette": 2, "provenance": "recorded"}], 1, "version 2"),
        ([{"cassette": 1, "provenance": "somewhere"}], 1, "'provenance' must be one of"),
        ([HEADER, HEAD], 2, "belongs to no request"),
        ([HEADER, REQUEST, REQUEST], 3, "before the end of the one before"),
        ([HEADER, REQUEST, HEAD, HEAD], 4, "second head"),
        ([HEADER, REQUEST, {"t_ms": 1, "text": ""}], 3, "before the head"),
        ([HEADER, REQUEST, HEAD], 3, "stops before the end"),
        ([HEADER, REQUEST, HEAD, {"t_ms": 1}], 4, "either 'text' or 'b64'"),
        ([HEADER, REQUEST, HEAD, {"t_ms": 1, "b64": "?"}], 4, "cannot be read"),
        ([HEADER, REQUEST, HEAD, {"text": "a"}], 4, "'t_ms'"),
        ([HEADER, REQUEST, {"head": {"status": 20, "t_ms": 1}}], 3, "no HTTP status"),
        ([HEADER, REQUEST, HEAD, {"end": {"kind": "bang", "t_ms": 1}}], 4, "'kind' must be one of"),
        ([HEADER, REQUEST, HEAD, {"end": 1}], 4, "'end' is no JSON object"),
        ([HEADER, {"request": {"method": "POST"}}], 2, "'service' is missing"),
        ([HEADER, {"request": {**REQUEST["request"], "headers": [["a"]]}}], 2, "no pair of texts"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(lines: list[Any], number: int, what: str) -> None:
    """Each way in which a file edited by hand may be broken."""
    content = "\n".join(json.dumps(line) for line in lines)

    with pytest.raises(MalformedCassette, match=f"^mine.jsonl, line {number}: .*{what}"):
        loads(content, "mine.jsonl")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash while writing leaves the old file, and nothing else in the folder."""
    path = tmp_path / "deep" / "one.jsonl"
    write(path, Cassette(Provenance(server="old")))
    old = path.read_bytes()

    def crash(_from: Path, _to: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(OSError, match="disk"):
        write(path, Cassette(Provenance(server="new")))

    assert path.read_bytes() == old
    assert [one.name for one in path.parent.iterdir()] == ["one.jsonl"]


def test_a_file_is_readable_by_everybody_that_may_read_others(tmp_path: Path) -> None:
    """It is for a repository; its rights are those of any new file."""
    path, plain = tmp_path / "one.jsonl", tmp_path / "plain"
    write(path, Cassette(Provenance()))
    plain.write_text("")

    assert os.stat(path).st_mode == os.stat(plain).st_mode  # noqa: PTH116
    assert read(path) == Cassette(Provenance())
