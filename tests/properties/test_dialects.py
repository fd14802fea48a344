"""The rules that every dialect keeps, over answers that hypothesis makes up and small writers of ours render."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.dialects.base import ChatCodec, Context, Dialect, Piece, Target
from compatgw.errors import GatewayError, UpstreamFailure

from .answers import Abstract, abstracts
from .judges import assembled, cut, drive, essence, rules, whole
from .renderers import RENDERERS, Event, Renderer

TARGET = Target(provider="Vendor", model="m-1")
CONTEXT = Context(TARGET, id="chatcmpl-ours", created=1_780_000_000)
NEWLINES = st.sampled_from([b"\n", b"\r\n"])

every_dialect = pytest.mark.parametrize("renderer", RENDERERS, ids=[r.dialect for r in RENDERERS])
quick = settings(max_examples=40, deadline=None)
thorough = settings(max_examples=150, deadline=None)


def codec(renderer: Renderer) -> ChatCodec:
    dialect: Dialect = importlib.import_module(f"compatgw.dialects.{renderer.dialect}").DIALECT
    assert dialect.chat is not None
    return dialect.chat


def written(events: list[Event], newline: bytes = b"\n") -> bytes:
    return b"".join(event.write(newline) for event in events)


def read(renderer: Renderer, parts: list[bytes]) -> list[Piece]:
    return drive(codec(renderer).stream(CONTEXT), parts)


def chunks(pieces: list[Piece]) -> list[Any]:
    return [piece.chunk for piece in pieces]


def plainly(completion: dict[str, Any]) -> dict[str, Any]:
    """The one choice of a completion, as `Abstract.essence` has it."""
    found = essence(completion)
    choice = found["choices"][0]
    return {
        "text": choice["text"],
        "reasoning": choice["reasoning"],
        "calls": [(name, orjson.loads(arguments)) for _, name, arguments in choice["calls"]],
        "finish": choice["finish"],
        "usage": found["usage"],
    }


@every_dialect
@quick
@given(answer=abstracts(), data=st.data())
def test_the_chunks_are_the_same_wherever_the_bytes_are_cut(
    renderer: Renderer, answer: Abstract, data: st.DataObject
) -> None:
    """Between any two bytes, with either line ending."""
    events = renderer.stream(answer)
    whole_stream = written(events, data.draw(NEWLINES))
    places = data.draw(st.lists(st.integers(0, len(whole_stream)), max_size=20))

    assert chunks(read(renderer, cut(whole_stream, places))) == chunks(read(renderer, [written(events)]))


@every_dialect
@settings(max_examples=6, deadline=None)
@given(answer=abstracts())
def test_one_byte_at_a_time_is_no_other_stream(renderer: Renderer, answer: Abstract) -> None:
    """The smallest pieces there are."""
    stream = written(renderer.stream(answer))
    bytewise = [stream[n : n + 1] for n in range(len(stream))]

    assert chunks(read(renderer, bytewise)) == chunks(read(renderer, [stream]))


@every_dialect
@quick
@given(answer=abstracts())
def test_a_stream_keeps_the_rules(renderer: Renderer, answer: Abstract) -> None:
    """One identity, role first, indexes in order, one finish reason, usage once and last."""
    pieces = read(renderer, [written(renderer.stream(answer))])

    rules(pieces)
    assert pieces[-1].chunk.get("usage"), "the totals were in the stream"


@every_dialect
@quick
@given(answer=abstracts())
def test_an_assembled_stream_equals_the_plain_answer(renderer: Renderer, answer: Abstract) -> None:
    """Both say what the answer was, call ids included."""
    streamed = assembled(read(renderer, [written(renderer.stream(answer))]))
    plain = whole(codec(renderer).decode(orjson.dumps(renderer.whole(answer)), CONTEXT))

    assert plainly(plain) == answer.essence()
    assert plainly(streamed) == answer.essence()
    assert [c[0] for c in essence(streamed)["choices"][0]["calls"]] == [
        c[0] for c in essence(plain)["choices"][0]["calls"]
    ]
    if renderer.gives_ids:
        assert [c[0] for c in essence(plain)["choices"][0]["calls"]] == [c.id for c in answer.calls]
    assert streamed["id"] == plain["id"]


@every_dialect
@quick
@given(answer=abstracts(), data=st.data())
def test_a_stream_that_ends_early_is_a_failure(renderer: Renderer, answer: Abstract, data: st.DataObject) -> None:
    """Wherever the connection breaks before the answer is whole."""
    events = renderer.stream(answer)
    needed = len(written(events[: len(events) + renderer.last + 1])) - len(b"\n\n") - 1
    length = data.draw(st.integers(0, needed))

    with pytest.raises(UpstreamFailure):
        read(renderer, [written(events)[:length]])


@every_dialect
@quick
@given(answer=abstracts(), places=st.lists(st.integers(0, 100), max_size=4))
def test_what_is_not_known_is_skipped(renderer: Renderer, answer: Abstract, places: list[int]) -> None:
    """Comments, and events of a type that a newer server has."""
    events = renderer.stream(answer)
    expected = chunks(read(renderer, [written(events)]))
    lines = [event.write() for event in events]
    for place in places:
        at = place % len(lines)  # never behind the end
        lines.insert(at, renderer.comment)
        if renderer.unknown is not None:
            lines.insert(at, renderer.unknown.write())

    assert chunks(read(renderer, lines)) == expected


_junk = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "index", "text", "id", "name", "delta", "error", "message"]), inner)
    ),
    max_leaves=6,
)


_json_bytes = st.builds(lambda value: json.dumps(value).encode(), _junk)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path into a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, inner in items for place in _places(inner, (*path, key)))]


def _replaced(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    if not path:
        return junk
    if isinstance(value, dict):
        return {k: _replaced(v, path[1:], junk) if k == path[0] else v for k, v in value.items()}
    return [_replaced(v, path[1:], junk) if n == path[0] else v for n, v in enumerate(value)]


def _spoilt(value: Any, data: st.DataObject) -> bytes:
    """`value` as JSON, with something else in one place; numbers of any size, as anybody may write them."""
    spoilt = _replaced(value, data.draw(st.sampled_from(_places(value))), data.draw(_junk))
    return json.dumps(spoilt, ensure_ascii=False).encode()


def _only_gateway_errors(renderer: Renderer, parts: list[bytes]) -> None:
    try:
        pieces = read(renderer, parts)
    except GatewayError:
        return
    for piece in pieces:  # what is given out can be written
        orjson.dumps(piece.chunk)


@every_dialect
@thorough
@given(answer=abstracts(), data=st.data())
def test_a_spoilt_event_raises_nothing_but_gateway_errors(
    renderer: Renderer, answer: Abstract, data: st.DataObject
) -> None:
    """Whatever stands where the protocol has something else."""
    events = [e for e in renderer.stream(answer) if not isinstance(e.value, bytes)]
    number = data.draw(st.integers(0, len(events) - 1))
    events[number] = replace(events[number], value=_spoilt(events[number].value, data))

    _only_gateway_errors(renderer, [written(events)])


@every_dialect
@thorough
@given(answer=abstracts(), data=st.data())
def test_a_spoilt_answer_raises_nothing_but_gateway_errors(
    renderer: Renderer, answer: Abstract, data: st.DataObject
) -> None:
    """The same for a plain body; what comes out can be written again."""
    body = _spoilt(renderer.whole(answer), data)
    try:
        found = codec(renderer).decode(body, CONTEXT)
    except GatewayError:
        return
    orjson.dumps(found.completion)


@every_dialect
@quick
@given(answer=abstracts(), noise=st.binary(max_size=30) | _json_bytes, data=st.data())
def test_arbitrary_bytes_raise_nothing_but_gateway_errors(
    renderer: Renderer, answer: Abstract, noise: bytes, data: st.DataObject
) -> None:
    """In a stream, as a stream, as a body, as an error."""
    stream = written(renderer.stream(answer))
    place = data.draw(st.integers(0, len(stream)))
    _only_gateway_errors(renderer, [stream[:place], noise, stream[place:]])
    _only_gateway_errors(renderer, [noise, b"\n\n"])
    try:
        codec(renderer).decode(noise, CONTEXT)
    except GatewayError:
        pass
    failure = codec(renderer).error(data.draw(st.sampled_from([400, 401, 404, 418, 429, 500, 529])), {}, noise, TARGET)
    assert isinstance(failure, UpstreamFailure)
    assert failure.envelope()["error"]["message"]


@every_dialect
def test_an_endless_event_is_given_up(renderer: Renderer) -> None:
    """Memory is bounded: images come in one event, but no event is over 64 MiB."""
    decoder = codec(renderer).stream(CONTEXT)
    with pytest.raises(UpstreamFailure):
        _ = [decoder.feed(b"data: " + b"x" * 2**20) for _ in range(66)]
