"""The readers of the client surfaces on answers that are anything but good: they say so, and never fall over.

What does not live here: which rule is broken by what (`test_lossy_*.py`).
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw_testing.matrix import Seen
from compatgw_testing.matrix.surfaces import read as read_as
from tests.testing.check.broken import Said
from tests.testing.matrix.bending import read, written
from tests.testing.matrix.gateways import found, ours

Json = dict[str, Any]
# Answers with thought, words and a call, where there are such.
PLAYED = {
    "chat": "chat-anthropic-thinking_text_tool",
    "messages": "messages-gemini-thinking_text_tool",
    "responses": "responses-anthropic-thinking_text_tool",
}
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, 0, -1, 7.5, True, "", "x", [], {}, [None], ["x"], {"type": None}, {"type": "x"}, [{}]]
)


ENDS = ("whole", "error", "broken", "open")


class Played(dict[tuple[str, str], Seen]):
    """Answers by client and mode; a failing example need not show them all."""

    def __repr__(self) -> str:
        return "Played"


@pytest.fixture(scope="module")
def played() -> Played:
    """What each client saw."""
    target = ours()
    modes = ("plain", "stream")
    return Played(
        {(name, mode): found(f"{id}-{mode}").run_sync(target) for name, id in PLAYED.items() for mode in modes}
    )


def again(client: str, mode: Any, raw: bytes, before: Seen, status: int = 200) -> Seen:
    """Reads other bytes under the same headers."""
    seen = read_as(client, Seen(status=status, headers=before.headers, raw=raw), mode)
    assert seen.ended in ENDS
    return seen


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value inside."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield (*path, key)
        yield from places(one, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    """The same with another value in one place."""
    copy = json.loads(json.dumps(value))
    at = copy
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = other
    return copy


def events(client: str, raw: bytes) -> list[Json]:
    """The events of a stream as values."""
    if client != "chat":
        return read(Said("POST", "", "", {}, b"", 200, body=raw))
    return [json.loads(one[6:]) for one in raw.decode().split("\n\n") if one.startswith("data: {")]


def framed(client: str, values: list[Any]) -> bytes:
    """The same as bytes."""
    if client != "chat":
        return written(
            [one if isinstance(one, dict) and "type" in one else {"type": None, "was": one} for one in values]
        )
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in values) + b"data: [DONE]\n\n"


@pytest.mark.parametrize("client", list(PLAYED))
def test_a_good_answer_is_good_again(client: str, played: Played) -> None:
    """What is bent below is fine as it is."""
    for mode in ("plain", "stream"):
        before = played[client, mode]
        seen = again(client, mode, before.raw, before)
        assert (seen.problems, seen.ended, seen.text) == ([], "whole", "I look.")
    before = played[client, "stream"]
    assert again(client, "stream", framed(client, events(client, before.raw)), before).problems == []


@pytest.mark.parametrize("client", list(PLAYED))
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_odd_members(client: str, played: Played, data: st.DataObject) -> None:
    """Any member of a plain answer may be anything."""
    before = played[client, "plain"]
    value = json.loads(before.raw)
    other = replaced(value, data.draw(st.sampled_from(list(places(value)))), data.draw(ODD))

    again(client, "plain", json.dumps(other).encode(), before)


@pytest.mark.parametrize("client", list(PLAYED))
@given(data=st.data())
@settings(max_examples=250, deadline=None)
def test_odd_events(client: str, played: Played, data: st.DataObject) -> None:
    """Any member of any event may be anything; events may be lost, come twice, or in another order."""
    before = played[client, "stream"]
    values: list[Any] = events(client, before.raw)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(values) - 1))
        match data.draw(st.sampled_from(["member", "lost", "twice", "moved"])):
            case "member":
                ways = list(places(values[at]))
                values[at] = replaced(values[at], data.draw(st.sampled_from(ways)), data.draw(ODD)) if ways else {}
            case "lost" if len(values) > 1:
                del values[at]
            case "twice":
                values.insert(at, values[at])
            case _:
                values.append(values.pop(at))

    again(client, "stream", framed(client, values), before)


@pytest.mark.parametrize("client", list(PLAYED))
@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_cut_and_odd_bytes(client: str, played: Played, data: st.DataObject) -> None:
    """A stream that is cut anywhere is never whole; any bytes may come in it, under any status."""
    before = played[client, "stream"]
    at = data.draw(st.integers(0, len(before.raw) - 3))

    assert again(client, "stream", before.raw[:at], before).ended != "whole"
    for mode in ("plain", "stream"):
        odd = before.raw[:at] + data.draw(st.binary(max_size=9)) + before.raw[at:]
        again(client, mode, odd, before)
        again(client, mode, data.draw(st.binary(max_size=40)), before, status=data.draw(st.sampled_from([200, 400, 0])))
    again(client, "plain", json.dumps({"error": data.draw(ODD)}).encode(), before, status=500)
